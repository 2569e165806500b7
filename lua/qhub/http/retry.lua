-- When to try again, and after how long: functions of an attempt and its result.
--
-- Rules (API reference, "Retries"): transient are connection failures, broken responses, timeouts,
-- 408, 429 and every 5xx. The delay is 1 s doubling to 60 s with +-25 % jitter; `Retry-After`, then
-- `X-RateLimit-Reset`, win. A wait beyond 60 s, or beyond the time left, is not begun.
-- A request that must not be repeated (it could start a second paid run) is repeated only after a
-- response, or when it was certainly not sent.

local core = require "qhub.core"

local retry = { LONGEST_WAIT = 60 }

local FIRST_DELAY = 1
local JITTER = 0.25
local SPREAD = 0.2 -- of a wait that the gateway named: not all calls come back in the same instant
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
  local time = core.text.parse_http_date(value) or tonumber(reset)
  return time and math.max(0, time - (now or core.system.realtime()))
end

--- The delay before attempt `attempt + 1`; `random` is in [0, 1).
function retry.backoff(attempt, random)
  local delay = math.min(FIRST_DELAY * 2.0 ^ (attempt - 1), retry.LONGEST_WAIT)
  return math.min(delay * (1 - JITTER + 2 * JITTER * random), retry.LONGEST_WAIT)
end

-- True when `result` is transient and the request may be sent again.
local function may_repeat(result, repeatable)
  local failure = result.failure
  if not failure then return retry.is_transient_status(result.status_code) end
  local is_transient = failure.kind == "network"
    or failure.kind == "timeout" and failure.phase ~= "total"
  return is_transient and not failure.lasting and (repeatable or failure.sent == false)
end

--- Decides on one more attempt. `attempt` (counted from 1) has just ended with `result`:
--- `status_code`, or `failure` with kind, sent, lasting, stale; `progressed`: true when a file's
--- connection broke after it had brought a good deal. `repeatable` is false for a request that
--- could start a second run; `left` is the time in seconds that the call still has, or nil. Returns
--- the delay in seconds, or nil when the call ends here.
function retry.delay(attempt, max_retries, result, repeatable, requested, left, random)
  if attempt > max_retries or not may_repeat(result, repeatable) then return nil end
  local failure, delay = result.failure, requested
  if (failure and failure.stale) or result.progressed then
    delay = 0 -- a kept connection had died unnoticed, or much came before the break
  end
  delay = delay or retry.backoff(attempt, random)
  if delay > retry.LONGEST_WAIT or (left and delay >= left) then return nil end
  if delay == requested then
    -- Well within the time left.
    local within = (delay + (left or math.huge)) / 2
    local longest = math.min(delay * (1 + SPREAD), retry.LONGEST_WAIT, within)
    delay = delay + (longest - delay) * random
  end
  return delay
end

return retry
