-- Gates: how many calls are active at once, in order of arrival.
--
-- All that have started wait in the same queue; as one of it is let in, a new task starts (see
-- newcomers.lua), so that those that poll repeatedly do not starve new ones. A call
-- enters before it makes anything, and leaves however it ends:
--
--   local gate = gates.new(limit)                     -- one for each session
--   local ok, reason = gate:admit(deadline, session)
--   local _ <close> = gate             -- leaves; once for each admit that returned true
--   ... the transfer, until its body is there or it has failed ...
--
-- The limit is that of transfers: max_connections over HTTP/1.1; over HTTP/2, where one connection
-- carries many, at least 64. A file that is being read stays outside of gates: its reader may pause
-- as long as it likes, and a task after it in the queue could be what it waits for. A caller that
-- cannot yield is admitted at once, because no other task could run and leave.

local loop = require "qhub.tasks.loop"

local gates = {}

local Gate = {}
Gate.__index = Gate

--- A gate that at most `limit` calls are within at once. Tasks that wait stand in it by number.
function gates.new(limit)
  return setmetatable({ limit = limit, inside = 0, head = 1, tail = 0 }, Gate)
end

-- Admits waiting tasks, as far as there is room.
local function let_in(gate)
  while gate.inside < gate.limit and gate.head <= gate.tail do
    local index = gate.head
    local task = gate[index]
    gate.head = index + 1
    if task then
      gate[index] = nil
      gate.inside = gate.inside + 1
      loop.let_in(task)
    end
  end
end

--- Leaves the gate: the next waiting task is admitted.
function Gate:leave()
  self.inside = self.inside - 1
  let_in(self)
end

Gate.__close = Gate.leave

--- Enters the gate, after all that wait there. Returns true, or nil and "deadline" or "cancelled"
--- (the task was cancelled, or `owner` closed).
function Gate:admit(deadline, owner)
  local task = self.inside >= self.limit and loop.current()
  if not task then
    self.inside = self.inside + 1
    return true
  end
  local ok, reason = loop.park(task, deadline, owner, self)
  local is_within = task.gate ~= nil
  task.gate = nil
  if not ok and is_within then self:leave() end
  return ok, reason
end

return gates
