-- Waiting: the one place where this library blocks or yields.
--
-- Outside a task a wait is a loop over the engine's non-blocking step; inside a task it parks the
-- task and yields to the scheduler, which runs the same step for all. A coroutine that this module
-- did not make is never yielded: it blocks. So does a task below a C call that cannot be yielded
-- across (a metamethod or a `table.sort` comparison called from C).
--
-- Between two rounds every task is in exactly one place: in `runnable` (it goes on in this round),
-- parked (for a transfer, a due time, or a wake-up by hand), or done. Ctrl-C works because the
-- engine's step returns when a signal arrives and the interpreter's hook then runs in these loops.
--
-- Memory may give out anywhere. So what moves a task from one place to another needs none: the
-- queue runs through the tasks themselves, and the fields that are set there are all in a task from
-- its beginning (`loop.new_task`), false rather than nil, so that they keep their place in it.

local core = require "qhub.core"
local timers = require "qhub.tasks.timers"

local monotonic = core.system.monotonic
local coroutine_running, isyieldable = coroutine.running, coroutine.isyieldable
local yield, resume = coroutine.yield, coroutine.resume

local loop = {}

local engine -- made at the first wait: `require` acquires nothing
local task_of = setmetatable({}, { __mode = "k" }) -- coroutine -> task
local waiting = setmetatable({}, { __mode = "k" }) -- transfer -> the task parked for it
local due = timers.new() -- parked tasks with a deadline
local owned = setmetatable({}, { __mode = "k" }) -- client -> set of the tasks asleep in its calls
local first, last -- queue of the tasks that can go on, by their field `next`; no first: no last
local resumed -- the task that was resumed last of those that have not yielded again
local taken = false -- the task that was taken out of the queue last, until it has been resumed
local turns = 0 -- how often a task was put into it

loop.now = monotonic

--- The engine of this Lua state.
function loop.engine()
  if not engine then
    engine = core.engine()
  end
  return engine
end

--- The task in which the caller may yield, or nil when it has to block.
function loop.current()
  local thread, is_main = coroutine_running()
  if is_main then
    return nil
  end
  local task = task_of[thread]
  if task and isyieldable() then
    return task
  end
end

--- The task in whose coroutine the caller runs, whether it may yield there or not; or nil.
function loop.running()
  return task_of[coroutine_running()]
end

--- The task within which the caller runs, be it in a coroutine of the program's own that the task
--- resumed; or nil.
function loop.enclosing()
  local running = loop.running()
  if running or select(2, coroutine_running()) then
    return running
  end
  return resumed and coroutine.status(resumed.thread) == "normal" and resumed or nil
end

--- A task that will run `fn(...)`. For what the fields at the end mean see `tasks.lua`, which fills
--- them in; those of this module are private. All are there at once: a table grows at a price.
function loop.new_task(fn, ...)
  return {
    thread = coroutine.create(fn),
    arguments = table.pack(...),
    parked = false,
    transfer = false,
    owner = false,
    reason = false,
    cancelled = false,
    cancellations = 0,
    was_cancelled = false, -- and has not waited since
    begun = false,
    forgotten = false,
    due = 0,
    timer_index = false,
    next = false,
    turn = 0,
    group = false,
    on_end = false,
    joiners = false,
    claims = false,
    joined = false,
    record = false,
    sentinel = false,
    is_root = false,
    done = false,
    failed = false,
    error = false,
    results = false,
  }
end

local function enqueue(task)
  turns = turns + 1
  task.turn, task.next = turns, false
  if first then
    last.next = task
  else
    first = task
  end
  last = task
end

local function dequeue()
  local task = first
  taken = task -- Ctrl-C may come at any instruction
  first = task.next or nil
  last = first and last -- holds no task that is not in the queue
  task.next = false
  return task
end

-- Takes a task out of everything that could wake it.
local function unpark(task)
  task.parked = false
  if task.transfer then
    waiting[task.transfer] = nil
    task.transfer = false
  end
  due:remove(task)
  if task.owner then
    owned[task.owner][task] = nil
    task.owner = false
  end
end

--- Lets a parked task go on; its wait returns true, or nil and `reason`. No effect on others.
function loop.wake(task, reason)
  if task.parked then
    unpark(task)
    task.reason = reason or false
    enqueue(task)
  end
end

-- Parks the running task. Returns true, or nil and why the wait ended otherwise.
local function park(task, transfer, deadline, owner)
  if task.cancelled then
    task.cancelled = false
    return nil, "cancelled"
  end
  unpark(task) -- of a wait that memory did not suffice for, something may be left
  if transfer then
    waiting[transfer] = task
    task.transfer = transfer
  end
  if owner then
    owned[owner] = owned[owner] or {}
    owned[owner][task] = true
    task.owner = owner
  end
  if deadline then
    due:add(task, deadline)
  end
  task.parked, task.reason = true, false
  yield()
  if task.cancelled then
    task.cancelled = false
    return nil, "cancelled"
  end
  task.was_cancelled = false
  if task.reason then
    return nil, task.reason
  end
  return true
end

-- One step of the engine: news is handed to the tasks that are parked for it. Returns true when
-- `mine` (a transfer that is waited for without yielding) had news.
local function pump(timeout, mine)
  local mine_has_news = false
  for _ = 1, engine:step(timeout) do
    local transfer = engine:ready()
    if not transfer then
      break -- the others were collected
    elseif transfer == mine then
      mine_has_news = true
    else
      local task = waiting[transfer]
      if task then
        loop.wake(task)
      end
    end
  end
  return mine_has_news
end

--- Waits until `transfer` has news. Returns true, or nil and "deadline" or "cancelled".
--- `deadline` is a time on the monotonic clock, or nil or false.
function loop.await(transfer, deadline)
  local task = loop.current()
  if task then
    return park(task, transfer, deadline)
  end
  while true do
    local left = deadline and deadline - monotonic()
    -- What has come by the deadline counts, though nobody looked for it before.
    if pump(left and math.max(0, left) or nil, transfer) then
      return true
    elseif left and left <= 0 then
      return nil, "deadline"
    end
  end
end

--- Lets a task go on that is parked for `transfer`, which was closed and will have no news.
function loop.release(transfer)
  local task = waiting[transfer]
  if task then
    loop.wake(task)
  end
end

--- Sleeps until `deadline`. With an `owner` (a session) the sleep ends when that is closed.
--- Returns true, or nil and "cancelled".
function loop.sleep_until(deadline, owner)
  local task = loop.current()
  if task then
    repeat
      local ok, reason = park(task, nil, deadline, owner)
      if not ok and reason == "cancelled" then
        return nil, reason
      end
    until reason == "deadline" or monotonic() >= deadline
    return true
  end
  loop.engine()
  while not (owner and owner.is_closed) do
    local left = deadline - monotonic()
    if left <= 0 then
      return true
    end
    pump(left)
  end
  return nil, "cancelled"
end

--- Ends the sleeps of the tasks in `owner`'s calls.
function loop.wake_sleepers(owner)
  local tasks = owned[owner]
  if tasks then
    owned[owner] = nil
    for task in pairs(tasks) do
      task.owner = false
      loop.wake(task, "cancelled")
    end
  end
end

--- Ends the wait of `task` with "cancelled"; one that is not waiting now meets it at its next wait.
function loop.cancel(task)
  task.cancelled, task.was_cancelled = true, true
  task.cancellations = task.cancellations + 1
  loop.wake(task)
end

--- How often the running task was cancelled, so that a function which waits by means of its own can
--- be told from one that failed by itself.
function loop.cancellations()
  local task = task_of[coroutine_running()]
  return task and task.cancellations or 0
end

--- Parks the running task until `loop.wake`; for waits on other tasks. Returns as `loop.await`.
function loop.park(task, deadline)
  return park(task, nil, deadline)
end

--- Makes `task` known to the loop, which needs memory; `loop.start` lets it start in the next
--- round, which needs none. `task.on_end(task, ok, ...)` is called with what `coroutine.resume`
--- gave.
function loop.adopt(task)
  task_of[task.thread] = task
end

loop.start = enqueue

--- Forgets a task that is being closed from outside.
function loop.forget(task)
  unpark(task)
  task.forgotten = true
end

local function after_resume(task, before, ok, ...)
  resumed, task.arguments = before, nil
  if taken == task then
    taken = false
  end
  if not ok or coroutine.status(task.thread) == "dead" then
    if not ok then
      coroutine.close(task.thread) -- an error alone leaves to-be-closed variables as they are
    end
    task_of[task.thread] = nil
    unpark(task)
    task.forgotten = true
    task.on_end(task, ok, ...)
  elseif not task.parked then
    enqueue(task) -- a bare yield of the program's own: let the others run first
  end
end

-- Puts a task back that an interrupt or a lack of memory kept from going on, or from ending.
local function recover()
  local task = taken
  taken = false
  if not task.forgotten and not task.parked and task ~= first then
    local state = coroutine.status(task.thread)
    if state == "suspended" then
      enqueue(task)
    elseif state == "dead" then
      after_resume(task, resumed, false, "interrupted")
    end
  end
end

--- Seconds until a task is due without anything happening outside, or nil.
function loop.timeout()
  while first and first.forgotten do
    dequeue()
    taken = false
  end
  if first or taken then
    return 0
  end
  local left = engine and engine:timeout()
  local earliest = due:earliest()
  if earliest and earliest.due < math.huge then
    left = math.min(left or math.huge, math.max(0, earliest.due - monotonic()))
  end
  return left
end

--- True when nothing that this module knows of can ever wake a parked task.
function loop.is_stuck()
  return not first
    and not taken
    and not due:earliest()
    and not (engine and (engine:active() > 0 or engine:timeout() == 0))
end

--- One round: waits at most `timeout` seconds (nil: until something happens) for news or a due
--- time, then lets every task that can go on do so, once.
function loop.round(timeout)
  loop.engine()
  if taken then
    recover()
  end
  local earliest = due:earliest()
  if first then
    timeout = 0
  elseif earliest then
    timeout = math.min(timeout or math.huge, math.max(0, earliest.due - monotonic()))
  end
  pump(timeout)
  earliest = due:earliest()
  if earliest then
    local now = monotonic()
    while earliest and earliest.due <= now do
      loop.wake(earliest, "deadline")
      due:remove(earliest) -- also one that is not parked, for lack of memory
      earliest = due:earliest()
    end
  end
  -- Tasks that become runnable meanwhile wait for the next round, so that the network is served.
  local latest = turns
  while first and first.turn <= latest do
    local task = dequeue()
    if task.forgotten then
      taken = false
    else
      local before = resumed
      resumed = task
      local arguments = task.arguments
      if arguments then
        task.begun = true
        after_resume(task, before, resume(task.thread, table.unpack(arguments, 1, arguments.n)))
      else
        after_resume(task, before, resume(task.thread))
      end
    end
  end
end

return loop
