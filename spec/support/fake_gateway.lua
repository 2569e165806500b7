-- A client without retries over a fake transport that is a whole gateway.
--
-- `answers` maps an operation (start, list, status, result, logs, cancel) to its response: a table,
-- a JSON text (of a 200), a function(count, id, request) that returns one, or a list of these in
-- the order of the requests, of which the last stays. Returns the client and how many requests
-- there were, by operation, and by id those for a status.

local FakeTransport = require "spec.support.fake_transport"

local function operation_of(request)
  local id, rest = request.url:match "/v1/([^/]+)(.*)$"
  local at_list = request.method == "POST" and "start" or "list"
  local operations = { [""] = "status", ["/result"] = "result", ["/log"] = "logs" }
  return id and (operations[rest] or "cancel") or at_list, id
end

return function(answers, options)
  local counts = setmetatable({}, {
    __index = function()
      return 0
    end,
  })
  local function respond(request)
    local operation, id = operation_of(request)
    counts[operation] = counts[operation] + 1
    local count = counts[operation]
    if operation == "status" then
      counts[id] = counts[id] + 1
      count = counts[id]
    end
    local answer = answers[operation]
    if type(answer) == "table" and answer[1] then answer = answer[math.min(count, #answer)] end
    if type(answer) == "function" then answer = answer(count, id, request) end
    return type(answer) == "string" and { status_code = 200, body = answer } or answer
  end
  local o = { max_retries = 0 }
  for name, value in pairs(options or {}) do
    o[name] = value
  end
  return FakeTransport({ respond }):client(o), counts
end
