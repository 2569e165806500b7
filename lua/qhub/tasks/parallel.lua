-- A few requests at once: the same work for each item of a list.
--
-- In a task that takes worker tasks in the task's own group. In the main program it takes a
-- `tasks.run` of our own, but only while no other task could move, for that would run the program's
-- tasks uninvited. In a coroutine of the program's, whose token or transport function may yield to
-- whoever resumes that coroutine, and beside live tasks, the items are worked on one after the
-- other. Knows nothing of what the work is.

local loop = require "qhub.tasks.loop"
local tasks = require "qhub.tasks"

local several = {}

local AT_ONCE = 16

local function one_after_the_other(items, work, take, is_over)
  for _, item in ipairs(items) do
    if is_over() or take(item, work(item)) then
      break
    end
  end
  return true
end

local function any_alive(workers)
  for _, worker in ipairs(workers) do
    if not worker.done then
      return true
    end
  end
  return false
end

-- The workers only work: what they bring is taken in the calling task, where the program's own
-- functions belong. Left early, for whatever reason, it cancels the workers.
local function at_once(items, work, take, is_over)
  local me = loop.current()
  local brought, next_index, is_left = {}, 1, false
  local function carry()
    while next_index <= #items and not is_left and not is_over() do
      local item = items[next_index]
      next_index = next_index + 1
      local answer = table.pack(pcall(work, item))
      answer.item = item
      brought[#brought + 1] = answer
      if not is_left then
        loop.wake(me)
      end
    end
  end
  local workers <close> = setmetatable({}, {
    __close = function(list)
      is_left = true
      for _, worker in ipairs(list) do
        worker.joiners[1] = nil
        worker:cancel()
      end
    end,
  })
  for index = 1, math.min(AT_ONCE, #items) do
    local worker = tasks.spawn(carry)
    worker.joined = true -- its end wakes this task, even one for lack of memory
    worker.joiners[1] = me
    workers[index] = worker
  end
  while any_alive(workers) or brought[1] do
    if not brought[1] and not loop.park(me) then
      return nil, "cancelled"
    end
    local batch = brought
    brought = {}
    for _, answer in ipairs(batch) do
      if not answer[1] then
        error(answer[2], 0)
      elseif take(answer.item, table.unpack(answer, 2, answer.n)) then
        return true
      end
    end
  end
  for _, worker in ipairs(workers) do
    if worker.failed then
      error(worker.error, 0)
    end
  end
  return true
end

--- Calls `take(item, ...)` with what `work(item)` returned, for each of `items`; in no order where
--- they are worked on at once. `take` is called in the caller's own course and ends the whole by
--- returning true; with `is_over()` no further item is begun. Errors of all three propagate.
--- Returns true, or nil and "cancelled" when the calling task was.
function several.each(items, work, take, is_over)
  if #items > 1 then
    if loop.current() then
      return at_once(items, work, take, is_over)
    elseif select(2, coroutine.running()) and loop.is_stuck() then
      return tasks.run(at_once, items, work, take, is_over)
    end
  end
  return one_after_the_other(items, work, take, is_over)
end

return several
