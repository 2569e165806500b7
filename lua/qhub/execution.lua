-- The class of executions: a read-only userdata over a response.
--
-- Most programs read the id and the status only. So an execution may be made of a response's
-- text and these two; the text is decoded when somebody asks for anything else.
-- Fields show members in camelCase or snake_case under their name in snake_case. Methods are looked
-- up first, so that no member which a server invents can hide one; they are defined in
-- qhub.hub.methods. This module knows nothing of requests, and assumes nothing of a response but
-- that it is a table, or the valid text of an object.

local core = require "qhub.core"

local null, decode, printable = core.json.null, core.json.decode, core.text.printable
local new_object, state_of = core.object.new, core.object.state

-- Every status of the gateway. A status that it adds later passes through and is not terminal.
local STATUSES = { "UNKNOWN", "PENDING", "RUNNING", "SUCCEEDED", "CANCELLED", "FAILED" }

local TERMINAL = { SUCCEEDED = true, CANCELLED = true, FAILED = true }

-- Members of a response that are fields, in the order of `pairs`; a field has its name in
-- snake_case.
local MEMBERS = "id createdAt startedAt endedAt status type serviceId serviceDefinitionId "
  .. "applicationId tags"

local names, member_of, place_of = {}, {}, {}
for member in MEMBERS:gmatch "%a+" do
  local name = member:gsub("%u", "_%0"):lower()
  names[#names + 1] = name
  member_of[name], place_of[name] = member, #names
end

local methods = {}

local Execution = { __name = "qhub.Execution" }

-- The state of an execution is { raw =, id =, owner = }; or { text =, id =, status =, owner = } as
-- long as nobody has asked for more than these two. The id is a string or nil, and stays.
local function raw_of(self)
  local state = state_of(self, Execution)
  if not state.raw then
    local raw = decode(state.text, true)
    raw.id = state.id
    state.raw, state.text, state.status = raw, nil, nil
  end
  return state.raw
end

-- The value of a field, or nil. JSON's null counts as absent.
local function field_of(self, name)
  local state = state_of(self, Execution)
  if name == "id" or name == "status" and state.text then return state[name] end
  local raw = raw_of(self)
  local value = raw[member_of[name]]
  if value == nil or value == null then value = raw[name] end
  if value ~= null then return value end
end

local SHOWN = { id = true, status = true, raw = true } -- of a state, as far as it has them

Execution.__index = core.object.index(Execution, methods, SHOWN, function(self, name)
  if name == "raw" then return raw_of(self) end
  state_of(self, Execution) -- raises for anything but an execution
  if member_of[name] then return field_of(self, name) end
end)

function Execution.__newindex()
  error("qhub.Execution is read-only", 2)
end

--- "qhub.Execution ID STATUS", safe for a terminal for any response.
function Execution.__tostring(self)
  local id, status = field_of(self, "id"), field_of(self, "status")
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
  if not (execution.is(left) and execution.is(right)) then return false end
  local id = field_of(left, "id")
  return id ~= nil and id == field_of(right, "id")
end

local function next_field(self, name)
  for place = (place_of[name] or 0) + 1, #names do
    local value = field_of(self, names[place])
    if value ~= nil then return names[place], value end
  end
end

function Execution.__pairs(self)
  state_of(self, Execution) -- raises for anything but an execution
  return next_field, self, nil
end

Execution.__encoded = raw_of

--- An execution that shows the response `raw`, whose id is a string or nil, and belongs to the
--- client `owner`.
function execution.new(raw, owner)
  return new_object(Execution, { raw = raw, id = raw.id, owner = owner })
end

--- An execution that shows the response `text`, the valid JSON of an object, and belongs to the
--- client `owner`. `id`, a string that can be asked for, becomes the member of that name; `status`
--- is the text's own, a string or nil.
function execution.of_text(text, id, status, owner)
  return new_object(Execution, { text = text, id = id, status = status, owner = owner })
end

--- Makes `self` show what the execution `latest`, of the same id, shows; returns `self`.
function execution.adopt(self, latest)
  local state, other = state_of(self, Execution), state_of(latest, Execution)
  state.raw, state.text, state.status = other.raw, other.text, other.status
  return self
end

--- Adds the members of `raw` to what `self` shows: a null never hides a member that is known.
function execution.merge(self, raw)
  local known = raw_of(self)
  for name, value in pairs(raw) do
    if value ~= null or known[name] == nil then known[name] = value end
  end
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
