-- The bytes of a result file, in order and each once, also when connections break.
--
-- A connection that breaks is replaced by another one that continues where the first ended
-- (validators.lua says when that is safe), always by way of the gateway's own address and with the
-- token of that time. Holds at most what the transport does. Knows nothing of the userdata that
-- programs see, and nothing of retries: those are the Attempts'.

local attempts = require "qhub.http.attempts"
local usage_error = require("qhub.error").usage
local validators = require "qhub.files.validators"

-- A connection that brought so many bytes before it broke is replaced at once, because the gateway
-- works. Otherwise the usual delays apply.
local PROGRESS = 16 * 1024

-- Bytes that the transport holds. One read of the network brings so many: fewer cost more of them.
local LEAST_HELD, MOST_HELD = 256 * 1024, 1 << 20

-- A reader has:
--   call         the Attempts of the whole file
--   chunk_size   bytes of the largest chunk that the program wants
--   size, content_type, headers, received      what the file shows of itself
--   version      what is being read (validators.lua); nil before the first response
--   position     bytes of the file that are known: handed out, or in the part of a download
--   response     the present response; nil when there is none
--   skip         bytes that it still has to bring before `position`
--   limit        where in the file it ends, or nil
--   brought      bytes beyond `position` that it brought
--   may_begin_anew    what is known comes from an earlier call: if it cannot be continued, the file
--                     is read from its beginning
--   is_fixed     a range that the program chose: not resumed
--   busy, finished, closed, err
-- It is a to-be-closed variable while it is used: left by an error of the program's own functions,
-- or by the end of its task, it is closed.
local Reader = {}
Reader.__index = Reader

-- Ends the present transfer.
local function release(self)
  local response = self.response
  if response then
    self.response = nil
    response:close()
  end
end

function Reader:__close()
  if self.busy then self:close() end
end

-- ── opening, at the beginning and in the middle ─────────────────────────────────────────────────

-- A failure that another attempt would meet again.
local function lasting(message)
  return { kind = "network", message = message, sent = true, lasting = true }
end

-- Takes the response to a request for what follows `position`. Returns true, or nil and why not.
local function take(self, response)
  local fields, position = response.headers, self.position
  if position == 0 then self.version = validators.version(fields) end
  local version, status_code = self.version, self.is_fixed and validators.OK or response.status_code
  local judgement, size, limit = validators.judge(version, position, status_code, fields)
  if not judgement then return nil, size end
  self.finished = judgement == "complete"
  self.skip = judgement == "skip" and position or 0
  self.limit = limit or size
  version.size, self.size = size, size
  if position == 0 or not self.headers then
    self.headers, self.content_type = fields, fields["content-type"]
  end
  return true
end

-- Opens the file at `position`; everything that begins in the middle of a file begins here. Returns
-- true, or nil and an error.
local function open(self)
  local position = self.position
  local range = position > 0 and validators.request_headers(self.version, position) or nil
  local response, err = self.call:open(range)
  if not response then return nil, err end
  self.response, self.brought = response, 0
  local ok, why = take(self, response)
  if not ok and range and self.may_begin_anew then
    self.position = 0
    ok = response.status_code == validators.OK and take(self, response)
    if not ok then
      release(self)
      return open(self)
    end
  end
  if not ok or self.finished then release(self) end
  if ok then return true end
  return nil, self.call:fail(lasting(why), response, self.position)
end

-- Continues after the present response ended with `failure`. Returns true, or nil and an error.
local function resume(self, failure)
  release(self)
  local call, position, brought = self.call, self.position, self.brought
  if brought > 0 then call:count_anew() end
  local obstacle = self.is_fixed and "a range of the program's own"
    or not self.version.validator and "neither a strong ETag nor Last-Modified names its version"
  if failure.lasting or failure.kind == "cancelled" then
    return nil, call:fail(failure, nil, position)
  elseif obstacle and position > 0 then
    failure.message = failure.message .. "; the file cannot be resumed: " .. obstacle
    return nil, call:fail(failure, nil, position)
  end
  local again, err = call:retry {
    failure = failure,
    progressed = brought >= PROGRESS,
    offset = position > 0 and position or nil,
  }
  if again then return open(self) end
  return nil, err or call:fail(failure, nil, position)
end

-- ── reading ─────────────────────────────────────────────────────────────────────────────────────

-- What is wrong with the end of a response at `position`; nil when it is the file's end.
local function early_end(self)
  if self.skip > 0 then
    return lasting "the file changed on the gateway while it was read: it is shorter than before"
  elseif self.size and self.position < self.size then
    local message = ("the body ended after %d of %d bytes"):format(self.position, self.size)
    return { kind = "network", message = message, sent = true }
  end
end

-- At most `n` bytes of `response` (with a `part` their number), or nil and why there are none.
-- `total_timeout` is for what comes before the first byte.
local function bytes_of(self, response, n, part)
  local chunk, failure = response:read(n, part)
  if chunk and response.deadline then
    self.call:lift_deadline()
    response.deadline = false
  end
  return chunk, failure
end

-- The next bytes of the file, or their number; or nil at the file's end; or nil and a failure.
local function receive(self, n, part)
  local response, left = self.response, self.limit and self.limit - self.position
  while self.skip > 0 do
    local known, failure = bytes_of(self, response, math.min(self.skip, self.chunk_size))
    if not known then return nil, failure or early_end(self) end
    self.skip = self.skip - #known
  end
  -- What was announced is handed out before the error for more.
  local is_over = left == 0
  if left and left < n then n = is_over and 1 or left end
  local chunk, failure = bytes_of(self, response, n, not is_over and part or nil)
  if not chunk then
    if self.position == self.size then return nil end -- later failures do not matter
    return nil, failure or early_end(self)
  elseif is_over then
    return nil, lasting(("the body continues after the %d bytes announced"):format(self.limit))
  end
  return chunk
end

-- The next chunk of at most `n` bytes, or their number; nil at the end; nil and an error object.
local function read_on(self, n, part)
  while not self.finished do
    local closed = self.closed and "it" or self.call.session.is_closed and "the client"
    local chunk, failure
    if not closed then
      chunk, failure = receive(self, n, part)
      closed = self.closed and "it" -- by another task
    end
    if closed then
      local message = closed .. " was closed while the file was read"
      chunk, failure = nil, { kind = "cancelled", message = message, sent = true }
    end
    if chunk then
      local length = part and chunk or #chunk
      self.position = self.position + length
      self.brought = self.brought + length
      self.received = self.received + length
      return chunk
    elseif failure then
      local ok, err = resume(self, failure)
      if not ok then
        self.err = err
        return nil, err
      end
    else
      self.finished = true
    end
  end
  release(self)
  return nil
end

--- The next chunk of at most `n` bytes; nil at the end; nil and an error object, and it stays so.
--- With a `part` (core.partfile) they go into it, and their number is returned; whether they could
--- be written is known by the part.
function Reader:read(n, part)
  if self.busy then
    usage_error "file:read: the file is being read by another task"
  elseif self.err or self.finished then
    return nil, self.err
  end
  self.busy = true
  local held <close> = self
  local chunk, err = read_on(held, n, part)
  self.busy = false
  return chunk, err
end

--- Ends the transfer; idempotent.
function Reader:close()
  self.closed, self.busy = true, false
  release(self)
end

--- Opens the file; `known` (version and position) is what an earlier call has of it. It is then
--- read from its `position` on, which is 0 when that is of no use any more. Returns the reader, or
--- nil and an error.
function Reader:begin(known)
  release(self)
  if known and not self.is_fixed then
    self.version, self.position, self.may_begin_anew = known.version, known.position, true
  end
  local ok, err = open(self)
  self.may_begin_anew = false
  self.err = err
  if ok then return self end
  return nil, err
end

--- A reader of the file at `url` by `request`; opened as `begin` does it.
local function new(session, request, url, known)
  local held = math.max(LEAST_HELD, math.min(request.stream, MOST_HELD))
  local self = setmetatable({
    call = attempts.stream(session, request:with { stream = held }, url),
    chunk_size = request.stream,
    is_fixed = request.fields.range ~= nil,
    received = 0,
    position = 0,
    skip = 0,
    brought = 0,
  }, Reader)
  return self:begin(known)
end

return { open = new }
