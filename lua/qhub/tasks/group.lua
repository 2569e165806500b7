-- Groups of tasks: who raises an error that was not joined, and which tasks are closed together.
--
-- A task ends here: results and errors are kept, who waits for it is woken. An error that leaves a
-- round of the loop (an interrupt, no memory) ends the tasks of all groups. Knows no public
-- function.

local errors = require "qhub.error"
local loop = require "qhub.tasks.loop"

local groups = {}

local all = setmetatable({}, { __mode = "k" }) -- that are not collected
local NOTHING = table.pack() -- what most tasks return
local finish

--- A group: the set of its `tasks` that have not ended, `live` in number. `failed`: tasks that
--- failed and were not joined, numbered from `first_failed` to `failures`.
function groups.new()
  local group = {
    tasks = {},
    live = 0,
    failed = {},
    first_failed = 1,
    failures = 0,
    finish = finish,
  }
  all[group] = true
  return group
end

--- The error of a wait in a task that was cancelled.
function groups.cancelled_error(what)
  return errors.new { kind = "cancelled", message = what .. ": the task was cancelled" }
end

--- Whether the task ended by being cancelled: whoever cancelled it knows.
function groups.is_cancellation(task)
  local err = task.value
  return task.cancellations and errors.is_error(err) and err.kind == "cancelled"
end

--- What a call gave, given what `pcall` returned: its first value, or nil and its error, if any.
function groups.first_of(ok, value, err)
  if not ok then return nil, value == nil and "nil" or value end -- there must be something
  if value == nil then return nil, err end
  return value, nil
end

--- The task was joined, or nobody need be: its group does not raise its error.
function groups.mark_joined(task)
  task.is_joined = true
  if task.failure then task.group.failed[task.failure] = nil end
end

-- Wakes who waits for `task` and keeps its results, or its error for `join`.
local function take_end(task, ok, ...)
  local group = task.group
  task.thread, task.state = false, ok and "done" or "failed"
  group.tasks[task], group.live = nil, group.live - 1
  if ok then
    task.value = select("#", ...) == 0 and NOTHING or table.pack(...)
  else
    task.value = ...
    if not task.is_joined and not groups.is_cancellation(task) then
      task.failure = group.failures + 1
      group.failures, group.failed[task.failure] = task.failure, task
    end
  end
  for watch in pairs(task.watches or {}) do
    watch.left = watch.left - 1
    if watch.left == 0 and watch.task then loop.wake(watch.task) end
  end
  if group.waiter and (group.live == 0 or task.is_root and not ok) then loop.wake(group.waiter) end
end

--- Ends a task, as `pcall` returned from its function.
function finish(task, ...)
  loop.change(take_end, task, ...)
end

groups.finish = finish

-- Who waits for the end of a `list` of tasks: `task`, or nil for the main program. `left` of them
-- have not ended. To-be-closed, since it may end without having got their results.
local Watch = {}

function Watch.__close(watch)
  for _, task in ipairs(watch.list) do
    if task.watches then task.watches[watch] = nil end
  end
end

--- Calls `wait(current)` for the running task, or nil, until all of `list` have ended. Then they
--- are joined.
function groups.join(list, wait)
  local watch <close> = setmetatable({ list = list, task = loop.current(), left = 0 }, Watch)
  for _, task in ipairs(list) do
    task.watches = task.watches or {}
    if not task.state and not task.watches[watch] then watch.left = watch.left + 1 end
    task.watches[watch] = true
  end
  while watch.left > 0 do
    wait(watch.task)
  end
  for _, task in ipairs(list) do
    groups.mark_joined(task)
  end
end

-- Whether the task runs just now: it is, or has resumed, the caller.
local function is_running(task)
  local state = task.thread and coroutine.status(task.thread)
  return state == "running" or state == "normal"
end

-- Closes what is left of a group: to-be-closed variables of the tasks run, in any order, and
-- everything under way ends. First of all none of them continues. Those below which the caller runs
-- stay as they are.
local function abandon(group, err)
  local list, running
  repeat -- those that are spawned in the meantime are closed, too
    list, running = {}, 0
    for task in next, group.tasks do
      if is_running(task) then
        running = running + 1
      else
        loop.forget(task)
        list[#list + 1] = task
      end
    end
    for _, task in ipairs(list) do
      groups.mark_joined(task)
      local ok, failure = true, nil
      if task.thread then
        ok, failure = coroutine.close(task.thread)
      end
      finish(task, false, ok and err or failure)
    end
  until not list[1]
  group.live = running -- an error may have left any number
end

local LEFT = errors.new { kind = "cancelled", message = "tasks.run: left before this task ended" }

--- Metatable of what abandons its `group` when a `run` is left. The group itself is reachable from
--- its tasks, and so would not be collected.
groups.Guard = {
  __close = function(guard)
    abandon(guard.group, LEFT)
  end,
}
groups.Guard.__gc = groups.Guard.__close -- Lua may lack the memory to close it

local ENDED = errors.new { kind = "cancelled", message = loop.ALL_ENDED }

local function end_all()
  loop.start_anew(function()
    for group in next, all do
      abandon(group, ENDED)
    end
  end)
end

local function spawn(class, group, start)
  local task = loop.new_task(class, group, start)
  group.tasks[task], group.live = true, group.live + 1
  return task
end

--- A new task of `group`: see `loop.new_task`.
function groups.spawn(class, group, start)
  if loop.is_torn() and not loop.running() then end_all() end
  return loop.change(spawn, class, group, start)
end

local is_open = false -- a round has begun, and neither ended nor been closed
local EndAll = setmetatable({}, {
  __close = function(_, err)
    if err ~= nil then
      end_all()
      is_open = false
    end
  end,
})

--- One round of the loop; an error that leaves it ends all tasks. Where Lua lacks the memory even
--- for that, the next round does.
function groups.round(timeout)
  local is_nested = loop.running() ~= nil
  if (is_open or loop.is_torn()) and not is_nested then end_all() end
  local _ <close> = EndAll
  is_open = true
  loop.round(timeout)
  is_open = is_nested
end

--- The first error of the group that was not joined, boxed; nil when there is none. With
--- `may_be_joined`, not one of a task that somebody waits for.
function groups.lost_error(group, may_be_joined)
  local failed = group.failed
  while group.first_failed <= group.failures and not failed[group.first_failed] do
    group.first_failed = group.first_failed + 1
  end
  for index = group.first_failed, group.failures do
    local task = failed[index]
    if task and not (may_be_joined and task.watches and next(task.watches)) then
      groups.mark_joined(task)
      return { task.value }
    end
  end
end

return groups
