-- The transport over a function of the program's (the `transport` option). The interface is that of
-- transport/curl.lua; all rules above it are the same.

local headers = require "qhub.http.headers"
local loop = require "qhub.tasks.loop"
local text = require "qhub.error.text"

-- A failure after which it is not known whether the request was sent.
local function failed(kind, message, phase)
  return { kind = kind, message = message, phase = phase, sent = true }
end

local function unusable(what, value)
  error("qhub: the transport function must return " .. what .. ", got " .. text.value(value), 0)
end

-- What the program's `fn` returns for the further arguments, and the failure, if any: it may have
-- taken longer than `deadline`, or ended with its task.
local function ask(fn, deadline, ...)
  local ok, value, message = loop.call(fn, ...)
  if not ok then
    return nil, failed("cancelled", "cancelled while it was running")
  elseif deadline and loop.now() >= deadline then
    return value, failed("timeout", "total_timeout passed", "total")
  elseif value == nil and message ~= nil then
    return nil, failed("network", tostring(message))
  end
  return value
end

-- A response has: status_code, headers, body (whole), deadline; `next_chunk`, the program's
-- function, until it has ended; and `rest`, text that is yet to be read, beginning at `from`.
local Response = {}
Response.__index = Response

function Response:close()
  self.next_chunk, self.rest = nil, ""
end

function Response:read(n, part)
  while self.from > #self.rest do
    if not self.next_chunk then return nil end
    local chunk, failure = ask(self.next_chunk, self.deadline)
    if failure or chunk == nil then
      self.next_chunk = nil
      return nil, failure
    elseif type(chunk) ~= "string" then
      unusable("a body function that returns strings", chunk)
    end
    self.rest, self.from = chunk, 1
  end
  local from = self.from
  self.from = from + n
  local chunk = self.rest:sub(from, from + n - 1)
  if not part then return chunk end
  part:append(chunk)
  return #chunk
end

-- Collects a whole body under the cap. Returns the text and the failure that ended it, if any.
local function whole(response, max_bytes)
  local pieces, size = {}, 0
  while true do
    local chunk, failure = response:read(1 << 20)
    if not chunk then return table.concat(pieces), failure end
    pieces[#pieces + 1] = chunk
    size = size + #chunk
    if size > max_bytes then
      local message = "the body is larger than max_response_bytes"
      return table.concat(pieces):sub(1, max_bytes), { kind = "too_large", message = message }
    end
  end
end

-- The response that the program's function gave. Raises for an invalid one.
local function response_of(gave, deadline)
  local fields = type(gave) == "table" and gave or {}
  local status_code = math.type(fields.status_code) and math.tointeger(fields.status_code)
  local body, kind = fields.body, type(fields.body)
  if not status_code or status_code < 100 or status_code > 999 then
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
    rest = kind == "string" and body or "",
    from = 1,
    next_chunk = kind == "function" and body or nil,
  }, Response)
end

--- The transport over `call`, the function that the program gave as `transport`.
local function over(call)
  return function(request, token, url, body, deadline)
    local fields, timeout = {}, request.timeout
    for name, value in pairs(request:prepared(token).headers) do
      fields[name] = value or nil
    end
    local gave, failure = ask(call, deadline, {
      method = request.method,
      url = url,
      headers = fields,
      body = body,
      timeout = deadline and math.min(timeout, deadline - loop.now()) or timeout,
    })
    -- A late response to a start counts all the same: it names a run that may cost money.
    if failure and not (request.once and gave) then
      return nil, failure
    elseif gave == nil then
      return nil, failed("network", "the transport function failed")
    end
    local response = response_of(gave, deadline)
    if request.stream then return response end
    response.body, failure = whole(response, request.max_bytes)
    return response, failure
  end
end

return { over = over }
