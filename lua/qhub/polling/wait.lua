-- Waiting for one execution: polls until its status is terminal.
--
-- Nothing is sent after a terminal status, and an older response never undoes a terminal status.

local errors = require "qhub.error"
local executions = require "qhub.execution"
local progress = require "qhub.progress"
local schedules = require "qhub.polling.schedule"
local text = require "qhub.error.text"

local wait = {}

-- Seconds between requests for a result that appears after SUCCEEDED, as the reference client
-- waits.
local RESULT_DELAYS = { 1, 2, 4, 8 }
-- So many responses in a row without a status end a wait.
local MOST_WITHOUT_STATUS = 10

--- Requests the status of `execution`, which then shows the response, unless that is from before
--- its end, as a cache may give it. Returns the response; nil when there is none yet; or nil and an
--- error.
function wait.look(client, execution, schedule)
  local latest, err = client:get_status(execution.id, schedule:request())
  if not latest then return nil, not schedule:is_too_early(err, execution) and err or nil end
  if not execution:is_terminal() or latest:is_terminal() then
    executions.adopt(execution, latest) -- its text is decoded when it is needed
  end
  return latest
end

--- Polls until `execution` is terminal; returns it, or nil and an error that carries it.
function wait.until_terminal(client, execution, schedule)
  local on_status, notified = schedule.options.on_status, nil
  local reporter <close> = progress.start(schedule.options.progress, "wait", execution.id)
  schedule.execution = execution
  -- Notifies the program of the first status and of each change.
  local function notify()
    local status = execution.status
    if status == nil then return end
    if status ~= notified then
      notified = status
      if on_status then on_status(execution) end
    end
    reporter:update(execution)
  end
  local without_status = 0
  local function poll()
    local latest, err = wait.look(client, execution, schedule)
    if latest then
      without_status = latest.status == nil and without_status + 1 or 0
      if without_status >= MOST_WITHOUT_STATUS then
        local form = "%s: the last %d responses about %s had no status"
        local message = form:format(schedule.where, without_status, text.value(execution.id))
        return errors.new { kind = "decode", message = message }
      end
    end
    notify()
    return err
  end
  notify()
  local ok, err = schedule:poll_until(function()
    return execution:is_terminal()
  end, poll)
  if not ok then return nil, err end
  reporter:finish(true)
  return execution
end

--- The result of an execution that has SUCCEEDED; after a 404 it is asked for again, as the
--- reference client does. Returns it; or nil, an error and, when `schedule` ended the wait, why.
function wait.result(client, execution, schedule)
  local result, err = client:get_result(execution.id, schedule:request())
  for _, delay in ipairs(RESULT_DELAYS) do
    if result ~= nil or not schedules.is_missing(err) then break end
    local ok, reason = schedule:sleep(delay)
    if not ok then return nil, err, reason end
    result, err = client:get_result(execution.id, schedule:request())
  end
  return result, err
end

return wait
