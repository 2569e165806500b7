-- Waiting for one execution: polls until its status is terminal.
--
-- Nothing is sent after a terminal status, and an older response never undoes a terminal status.
-- Responses are merged by `absorb`, which the other waits use, too.

local errors = require "qhub.error"
local executions = require "qhub.execution"
local loop = require "qhub.tasks.loop"
local notifiers = require "qhub.polling.notifier"
local null = require("qhub.core").json.null
local schedules = require "qhub.polling.schedule"
local show = require "qhub.error.text"
local usage_error = require("qhub.error").usage

local wait = {}

-- Seconds between requests for a result that appears after SUCCEEDED, as the reference client
-- waits.
local RESULT_DELAYS = { 1, 2, 4, 8 }
-- So many responses in a row without a status end a wait.
local MOST_WITHOUT_STATUS = 10

--- Takes over the response `raw`, a status or (`is_sparse`) an item of the list, which may leave
--- out what the status has. A response from before the execution's end, as a cache may give it,
--- does not undo the end.
function wait.absorb(execution, raw, is_sparse)
  if execution:is_terminal() and not executions.is_terminal(raw.status) then return end
  if raw.id == nil or raw.id == null then raw.id = execution.id end
  if is_sparse then
    executions.merge(execution, raw)
  else
    executions.update(execution, raw)
  end
end

-- ── one execution ───────────────────────────────────────────────────────────────────────────────

--- Polls until `execution` is terminal; returns it, or nil and an error that carries it. `o` are
--- checked options. `schedule` is one that runs already, or nil; `is_known`: the gateway has named
--- the execution, which is also concluded from its having a status.
function wait.until_terminal(client, execution, o, schedule, is_known)
  if not schedule and client.session.is_closed then
    usage_error("%s: the client is closed", o.where)
  end
  local notifier <close> = notifiers.new(o, execution)
  schedule = schedule or schedules.new(client, o)
  notifier:notify()
  if execution:is_terminal() then
    return execution
  elseif client.session.is_closed then
    return nil, schedule:ended("cancelled", execution)
  end
  schedule.started = loop.now()
  is_known = is_known or execution.status ~= nil
  local tick = notifier.reporter.tick and function()
    notifier.reporter:tick()
  end
  local is_seen, without_status = false, 0
  repeat
    local ok, reason = schedule:next_poll(tick)
    if not ok and not execution:is_terminal() then
      local last_error = schedule.last_error
      if last_error and schedules.is_missing(last_error) then
        last_error.execution = execution
        return nil, last_error
      end
      return nil, schedule:ended(reason, execution, schedules.describe(execution))
    end
    if client.session.is_closed and not execution:is_terminal() then
      return nil, schedule:ended("cancelled", execution)
    end
    if not execution:is_terminal() then -- another task may have polled in the meantime
      local latest, err = client:get_status(execution.id, schedule:request())
      if latest then
        if not execution:is_terminal() or latest:is_terminal() then
          executions.adopt(execution, latest) -- its text is decoded when it is needed
        end
        is_seen = true
        without_status = latest.status == nil and without_status + 1 or 0
        if without_status >= MOST_WITHOUT_STATUS then
          local form = "%s: the last %d responses about %s had no status"
          local message = form:format(o.where, without_status, show.value(execution.id))
          return nil, errors.new { kind = "decode", message = message, execution = execution }
        end
      end
      if not schedule:take(err, is_known and not is_seen) then
        err.execution = execution
        return nil, err
      end
    end
    notifier:notify()
  until execution:is_terminal()
  return execution
end

-- ── a result that is late ───────────────────────────────────────────────────────────────────────

--- Calls `fetch()` until it fails with another error than 404 or succeeds, with `sleep(delay)` in
--- between, as often as the reference client. Returns what `fetch` did, or nil, the error and why
--- `sleep` ended it.
function wait.through_404(fetch, sleep)
  local result, err = fetch()
  for _, delay in ipairs(RESULT_DELAYS) do
    if result ~= nil or not schedules.is_missing(err) then break end
    local ok, reason = sleep(delay)
    if not ok then return nil, err, reason end
    result, err = fetch()
  end
  return result, err
end

return wait
