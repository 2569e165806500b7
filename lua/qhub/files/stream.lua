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

local LEAST_HELD, MOST_HELD = 16 * 1024, 1 << 20 -- bytes that the transport holds

-- A reader has:
--   call         the Attempts of the whole file
--   resource     its URL; chunk_size: bytes that the transport holds
--   size, content_type, headers, received      what the file shows of itself
--   version      what is being read (validators.lua)
--   position     bytes of the file that are known: handed out, or in the part of a download
--   response     the present response; nil when there is none
--   skip         bytes that it still has to bring before `position`
--   limit        where in the file it ends, or nil; surplus: it continues beyond that
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

function Reader.__close(self)
  if self.busy then
    self.busy = false
    self:close()
  end
end

-- ── opening, at the beginning and in the middle ─────────────────────────────────────────────────

-- A failure that another attempt would meet again.
local function lasting(message)
  return { kind = "network", message = message, sent = true, lasting = true }
end

-- Takes the response to a request for the whole file. Returns true, or nil and why not.
local function take_whole(self, response)
  local fields = response.headers
  local version = validators.version(fields)
  self.version, self.position, self.skip, self.limit = version, 0, 0, version.size
  if response.status_code == 206 and not self.is_fixed then
    local judgement, size, limit = validators.judge({}, 0, 206, fields)
    if not judgement then return nil, size end
    version.size, self.limit = size, limit
  end
  self.size, self.headers, self.content_type = version.size, fields, fields["content-type"]
  return true
end

-- Takes the response to a request for what follows `position`. Returns true, or nil and why not.
local function take_rest(self, response)
  local version, position, fields = self.version, self.position, response.headers
  local judgement, size, limit = validators.judge(version, position, response.status_code, fields)
  if not judgement then return nil, size end
  self.finished = judgement == "complete"
  self.skip = judgement == "skip" and position or 0
  self.limit = limit or size
  version.size, self.size = size, size
  if not self.headers then -- a download that began in an earlier call
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
  local ok, why = (range and take_rest or take_whole)(self, response)
  if not ok and range and self.may_begin_anew then
    self.position = 0
    if response.status_code ~= 200 then
      release(self)
      return open(self)
    end
    ok, why = take_whole(self, response)
  end
  if not ok then
    release(self)
    return nil, self.call:fail(lasting(why), response, self.position)
  elseif self.finished then
    release(self)
  end
  return true
end

-- Opens the file where `known` (version and position), of an earlier call, ends. Returns as `open`.
local function open_after(self, known)
  self.version, self.position, self.may_begin_anew = known.version, known.position, true
  local ok, err = open(self)
  self.may_begin_anew = false
  return ok, err
end

-- Why the file cannot be opened in the middle, or nil.
local function obstacle(self)
  if self.position == 0 then
    return nil
  elseif self.is_fixed then
    return "a range of the program's own"
  elseif not self.version.validator then
    return "neither a strong ETag nor Last-Modified names its version"
  end
end

-- Continues after the present response ended with `failure`. Returns true, or nil and an error.
local function resume(self, failure)
  release(self)
  local call, position, brought = self.call, self.position, self.brought
  if brought > 0 then call:count_anew() end
  local reason = obstacle(self)
  if not reason and not failure.lasting then
    local again, err = call:retry {
      failure = failure,
      progressed = brought >= PROGRESS,
      offset = position > 0 and position or nil,
    }
    if again then
      return open(self)
    elseif err then
      return nil, err
    end
  elseif reason and not failure.lasting and failure.kind ~= "cancelled" then
    failure.message = failure.message .. "; the file cannot be resumed: " .. reason
  end
  return nil, call:fail(failure, nil, position)
end

-- ── reading ─────────────────────────────────────────────────────────────────────────────────────

local function cancelled(what)
  local message = what .. " was closed while the file was read"
  return { kind = "cancelled", message = message, sent = true }
end

-- What is wrong with the end of a response at `position`; nil when it is the file's end.
local function early_end(self)
  if self.skip > 0 then
    return lasting "the file changed on the gateway while it was read: it is shorter than before"
  elseif self.size and self.position < self.size then
    local message = ("the body ended after %d of %d bytes"):format(self.position, self.size)
    return { kind = "network", message = message, sent = true }
  end
end

local function overflow(self)
  return lasting(("the body continues after the %d bytes announced"):format(self.limit))
end

-- `total_timeout` is for what comes before the first byte.
local function has_begun(self, response)
  self.call:lift_deadline()
  response.deadline = nil
end

-- The next bytes of the present response: a chunk; or nil at the file's end; or nil and a failure.
local function receive(self, n)
  local response = self.response
  while self.skip > 0 do
    local known, failure = response:read(math.min(self.skip, self.chunk_size))
    if not known then return nil, failure or early_end(self) end
    has_begun(self, response)
    self.skip = self.skip - #known
  end
  local chunk, failure = response:read(n)
  if not chunk then
    if self.position == self.size then
      failure = nil -- all announced bytes are here: later failures do not matter
    end
    return nil, failure or early_end(self)
  end
  has_begun(self, response)
  local left = self.limit and self.limit - self.position
  if left and #chunk > left then
    self.surplus = true
    if left == 0 then return nil, overflow(self) end
    chunk = chunk:sub(1, left) -- what was announced is handed out before the error
  end
  return chunk
end

-- The next chunk of at most `n` bytes; nil at the end; nil and an error object.
local function read_on(self, n)
  while not self.finished do
    local chunk, failure
    if self.closed then
      failure = cancelled "it"
    elseif self.call.session.is_closed then
      failure = cancelled "the client"
    elseif self.surplus then
      failure = overflow(self)
    else
      chunk, failure = receive(self, n)
    end
    if chunk and not self.closed then
      self.position = self.position + #chunk
      self.brought = self.brought + #chunk
      self.received = self.received + #chunk
      return chunk
    elseif self.closed then
      failure = cancelled "it"
    end
    if not failure then
      self.finished = true
      break
    end
    local ok, err = resume(self, failure)
    if not ok then
      self.err = err
      return nil, err
    end
  end
  release(self)
  return nil
end

--- The next chunk of at most `n` bytes; nil at the end; nil and an error object, and it stays so.
function Reader:read(n)
  if self.busy then
    usage_error "file:read: the file is being read by another task"
  elseif self.err then
    return nil, self.err
  elseif self.finished then
    return nil
  end
  self.busy = true
  local held <close> = self
  local chunk, err = read_on(held, n)
  self.busy = false
  return chunk, err
end

--- Lets the file, of which nothing was read, begin after what an earlier call knows of it (see
--- `stream.open`), if that is of the same version. Returns true, or nil and an error.
function Reader:move_to(known)
  local version = known.version
  local is_same = version.validator == self.version.validator and version.size == self.version.size
  if not version.validator or not is_same or self.is_fixed then return true end
  release(self)
  self.busy = true
  local held <close> = self
  local ok, err = open_after(held, known)
  self.busy, self.err = false, err
  return ok, err
end

--- Ends the transfer; idempotent.
function Reader:close()
  self.closed = true
  release(self)
end

local stream = {}

--- Opens the file at `url` by `request`. Returns a reader, or nil and an error. `known` (version
--- and position) is what an earlier call has of the file: the reader then begins at its `position`,
--- which is 0 when that is of no use any more.
function stream.open(session, request, url, known)
  local chunk_size = math.max(LEAST_HELD, math.min(request.stream, MOST_HELD))
  if chunk_size ~= request.stream then request = request:with { stream = chunk_size } end
  local self = setmetatable({
    call = attempts.stream(session, request, url),
    resource = url,
    chunk_size = chunk_size,
    is_fixed = request.fields.range ~= nil,
    may_begin_anew = false,
    received = 0,
    position = 0,
    skip = 0,
    brought = 0,
  }, Reader)
  local ok, err
  if known and not self.is_fixed then
    ok, err = open_after(self, known)
  else
    ok, err = open(self)
  end
  if not ok then return nil, err end
  return self
end

return stream
