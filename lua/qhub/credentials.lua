-- `qhub.credentials`: where a token comes from, beside a string that the program has.

return {
  client_credentials = require "qhub.client_credentials",
  default = require "qhub.personal_token",
}
