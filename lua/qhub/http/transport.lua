-- Transports: what carries one request over the network and brings the answer back.
--
-- Two of them share one interface: libcurl through the engine, and a function of the program's
-- (the `transport` option). Above it all rules are the same. A transport knows nothing of tokens,
-- retries, redirects or JSON.
--
-- `send(request, holder)` takes method, url, headers (lower-case names), body, timeout,
-- connect_timeout, deadline (monotonic), stream (largest chunk in bytes; else the body is kept
-- whole), max_bytes (cap of a whole body), decode (ask for compression), once (never on the wire
-- twice); header_lines, when they are written out already. What there is none of is nil or false.
-- It sets `holder.response` as soon as there is something to close, so that its caller can,
-- whatever happens meanwhile; and returns a response, or nil and a failure, or both when the
-- answer broke off:
--   response: status_code, headers, body (whole) or read(n) -> chunk | nil at the end | nil and a
--             failure; deadline (of reading; may be set to nil); close(), also as a to-be-closed
--             variable.
--   failure:  kind ("network", "timeout", "cancelled", "too_large"), message, phase, sent, stale,
--             code (libcurl's, if it is one).

local headers = require "qhub.http.headers"
local loop = require "qhub.tasks.loop"
local show = require "qhub.text"

local transport = {}

local function timed_out(phase, message, sent)
  return { kind = "timeout", phase = phase, message = message, sent = sent }
end

local function cancelled(sent)
  return { kind = "cancelled", message = "cancelled while under way", sent = sent }
end

-- ── libcurl ─────────────────────────────────────────────────────────────────────────────────────

local EngineResponse = {}

-- Headers are read only when somebody asks: most answers are decoded without them.
function EngineResponse.__index(response, name)
  if name == "headers" then
    local fields = headers.response(response.transfer:headers() or {})
    response.headers = fields
    return fields
  end
  return EngineResponse[name]
end

function EngineResponse:close()
  self.transfer:close()
  loop.release(self.transfer) -- another task may be reading
end

EngineResponse.__close = EngineResponse.close

local function failure_of(transfer)
  local kind, message, details = transfer:failure()
  if kind then
    return {
      kind = kind == "memory" and "network" or kind,
      message = message,
      phase = details.phase,
      sent = details.sent,
      stale = details.stale,
      code = details.code,
    }
  end
end

-- Why a wait ended without news: the transfer is closed by whoever holds it.
local function interrupted(reason)
  if reason == "deadline" then
    return timed_out("total", "total_timeout passed", true)
  end
  return cancelled(true)
end

--- The next bytes of the body, at most `n`; nil at the end; nil and a failure when it broke off.
function EngineResponse:read(n)
  local transfer = self.transfer
  while true do
    local chunk = transfer:read(n)
    if chunk then
      return chunk
    end
    if transfer:state() == "done" then
      return nil, failure_of(transfer)
    end
    local ok, reason = loop.await(transfer, self.deadline)
    if not ok then
      return nil, interrupted(reason)
    end
  end
end

--- The transport over `session` (an engine session: the connection settings of one client).
function transport.over_engine(session)
  return function(request, holder)
    local lines = request.header_lines or headers.lines(request.headers)
    request.header_lines = lines
    local transfer, kind, message = session:start(request)
    if not transfer then
      if kind == "memory" then
        error("not enough memory", 0)
      end
      return nil, { kind = kind, message = message, sent = false }
    end
    -- Has room for all of its fields from the beginning, for a table grows at a price.
    local fields = { transfer = transfer, status_code = nil, body = nil, deadline = nil }
    local response = setmetatable(fields, EngineResponse)
    holder.response = response
    local deadline, stream = request.deadline, request.stream
    local state
    repeat
      local ok, reason = loop.await(transfer, deadline)
      if not ok then
        return nil, interrupted(reason)
      end
      state = transfer:state()
    until state == "done" or stream and state == "open"
    local failure = failure_of(transfer)
    local status_code = transfer:status()
    if not status_code or (failure and failure.kind == "cancelled") then
      return nil, failure
    end
    response.status_code = status_code
    if stream then
      -- A body that broke off early is found out by whoever reads it.
      response.deadline = deadline
      return response
    end
    response.body = transfer:body()
    return response, failure
  end
end

-- ── a function of the program's ─────────────────────────────────────────────────────────────────

local ForeignResponse = {}
ForeignResponse.__index = ForeignResponse

function ForeignResponse:close()
  self.next_chunk, self.rest = nil, nil
end

ForeignResponse.__close = ForeignResponse.close

local function unusable(what, value)
  error("qhub: the transport function must return " .. what .. ", got " .. show.value(value), 0)
end

-- Whether the time of the whole call is over: the program's functions may take long.
local function is_late(deadline)
  return deadline and loop.now() >= deadline
end

-- The next piece as the program's function gives it: text, or nil at the end, or nil and a failure.
local function piece(response)
  local ok, chunk, message = loop.call(response.next_chunk)
  if not ok then
    return nil, cancelled(true)
  elseif is_late(response.deadline) then
    return nil, timed_out("total", "total_timeout passed", true)
  elseif chunk == nil and message ~= nil then
    return nil, { kind = "network", message = tostring(message), sent = true }
  elseif chunk ~= nil and type(chunk) ~= "string" then
    unusable("a body function that returns strings", chunk)
  end
  return chunk
end

function ForeignResponse:read(n)
  local rest, from = self.rest, self.from or 1
  while not rest or from > #rest do
    if not self.next_chunk then
      return nil
    end
    local chunk, failure = piece(self)
    if not chunk then
      self.next_chunk = nil
      return nil, failure
    end
    rest, from = chunk, 1
  end
  self.rest, self.from = rest, from + n
  return rest:sub(from, from + n - 1)
end

-- Collects a whole body under the cap. Returns the text and the failure that ended it, if any.
local function whole(response, max_bytes)
  local pieces, size = {}, 0
  while true do
    local chunk, failure = response:read(1 << 20)
    if not chunk then
      return table.concat(pieces), failure
    end
    pieces[#pieces + 1] = chunk
    size = size + #chunk
    if max_bytes and size > max_bytes then
      pieces[#pieces] = chunk:sub(1, #chunk - (size - max_bytes))
      local message = "the body is larger than max_response_bytes"
      return table.concat(pieces), { kind = "too_large", message = message }
    end
  end
end

--- The transport over `call`, the function that the program gave as `transport`.
function transport.over_function(call)
  return function(request, holder)
    local deadline = request.deadline
    if is_late(deadline) then
      return nil, timed_out("total", "total_timeout passed", false)
    end
    local fields = {}
    for name, value in pairs(request.headers) do
      fields[name] = value or nil
    end
    local ok, answer, message = loop.call(call, {
      method = request.method,
      url = request.url,
      headers = fields,
      body = request.body or nil,
      timeout = deadline and math.min(request.timeout, deadline - loop.now()) or request.timeout,
    })
    if not ok then
      return nil, cancelled(true)
    elseif is_late(deadline) and not (request.once and answer) then
      -- That of a start counts all the same: it names a run that may cost money.
      return nil, timed_out("total", "total_timeout passed", true)
    elseif answer == nil then
      local text = message == nil and "the transport function failed" or tostring(message)
      return nil, { kind = "network", message = text, sent = true }
    end
    local given = type(answer) == "table" and answer.status_code
    local status_code = math.type(given) and math.tointeger(given)
    if given == nil and type(answer) == "table" and answer.status ~= nil then
      unusable("its status as `status_code`, not `status`", answer.status)
    elseif not status_code or status_code < 100 or status_code > 999 then
      unusable("a table with a status_code, or nil and a message", answer)
    end
    if answer.headers ~= nil and type(answer.headers) ~= "table" then
      unusable("headers as a table", answer.headers)
    end
    local response = setmetatable({
      status_code = status_code,
      headers = headers.foreign(answer.headers),
      deadline = deadline or nil,
    }, ForeignResponse)
    local body = answer.body
    if type(body) == "string" then
      response.rest = body
    elseif type(body) == "function" then
      response.next_chunk = body
    elseif body ~= nil then
      unusable("a body that is a string or a function", body)
    end
    holder.response = response
    if request.stream then
      return response
    end
    local failure
    response.body, failure = whole(response, request.max_bytes)
    return response, failure
  end
end

--- An engine session for the `http` options of a client.
function transport.session(http)
  return loop.engine():session(http)
end

return transport
