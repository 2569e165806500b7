-- The class of executions: a read-only userdata over a decoded response.
--
-- Fields answer in snake_case to members in camelCase or snake_case. Methods are looked up first,
-- so that no member which a server invents can hide one; they are defined in qhub.hub.execution.
-- This module knows nothing of requests, and assumes nothing of a response but that it is a table.

local core = require "qhub.core"

local null, printable = core.json.null, core.text.printable
local new_object, state_of = core.object.new, core.object.state

-- Every status of the gateway. A status that it adds later passes through and is not terminal.
local STATUSES = { "UNKNOWN", "PENDING", "RUNNING", "SUCCEEDED", "CANCELLED", "FAILED" }

local TERMINAL = { SUCCEEDED = true, CANCELLED = true, FAILED = true }

-- Fields in the order of `pairs`, each with the response's member.
local FIELDS = {
  { "id", "id" },
  { "created_at", "createdAt" },
  { "started_at", "startedAt" },
  { "ended_at", "endedAt" },
  { "status", "status" },
  { "type", "type" },
  { "service_id", "serviceId" },
  { "service_definition_id", "serviceDefinitionId" },
  { "application_id", "applicationId" },
  { "tags", "tags" },
}

local member_of, place_of = {}, {}
for place, field in ipairs(FIELDS) do
  member_of[field[1]], place_of[field[1]] = field[2], place
end

local methods = {}

local Execution = { __name = "qhub.Execution" }

-- The state of an execution is { raw =, owner = }. All reading of the response goes through here.
local function raw_of(self)
  return state_of(self, Execution).raw
end

-- The value of a field, or nil. JSON's null counts as absent. An id is a string: a number becomes
-- its text, and an empty one names nothing.
local function field_of(raw, name)
  local value = raw[member_of[name]]
  if value == nil or value == null then
    value = raw[name]
  end
  if value == null then
    return nil
  elseif name == "id" then
    local text = (type(value) == "string" or math.type(value)) and tostring(value)
    return text and text ~= "" and text or nil
  end
  return value
end

function Execution.__index(self, name)
  local method = methods[name]
  if method then
    return method
  end
  local raw = raw_of(self)
  if member_of[name] then
    return field_of(raw, name)
  end
  return name == "raw" and raw or nil
end

function Execution.__newindex()
  error("qhub.Execution is read-only", 2)
end

--- "qhub.Execution ID STATUS", fit for a terminal whatever the server sent.
function Execution.__tostring(self)
  local raw = raw_of(self)
  local id, status = field_of(raw, "id"), field_of(raw, "status")
  local text = "qhub.Execution " .. (id and printable(id) or "(no id)")
  return type(status) == "string" and status ~= "" and text .. " " .. printable(status) or text
end

local execution = { methods = methods, STATUSES = STATUSES }

--- True for an execution.
function execution.is(value)
  return type(value) == "userdata" and getmetatable(value) == Execution
end

-- The same id. Executions without one equal only themselves.
function Execution.__eq(left, right)
  if not (execution.is(left) and execution.is(right)) then
    return false
  end
  local id = field_of(raw_of(left), "id")
  return id ~= nil and id == field_of(raw_of(right), "id")
end

local function next_field(self, name)
  local raw = raw_of(self)
  for place = (name and place_of[name] or 0) + 1, #FIELDS do
    local field = FIELDS[place][1]
    local value = field_of(raw, field)
    if value ~= nil then
      return field, value
    end
  end
end

function Execution.__pairs(self)
  raw_of(self) -- raises for anything but an execution
  return next_field, self, nil
end

Execution.__encoded = raw_of

local function check_raw(raw)
  if type(raw) ~= "table" then
    error("bad response of an execution (table expected, got " .. type(raw) .. ")", 3)
  end
end

--- An execution that shows the response `raw`, and belongs to the client `owner`.
function execution.new(raw, owner)
  check_raw(raw)
  return new_object(Execution, { raw = raw, owner = owner })
end

--- Makes `self` show the response `raw` instead, and returns it.
function execution.update(self, raw)
  check_raw(raw)
  local state = state_of(self, Execution)
  state.raw = raw
  return self
end

--- Adds the members of `raw` to what `self` shows, and returns it: a null never hides a member
--- that is known.
function execution.merge(self, raw)
  check_raw(raw)
  local state = state_of(self, Execution)
  local merged = {}
  for name, value in pairs(state.raw) do
    merged[name] = value
  end
  for name, value in pairs(raw) do
    if value ~= null or merged[name] == nil then
      merged[name] = value
    end
  end
  state.raw = merged
  return self
end

--- The client that the execution came from.
function execution.owner(self)
  local state = state_of(self, Execution)
  return state.owner
end

--- True when a run of this status has ended.
function execution.is_terminal(status)
  return TERMINAL[status] == true
end

return execution
