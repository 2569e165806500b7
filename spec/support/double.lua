-- A transport double: plays a list of answers and remembers what was asked.
--
--   local double = Double { { status_code = 503 }, { status_code = 200, body = "[]" } }
--   local client = double:client { max_retries = 1 }
--   double.requests[1].url
--
-- An answer may be a function of the request. Past the last answer it is given again.

local qhub = require "qhub"

local Double = {}
Double.__index = Double

local function new(answers)
  local double = setmetatable({ answers = answers, requests = {} }, Double)
  double.transport = function(request)
    local count = #double.requests + 1
    double.requests[count] = request
    local answer = double.answers[math.min(count, #double.answers)]
    if type(answer) == "function" then
      return answer(request, count)
    end
    return answer
  end
  return double
end

--- A client over this double; `options` besides token, base_url and transport.
function Double:client(options)
  local o = { token = "t0ken", base_url = "https://gateway.example/acme/vqe/v1" }
  for name, value in pairs(options or {}) do
    o[name] = value
  end
  o.transport = self.transport
  return qhub.HubServiceClient(o)
end

return new
