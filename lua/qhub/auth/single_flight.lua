-- One fetch however many tasks wait for it.
--
-- Knows nothing of what is fetched. Whoever cannot yield cannot wait for a task and fetches by
-- itself; so does a task that comes back from within its own fetch.

local loop = require "qhub.tasks.loop"

local SingleFlight = {}
SingleFlight.__index = SingleFlight

-- A fetch under way: task, waiters (a set), done, value, reason. However it ends, also by an error
-- or by the end of its task, those who wait continue: with its result, or without one.
local Flight = {
  __close = function(flight)
    flight.owner.flight = nil
    for task in pairs(flight.waiters) do
      loop.wake(task)
    end
  end,
}

--- Around `fetch() -> value, or nil, a reason and whether the wait was ended from outside`, which
--- says nothing about what was fetched.
local function new(fetch)
  return setmetatable({ fetch = fetch, flight = nil }, SingleFlight)
end

--- True when the caller would start a fetch, not wait for another's.
function SingleFlight:is_free()
  local task, flight = loop.current(), self.flight
  return not (task and flight) or flight.task == task
end

--- Fetches. Returns what `fetch` did.
function SingleFlight:run()
  local task = loop.current()
  if not task or self.flight then return self.fetch() end
  local flight <close> = setmetatable({ owner = self, task = task, waiters = {} }, Flight)
  self.flight = flight
  local value, reason, was_cancelled = self.fetch()
  flight.done, flight.value, flight.reason = not was_cancelled, value, reason
  return value, reason
end

--- Waits for the fetch of another task. Returns true and what it brought; true alone when it
--- brought nothing that counts; or false when this task was cancelled.
function SingleFlight:join()
  local flight, task = self.flight, loop.current()
  flight.waiters[task] = true
  local ok = loop.park(task)
  flight.waiters[task] = nil
  if not ok then
    return false
  elseif flight.done then
    return true, flight.value, flight.reason
  end
  return true
end

return new
