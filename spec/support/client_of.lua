-- A client of a server that specs start: `client_of(server, options...)`. Of several tables of
-- options, which may be nil, the later ones count.

local qhub = require "qhub"

return function(server, ...)
  local given = { base_url = server.url, token = server.token or "tok-en" }
  given.http = server.ca_file and { ca_file = server.ca_file }
  for index = 1, select("#", ...) do
    for name, value in pairs((select(index, ...)) or {}) do
      given[name] = value
    end
  end
  return qhub.HubServiceClient(given)
end
