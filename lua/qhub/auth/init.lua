-- `qhub.credentials`: where a token comes from, other than a string that the program has.

return {
  client_credentials = require "qhub.auth.client_credentials",
  default = require "qhub.auth.personal_token",
}
