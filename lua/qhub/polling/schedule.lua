-- When the next poll is due, how long a wait may last, and what its options are.
--
-- Polling starts fast, so that short runs are noticed early, and settles to the interval. Numbers
-- of seconds are spread (widely at first, by 10 % once settled), so that thousands of waits that
-- start together do not poll together. Transient failures are ignored, with growing delays; a
-- gateway that asks to wait is given that time, even more than a single call would give.
--
-- A schedule belongs to one call of `wait`, `run`, `wait_all` or `follow_logs`, which says what a
-- poll is and what it is for. It knows nothing of what is requested.

local core = require "qhub.core"
local errors = require "qhub.error"
local loop = require "qhub.tasks.loop"
local usage_error = require("qhub.error").usage
local options = require "qhub.options"
local progress = require "qhub.progress"
local request_options = require "qhub.options.request"
local retry = require "qhub.http.retry"
local text = require "qhub.error.text"

local schedules = {}

local check = options.check

local DEFAULT_INTERVAL = 2
local FIRST_FRACTION, FIRST_MOST, GROWTH = 1 / 8, 0.5, 1.5
local EARLY_JITTER, JITTER = 0.5, 0.1
local LONGEST_BACKOFF = 60
-- The longest Retry-After that is respected: the header may be in the wrong unit or out of date.
local LONGEST_PATIENCE = 3600
-- A run that the gateway itself has named may be unknown to some of its machines at first.
local GRACE = 3

-- ── options ─────────────────────────────────────────────────────────────────────────────────────

local function check_interval(value, name, where)
  if value == 0 or options.is_callable(value) then return value end
  if type(value) == "number" then return check.seconds(value, name, where) end
  options.refuse(where, name, "seconds or a function of the poll's number", value)
end

--- A checker of an option that is a table of options itself, of requests that are made later.
function schedules.options_of(checkers)
  return function(value, name, where)
    options.checked(value, checkers, where .. "." .. name)
    return value -- as given: each request checks and encodes it itself
  end
end

--- Checkers of the options of following (see options/init.lua), and of waiting.
schedules.following = {
  interval = check_interval,
  timeout = check.seconds,
  request = schedules.options_of(request_options.checkers),
}
schedules.checkers =
  options.extended(schedules.following, { on_status = check.callable, progress = progress.check })

-- ── schedules ────────────────────────────────────────────────────────────────────────────────────

--- Seconds from poll number `poll` (counted from 1) to the next; `random` is in [0, 1). `interval`
--- is seconds, or a function of the poll's number whose result is used unchanged.
function schedules.delay(interval, poll, random, where)
  if type(interval) ~= "number" then
    local seconds = interval(poll)
    if type(seconds) ~= "number" or not (seconds >= 0 and seconds < math.huge) then
      local form = "%s: interval(%d) must return a number of seconds, got %s"
      usage_error(form, where, poll, text.value(seconds))
    end
    return seconds
  end
  local delay = math.min(interval * FIRST_FRACTION, FIRST_MOST) * GROWTH ^ (poll - 1)
  if delay < interval then return delay * (1 - EARLY_JITTER * random) end
  return interval * (1 - JITTER * random)
end

--- True when `err` is transient.
function schedules.is_transient(err)
  if err.kind == "api" then return retry.is_transient_status(err.status_code) end
  return err.kind == "network" or err.kind == "timeout"
end

--- True for a 404.
function schedules.is_missing(err)
  return err.kind == "api" and err.status_code == 404
end

local Schedule = {}
Schedule.__index = Schedule

--- The schedule of the call `where` with the options `given`, checked with `checkers` (else those
--- of waiting); raises a usage error. Its `timeout` runs from now.
function schedules.new(client, where, given, checkers)
  local o = options.checked(given, checkers or schedules.checkers, where)
  if client.session.is_closed then usage_error("%s: the client is closed", where) end
  local request = options.extended(o.request or {}, {})
  local now = loop.now()
  return setmetatable({
    session = client.session,
    where = where,
    options = o,
    interval = o.interval or DEFAULT_INTERVAL,
    deadline = o.timeout and now + o.timeout,
    request_options = request,
    total_timeout = request.total_timeout or client.session.total_timeout,
    poll = 0, -- number of the last one
    started = now, -- the call, then the first poll
    execution = nil, -- that it waits for, once that is known
    is_strict = false, -- no sleep begins that would reach the deadline
    is_known = false, -- a response has named what is waited for, if without a status
    failures = 0, -- transient ones in a row
    last_error = nil, -- of the last poll, if it failed
  }, Schedule)
end

--- True when the timeout has passed.
function Schedule:is_over()
  return self.deadline ~= nil and loop.now() >= self.deadline
end

--- Options for a request of this call: those in `request`, and no more time than is left.
function Schedule:request()
  local given = self.request_options
  if self.deadline then
    local left = math.max(1e-3, self.deadline - loop.now())
    given.total_timeout = math.min(self.total_timeout or left, left)
  end
  return given
end

--- Sleeps for `delay` seconds; when that would reach the deadline, until shortly before it, so that
--- there is time for a last poll, or (`is_asked`, or when that moment has passed) until the
--- deadline. Returns true, or nil and "timeout" (at the deadline) or "cancelled".
function Schedule:sleep(delay, is_asked)
  local now, deadline, session = loop.now(), self.deadline, self.session
  local due, is_last = now + delay, false
  if deadline and due >= deadline then
    if self.is_strict then return nil, "timeout" end
    due = deadline - math.min(1, self.options.timeout / 10)
    is_last = is_asked or due <= now
    if is_last then due = deadline end
  end
  local is_cancelled = session.is_closed
    or due > now and not loop.sleep_until(due, session)
    or session.is_closed -- in the meantime
  if is_cancelled then return nil, "cancelled" end
  if is_last then return nil, "timeout" end
  return true
end

--- Sleeps until the next poll is due; the first is due at once. Returns as `sleep`.
function Schedule:next_poll()
  local poll, delay = self.poll, 0
  self.poll = poll + 1
  if poll == 0 then
    self.started = loop.now()
  else
    delay = schedules.delay(self.interval, poll, core.system.random(), self.where)
    if self.failures > 0 and type(self.interval) == "number" then
      delay = math.max(delay, math.min(delay * 2.0 ^ self.failures, LONGEST_BACKOFF))
    end
  end
  local asked = self.last_error and self.last_error.retry_after
  asked = asked and math.min(asked, LONGEST_PATIENCE) * (1 + JITTER * core.system.random())
  local is_asked = asked ~= nil and asked > delay
  return self:sleep(is_asked and asked or delay, is_asked)
end

--- Calls `poll()`, which returns nil or an error object, each time a poll is due, until
--- `is_reached()`. Transient errors are ignored. Returns true, or nil and the error of the call.
function Schedule:poll_until(is_reached, poll)
  while not is_reached() do
    local is_due, reason = self:next_poll()
    if is_reached() then break end -- by another task
    if not is_due then return nil, self:ended(reason) end
    local err = poll()
    if err and not schedules.is_transient(err) then return nil, self:failed(err) end
    self.last_error = err
    self.failures = err and self.failures + 1 or 0
  end
  return true
end

--- True when `err` is a 404 as it may come for a run that was just started: the gateway has named
--- `execution` before.
function Schedule:is_too_early(err, execution)
  local is_named = self.is_known or execution.status ~= nil
  return is_named and schedules.is_missing(err) and loop.now() < self.started + GRACE
end

--- The execution that errors are about, and what was not reached, for messages.
function Schedule:about()
  return self.execution, schedules.describe(self.execution)
end

--- The error of a call that ended early, for `reason` ("timeout" or "cancelled"). `cause` (by
--- default the last error) may say why; `state` is what was not reached.
function Schedule:ended(reason, cause, state)
  cause = cause or self.last_error
  local execution, what = self:about()
  local fields = { kind = "cancelled", execution = execution, cause = cause }
  if reason == "cancelled" then
    fields.message = self.where .. ": cancelled while waiting"
    return errors.new(fields)
  end
  fields.kind, fields.phase = "timeout", "wait"
  fields.message = ("%s: %s after %g s"):format(self.where, state or what, self.options.timeout)
  if not execution:is_terminal() then
    fields.message = fields.message .. "; nothing was cancelled"
  end
  if cause then
    fields.message = fields.message .. " (the last poll failed: " .. text.line(cause.message) .. ")"
  end
  return errors.new(fields)
end

--- The error of a call that ends with `err` of a request, which may be that the time was over.
function Schedule:failed(err, state)
  if self:is_over() and schedules.is_transient(err) then
    return self:ended("timeout", err, state)
  end
  err.execution = err.execution or (self:about())
  return errors.new(err) -- one made in a task of this call's own has no position yet
end

--- "its id" is still PENDING, for messages.
function schedules.describe(execution)
  local id, status = text.value(execution.id), execution.status
  if type(status) ~= "string" then return id .. " has shown no status" end
  return id .. " is still " .. text.line(status, 40)
end

return schedules
