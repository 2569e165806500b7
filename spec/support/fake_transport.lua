-- A fake transport: plays a list of responses and remembers the requests.
--
--   local fake = FakeTransport { { status_code = 503 }, { status_code = 200, body = "[]" } }
--   local client = fake:client { max_retries = 1 }
--   fake.requests[1].url
--
-- A response may be a function of the request. The last one is repeated.

local qhub = require "qhub"

local FakeTransport = {}
FakeTransport.__index = FakeTransport

local function new(responses)
  local fake = setmetatable({ responses = responses, requests = {} }, FakeTransport)
  fake.transport = function(request)
    local count = #fake.requests + 1
    fake.requests[count] = request
    local response = fake.responses[math.min(count, #fake.responses)]
    if type(response) == "function" then return response(request, count) end
    return response
  end
  return fake
end

--- A client over this transport; `options` in addition to token, base_url and transport.
function FakeTransport:client(options)
  local o = { token = "t0ken", base_url = "https://gateway.example/acme/vqe/v1" }
  for name, value in pairs(options or {}) do
    o[name] = value
  end
  o.transport = self.transport
  return qhub.HubServiceClient(o)
end

return new
