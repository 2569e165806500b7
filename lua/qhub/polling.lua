-- Waiting for an execution: when to look again, and for how long.
--
-- Polling starts faster than the interval, so that short runs are noticed early, and settles to it.
-- Failures that may pass by themselves are ridden out; a gateway that asks for patience gets it.

local core = require "qhub.core"
local errors = require "qhub.error"
local loop = require "qhub.loop"
local misuse = require "qhub.misuse"
local options = require "qhub.options"
local progress = require "qhub.progress"
local request_options = require "qhub.request_options"
local retry = require "qhub.retry"
local show = require "qhub.show"

local polling = {}

local check = options.check

local DEFAULT_INTERVAL = 2
local FIRST_FRACTION, GROWTH, JITTER = 1 / 8, 1.5, 0.1
local TICK = 1 -- seconds between the steps of a clock on the terminal

local function check_interval(value, name, where)
  if type(value) == "number" then
    return check.seconds(value, name, where)
  elseif options.is_callable(value) then
    return value
  end
  misuse(
    "%s: interval must be seconds or a function of the poll's number, got %s",
    where,
    show.value(value)
  )
end

local function check_request(value, name, where)
  check.table(value, name, where)
  options.checked(value, request_options.checkers, where .. "." .. name)
  return value -- as given: each poll checks and encodes it itself
end

local WAIT = {
  interval = check_interval,
  timeout = check.seconds,
  on_status = check.callable,
  progress = progress.check,
  request = check_request,
}
polling.checkers = WAIT

--- Checks the options of a wait for the call `where`. Raises misuse.
function polling.checked(given, where)
  local o = options.checked(given, WAIT, where)
  o.interval = o.interval or DEFAULT_INTERVAL
  return o
end

--- Seconds to wait after poll number `poll` (counted from 1). `interval` is seconds, or a function
--- of the poll's number. Numbers are spread by 10 %, so that many waits do not poll in bursts.
function polling.delay(interval, poll, random)
  if type(interval) ~= "number" then
    local seconds = interval(poll)
    if type(seconds) ~= "number" or not (seconds >= 0 and seconds < math.huge) then
      misuse(
        "wait: interval(%d) must return a number of seconds, got %s",
        poll,
        show.value(seconds)
      )
    end
    return seconds
  end
  local delay = math.min(interval, interval * FIRST_FRACTION * GROWTH ^ (poll - 1))
  return delay * (1 - JITTER * random)
end

--- True when `err` (of a poll) may pass by itself.
function polling.is_transient(err)
  if err.kind == "api" then
    return retry.is_transient_status(err.status_code)
  end
  return err.kind == "network" or err.kind == "timeout"
end

--- The error of a wait that took longer than its `timeout` seconds.
function polling.timed_out(execution, timeout, cause)
  local status = execution.status or "UNKNOWN"
  local message = ("wait: %s is still %s after %g s; the run goes on"):format(
    show.value(execution.id),
    show.line(tostring(status), 40),
    timeout
  )
  return errors.new {
    kind = "timeout",
    phase = "wait",
    message = message,
    execution = execution,
    cause = cause,
  }
end

-- Sleeps until `due`; a reporter that shows a clock is kept going meanwhile. As loop.sleep_until.
local function pause(due, client, reporter)
  if reporter.tick then
    while due - loop.now() > TICK do
      if not loop.sleep_until(loop.now() + TICK, client) then
        return nil, "cancelled"
      end
      reporter:tick()
    end
  end
  return loop.sleep_until(due, client)
end

--- Polls until `execution` is terminal; returns it, or nil and an error that carries it.
--- `o` holds interval, timeout, on_status, progress, request (all checked). `client` does the work.
function polling.wait(client, execution, o)
  local deadline = o.timeout and loop.now() + o.timeout
  local reporter <close> = progress.start(o.progress, "wait")
  local reported
  local function report()
    local status = execution.status
    if status ~= reported then
      reported = status
      if o.on_status then
        o.on_status(execution)
      end
    end
    reporter:update(execution)
  end
  if execution.status ~= nil then
    report()
  end
  local request = {}
  for name, value in pairs(o.request or {}) do
    request[name] = value
  end
  local total_timeout = request.total_timeout or client.total_timeout_
  local poll, trouble = 0, nil
  while not execution:is_terminal() do
    local delay = 0
    if poll > 0 then
      delay = polling.delay(o.interval, poll, core.system.random())
    end
    if trouble and trouble.retry_after then
      delay = math.max(delay, trouble.retry_after)
    end
    local left = deadline and deadline - loop.now()
    if left and delay >= left then
      pause(deadline, client, reporter)
      return nil, polling.timed_out(execution, o.timeout, trouble)
    end
    if delay > 0 and not pause(loop.now() + delay, client, reporter) then
      local err = errors.new {
        kind = "cancelled",
        message = "wait: cancelled while waiting for " .. show.value(execution.id),
        execution = execution,
      }
      return nil, err
    end
    if deadline then
      left = deadline - loop.now()
      request.total_timeout = math.max(1e-3, math.min(total_timeout or left, left))
    end
    local _, err = execution:refresh(request)
    poll = poll + 1
    trouble = err
    if not err then
      report()
    elseif deadline and loop.now() >= deadline then
      return nil, polling.timed_out(execution, o.timeout, err)
    elseif not polling.is_transient(err) then
      err.execution = execution
      return nil, err
    end
  end
  reporter:finish(true)
  return execution
end

return polling
