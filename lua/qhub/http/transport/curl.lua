-- The transport over libcurl: carries one request over the network and brings the response back.
--
-- Knows nothing of tokens, retries, redirects or JSON. The interface, which transport/program.lua
-- shares:
--
-- `send(request, token, url, body, deadline)` takes a request (request.lua), the token of this
-- attempt or nil, the body or nil and a deadline on the monotonic clock, or nil. It returns
-- a response, or nil and a failure, or both when the body broke off. What it holds when it is left
-- early is closed.
--   response: status_code, headers, body (whole) or read(n) -> chunk | nil at the end | nil and a
--             failure; deadline (of reading; may be set to false); close().
--   failure:  kind ("network", "timeout", "cancelled", "too_large"), message, phase, sent (false:
--             certainly not), stale (a kept connection was closed), code (libcurl's, if it is
--             one), lasting (true: another attempt would meet it again).

local headers = require "qhub.http.headers"
local loop = require "qhub.tasks.loop"

local await = loop.await

local MOST_IDLE = 64 -- transfers kept to be used again

local Response = {}

-- Headers are read only when somebody asks: most responses are decoded without them.
function Response.__index(response, name)
  if name == "headers" then
    local transfer = response.transfer
    local fields = headers.response(transfer and transfer:headers() or {})
    response.headers = fields
    return fields
  end
  return Response[name]
end

--- The transfer of a whole response, whose headers nobody reads any more, is used again.
function Response:close()
  local transfer, idle = self.transfer, self.idle
  if not idle then
    transfer:close()
    loop.release(transfer) -- another task may be reading
  elseif transfer then
    self.transfer = false
    if #idle < MOST_IDLE then idle[#idle + 1] = transfer end
  end
end

-- `failure` (phase, sent, stale, code), as the engine says it, with the rest.
local function failure_of(kind, message, failure)
  failure.kind, failure.message = kind == "memory" and "network" or kind, message
  return failure
end

-- Why the wait for `transfer` ended early. One in the queue was not attempted.
local function interrupted(reason, transfer)
  local is_late, is_sent = reason == "deadline", transfer:state() ~= "queued"
  return {
    kind = is_late and "timeout" or "cancelled",
    phase = is_late and "total" or nil,
    message = is_late and "total_timeout passed" or "cancelled while it was running",
    sent = is_sent,
    not_attempted = not is_sent,
  }
end

--- The next bytes of the body, at most `n`; nil at the end; nil and a failure when it broke off.
function Response:read(n)
  local transfer = self.transfer
  while true do
    local chunk = transfer:read(n)
    if chunk then return chunk end
    if chunk == false then
      local kind, message, details = transfer:failure()
      return nil, kind and failure_of(kind, message, details)
    end
    local ok, reason = await(transfer, self.deadline)
    if not ok then return nil, interrupted(reason, transfer) end
  end
end

-- The engine's form of `request` with `token`, kept with the request.
local function form_of(connections, request, token)
  local prepared = request:prepared(token)
  local form = prepared.form
  if not form then
    form = connections:prepare {
      method = request.method,
      header_lines = headers.lines(prepared.headers),
      timeout = request.timeout,
      connect_timeout = request.connect_timeout,
      max_bytes = request.max_bytes,
      stream = request.stream,
      once = request.once,
      decode = request.compressed,
    }
    prepared.form = form
  end
  return form
end

-- Waits for the status. Returns it, with the body unless that is a stream, and the failure that
-- ended the body, if any; or nil and a failure.
local function result_of(transfer, deadline)
  local status_code, body, kind, message, details
  repeat
    local ok, reason = await(transfer, deadline)
    if not ok then return nil, nil, interrupted(reason, transfer) end
    status_code, body, kind, message, details = transfer:result()
  until status_code ~= nil
  local failure = kind and failure_of(kind, message, details)
  if not status_code or kind == "cancelled" then return nil, nil, failure end
  return status_code, body, failure
end

-- A to-be-closed variable while the headers of a stream are waited for.
local Opening = {
  __close = function(opening)
    if opening.transfer then opening.transfer:close() end
  end,
}

-- The response whose body is a stream. That it broke off early is found out by whoever reads it.
local function opened(transfer, deadline)
  local opening <close> = setmetatable({ transfer = transfer }, Opening)
  local status_code, _, failure = result_of(transfer, deadline)
  if not status_code then return nil, failure end
  opening.transfer = nil
  local response = { transfer = transfer, status_code = status_code, deadline = deadline or false }
  return setmetatable(response, Response)
end

--- The transport over `connections` (an engine session: the connection settings of one client).
local function over(connections)
  local idle = {}
  return function(request, token, url, body, deadline)
    local last = #idle
    local transfer, kind, message =
      connections:start(form_of(connections, request, token), url, body, idle[last])
    idle[last] = nil
    if not transfer then
      if kind == "memory" then error("not enough memory", 0) end
      return nil, { kind = kind, message = message, sent = false }
    end
    if request.stream then return opened(transfer, deadline) end
    local _ <close> = transfer -- its headers stay readable
    local status_code, whole, failure = result_of(transfer, deadline)
    if not status_code then return nil, failure end
    local response = { transfer = transfer, status_code = status_code, body = whole, idle = idle }
    return setmetatable(response, Response), failure
  end
end

return { over = over }
