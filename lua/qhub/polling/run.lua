-- `client:run`: start, wait and result in one call, under one timeout.
--
-- After the start there is a run that costs money, so every error from then on carries the
-- execution: the program can continue with it. A run that ended otherwise than SUCCEEDED is an
-- error of kind "execution" with its result and its log as far as they are available; a failure to
-- fetch these never hides how the run ended.

local executions = require "qhub.execution"
local errors = require "qhub.error"
local options = require "qhub.options"
local redact = require "qhub.http.redact"
local request_options = require "qhub.options.request"
local schedules = require "qhub.polling.schedule"
local starts = require "qhub.options.start"
local wait = require "qhub.polling.wait"
local text = require "qhub.error.text"

local run = {}

local UNSUCCESSFUL = { FAILED = true, CANCELLED = true }
-- Most seconds for each of result and log of a run that did not succeed.
local AFTERMATH = 30

local start_checkers = options.extended(request_options.checkers, starts.checkers)
local checkers =
  options.extended(schedules.checkers, { start = schedules.options_of(start_checkers) })

-- The last error of the log; the last entry of any severity when it holds none.
local function last_words(logs, secrets)
  local last
  for index = #logs, 1, -1 do
    local message = logs[index].message
    if type(message) == "string" then
      if logs[index].severity == "ERROR" then return redact.remote(message, secrets) end
      last = last or message
    end
  end
  return redact.remote(last or "", secrets)
end

-- The error of a run that ended FAILED or CANCELLED. `secrets` (taken over) are those of its start,
-- which the session may have forgotten since.
local function unsuccessful(client, schedule, secrets, result)
  local session, execution = client.session, schedule.execution
  local function fetched(fetch)
    if session.is_closed then return nil end
    local request = schedule:request()
    local seconds = math.min(request.total_timeout or AFTERMATH, AFTERMATH)
    return (fetch(client, execution.id, options.extended(request, { total_timeout = seconds })))
  end
  if result == nil then result = fetched(client.get_result) end
  local logs = fetched(client.get_logs)
  local known = session.secrets or {}
  table.move(known, 1, #known, #secrets + 1, secrets)
  -- What the author of the service wrote for the caller comes before any log line.
  local reason = require("qhub.http.failure").reason_of(result)
  local said = reason and redact.remote(reason, secrets) or last_words(logs or {}, secrets)
  local status = execution.status
  local ending = status == "CANCELLED" and "was cancelled" or "ended as " .. status
  local message = ("run: %s %s"):format(text.value(execution.id), ending)
  if said ~= "" then message = message .. ": " .. said end
  return errors.new {
    kind = "execution",
    message = redact.without(message, secrets),
    execution = execution,
    result = result,
    logs = logs,
  }
end

-- The result of a run that has SUCCEEDED; or nil and an error.
local function result_of(client, schedule)
  if client.session.is_closed then -- by the program, when it was told of the last status
    return nil, schedule:ended "cancelled"
  end
  local execution = schedule.execution
  local result, err, reason = wait.result(client, execution, schedule)
  if result ~= nil then return result end
  local state = text.value(execution.id) .. " has SUCCEEDED, but its result is not available"
  if reason then return nil, schedule:ended(reason, err, state) end
  return nil, schedule:failed(err, state)
end

--- Starts a run with `body`, waits for its end and returns its result; or nil and an error.
function run.run(client, body, given)
  local schedule = schedules.new(client, "run", given, checkers)
  local o = schedule.options
  local start = options.extended(o.start or {}, {})
  if o.timeout then
    local total_timeout = start.total_timeout or client.session.total_timeout or o.timeout
    start.total_timeout = math.min(total_timeout, o.timeout)
  end
  local execution, err = client:start_execution(body, start)
  if not execution then return nil, err end
  local ok, result
  schedule.is_known = true
  ok, err = wait.until_terminal(client, execution, schedule)
  if not ok then return nil, err end
  if not UNSUCCESSFUL[execution.status] then
    result, err = result_of(client, schedule)
    if result == nil then return nil, err end
    -- The status in the result itself, if any, knows best.
    local embedded = type(result) == "table" and rawget(result, "_embedded")
    local status = type(embedded) == "table" and embedded.status
    if not (executions.is(status) and UNSUCCESSFUL[status.status]) then return result end
    executions.merge(execution, status.raw)
  end
  local secrets = starts.secrets_in(body, start, "run") or {}
  return nil, unsuccessful(client, schedule, secrets, result)
end

return run
