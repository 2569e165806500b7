-- Waiting for one execution: polls until its status is terminal.
--
-- Nothing is sent after a terminal status, and an older response never undoes a terminal status.

local errors = require "qhub.error"
local executions = require "qhub.execution"
local progress = require "qhub.progress"
local schedules = require "qhub.polling.schedule"
local show = require "qhub.error.text"

local wait = {}

-- Seconds between requests for a result that appears after SUCCEEDED, as the reference client
-- waits.
local RESULT_DELAYS = { 1, 2, 4, 8 }
-- So many responses in a row without a status end a wait.
local MOST_WITHOUT_STATUS = 10

--- Makes `execution` show what `latest` shows, unless that is from before the execution's end, as a
--- cache may give it.
function wait.adopt(execution, latest)
  if not execution:is_terminal() or latest:is_terminal() then
    executions.adopt(execution, latest) -- its text is decoded when it is needed
  end
end

--- Polls until `execution` is terminal; returns it, or nil and an error that carries it. `o` are
--- checked options. `schedule` is one that runs already, or nil; `is_known`: the gateway has named
--- the execution, which is also concluded from its having a status.
function wait.until_terminal(client, execution, o, schedule, is_known)
  schedule = schedule or schedules.new(client, o)
  local reporter <close> = progress.start(o.progress, "wait", execution.id)
  local notified
  -- Notifies the program of the first status and of each change.
  local function notify()
    local status = execution.status
    if status == nil then return end
    if status ~= notified then
      notified = status
      if o.on_status then o.on_status(execution) end
    end
    reporter:update(execution)
  end
  local is_new = is_known or execution.status ~= nil -- may be unknown to some machines
  local without_status = 0
  local function poll()
    local latest, err = client:get_status(execution.id, schedule:request())
    if latest then
      is_new = false
      wait.adopt(execution, latest)
      without_status = latest.status == nil and without_status + 1 or 0
      if without_status >= MOST_WITHOUT_STATUS then
        local form = "%s: the last %d responses about %s had no status"
        local message = form:format(o.where, without_status, show.value(execution.id))
        return errors.new { kind = "decode", message = message }
      end
    elseif is_new and schedule:is_too_early(err) then
      err = nil
    end
    notify()
    return err
  end
  notify()
  local ok, err, reason = schedule:poll_until(function()
    return execution:is_terminal()
  end, poll)
  if not ok then
    err = err or schedule:ended(reason, execution, schedules.describe(execution))
    err.execution = execution
    return nil, err
  end
  reporter:finish(true)
  return execution
end

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
