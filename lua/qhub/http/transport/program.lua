-- The transport over a function of the program's (the `transport` option). The interface is that of
-- transport/curl.lua; all rules above it are the same.

local headers = require "qhub.http.headers"
local loop = require "qhub.tasks.loop"
local program = require "qhub.tasks.program"
local text = require "qhub.error.text"

local Response = {}
Response.__index = Response

function Response:close()
  self.next_chunk, self.rest = nil, nil
end

Response.__close = Response.close

local function cancelled()
  return { kind = "cancelled", message = "cancelled while it was running", sent = true }
end

local function timed_out(sent)
  return { kind = "timeout", phase = "total", message = "total_timeout passed", sent = sent }
end

local function unusable(what, value)
  error("qhub: the transport function must return " .. what .. ", got " .. text.value(value), 0)
end

-- Whether the time of the whole call is over: the program's functions may take long.
local function is_late(deadline)
  return deadline and loop.now() >= deadline
end

-- The next piece as the program's function gives it: text, or nil at the end, or nil and a failure.
local function piece(response)
  local ok, chunk, message = program.call(response.next_chunk)
  if not ok then
    return nil, cancelled()
  elseif is_late(response.deadline) then
    return nil, timed_out(true)
  elseif chunk == nil and message ~= nil then
    return nil, { kind = "network", message = tostring(message), sent = true }
  elseif chunk ~= nil and type(chunk) ~= "string" then
    unusable("a body function that returns strings", chunk)
  end
  return chunk
end

function Response:read(n)
  local rest, from = self.rest, self.from or 1
  while not rest or from > #rest do
    if not self.next_chunk then return nil end
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
    if not chunk then return table.concat(pieces), failure end
    pieces[#pieces + 1] = chunk
    size = size + #chunk
    if max_bytes and size > max_bytes then
      pieces[#pieces] = chunk:sub(1, #chunk - (size - max_bytes))
      local message = "the body is larger than max_response_bytes"
      return table.concat(pieces), { kind = "too_large", message = message }
    end
  end
end

-- The response that the program's function gave. Raises for an invalid one.
local function response_of(gave, deadline)
  local fields = type(gave) == "table" and gave or {}
  local status_code = math.type(fields.status_code) and math.tointeger(fields.status_code)
  local body, kind = fields.body, type(fields.body)
  if fields.status_code == nil and fields.status ~= nil then
    unusable("its status as `status_code`, not `status`", fields.status)
  elseif not status_code or status_code < 100 or status_code > 999 then
    unusable("a table with a status_code, or nil and a message", gave)
  elseif fields.headers ~= nil and type(fields.headers) ~= "table" then
    unusable("headers as a table", fields.headers)
  elseif body ~= nil and kind ~= "string" and kind ~= "function" then
    unusable("a body that is a string or a function", body)
  end
  return setmetatable({
    status_code = status_code,
    headers = headers.foreign(fields.headers),
    deadline = deadline or nil,
    rest = kind == "string" and body or nil,
    next_chunk = kind == "function" and body or nil,
  }, Response)
end

local function copy_of_headers(fields)
  local result = {}
  for name, value in pairs(fields) do
    result[name] = value or nil
  end
  return result
end

--- The transport over `call`, the function that the program gave as `transport`.
local function over(call)
  return function(request, token, url, body, deadline)
    local timeout = request.timeout
    local ok, gave, message = program.call(call, {
      method = request.method,
      url = url,
      headers = copy_of_headers(request:prepared(token).headers),
      body = body,
      timeout = deadline and math.min(timeout, deadline - loop.now()) or timeout,
    })
    if not ok then
      return nil, cancelled()
    elseif is_late(deadline) and not (request.once and gave) then
      -- A response to a start counts all the same: it names a run that may cost money.
      return nil, timed_out(true)
    elseif gave == nil then
      message = message == nil and "the transport function failed" or tostring(message)
      return nil, { kind = "network", message = message, sent = true }
    end
    local response = response_of(gave, deadline)
    if request.stream then return response end
    local failure
    response.body, failure = whole(response, request.max_bytes)
    return response, failure
  end
end

return { over = over }
