-- When to try again, and after how long: pure functions of an attempt and its failure, and the
-- pacer of a client.
--
-- Rules (API reference, "Retries"): transient are connection failures, broken responses, timeouts,
-- 408, 429 and every 5xx. The delay is 1 s doubling to 60 s with +-25 % jitter; `Retry-After`, then
-- `X-RateLimit-Reset`, win. A wait beyond 60 s, or beyond the time left, is not begun.
-- A request that must not be repeated (it could start a second paid run) is repeated only after a
-- response, or when it was certainly not sent.
-- The pacer spaces the retries of all calls over time, so that a failing gateway is not flooded.
-- It is a token bucket that delays and never refuses: how often a call is tried is for its
-- `max_retries` to say, how many retries a second go out is said here. The first ones go at once;
-- when they keep failing, RATE a second are let through, however many calls wait. A success pays
-- for further retries, so that a gateway that is back is used at its own speed. A retry whose time
-- the gateway itself has named draws on nothing: it is only spread a little.

local core = require "qhub.core"
local loop = require "qhub.tasks.loop"

local text = core.text

local retry = { LONGEST_WAIT = 60 }

local FIRST_DELAY = 1
local JITTER = 0.25
local LONGEST_TIME = 100 -- bytes

--- True for a transient status.
function retry.is_transient_status(status_code)
  return status_code == 408 or status_code == 429 or status_code >= 500
end

-- A header's value without blanks at its ends; "" for one that is absent, or too long to be a time:
-- the patterns below take time by the square of the length.
local function short_value(value)
  return value and #value <= LONGEST_TIME and value:match "^%s*(.-)%s*$" or ""
end

--- Seconds that the response asks to wait, or nil. `now` is the wall clock in Unix seconds.
--- Sources: RFC 9110 10.2.3 (`Retry-After`); Unix seconds in `X-RateLimit-Reset` as the reference
--- clients read it.
function retry.requested_wait(headers, now)
  local value = short_value(headers["retry-after"])
  if value:find "^%d+%.?%d*$" then return tonumber(value) end
  local reset = short_value(headers["x-ratelimit-reset"]):match "^%d+%.?%d*$"
  local time = text.parse_http_date(value) or tonumber(reset)
  return time and math.max(0, time - now)
end

--- The delay before attempt `attempt + 1`; `random` is in [0, 1).
function retry.backoff(attempt, random)
  local delay = math.min(FIRST_DELAY * 2.0 ^ (attempt - 1), retry.LONGEST_WAIT)
  return math.min(delay * (1 - JITTER + 2 * JITTER * random), retry.LONGEST_WAIT)
end

--- True when `result` (`status_code`, or `failure` with kind, sent, lasting) is transient
--- and the request may be sent again. `repeatable` is false for one that could start a second run.
function retry.may_repeat(result, repeatable)
  local failure = result.failure
  if not failure then return retry.is_transient_status(result.status_code) end
  local is_transient = failure.kind == "network"
    or failure.kind == "timeout" and failure.phase ~= "total"
  return is_transient and not failure.lasting and (repeatable or failure.sent == false)
end

--- Decides on one more attempt.
--- `attempt` (counted from 1) has just ended with `result`, which may also have `progressed`: true
--- when a file's connection broke after it had brought a good deal. `left` is the time in seconds
--- that the call still has, or nil. Returns the delay in seconds, or nil when the call ends here.
function retry.delay(attempt, max_retries, result, repeatable, requested, left, random)
  if attempt > max_retries or not retry.may_repeat(result, repeatable) then return nil end
  local failure = result.failure
  local delay
  if (failure and failure.stale) or result.progressed then
    delay = 0 -- a kept connection had died unnoticed, or much came before the break
  else
    delay = requested or retry.backoff(attempt, random)
  end
  if delay > retry.LONGEST_WAIT or (left and delay >= left) then return nil end
  return delay
end

-- ── the pacer ───────────────────────────────────────────────────────────────────────────────────

local Pacer = {}
Pacer.__index = Pacer

local CAPACITY = 100 -- retries that go at once
local RATE = 50 -- retries a second after these
local PER_SUCCESS = 2 -- retries that a success pays for
local LONGEST_SLEEP = 0.5 -- seconds after which a waiting retry checks again
local SPREAD = 0.2 -- of a wait that the gateway named

--- A pacer with a full bucket.
function retry.pacer()
  return setmetatable({ tokens = CAPACITY, filled_at = 0, waiting = 0, patient = 0 }, Pacer)
end

--- A call succeeded.
function Pacer:succeeded()
  self.tokens = math.min(CAPACITY, self.tokens + PER_SUCCESS)
end

--- About how many seconds a retry that is due now would be held back.
function Pacer:backlog()
  local now = loop.now()
  self.tokens = math.min(CAPACITY, self.tokens + RATE * math.max(0, now - self.filled_at))
  self.filled_at = now
  return math.max(0, self.waiting + 1 - self.tokens) / RATE
end

--- Takes what one retry costs and returns nil; or returns the seconds until it is worth another
--- check.
function Pacer:take()
  local seconds = self:backlog()
  if self.tokens < 1 then
    return math.min(seconds, LONGEST_SLEEP) * (0.75 + 0.5 * core.system.random())
  end
  self.tokens = self.tokens - 1
end

local Place = {
  __close = function(place)
    local pacer, name = place.pacer, place.name
    pacer[name] = pacer[name] - 1
  end,
}

--- Counts one more retry: `waiting` for its turn, or `patient`, asleep until the time that the
--- gateway named. The value is to be held in a to-be-closed variable.
function Pacer:place(name)
  self[name] = self[name] + 1
  return setmetatable({ pacer = self, name = name }, Place)
end

--- A wait of `seconds` that the gateway named, spread when other calls wait likewise, so that they
--- do not all come back in the same instant; never beyond the longest wait, and well within the
--- time that is `left`, if it is given.
function Pacer:spread(seconds, left)
  if self.patient == 0 then return seconds end
  local within = (seconds + (left or math.huge)) / 2
  local longest = math.min(seconds * (1 + SPREAD), retry.LONGEST_WAIT, within)
  return seconds + (longest - seconds) * core.system.random()
end

return retry
