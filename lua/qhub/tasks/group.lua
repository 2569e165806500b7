-- Groups of tasks: who raises an error that was not joined, and which tasks are closed together.
--
-- A task ends here: results and errors are kept, joiners woken. An error that leaves a round of the
-- loop (an interrupt, no memory) ends the tasks of all groups. Knows no public function.

local errors = require "qhub.error"
local loop = require "qhub.tasks.loop"

local groups = {}

local all = setmetatable({}, { __mode = "k" }) -- that are not collected
local end_task
--- A group is the head of the ring of its tasks that have not ended (fields `before`, `after`).
-- `failed`: tasks that failed and were not joined, numbered from `first_failed` to `failures`.
function groups.new()
  local group = { live = 0, failed = {}, first_failed = 1, failures = 0, is_over = false }
  group.before, group.after, group.on_end = group, group, end_task
  all[group] = true
  return group
end

local function link(group, task)
  local before = group.before
  task.before, task.after = before, group
  before.after, group.before = task, task
  group.live = group.live + 1
end

local function unlink(task)
  local before, after = task.before, task.after
  if before then
    before.after, after.before = after, before
    task.before, task.after = false, false
    task.group.live = task.group.live - 1
  end
end

--- The error of a wait in a task that was cancelled.
function groups.cancelled_error(what)
  return errors.new { kind = "cancelled", message = what .. ": the task was cancelled" }
end

--- Whether the task was cancelled and ended by that: whoever cancelled it knows.
function groups.is_cancellation(task)
  local err = task.value
  return task.was_cancelled and errors.is_error(err) and err.kind == "cancelled"
end

--- Keeps the failed `task` for `group` to raise its error, unless it is joined before.
function groups.keep_error(group, task)
  local count = group.failures + 1
  group.failures, group.failed[count] = count, task
  task.kept_in, task.kept_at = group, count
end

--- The task's end was observed by a join or gather: its error is not lost.
function groups.mark_observed(task)
  task.observed = true
  local group = task.kept_in
  if group then
    group.failed[task.kept_at] = nil
    task.kept_in, task.kept_at = nil, nil
  end
end

-- At a task's end: wakes who waits, and keeps results or error for `join`. What needs memory comes
-- last.
function end_task(task, ok, ...)
  local group = task.group
  loop.forget(task)
  unlink(task)
  task.outcome, task.value = "failed", "not enough memory"
  if task.joiners then
    for _, joiner in ipairs(task.joiners) do
      loop.wake(joiner)
    end
  end
  if group.waiter and (group.live == 0 or task.is_root and not ok) then loop.wake(group.waiter) end
  if ok then
    task.value = table.pack(...)
    task.outcome = "done"
  else
    task.value = ...
    if not task.observed and not groups.is_cancellation(task) then
      groups.keep_error(group, task)
    end
  end
end

--- A new task of `group` that will run `fn(...)`, with the metatable `class`.
function groups.spawn(group, class, fn, ...)
  local task = setmetatable(loop.new_task(group, fn, ...), class)
  link(group, task)
  loop.enqueue(task)
  return task
end

-- Whether the task runs just now: it is, or has resumed, the caller.
local function is_running(task)
  local state = task.thread and coroutine.status(task.thread)
  return state == "running" or state == "normal"
end

-- Closes what is left of a group: to-be-closed variables of the tasks run, in any order, and
-- everything under way ends. First of all none of them continues. Those below which the caller runs
-- stay as they are. Needs no memory.
local function abandon(group, err)
  local task = group.after
  while task ~= group do
    if not is_running(task) then loop.forget(task) end
    task = task.after
  end
  local running -- those that stay, by their field `next`: they are not in the queue
  task = group.after
  while task ~= group do -- those that are spawned in the meantime are closed, too
    if is_running(task) then
      unlink(task)
      task.next, running = running or false, task
    else
      loop.forget(task)
      groups.mark_observed(task)
      local ok, failure = true, nil
      if task.thread then
        ok, failure = coroutine.close(task.thread)
      end
      end_task(task, false, ok and err or failure)
    end
    task = group.after
  end
  while running do
    local one = running
    running, one.next = one.next, false
    link(group, one)
  end
end

local LEFT = errors.new { kind = "cancelled", message = "tasks.run: left before this task ended" }

--- Metatable of what abandons its `group` when a `run` is left.
groups.Guard = {
  __close = function(guard)
    abandon(guard.group, LEFT)
    all[guard.group] = nil
  end,
}
groups.Guard.__gc = groups.Guard.__close -- Lua may lack the memory to close it

local ENDED = errors.new {
  kind = "cancelled",
  message = "tasks: all tasks were ended by an interrupt, or for lack of memory",
}

local function end_all()
  loop.reset()
  for group in next, all do
    abandon(group, ENDED)
  end
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
  local before = is_open
  if before and not loop.enclosing() then
    end_all()
    before = false
  end
  is_open = true
  local _ <close> = EndAll
  loop.round(timeout)
  is_open = before
end

--- The first error of the group that was not joined, nor is about to be, boxed; nil when there is
--- none.
function groups.lost_error(group)
  local failed = group.failed
  while group.first_failed <= group.failures and not failed[group.first_failed] do
    group.first_failed = group.first_failed + 1
  end
  for index = group.first_failed, group.failures do
    local task = failed[index]
    if task and (task.observers or 0) == 0 then
      groups.mark_observed(task)
      return { task.value }
    end
  end
end

groups.end_task = end_task

return groups
