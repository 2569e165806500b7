-- Executions and their lives: PENDING, RUNNING, and one of three ends, on a schedule.
--
-- Responsible for: the state of every execution at a given time. Nothing runs in the background:
-- a state is worked out from the clock when somebody asks. How a state looks on the wire is in
-- shapes.lua; it must not know HTTP.

local chemistry = require "chemistry"
local json = require "json"
local logs = require "logs"

local Model = {}
Model.__index = Model

-- `clock` tells the time, `settings` has the defaults of the schedule, `random` draws ids.
local function new(clock, settings, random)
  return setmetatable({
    clock = clock,
    settings = settings,
    random = random,
    executions = {},
    by_id = {},
    version = 0,
  }, Model)
end

local function new_id(random)
  return string.format(
    "%08x-%04x-4%03x-%04x-%012x",
    random(0, 0xffffffff),
    random(0, 0xffff),
    random(0, 0xfff),
    random(0x8000, 0xbfff),
    random(0, 0xffffffffffff)
  )
end

local function milliseconds(value, default)
  return (type(value) == "number" and value or default) / 1000
end

local outcomes = { SUCCEEDED = true, FAILED = true, CANCELLED = true }

-- The names of the secrets of a request body, sorted; their values are kept nowhere.
local function secret_names(secrets)
  local names = json.array {}
  for name in pairs(type(secrets) == "table" and secrets or {}) do
    names[#names + 1] = tostring(name)
  end
  table.sort(names)
  return names
end

-- The body to be echoed: as it came, but without its secrets.
local function echoed(body, text)
  if body["$secrets"] == nil then return text end
  local shown = {}
  for name, value in pairs(body) do
    shown[name] = name ~= "$secrets" and value or nil
  end
  return json.encode(shown)
end

-- Starts an execution from a decoded request body; `text` is the body as it came, `parent` the
-- token of the run that asked for it, if any.
function Model:start(body, text, parent)
  local simulate = type(body.simulate) == "table" and body.simulate or {}
  local settings = self.settings
  local running = milliseconds(simulate.running_ms, settings.running_ms)
  local execution = {
    id = type(simulate.id) == "string" and simulate.id or new_id(self.random),
    created = self.clock:now(),
    pending = milliseconds(simulate.pending_ms, settings.pending_ms),
    running = running,
    delay = milliseconds(simulate.result_delay_ms, settings.result_delay_ms),
    outcome = outcomes[simulate.outcome] and simulate.outcome or settings.outcome,
    files = type(simulate.files) == "table" and simulate.files or nil,
    log_count = math.tointeger(simulate.logs),
    shape = setmetatable(
      type(simulate.shape) == "table" and simulate.shape or {},
      { __index = settings }
    ),
    result = simulate.result,
    fails_with = simulate.problem,
    echo = simulate.echo == true and echoed(body, text) or nil,
    tags = type(body["$tags"]) == "table" and body["$tags"] or nil,
    secrets = secret_names(body["$secrets"]),
    parent = parent,
    input = body.input or body.data or body,
  }
  self.executions[#self.executions + 1] = execution
  self.by_id[execution.id] = execution
  self.version = self.version + 1
  return execution
end

function Model:get(id)
  return self.by_id[id]
end

-- The status of an execution now, the times it started and ended (nil when it has not), and the
-- time of its next change (math.huge when there is none).
function Model:state(execution)
  local now = self.clock:now()
  local started = execution.created + execution.pending
  local ended = started + execution.running
  local cancelled = execution.cancelled
  if cancelled then
    return "CANCELLED", started <= cancelled and started or nil, cancelled, math.huge
  elseif now < started then
    return "PENDING", nil, nil, started
  elseif now < ended then
    return "RUNNING", started, nil, ended
  end
  return execution.outcome, started, ended, math.huge
end

-- Cancels a run that has not ended; an ended one stays as it is.
function Model:cancel(execution)
  local _, _, ended = self:state(execution)
  if not ended then
    execution.cancelled = self.clock:now()
    self:touch(execution)
  end
end

-- Brings an execution to a status at once, against its schedule.
function Model:force(execution, status)
  local now = self.clock:now()
  execution.cancelled = nil
  if status == "PENDING" then
    execution.pending = now - execution.created + 3600
  else
    execution.pending = math.min(execution.pending, now - execution.created)
    execution.running = now - execution.created - execution.pending
    if status == "RUNNING" then
      execution.running = execution.running + 3600
    else
      execution.outcome = status
    end
  end
  self:touch(execution)
end

-- Forgets what was cached of an execution.
function Model:touch(execution)
  execution.text, execution.plan = nil, nil
  self.version = self.version + 1
end

-- Whether the result can be fetched: an end was reached and the result's delay has passed.
function Model:has_result(execution)
  local _, _, ended = self:state(execution)
  return ended ~= nil and self.clock:now() >= ended + execution.delay
end

function Model:problem(execution)
  execution.problem = execution.problem or chemistry.problem(execution.input)
  return execution.problem
end

-- The problem document (RFC 7807) of a failed run, or nil when runs of this kind write none.
function Model:problem_document(execution)
  local wanted = execution.fails_with
  if wanted == nil then wanted = self.settings.problem end
  if not wanted or self:state(execution) ~= "FAILED" then return nil end
  local document = {
    type = "about:blank",
    status = 500,
    title = "BackendError",
    detail = "backend rejected the job: calibration in progress",
  }
  for name, value in pairs(type(wanted) == "table" and wanted or {}) do
    document[name] = value
  end
  return document
end

-- What the service returned, as the runtime writes it: text, and the name of the file that holds
-- it. A table becomes output.json, anything else output.txt; nil when there is no output.
function Model:output(execution)
  local document = self:problem_document(execution)
  if document then
    return json.encode(document), "output.json"
  elseif self:state(execution) ~= "SUCCEEDED" then
    return nil
  end
  local value = execution.result
  if value == nil then value = chemistry.output(self:problem(execution)) end
  return json.encode(value), type(value) == "table" and "output.json" or "output.txt"
end

-- The entries logged so far, oldest first, with `at` in the clock's time.
function Model:log(execution)
  local status, _, ended = self:state(execution)
  if not execution.plan then
    local problem = self:problem(execution)
    local outcome, count = execution.outcome, execution.log_count
    execution.plan = logs.plan(problem, execution.pending, execution.running, outcome, count)
  end
  local limit = math.min(self.clock:now(), ended or math.huge)
  local entries = json.array {}
  for _, entry in ipairs(execution.plan) do
    local at = execution.created + entry.at
    if at > limit then break end
    local shown = { at = at, severity = entry.severity, message = entry.message }
    entries[#entries + 1] = shown
  end
  if status == "CANCELLED" and not execution.log_count then
    entries[#entries + 1] = { at = ended, severity = "NOTICE", message = "execution cancelled" }
  end
  return entries
end

return { new = new }
