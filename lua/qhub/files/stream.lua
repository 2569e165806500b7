-- The bytes of a result file, in their order and each once, whatever breaks on the way.
--
-- A connection that breaks is replaced by another one that goes on where the first ended
-- (resume.lua says when that is safe), always by way of the gateway's own address and with the
-- token of that time. Holds at most what the transport does. Knows nothing of the userdata that
-- programs see.

local call = require "qhub.http.attempts"
local headers = require "qhub.http.headers"
local log = require "qhub.http.log"
local loop = require "qhub.tasks.loop"
local usage_error = require("qhub.error").usage
local problem = require "qhub.http.failure"
local resume = require "qhub.files.validators"
local redact = require "qhub.http.redact"

-- A connection that brought so many bytes before it broke is followed by the next one at once: the
-- gateway is not in such trouble that waiting would help it. Otherwise the usual delays apply.
local PROGRESS = 16 * 1024

local LEAST_HELD, MOST_HELD = 16 * 1024, 1 << 20 -- bytes that the transport holds

-- A reader has:
--   session, plan, exchange     see call.lua; own_fields, own_wire: the plan's before any Range
--   size, content_type, headers, received      what the file shows of itself
--   version      what is being read (resume.lua)
--   position     bytes of the file that are known: handed out, or in the part of a download
--   response     the present answer; nil when there is none
--   skip         bytes that it still has to bring before `position`
--   limit        where in the file it ends, or nil; surplus: it goes on beyond that
--   brought      bytes beyond `position` that it brought
--   may_begin_anew, is_fixed (a range that the program chose: not resumed)
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

-- ── asking ──────────────────────────────────────────────────────────────────────────────────────

-- A failure that another attempt would meet again.
local function lasting(message)
  return { kind = "network", message = message, sent = true, lasting = true }
end

-- The error object for a failure after which the file ends; told to the log.
local function failed(self, failure, response)
  local session, plan, exchange = self.session, self.plan, self.exchange
  local err = problem.failure(call.context(session, plan, exchange), failure, response)
  log.event(session.log, "error", "failed", {
    method = plan.method,
    url = plan.url,
    status = response and response.status_code,
    attempt = exchange.attempts,
    seconds = loop.now() - exchange.started,
    offset = self.position,
    error = err.kind .. ": " .. err.message,
  }, redact.of(session, plan, exchange))
  return err
end

-- Takes the answer to a request for the file from its start. Returns true, or nil and why not.
local function begin(self, response)
  local fields = response.headers
  local version = resume.version(fields)
  self.version, self.position, self.skip, self.limit = version, 0, 0, version.size
  if response.status_code == 206 and not self.is_fixed then
    local verdict, size, limit = resume.judge({}, 0, 206, fields)
    if not verdict then
      return nil, size
    end
    version.size, self.limit = size, limit
  end
  self.size, self.headers, self.content_type = version.size, fields, fields["content-type"]
  return true
end

-- Takes the answer to a request for what follows `position`. Returns true, or nil and why not.
local function go_on(self, response)
  local version, position, fields = self.version, self.position, response.headers
  local verdict, size, limit = resume.judge(version, position, response.status_code, fields)
  if not verdict then
    return nil, size
  end
  self.finished = verdict == "complete"
  self.skip = verdict == "skip" and position or 0
  self.limit = limit or size
  version.size, self.size = size, size
  if not self.headers then -- a download that began in an earlier call
    self.headers, self.content_type = fields, fields["content-type"]
  end
  return true
end

-- Sends a request for the file from `position` on. Returns true, or nil and an error.
local function ask(self)
  local plan = self.plan
  local is_rest = self.position > 0
  if is_rest then
    local range = resume.request_headers(self.version, self.position)
    plan.fields, plan.wire = headers.merged(self.own_fields, range), {}
    plan.accepts = resume.UNSATISFIABLE
  else
    plan.fields, plan.wire, plan.accepts = self.own_fields, self.own_wire, nil
  end
  local response, exchange = call.exchange(self.session, plan, self.exchange)
  if not response then
    return nil, exchange
  end
  self.response = response
  self.exchange, self.brought = exchange, 0
  plan.on_response, plan.resumes = false, true -- told once for each file
  local ok, why = (is_rest and go_on or begin)(self, response)
  if not ok and is_rest and self.may_begin_anew then
    -- The part of an earlier call is of no use now: begin anew, with this answer if it can be.
    self.position = 0
    if response.status_code ~= 200 then
      release(self)
      return ask(self)
    end
    ok, why = begin(self, response)
  end
  if not ok then
    release(self)
    return nil, failed(self, lasting(why), response)
  elseif self.finished then
    release(self)
  end
  return true
end

-- Goes on after the present answer ended with `failure`. Returns true, or nil and an error.
local function ask_again(self, failure)
  local session, plan, exchange = self.session, self.plan, self.exchange
  release(self)
  local position, brought = self.position, self.brought
  if brought > 0 then
    -- Each break has its own retries, and its own chance of a fresh token.
    exchange.repeats, exchange.refreshed = exchange.attempts - 1, nil
  end
  local again, err
  local can_go_on = position == 0 or (self.version.validator and not self.is_fixed)
  if can_go_on and not failure.lasting then
    local outcome = { failure = failure, progressed = brought >= PROGRESS }
    outcome.offset = position > 0 and position or nil
    again, err = call.try_again(session, plan, exchange, outcome)
  end
  if again then
    return ask(self)
  elseif not err then
    if not can_go_on and not failure.lasting and failure.kind ~= "cancelled" then
      local why = self.is_fixed and "a range of the program's own"
        or "neither a strong ETag nor Last-Modified names its version"
      failure.message = failure.message .. "; the file cannot be resumed: " .. why
    end
    err = failed(self, failure)
  end
  return nil, err
end

-- ── reading ─────────────────────────────────────────────────────────────────────────────────────

local function cancelled(what)
  local message = what .. " was closed while the file was read"
  return { kind = "cancelled", message = message, sent = true }
end

-- What is wrong with the end of an answer at `position`; nil when it is the file's end.
local function early_end(self)
  if self.skip > 0 then
    return lasting "the file changed on the gateway while it was read: it is shorter than before"
  elseif self.size and self.position < self.size then
    local message = ("the body ended after %d of %d bytes"):format(self.position, self.size)
    return { kind = "network", message = message, sent = true }
  end
end

local function overflow(self)
  return lasting(("the body goes on after the %d bytes announced"):format(self.limit))
end

-- `total_timeout` is for what comes before the first byte.
local function has_begun(self)
  self.plan.deadline, self.response.deadline = nil, nil
end

-- The next bytes of the present answer: a chunk; or nil at the file's end; or nil and a failure.
local function receive(self, n)
  local response = self.response
  while self.skip > 0 do
    local known, failure = response:read(math.min(self.skip, self.plan.stream))
    if not known then
      return nil, failure or early_end(self)
    end
    has_begun(self)
    self.skip = self.skip - #known
  end
  local chunk, failure = response:read(n)
  if not chunk then
    if self.position == self.size then
      failure = nil -- all that was announced is here, whatever happened then
    end
    return nil, failure or early_end(self)
  end
  has_begun(self)
  local left = self.limit and self.limit - self.position
  if left and #chunk > left then
    self.surplus = true
    if left == 0 then
      return nil, overflow(self)
    end
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
    elseif self.session.is_closed then
      failure = cancelled "the client"
    elseif self.surplus then
      failure = overflow(self)
    else
      chunk, failure = receive(self, n)
    end
    if chunk then
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
    local ok, err = ask_again(self, failure)
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
--- `reader.new`), if that is of the same version. Returns true, or nil and an error.
function Reader:move_to(known)
  local version = known.version
  local is_same = version.validator == self.version.validator and version.size == self.version.size
  if not version.validator or not is_same or self.is_fixed then
    return true
  end
  release(self)
  self.version, self.position, self.may_begin_anew = version, known.position, true
  self.busy = true
  local held <close> = self
  local ok, err = ask(held)
  self.busy, self.may_begin_anew, self.err = false, false, err
  return ok, err
end

--- Ends the transfer; idempotent.
function Reader:close()
  self.closed = true
  release(self)
end

local reader = {}

--- Opens the file of `plan`. Returns a reader, or nil and an error. `known` (version and position)
--- is what an earlier call has of the file: the reader then begins at its `position`, which is 0
--- when that is of no use any more.
function reader.new(session, plan, known)
  local self = setmetatable({
    session = session,
    plan = plan,
    own_fields = plan.fields,
    own_wire = plan.wire,
    is_fixed = plan.fields.range ~= nil,
    received = 0,
    position = 0,
    skip = 0,
    brought = 0,
  }, Reader)
  plan.stream = math.max(LEAST_HELD, math.min(plan.stream, MOST_HELD))
  if known and not self.is_fixed then
    self.version, self.position, self.may_begin_anew = known.version, known.position, true
  end
  local ok, err = ask(self)
  if not ok then
    return nil, err
  end
  self.may_begin_anew = false
  return self
end

return reader
