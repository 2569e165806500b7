-- The transport over libcurl: carries one request over the network and brings the response back.
--
-- Knows nothing of tokens, retries, redirects or JSON. The interface, which transport/program.lua
-- shares:
--
-- `send(request, token, url, body, deadline)` takes a request (request.lua), the token of this
-- attempt or nil, the body or nil and a deadline on the monotonic clock, or nil. It returns
-- a response, or nil and a failure, or both when the body broke off. What it holds when it is left
-- early is closed.
--   response: status_code, headers, body (whole) or read(n, part) -> chunk | nil at the end | nil
--             and a failure; deadline (of reading; may be set to false); close().
--   failure:  kind ("network", "timeout", "cancelled", "too_large"), message, phase, sent (false:
--             certainly not), stale (a kept connection was closed), code (libcurl's, if it is
--             one), lasting (true: another attempt would meet it again).

local headers = require "qhub.http.headers"
local loop = require "qhub.tasks.loop"

local await, now = loop.await, loop.now

local PATIENCE = 0.1 -- seconds for which bytes wait for others that fill a block of a file
local MOST_IDLE = 64 -- transfers kept to be used again

-- Headers are read only when somebody asks: most responses are decoded without them.
local Response = {
  __index = function(response, name)
    if name ~= "headers" then return nil end
    local transfer = response.transfer
    local fields = headers.response(transfer and transfer:headers() or {})
    response.headers = fields
    return fields
  end,
}

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

-- The next bytes of the body, at most `n`; nil at the end; nil and a failure when it broke off.
-- With a `part` (core.partfile) they go into it, and their number is returned; in whole blocks of
-- the file when they come fast.
local function read(response, n, part)
  local transfer, late, is_late = response.transfer, nil, false
  while true do
    local chunk = transfer:read(n, part, is_late)
    if chunk and chunk ~= 0 then return chunk end
    if chunk == false then
      local kind, message, details = transfer:failure()
      return nil, kind and failure_of(kind, message, details)
    end
    if chunk == 0 then late = late or now() + PATIENCE end
    local ok, reason = await(transfer, late or response.deadline)
    if not ok and not (late and reason == "deadline") then
      return nil, interrupted(reason, transfer)
    end
    is_late = late and (not ok or now() >= late)
  end
end

local function close(response)
  local transfer = response.transfer
  transfer:close()
  loop.release(transfer) -- another task may be reading
end

-- The engine's form of `request` with `token`, kept with the request.
local function form_of(connections, request, token)
  local kept = request.kept
  if kept.form and kept.token == token then return kept.form end
  kept = request:prepared(token)
  kept.form = connections:prepare {
    method = request.method,
    header_lines = headers.lines(kept.headers),
    timeout = request.timeout,
    connect_timeout = request.connect_timeout,
    max_bytes = request.max_bytes,
    stream = request.stream,
    once = request.once,
    decode = request.compressed,
  }
  return kept.form
end

-- Waits for the status, unless the transfer is done already. Returns it, with the body unless that
-- is a stream, and the failure that ended the body, if any; or nil and a failure.
local function result_of(transfer, is_done, deadline)
  local status_code, body, kind, message, details
  repeat
    if not is_done then
      local ok, reason = await(transfer, deadline)
      if not ok then return nil, nil, interrupted(reason, transfer) end
    end
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
local function opened(transfer, is_done, deadline)
  local opening <close> = setmetatable({ transfer = transfer }, Opening)
  local status_code, _, failure = result_of(transfer, is_done, deadline)
  if not status_code then return nil, failure end
  opening.transfer = nil
  return setmetatable({
    transfer = transfer,
    status_code = status_code,
    deadline = deadline or false,
    read = read,
    close = close,
  }, Response)
end

--- The transport over `connections` (an engine session: the connection settings of one client).
local function over(connections)
  local idle = {}

  -- The transfer of a whole response, whose headers nobody reads any more, is used again.
  local function keep(response)
    local transfer = response.transfer
    response.transfer = false
    if transfer and #idle < MOST_IDLE then idle[#idle + 1] = transfer end
  end

  return function(request, token, url, body, deadline)
    local last = #idle
    local transfer, is_done =
      connections:start(form_of(connections, request, token), url, body, idle[last])
    idle[last] = nil
    if request.stream then return opened(transfer, is_done, deadline) end
    local _ <close> = transfer -- its headers stay readable
    local status_code, whole, failure = result_of(transfer, is_done, deadline)
    if not status_code then return nil, failure end
    local response = { transfer = transfer, status_code = status_code, body = whole, close = keep }
    return setmetatable(response, Response), failure
  end
end

return { over = over }
