-- `qhub.tasks`: many executions from one thread.
--
-- A task is a coroutine in which every wait of this library yields. Tasks belong to a group: that
-- of the `run` in which they were spawned, or the one of all tasks spawned outside `run`. A `run`
-- ends when its last task has ended, and raises an error that was not joined; outside, the `step`
-- does in which the task failed. When a `run` is left early (its function failed, Ctrl-C), its
-- unfinished tasks are closed, and with them everything they held.
--
-- An interrupt or lack of memory within the scheduler itself ends all tasks: they are closed, the
-- error propagates, and joining one of them raises. New tasks may be spawned afterwards.
--
-- Knows nothing of clients. The scheduler is tasks/loop.lua, what becomes of errors
-- tasks/group.lua, the work on lists tasks/parallel.lua.

local core = require "qhub.core"
local groups = require "qhub.tasks.group"
local loop = require "qhub.tasks.loop"
local usage_error = require("qhub.error").usage
local options = require "qhub.options"
local text = require "qhub.error.text"

local tasks = {}

local Task = { __name = "qhub.Task" }
local methods = {}
Task.__index = methods

local cancelled_error = groups.cancelled_error
local outside = groups.new() -- the tasks that were spawned outside `run`

-- Waits until something has happened: the task `current` until it is woken, the main program for
-- one round. Returns nil when the task was cancelled.
local function turn(current, where, timeout)
  if current then return loop.park(current) end
  if timeout == nil and loop.is_stuck() then
    usage_error("%s: every task waits for another one; none can continue", where)
  end
  groups.round(timeout)
  return true
end

-- ── functions ───────────────────────────────────────────────────────────────────────────────────

local function check_seconds(value, where)
  if type(value) ~= "number" or value < 0 or value ~= value then
    usage_error("%s: a number of seconds from 0 is needed, got %s", where, text.value(value))
  end
end

local function check_function(fn, where)
  if not options.is_callable(fn) then
    usage_error("%s: a function is needed, got %s", where, text.value(fn))
  end
end

-- Collected when the program ends; made with the first task outside `run`. Says how many never
-- began.
local notice
local Notice = {
  __gc = function()
    local count = 0
    for task in next, outside.tasks do
      count = count + (task.start and 1 or 0)
    end
    if count > 0 then
      local form = "qhub: %d %s spawned and never ran; use tasks.run, tasks.step or task:join\n"
      core.system.write(2, form:format(count, count == 1 and "task was" or "tasks were"))
    end
  end,
}

-- What a task starts with: see `loop.new_task`.
local function packed(fn, where, ...)
  if type(fn) ~= "function" then
    check_function(fn, where)
  elseif select("#", ...) == 0 then
    return fn
  end
  return table.pack(fn, ...)
end

--- Starts `fn(...)` as a task of the running group. Returns the task.
function tasks.spawn(fn, ...)
  local start, current = packed(fn, "tasks.spawn", ...), loop.running()
  if not current then notice = notice or setmetatable({}, Notice) end
  return groups.spawn(Task, current and current.group or outside, start)
end

--- Runs `fn(...)` as a task and all that it spawns; returns what `fn` returned when all have ended.
function tasks.run(fn, ...)
  local start, group = packed(fn, "tasks.run", ...), groups.new()
  local _ <close> = setmetatable({ group = group }, groups.Guard)
  local root = groups.spawn(Task, group, start)
  root.is_root, root.is_joined = true, true
  local current = loop.current()
  group.waiter = current
  while group.live > 0 and root.state ~= "failed" do
    if not turn(current, "tasks.run") then
      local lost = groups.lost_error(group)
      error(lost and lost[1] or cancelled_error "tasks.run", 0)
    end
  end
  local own = root.state == "failed" and { root.value }
  local err = own and not groups.is_cancellation(root) and own or groups.lost_error(group) or own
  if err then error(err[1], 0) end
  return table.unpack(root.value, 1, root.value.n)
end

-- Waits until all of `list` have ended.
local function join(list, where)
  for _, task in ipairs(list) do
    if loop.running() == task then usage_error("%s: a task cannot wait for itself", where) end
  end
  groups.join(list, function(current)
    if not turn(current, where) then error(cancelled_error(where), 0) end
  end)
end

local function check_task(value, where)
  if getmetatable(value) ~= Task then
    usage_error("%s: a task is needed, got %s", where, text.value(value))
  end
  return value
end

--- What the task's function returned, when it has ended; raises what it raised.
function methods:join()
  check_task(self, "task:join")
  join({ self }, "task:join")
  if self.state == "failed" then error(self.value, 0) end
  return table.unpack(self.value, 1, self.value.n)
end

--- Ends what the task waits for: its call returns nil and an error of kind "cancelled", its `sleep`
--- raises one. A task that has not begun never does. No effect on one that has ended.
function methods:cancel()
  check_task(self, "task:cancel")
  if self.state then return end
  if self.start then
    groups.finish(self, true, nil, cancelled_error "task")
    self.start = false
  else
    loop.cancel(self)
  end
end

function Task:__tostring()
  return ("%s %p (%s)"):format(Task.__name, self, self.state or "live")
end

--- Waits for all of `list`. Returns their first values by index, and a table of errors by index (of
--- those that returned nil and an error, or raised), or nil when there is none.
function tasks.gather(list)
  if type(list) ~= "table" then
    usage_error("tasks.gather: a list of tasks is needed, got %s", text.value(list))
  end
  for _, task in ipairs(list) do
    check_task(task, "tasks.gather")
  end
  list = table.move(list, 1, #list, 1, {})
  join(list, "tasks.gather")
  local results, failures = {}, nil
  for index, task in ipairs(list) do
    local is_done = task.state == "done"
    local values = is_done and task.value or { task.value }
    local value, err = groups.first_of(is_done, values[1], values[2])
    results[index] = value
    if err ~= nil then
      failures = failures or {}
      failures[index] = err
    end
  end
  return results, failures
end

--- Calls `fn(item, index)` for each item of `list`; see tasks/parallel.lua. Returns as `gather`.
function tasks.map(list, fn, given)
  check_function(fn, "tasks.map")
  return require("qhub.tasks.parallel").map(list, fn, given)
end

--- Sleeps for `seconds` while the other tasks continue; raises an error of kind "cancelled".
function tasks.sleep(seconds)
  check_seconds(seconds, "tasks.sleep")
  if not loop.sleep_until(loop.now() + seconds) then error(cancelled_error "tasks.sleep", 0) end
end

-- ── living in another loop ──────────────────────────────────────────────────────────────────────
-- Each of these may be called as a function or as a method, as other loops' objects are.

--- Lets all tasks continue, waiting at most `timeout` seconds (nil: until something happens).
--- Returns the number of live tasks; raises the error of one that failed when nobody waits for it.
function tasks.step(timeout, as_method)
  if timeout == tasks then timeout = as_method end
  if timeout ~= nil then check_seconds(timeout, "tasks.step") end
  if loop.running() then usage_error "tasks.step: a task cannot step the tasks; its waits do" end
  -- Without tasks there may be work left by calls, such as a connection that is being closed.
  if outside.live == 0 then timeout = 0 end
  turn(nil, "tasks.step", timeout)
  local lost = groups.lost_error(outside, true)
  if lost then error(lost[1], 0) end
  return outside.live
end

--- The descriptor to watch, or nil where the platform has none.
function tasks.pollfd()
  return loop.engine():pollfd()
end

--- What to watch it for.
function tasks.events()
  return "r"
end

--- Seconds until `step` is due even if the descriptor stays quiet, or nil.
function tasks.timeout()
  return loop.timeout()
end

return tasks
