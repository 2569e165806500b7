-- What `wait_all` knows of its executions: one slot for each id, with the responses merged in.
--
-- A plain table for each, so that a poll of thousands costs a few calls for each of them. Knows no
-- request and no clock.

local execution_class = require "qhub.execution"
local null = require("qhub.core").json.null
local usage_error = require("qhub.error").usage
local wait = require "qhub.polling.wait"

local module = {}

local WHERE = "wait_all"
local FINAL = { SUCCEEDED = true, FAILED = true, CANCELLED = true }

--- The slots of `executions`, in their order and by id. A slot has `objects`: those that stand for
-- this id, nearly always one; `raw` and `status`, as this wait has seen them.
function module.of(executions)
  local slots, by_id, taken = {}, {}, {}
  for index = 1, #executions do
    local execution = executions[index]
    local raw = execution.raw
    local id = raw.id
    if type(id) ~= "string" or id == "" then -- rare: a number, another spelling, or none
      id = execution.id
      if type(id) ~= "string" then
        usage_error("%s: the gateway gave item %d no id", WHERE, index)
      end
    end
    local slot = by_id[id]
    if not slot then
      slot = { id = id, execution = execution, status = nil, objects = false, misses = 0 }
      by_id[id] = slot
      slots[#slots + 1] = slot
    elseif not taken[execution] then
      slot.objects = slot.objects or { slot.execution }
      table.insert(slot.objects, execution)
    end
    taken[execution] = true
    local status = raw.status ~= null and raw.status or nil
    slot.is_known = slot.is_known or status ~= nil
    slot.status = slot.status or status
    slot.raw = slot.raw or raw
  end
  return slots, by_id
end

local function objects_of(slot)
  return slot.objects or { slot.execution }
end

--- Merges a status, or an item of the list, into all objects of the slot.
function module.absorb(slot, raw, is_sparse)
  slot.is_seen = true
  for _, execution in ipairs(objects_of(slot)) do
    local own = raw
    if slot.objects then -- no two executions share a table
      own = {}
      for name, value in pairs(raw) do
        own[name] = value
      end
    end
    wait.absorb(execution, own, is_sparse)
  end
  slot.raw = slot.execution.raw
  slot.status = slot.execution.status
end

-- The members that the interface names, in the order in which they are likely to change.
local MEMBERS = {
  "status",
  "endedAt",
  "startedAt",
  "createdAt",
  "type",
  "serviceId",
  "serviceDefinitionId",
  "applicationId",
  "tags",
}

-- What is known becomes `item`, with what it leaves out of what was.
local function replace(slot, item)
  local known = slot.raw
  for index = 1, #MEMBERS do
    local name = MEMBERS[index]
    if item[name] == nil or item[name] == null then item[name] = known[name] end
  end
  if not slot.is_listed_once then -- later ones leave out nothing but named members
    for name, value in next, known do
      if item[name] == nil or item[name] == null then item[name] = value end
    end
  end
  execution_class.update(slot.execution, item)
  slot.raw, slot.is_listed_once = item, true
end

--- Merges items of the list, each into the slot of the same index: the first and the last of a slot
-- become what is known; of those between the named members are taken over in place.
function module.absorb_items(slots, items)
  for index = 1, #slots do
    local slot, item = slots[index], items[index]
    local known, status = slot.raw, item.status
    if slot.objects then
      module.absorb(slot, item, true)
    elseif not (FINAL[slot.status] or FINAL[known.status] and not FINAL[status]) then
      if slot.is_seen and not FINAL[status] then
        for place = 1, #MEMBERS do
          local name = MEMBERS[place]
          local value = item[name]
          if value ~= nil and value ~= null then known[name] = value end
        end
      else
        replace(slot, item)
      end
      slot.is_seen, slot.status = true, status
    end
  end
end

--- The slots that are not at their end. An end that only one of the objects of an id has seen is
-- shared with the others. `again`: other waits, in other tasks, or the program's own functions may
-- have seen more in the meantime.
function module.unfinished(slots, again)
  local pending = {}
  for index = 1, #slots do
    local slot = slots[index]
    if again then
      slot.raw, slot.status = slot.execution.raw, slot.execution.status
    end
    if slot.objects then
      local ended
      for _, execution in ipairs(slot.objects) do
        ended = ended or FINAL[execution.status] and execution.raw
      end
      if ended then module.absorb(slot, ended, true) end
    end
    if not FINAL[slot.status] then pending[#pending + 1] = slot end
  end
  return pending
end

return module
