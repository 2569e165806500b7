-- Waiting: the one place where this library blocks or yields.
-- Outside a task a wait is a loop over the engine's step; inside a task it parks the task and
-- yields to the scheduler, which runs the same step for all. A coroutine that this module did not
-- make is never yielded: it blocks. So does a task below a C call that cannot be yielded across (a
-- metamethod or a `table.sort` comparison called from C).
--
-- Between two rounds a task is in one place: `new` (it has not started and has no coroutine),
-- parked (for a transfer, a due time, or a wake-up by hand), `queue` (it continues in the next
-- round), or ended. An error that leaves `round` (Ctrl-C, no memory), or that hits in the midst of
-- a change to all this, leaves it as it happens to be: group.lua ends all tasks then.
--
-- Knows nothing of HTTP. An `owner` is any table or userdata with a field `is_closed`; its end ends
-- waits that name it.

local core = require "qhub.core"
local timers = require "qhub.tasks.timers"

local monotonic, coroutine_running = core.system.monotonic, coroutine.running
local create, is_yieldable = coroutine.create, coroutine.isyieldable
local yield, resume, unpack = coroutine.yield, coroutine.resume, table.unpack

local loop = { now = monotonic }

--- What the end of all tasks is told by.
loop.ALL_ENDED = "tasks: all tasks were ended by an interrupt or not enough memory"

-- Start of new tasks while transfers wait for their turn: after so many seconds in which none was
-- ready, so many start.
local PATIENCE, AT_ONCE = 0.02, 64

local PARKED = {} -- what a parked task yields
local CANCELLED = "cancelled"

local engine -- made at the first wait: `require` acquires nothing
local waiting = {} -- transfer -> the task parked for it
local due = timers.new() -- parked tasks with a deadline
local resumed -- the task that was resumed last of those that have not yielded again
local new, queue = { first = 1, last = 0 }, { first = 1, last = 0 }
local started = 0 -- when new tasks had their chance last
local open = 0 -- changes to what tasks stand in that have begun and not ended

--- The engine of this Lua state. A child of fork() gets one of its own.
function loop.engine()
  if not engine or engine:is_closed() then engine = core.engine() end
  return engine
end

--- The task in which the caller may yield, or nil when it has to block.
local function current()
  local task = resumed
  if task and task.thread == coroutine_running() and is_yieldable() then return task end
end

loop.current = current

--- The task within which the caller runs, be it in a coroutine of the program's own; or nil.
function loop.running()
  return resumed
end

-- ── queues ──────────────────────────────────────────────────────────────────────────────────────

local function push(list, task)
  local last = list.last + 1
  list.last, list[last] = last, task
end

-- The first one, or nil.
local function pop(list)
  local first = list.first
  local task = list[first]
  if task then
    list[first], list.first = nil, first + 1
  end
  return task
end

-- Drops what is over at the head.
local function is_empty(list)
  while list.first <= list.last and list[list.first].state do
    pop(list)
  end
  return list.first > list.last
end

--- A task of `group`, with the metatable `class`, that starts in the next round. `start` is its
--- function, or that and its arguments as `table.pack` has them.
function loop.new_task(class, group, start)
  -- At most eight fields: a table of the next size holds sixteen. Rarer ones (owner, timer_index,
  -- joiners, observed, ...) come when they are needed.
  local task = setmetatable({
    start = start, -- false when it has started
    thread = false, -- its coroutine, while it runs
    parked = false, -- for what: a transfer, or true
    reason = false, -- why its wait ends early
    -- Those of group.lua:
    group = group,
    state = false, -- "done" or "failed"
    value = false, -- packed results, or the error
  }, class)
  push(new, task)
  return task
end

-- ── waits ───────────────────────────────────────────────────────────────────────────────────────

-- Takes a task out of everything that could wake it.
local function unpark(task)
  waiting[task.parked], task.parked = nil, false
  if task.timer_index then due:remove(task) end
  task.owner = nil
end

--- Lets a parked task continue; its wait returns true, or nil and `reason`. No effect on others.
local function wake(task, reason)
  if task.parked then
    open = open + 1
    unpark(task)
    task.reason = reason or false
    push(queue, task)
    open = open - 1
  end
end

loop.wake = wake

-- Parks the running task. Returns true, or nil and why the wait ended otherwise.
local function park(task, transfer, deadline, owner)
  if not task.reason then -- else it was cancelled before
    open = open + 1
    task.parked = transfer or true
    if transfer then waiting[transfer] = task end
    if deadline then due:add(task, deadline) end
    if owner then task.owner = owner end
    open = open - 1
    yield(PARKED)
  end
  local reason = task.reason
  if not reason then return true end
  task.reason = false
  return nil, reason
end

--- Parks the running task until `loop.wake`. Returns as `loop.await`.
loop.park = park

--- Lets a task continue that is parked for `transfer`: one that was closed is never ready.
function loop.release(transfer)
  local task = waiting[transfer]
  if task then wake(task) end
end

-- One step of the engine, for a caller that blocks: tasks continue in the next round. Returns true
-- when the caller's own transfer became ready in it: nothing else will say so.
local function serve(timeout, own)
  local is_own_ready = false
  for _ = 1, engine:step(timeout) do
    local transfer = engine:ready()
    loop.release(transfer)
    is_own_ready = is_own_ready or transfer == own
  end
  return is_own_ready
end

--- Waits until `transfer` is ready. Returns true, or nil and "deadline" or "cancelled".
--- `deadline` is a time on the monotonic clock, or nil or false.
function loop.await(transfer, deadline)
  local task = current()
  if task then return park(task, transfer, deadline) end
  while true do
    -- What has arrived by the deadline counts, though it was not polled before.
    local left = deadline and math.max(0, deadline - monotonic()) or nil
    if engine:wait(transfer, left) or serve(0, transfer) then return true end
    if left == 0 then return nil, "deadline" end
  end
end

--- Sleeps until `deadline`. With an `owner` (a session) the sleep ends when that is closed.
--- Returns true, or nil and "cancelled".
function loop.sleep_until(deadline, owner)
  local task = current()
  if task then
    repeat
      local _, reason = park(task, nil, deadline, owner)
      if reason == CANCELLED then return nil, CANCELLED end
    until reason or monotonic() >= deadline
    return true
  end
  loop.engine()
  while not (owner and owner.is_closed) do
    local left = deadline - monotonic()
    if left <= 0 then return true end
    serve(left)
  end
  return nil, CANCELLED
end

--- Ends the sleeps of the tasks in `owner`'s calls with "cancelled".
function loop.wake_sleepers(owner)
  local sleepers = {}
  for _, task in ipairs(due) do
    if task.owner == owner then sleepers[#sleepers + 1] = task end
  end
  for _, task in ipairs(sleepers) do
    wake(task, CANCELLED)
  end
end

--- Ends the wait of `task` with "cancelled"; one that is not waiting now meets it at its next wait.
function loop.cancel(task)
  task.cancellations = (task.cancellations or 0) + 1
  wake(task)
  task.reason = CANCELLED
end

--- How often the running task was cancelled, so that a function that waits by its own means can
--- be distinguished from one that failed by itself.
function loop.cancellations()
  return resumed and resumed.cancellations or 0
end

local function settled(cancellations, ok, ...)
  if ok then return true, ... end
  local err = ...
  local was_cancelled = loop.cancellations() > cancellations
  if was_cancelled and type(err) == "table" and err.kind == CANCELLED then return false end
  error(err, 0)
end

--- Calls `fn(...)`, a function of the program's that may wait. Returns true and what it returned,
--- or false when it raised since the running task was cancelled. Its own errors propagate.
function loop.call(fn, ...)
  if not resumed then return true, fn(...) end
  return settled(loop.cancellations(), pcall(fn, ...))
end

--- Forgets a task that is closed from outside: its state keeps it from running.
function loop.forget(task)
  unpark(task)
  task.start, task.state = false, "failed"
end

--- Calls `change(...)`, which changes what tasks stand in: see `loop.is_torn`.
function loop.change(change, ...)
  open = open + 1
  local result = change(...)
  open = open - 1
  return result
end

--- True when an error has hit in the midst of a change: nothing that tasks stand in is certain.
function loop.is_torn()
  return open > 0
end

-- ── rounds ──────────────────────────────────────────────────────────────────────────────────────

-- Returns as `pcall` does.
local function call(task)
  local start = task.start
  task.start = false
  if type(start) == "table" then return pcall(unpack(start, 1, start.n)) end
  return pcall(start)
end

-- What the coroutine of a task does. One for each: programs keep things by their coroutine.
local function work(task)
  task.group.finish(task, call(task))
end

-- Lets `task` run until its next wait.
local function run(task)
  local before, thread, first = resumed, task.thread, nil
  if not thread then
    thread, first = create(work), task
    task.thread = thread
  end
  resumed = task
  local ok, state = resume(thread, first)
  resumed = before
  if open > 0 then
    error(not ok and state or task.state == "failed" and task.value or loop.ALL_ENDED, 0)
  elseif state == PARKED or task.state then
    return
  elseif ok then
    push(queue, task) -- a bare yield of the program's own: let the others run first
  else
    task.group.finish(task, false, state) -- the program has closed its coroutine
  end
end

-- Starts new tasks, as many as there are places, and all as long as no transfer waits for its turn:
-- those that wait for one need no coroutine yet. There are as many places as transfers were ready,
-- so that tasks that poll again and again do not starve new ones; and some after a while.
local function start_new(ready)
  local places, last, now = ready, new.last, monotonic()
  if ready > 0 or engine:queued() == 0 then
    started = now
  elseif now - started >= PATIENCE then
    started, places = now, AT_ONCE
  end
  while new.first <= last and (places > 0 or engine:queued() == 0) do
    local task = pop(new)
    if not task then break end -- they were ended in a round within this one
    if not task.state then
      places = places - 1
      run(task)
    end
  end
end

-- Seconds until a task can continue without any transfer, or nil.
local function own_timeout()
  if not is_empty(queue) then return 0 end
  local earliest = due:earliest()
  local left = earliest and math.max(0, earliest.due - monotonic())
  if is_empty(new) then return left end
  local is_busy = engine and engine:queued() > 0
  local patience = is_busy and math.max(0, started + PATIENCE - monotonic()) or 0
  return math.min(patience, left or patience)
end

--- Seconds until a task is due without anything happening outside, or nil.
function loop.timeout()
  local left = math.min(own_timeout() or math.huge, loop.engine():timeout() or math.huge)
  return left < math.huge and left or nil
end

--- True when nothing that this module knows of can ever wake a parked task.
function loop.is_stuck()
  return not own_timeout() and not (engine and (engine:active() > 0 or engine:timeout() == 0))
end

--- One round: waits at most `timeout` seconds (nil: until something happens) for a transfer that is
--- ready or a due time, then lets every task continue that can, once; those that can by then wait
--- for the next round, so that the network is served.
function loop.round(timeout)
  local left = own_timeout()
  if left then timeout = math.min(timeout or math.huge, left) end
  local ready = loop.engine():step(timeout)
  for _ = 1, ready do
    local task = waiting[engine:ready()]
    if task then
      unpark(task)
      run(task)
    end
  end
  local earliest, now = due:earliest(), monotonic()
  while earliest and earliest.due <= now do
    wake(earliest, "deadline")
    earliest = due:earliest()
  end
  if new.first <= new.last then start_new(ready) end
  local last = queue.last
  while queue.first <= last do
    local task = pop(queue)
    if not task then break end -- they were ended in a round within this one
    if not task.state then run(task) end
  end
end

--- Makes all that tasks stand in anew: an error may have left any of it. `close` ends the tasks.
function loop.start_anew(close)
  open, resumed = 1, nil -- until it is done: memory may not suffice for that
  new, queue = { first = 1, last = 0 }, { first = 1, last = 0 }
  due, waiting = timers.new(), {}
  close()
  open = 0
end

return loop
