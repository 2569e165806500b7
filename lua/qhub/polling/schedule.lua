-- When the next poll is due, how long a wait may last, and what its options are.
--
-- Polling starts fast, so that short runs are noticed early, and settles to the interval. Numbers
-- of seconds are spread (widely at first, by 10 % once settled), so that thousands of waits that
-- start together do not poll together. Transient failures are ignored, with growing delays; a
-- gateway that asks to wait is given that time, even more than a single call would give.
--
-- A schedule belongs to one call of `wait`, `run`, `wait_all` or `follow_logs`, which do the polls
-- and report how each one ended. It knows nothing of what is requested.

local core = require "qhub.core"
local errors = require "qhub.error"
local loop = require "qhub.tasks.loop"
local usage_error = require("qhub.error").usage
local options = require "qhub.options"
local progress = require "qhub.progress"
local request_options = require "qhub.options.request"
local retry = require "qhub.http.retry"
local show = require "qhub.error.text"

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
  if type(value) == "number" then
    return value == 0 and value or check.seconds(value, name, where)
  elseif options.is_callable(value) then
    return value
  end
  usage_error(
    "%s: interval must be seconds or a function of the poll's number, got %s",
    where,
    show.value(value)
  )
end

local function check_request(value, name, where)
  check.table(value, name, where)
  options.checked(value, request_options.checkers, where .. "." .. name)
  return value -- as given: each request checks and encodes it itself
end

--- Checkers of the options of following (see options/init.lua), and of waiting.
schedules.following = {
  interval = check_interval,
  timeout = check.seconds,
  request = check_request,
}
schedules.checkers =
  options.extended(schedules.following, { on_status = check.callable, progress = progress.check })

--- Checks the options of the call `where` (with `checkers`, else those of waiting). Raises a usage
--- error.
function schedules.checked(given, where, checkers)
  local o = options.checked(given, checkers or schedules.checkers, where)
  o.interval = o.interval or DEFAULT_INTERVAL
  o.where = where
  return o
end

-- ── schedules ────────────────────────────────────────────────────────────────────────────────────

--- Seconds from poll number `poll` (counted from 1) to the next; `random` is in [0, 1). `interval`
--- is seconds, or a function of the poll's number whose result is used unchanged.
function schedules.delay(interval, poll, random, where)
  if type(interval) ~= "number" then
    local seconds = interval(poll)
    if type(seconds) ~= "number" or not (seconds >= 0 and seconds < math.huge) then
      usage_error(
        "%s: interval(%d) must return a number of seconds, got %s",
        where or "wait",
        poll,
        show.value(seconds)
      )
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

--- The schedule of one call with the checked options `o` (interval, timeout, request, where). Its
--- `timeout` runs from now.
function schedules.new(client, o)
  if client.session.is_closed then usage_error("%s: the client is closed", o.where) end
  local now = loop.now()
  local request = {}
  for name, value in pairs(o.request or {}) do
    request[name] = value
  end
  return setmetatable({
    client = client,
    where = o.where,
    interval = o.interval,
    timeout = o.timeout,
    deadline = o.timeout and now + o.timeout,
    -- When the next poll would be too late, the last one is made so long before the deadline.
    last_look = o.timeout and math.min(1, o.timeout / 10),
    options = request,
    total_timeout = request.total_timeout or client.session.total_timeout,
    started = now,
    poll = 0,
    failures = 0,
    last_error = nil, -- of the last poll, if it was transient
  }, Schedule)
end

--- True when the timeout has passed.
function Schedule:is_over()
  return self.deadline ~= nil and loop.now() >= self.deadline
end

--- Options for a request of this call: those in `request`, and no more time than is left.
function Schedule:request()
  local given = self.options
  if self.deadline then
    local left = math.max(1e-3, self.deadline - loop.now())
    given.total_timeout = math.min(self.total_timeout or left, left)
  end
  return given
end

-- Sleeps until `due`, calling `tick` about once a second. Returns true, or nil and "cancelled".
local function sleep_until(self, due, tick)
  local client = self.client
  while tick do
    local now = loop.now()
    if due - now <= 1 then break end
    if not loop.sleep_until(now + 1, client.session) or client.session.is_closed then
      return nil, "cancelled"
    end
    tick()
  end
  if not loop.sleep_until(due, client.session) or client.session.is_closed then
    return nil, "cancelled"
  end
  return true
end

--- Sleeps for `delay` seconds, less when that leaves time for a last poll before the deadline.
--- Returns true, or nil and "timeout" (at the deadline) or "cancelled".
function Schedule:sleep(delay, is_asked, tick)
  local now, deadline = loop.now(), self.deadline
  local due = now + delay
  if deadline and due >= deadline then
    due = deadline - self.last_look
    if is_asked or due <= now then
      local ok, reason = sleep_until(self, deadline, tick)
      return nil, ok and "timeout" or reason
    end
  end
  if delay <= 0 then
    if self.client.session.is_closed then return nil, "cancelled" end
    return true
  end
  return sleep_until(self, due, tick)
end

--- Sleeps until the next poll is due; the first is due at once. `tick` (or nil) is called about
-- once a second. Returns as `sleep`.
function Schedule:next_poll(tick)
  local poll, delay = self.poll, 0
  self.poll = poll + 1
  if poll > 0 then
    delay = schedules.delay(self.interval, poll, core.system.random(), self.where)
    if self.failures > 0 and type(self.interval) == "number" then
      delay = math.max(delay, math.min(delay * 2.0 ^ self.failures, LONGEST_BACKOFF))
    end
  end
  local asked = self.last_error and self.last_error.retry_after
  asked = asked and math.min(asked, LONGEST_PATIENCE) * (1 + JITTER * core.system.random())
  local is_asked = asked ~= nil and asked > delay
  return self:sleep(is_asked and asked or delay, is_asked, tick)
end

--- Records how a poll ended. Returns true when the call continues, false when `err` ends it.
--- `is_young`: a 404 may mean that the run is not known everywhere yet.
function Schedule:take(err, is_young)
  self.last_error = err
  if not err then
    self.failures = 0
    return true
  elseif schedules.is_transient(err) then
    self.failures = self.failures + 1
    return true
  end
  return is_young and schedules.is_missing(err) and self:is_early()
end

--- True while a run that has just been started may be unknown here and there.
function Schedule:is_early()
  return loop.now() < self.started + GRACE
end

--- The error of a call whose sleep was ended for `reason`. `state` says what was not reached in
--- time; `cause` (by default the last error) may say why.
function Schedule:ended(reason, execution, state, cause)
  cause = cause or self.last_error
  local fields = { kind = "cancelled", execution = execution, cause = cause }
  if reason == "cancelled" then
    fields.message = self.where .. ": cancelled while waiting"
    return errors.new(fields)
  end
  fields.kind, fields.phase = "timeout", "wait"
  fields.message = ("%s: %s after %g s"):format(self.where, state, self.timeout)
  if not execution:is_terminal() then
    fields.message = fields.message .. "; nothing was cancelled"
  end
  if cause then
    fields.message = fields.message .. " (the last poll failed: " .. show.line(cause.message) .. ")"
  end
  return errors.new(fields)
end

--- "its id" is still PENDING, for messages.
function schedules.describe(execution)
  local status = execution.status
  local id = show.value(execution.id)
  if type(status) ~= "string" then return id .. " has shown no status" end
  return id .. " is still " .. show.line(status, 40)
end

return schedules
