-- When to try again, and after how long: pure functions of an attempt and its failure.
--
-- Rules (API reference, "Retries"): transient are connection failures, broken answers, timeouts,
-- 408, 429 and every 5xx. The delay is 1 s doubling to 60 s with +-25 % jitter; `Retry-After`, then
-- `X-RateLimit-Reset`, win. A wait beyond 60 s, or beyond the time left, is not begun.
-- A request that must not be repeated (it could start a second paid run) is repeated only after an
-- answer, or when it surely never left.

local core = require "qhub.core"

local text = core.text

local retry = { LONGEST_WAIT = 60 }

local FIRST_DELAY = 1
local JITTER = 0.25

--- True for a status that may pass by itself.
function retry.is_transient_status(status_code)
  return status_code == 408 or status_code == 429 or status_code >= 500
end

--- Seconds that the answer asks to wait, or nil. `now` is the wall clock in Unix seconds.
--- Sources: RFC 9110 10.2.3 (`Retry-After`); Unix seconds in `X-RateLimit-Reset` as the reference
--- clients read it.
function retry.requested_wait(headers, now)
  local value = headers["retry-after"]
  if value then
    value = value:match("^%s*(.-)%s*$")
    local seconds = value:find("^%d+%.?%d*$") and tonumber(value)
    if seconds then
      return seconds
    end
    local date = text.parse_http_date(value)
    if date then
      return math.max(0, date - now)
    end
  end
  value = headers["x-ratelimit-reset"]
  if value then
    local reset = value:match("^%s*(%d+%.?%d*)%s*$")
    if reset then
      return math.max(0, tonumber(reset) - now)
    end
  end
end

--- The delay before attempt `attempt + 1`; `random` is in [0, 1).
function retry.backoff(attempt, random)
  local delay = math.min(FIRST_DELAY * 2.0 ^ (attempt - 1), retry.LONGEST_WAIT)
  return math.min(delay * (1 - JITTER + 2 * JITTER * random), retry.LONGEST_WAIT)
end

--- True when `outcome` (`status_code`, or `failure` with kind, sent, lasting) may pass by itself and
--- the request may be sent again. `repeatable` is false for a request that could start a second run.
function retry.may_repeat(outcome, repeatable)
  local failure = outcome.failure
  if not failure then
    return retry.is_transient_status(outcome.status_code)
  end
  if failure.lasting then
    return false
  elseif
    failure.kind ~= "network" and not (failure.kind == "timeout" and failure.phase ~= "total")
  then
    return false
  end
  return repeatable or failure.sent == false
end

--- Decides on one more attempt.
--- `attempt` (counted from 1) has just ended with `outcome`, which may also have `progressed`: true
--- when a file's connection broke after it had brought a good deal. `left` is the time in seconds
--- that the call still has, or nil. Returns the delay in seconds, or nil when the call ends here.
function retry.delay(attempt, max_retries, outcome, repeatable, requested, left, random)
  if attempt > max_retries or not retry.may_repeat(outcome, repeatable) then
    return nil
  end
  local failure = outcome.failure
  local delay
  if (failure and failure.stale) or outcome.progressed then
    delay = 0 -- a kept connection had died unnoticed, or much came before the break
  else
    delay = requested or retry.backoff(attempt, random)
  end
  if delay > retry.LONGEST_WAIT or (left and delay >= left) then
    return nil
  end
  return delay
end

return retry
