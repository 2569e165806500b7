-- `qhub.tasks`: many executions from one thread.
--
-- A task is a coroutine in which every wait of this library yields. Tasks belong to a group: that
-- of the `run` in which they were spawned, or the one of all tasks spawned outside `run`. A group
-- ends when its last task has ended; an error that nobody joined is raised then, so none is lost.
-- Outside `run`, where that may never be, it is raised as soon as nobody has the task any more.
-- When a `run` is left early (its function failed, Ctrl-C), its unfinished tasks are closed, and
-- with them whatever they held.

local errors = require "qhub.error"
local loop = require "qhub.tasks.loop"
local usage_error = require("qhub.error").usage
local options = require "qhub.options"
local show = require "qhub.text"

local tasks = {}

local Task = { __name = "qhub.Task" }
local methods = {}
Task.__index = methods

-- ── groups ──────────────────────────────────────────────────────────────────────────────────────

-- `failed`: records of tasks that failed and were not joined, by which did so first, second, ...
local function new_group()
  return { live = 0, members = {}, failed = {}, failures = 0, is_over = false }
end

local outside = new_group() -- tasks that were spawned outside `run`

local WEAK = { __mode = "v" }

-- Goes with a task that failed outside `run`; when both are collected, nobody can join it any more.
local Sentinel = {
  __gc = function(self)
    self.record.is_alone = true
  end,
}

local function cancelled_error(what)
  return errors.new { kind = "cancelled", message = what .. ": the task was cancelled" }
end

-- Whether the task was cancelled and let that end it: no news to whoever cancelled it.
local function is_cancellation(task)
  local err = task.error
  return task.was_cancelled and errors.is_error(err) and err.kind == "cancelled"
end

-- Keeps the error of `task` for its join, or for `group` to raise it. Nothing holds the task.
local function keep_error(group, task)
  local record = task.record
  if not record then
    record = { error = task.error, task = setmetatable({ task }, WEAK), is_alone = false }
    task.record = record
  end
  group.failures = group.failures + 1
  group.failed[record] = group.failures
  if group == outside then
    task.sentinel = task.sentinel or setmetatable({ record = record }, Sentinel)
  end
end

-- The outcome of the task is being told: it is not lost.
local function hear(task)
  task.joined = true
  local record = task.record
  if record then
    task.group.failed[record], outside.failed[record] = nil, nil
  end
end

-- Bookkeeping at a task's end: results or error kept for `join`, waiters woken.
-- What needs memory comes last: without it the task has failed, and its group's run or step raises.
local function end_task(task, ok, ...)
  local group = task.group
  task.done, task.failed, task.error = true, true, "not enough memory"
  group.live = group.live - 1
  group.members[task] = nil
  for _, joiner in ipairs(task.joiners) do
    loop.wake(joiner)
  end
  if group.waiter and (group.live == 0 or task.is_root and not ok) then
    loop.wake(group.waiter)
  end
  if ok then
    task.results = table.pack(...)
    task.failed, task.error = false, nil
  else
    task.error = ...
    if not task.joined and not is_cancellation(task) then
      keep_error(group, task)
    end
  end
end

local function spawn_in(group, fn, ...)
  local task = loop.new_task(fn, ...)
  task.group = group
  task.on_end = end_task
  task.joiners = {}
  setmetatable(task, Task)
  loop.adopt(task)
  group.members[task] = true
  group.live = group.live + 1
  loop.start(task)
  return task
end

-- Closes what is left of a group: to-be-closed variables of the tasks run, in the order of no
-- promise, and everything under way ends. First of all none of them goes on, whatever the closing
-- meets with.
local function abandon(group)
  local members = group.members
  for task in next, members do
    loop.forget(task)
  end
  local task = next(members)
  while task do -- those that are spawned meanwhile are closed, too
    loop.forget(task)
    task.joined = true
    local ok, err = coroutine.close(task.thread)
    end_task(task, false, ok and cancelled_error "run" or err)
    task = next(members)
  end
end

-- Abandons its group when a `run` is left. Lua may lack the memory to close it: collecting it does
-- the same.
local Guard = {
  __close = function(guard)
    abandon(guard.group)
  end,
}
Guard.__gc = Guard.__close

-- The first error of the group that nobody joined, nor is about to, boxed; nil when there is none.
-- `alone`: only of tasks that nobody can join any more.
local function lost_error(group, alone)
  local failed = group.failed
  local first
  for record, order in pairs(failed) do
    local task = record.task[1]
    local is_claimed = task and task.claims and next(task.claims)
    if not is_claimed and (record.is_alone or not alone) then
      first = first and order > failed[first] and first or record
    end
  end
  if first then
    failed[first] = nil
    return { first.error }
  end
end

-- Joins that are under way: the tasks whose outcome somebody waits for. To-be-closed, since a wait
-- may end without any outcome; undoing what was not done yet does no harm.
local Claim = {}

local function claim(held, task)
  held[#held + 1] = task
  task.claims = task.claims or {}
  task.claims[held] = true
end

function Claim.__close(held)
  for _, task in ipairs(held) do
    if task.claims then
      task.claims[held] = nil
    end
    if task.failed and not task.joined and task.group.is_over then
      keep_error(outside, task) -- its own run cannot raise it any more
    end
  end
end

local function stuck(where)
  usage_error("%s: every task waits for another one; none can go on", where)
end

-- ── functions ───────────────────────────────────────────────────────────────────────────────────

local function check_function(fn, where)
  if not options.is_callable(fn) then
    usage_error("%s: a function is needed, got %s", where, show.value(fn))
  end
  if type(fn) ~= "function" then
    return function(...)
      return fn(...)
    end
  end
  return fn
end

--- Starts `fn(...)` as a task of the running group. Returns the task.
function tasks.spawn(fn, ...)
  fn = check_function(fn, "tasks.spawn")
  local current = loop.enclosing()
  return spawn_in(current and current.group or outside, fn, ...)
end

--- Runs `fn(...)` as a task and all that it spawns; returns what `fn` returned when all have ended.
function tasks.run(fn, ...)
  fn = check_function(fn, "tasks.run")
  local group = new_group()
  local _ <close> = setmetatable({ group = group }, Guard)
  local root = spawn_in(group, fn, ...)
  root.is_root, root.joined = true, true
  local current = loop.current()
  while group.live > 0 and not root.failed do
    if current then
      group.waiter = current
      local ok = loop.park(current)
      group.waiter = nil
      if not ok then
        local lost = lost_error(group)
        error(lost and lost[1] or cancelled_error "tasks.run", 0)
      end
    elseif loop.is_stuck() then
      stuck "tasks.run"
    else
      loop.round()
    end
  end
  if root.failed and not is_cancellation(root) then
    error(root.error, 0)
  end
  local lost = lost_error(group)
  group.is_over = true
  if lost then
    error(lost[1], 0)
  elseif root.failed then
    error(root.error, 0)
  end
  return table.unpack(root.results, 1, root.results.n)
end

local function remove(list, value)
  for index, one in ipairs(list) do
    if one == value then
      return table.remove(list, index)
    end
  end
end

-- Waits until `task`, which is claimed, has ended.
local function wait_for(task, where)
  local current = loop.current()
  if loop.running() == task then
    usage_error("%s: a task cannot wait for itself", where)
  end
  while not task.done do
    if current then
      table.insert(task.joiners, current)
      local ok = loop.park(current)
      remove(task.joiners, current)
      if not ok then
        error(cancelled_error(where), 0)
      end
    elseif loop.is_stuck() then
      stuck(where)
    else
      loop.round()
    end
  end
end

local function check_task(value, where)
  if getmetatable(value) ~= Task then
    usage_error("%s: a task is needed, got %s", where, show.value(value))
  end
  return value
end

--- What the task's function returned, when it has ended; raises what it raised.
function methods:join()
  check_task(self, "task:join")
  if not self.done then
    local held <close> = setmetatable({}, Claim)
    claim(held, self)
    wait_for(self, "task:join")
  end
  hear(self)
  if self.failed then
    error(self.error, 0)
  end
  return table.unpack(self.results, 1, self.results.n)
end

--- Ends what the task waits for: its call returns nil and an error of kind "cancelled", its `sleep`
--- raises one. A task that has not begun never does. No effect on one that has ended.
function methods:cancel()
  check_task(self, "task:cancel")
  if self.done then
    return
  end
  if not self.begun then
    loop.forget(self)
    coroutine.close(self.thread)
    end_task(self, true, nil, cancelled_error "task")
  else
    loop.cancel(self)
  end
end

function Task:__tostring()
  local state = self.failed and "failed" or self.done and "done" or "live"
  return ("%s %p (%s)"):format(Task.__name, self, state)
end

--- Waits for all of `list`. Returns their first values by index, and a table of errors by index (of
--- those that returned nil and an error, or raised), or nil when there is none.
function tasks.gather(list)
  if type(list) ~= "table" then
    usage_error("tasks.gather: a list of tasks is needed, got %s", show.value(list))
  end
  for _, task in ipairs(list) do
    check_task(task, "tasks.gather")
  end
  local held <close> = setmetatable({}, Claim)
  for _, task in ipairs(list) do
    claim(held, task)
  end
  local results, failures = {}, nil
  for index, task in ipairs(list) do
    wait_for(task, "tasks.gather")
    local err
    if task.failed then
      err = task.error == nil and "nil" or task.error -- `error(nil)`: there must be something
    else
      results[index] = task.results[1]
      err = task.results[1] == nil and task.results[2] or nil
    end
    if err ~= nil then
      failures = failures or {}
      failures[index] = err
    end
  end
  for _, task in ipairs(held) do
    hear(task)
  end
  return results, failures
end

--- Sleeps for `seconds`, the other tasks go on; raises an error of kind "cancelled".
function tasks.sleep(seconds)
  if type(seconds) ~= "number" or seconds < 0 or seconds ~= seconds then
    usage_error("tasks.sleep: a number of seconds from 0 is needed, got %s", show.value(seconds))
  end
  if not loop.sleep_until(loop.now() + seconds) then
    error(cancelled_error "tasks.sleep", 0)
  end
end

-- ── living in another loop ──────────────────────────────────────────────────────────────────────
-- Each of these may be called as a function or as a method, as other loops' objects are.

--- Moves all tasks on, waiting at most `timeout` seconds (nil: until something happens).
--- Returns the number of live tasks.
function tasks.step(timeout, as_method)
  if timeout == tasks then
    timeout = as_method
  end
  if timeout ~= nil and (type(timeout) ~= "number" or timeout < 0 or timeout ~= timeout) then
    usage_error("tasks.step: a number of seconds from 0 is needed, got %s", show.value(timeout))
  end
  if loop.running() then
    usage_error "tasks.step: a task cannot step the tasks; its waits do"
  end
  if outside.live > 0 then
    if timeout == nil and loop.is_stuck() then
      stuck "tasks.step"
    end
    loop.round(timeout)
  else
    loop.round(0) -- what finished calls left behind, such as a connection that is being closed
  end
  local lost = next(outside.failed) and lost_error(outside, outside.live > 0)
  if lost then
    error(lost[1], 0)
  end
  return outside.live
end

--- The descriptor to watch, or nil where the platform has none.
function tasks.pollfd()
  return loop.engine():pollfd()
end

--- What to watch it for.
function tasks.events()
  return loop.engine():events()
end

--- Seconds until `step` is due whatever the descriptor does, or nil.
function tasks.timeout()
  loop.engine()
  return loop.timeout()
end

return tasks
