-- Waiting: the one place where this library blocks or yields.
-- Outside a task a wait is a loop over the engine's non-blocking step; inside a task it parks the
-- task and yields to the scheduler, which runs the same step for all. A coroutine that this module
-- did not make is never yielded: it blocks. So does a task below a C call that cannot be yielded
-- across (a metamethod or a `table.sort` comparison called from C).
--
-- Between two rounds a task is in one place: in the queue (it continues in the next round), parked
-- (for a transfer, a due time, a gate, or a wake-up by hand), waiting to begin (newcomers.lua), or
-- ended. Its coroutine is made when it begins. An error that leaves `round` (Ctrl-C, no memory)
-- leaves the queue as it happens to be: tasks/init.lua closes all tasks then, and `reset` makes the
-- queue usable again.
--
-- Knows nothing of HTTP. An `owner` is any table or userdata with a field `is_closed`; its end ends
-- waits that name it.

local core = require "qhub.core"
local newcomers = require "qhub.tasks.newcomers"
local timers = require "qhub.tasks.timers"

local monotonic, coroutine_running = core.system.monotonic, coroutine.running
local yield, resume, unpack = coroutine.yield, coroutine.resume, table.unpack

local loop = {}

local engine -- made at the first wait: `require` acquires nothing
local task_of = setmetatable({}, { __mode = "k" }) -- coroutine -> task
local waiting = setmetatable({}, { __mode = "k" }) -- transfer -> the task parked for it
local due = timers.new() -- parked tasks with a deadline
local owned = setmetatable({}, { __mode = "k" }) -- owner -> set of the tasks parked in its calls
local first, last -- queue of the tasks that can continue, by their field `next`
local resumed -- the task that was resumed last of those that have not yielded again
local turns = 0 -- how often a task was put into the queue
local OVER = "over" -- as the `reason` of a task: it never runs again

loop.now = monotonic

--- The engine of this Lua state. A child of fork() gets one of its own.
function loop.engine()
  if not engine or engine:is_closed() then engine = core.engine() end
  return engine
end

--- The task in which the caller may yield, or nil when it has to block.
function loop.current()
  local task = task_of[coroutine_running()]
  return task and coroutine.isyieldable() and task or nil
end

--- The task in whose coroutine the caller runs, whether it may yield there or not; or nil.
function loop.running()
  return task_of[coroutine_running()]
end

--- The task within which the caller runs, be it in a coroutine of the program's own that the task
--- resumed; or nil.
function loop.enclosing()
  local running = loop.running()
  if running or select(2, coroutine_running()) then return running end
  return resumed and coroutine.status(resumed.thread) == "normal" and resumed or nil
end

--- A task that will run `fn(...)`, of `group`; `enqueue` lets it begin in the next round. Rarer
--- fields (owner, gate, ticket, cancelled, ...) come when needed.
function loop.new_task(group, fn, ...)
  return {
    start = select("#", ...) == 0 and fn or table.pack(fn, ...), -- false when it has begun
    thread = false,
    next = false, -- in the queue
    turn = 0,
    parked = false,
    transfer = false,
    reason = false,
    due = 0,
    timer_index = false,
    -- Those of tasks/init.lua:
    group = group,
    before = false,
    after = false,
    joiners = false,
    outcome = false, -- "done" or "failed"
    value = false, -- packed results, or the error
    observed = false,
  }
end

--- Lets a task that is neither parked nor in the queue continue in the next round.
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

loop.enqueue = enqueue

local function dequeue()
  local task = first
  first = task.next or nil
  last = first and last -- holds no task that is not in the queue
  task.next = false
  return task
end

-- Takes a task out of everything that could wake it.
local function unpark(task)
  task.parked = false
  if task.transfer then
    waiting[task.transfer], task.transfer = nil, false
  end
  if task.timer_index then due:remove(task) end
  if task.owner then
    owned[task.owner][task], task.owner = nil, nil
  end
  if task.ticket then
    task.gate[task.ticket], task.gate, task.ticket = nil, nil, nil
    newcomers.standing = newcomers.standing - 1
  end
end

--- Lets a parked task continue; its wait returns true, or nil and `reason`. No effect on others.
local function wake(task, reason)
  if task.parked then
    unpark(task)
    task.reason = reason or false
    enqueue(task)
  end
end

loop.wake = wake

-- Parks the running task, in the line of `gate` if there is one. Returns true, or nil and why the
-- wait ended otherwise.
local function park(task, transfer, deadline, owner, gate)
  if task.cancelled then
    task.cancelled = nil
    return nil, "cancelled"
  end
  if transfer then
    waiting[transfer] = task
    task.transfer = transfer
  end
  if owner then
    owned[owner] = owned[owner] or {}
    owned[owner][task] = true
    task.owner = owner
  end
  if deadline then due:add(task, deadline) end
  if gate then
    local ticket = gate.tail + 1
    gate.tail, gate[ticket] = ticket, task
    task.gate, task.ticket = gate, ticket
    newcomers.standing = newcomers.standing + 1
  end
  task.parked, task.reason = true, false
  yield()
  if task.cancelled then
    task.cancelled = nil
    return nil, "cancelled"
  end
  task.was_cancelled = nil
  if task.reason then return nil, task.reason end
  return true
end

-- One step of the engine: tasks are woken whose transfers are ready. Returns true when `mine` (a
-- transfer that is waited for without yielding) is.
local function pump(timeout, mine)
  local is_mine_ready = false
  for _ = 1, engine:step(timeout) do
    local transfer = engine:ready()
    if not transfer then
      break -- the others were collected
    elseif transfer == mine then
      is_mine_ready = true
    else
      local task = waiting[transfer]
      if task then wake(task) end
    end
  end
  return is_mine_ready
end

--- Waits until `transfer` is ready. Returns true, or nil and "deadline" or "cancelled".
--- `deadline` is a time on the monotonic clock, or nil or false.
function loop.await(transfer, deadline)
  local task = loop.current()
  if task then return park(task, transfer, deadline) end
  while true do
    local left = deadline and deadline - monotonic()
    -- What has arrived by the deadline counts, though it was not polled before.
    if engine:wait(transfer, left and math.max(0, left) or nil) or pump(0, transfer) then
      return true -- the latter is for other transfers that became ready
    elseif left and left <= 0 then
      return nil, "deadline"
    end
  end
end

--- Lets a task continue that is parked for `transfer`, which was closed and is never ready again.
function loop.release(transfer)
  local task = waiting[transfer]
  if task then wake(task) end
end

--- Sleeps until `deadline`. With an `owner` (a session) the sleep ends when that is closed.
--- Returns true, or nil and "cancelled".
function loop.sleep_until(deadline, owner)
  local task = loop.current()
  if task then
    repeat
      local ok, reason = park(task, nil, deadline, owner)
      if not ok and reason == "cancelled" then return nil, reason end
    until reason == "deadline" or monotonic() >= deadline
    return true
  end
  loop.engine()
  while not (owner and owner.is_closed) do
    local left = deadline - monotonic()
    if left <= 0 then return true end
    pump(left)
  end
  return nil, "cancelled"
end

--- Ends the waits of the tasks in `owner`'s calls with "cancelled".
function loop.wake_sleepers(owner)
  local tasks = owned[owner]
  if tasks then
    owned[owner] = nil
    for task in pairs(tasks) do
      task.owner = nil
      wake(task, "cancelled")
    end
  end
end

--- Ends the wait of `task` with "cancelled"; one that is not waiting now meets it at its next wait.
function loop.cancel(task)
  task.cancelled, task.was_cancelled = true, true -- the latter until its next wait
  task.cancellations = (task.cancellations or 0) + 1
  wake(task)
end

--- How often the running task was cancelled, so that a function that waits by its own means can
--- be distinguished from one that failed by itself.
function loop.cancellations()
  local task = task_of[coroutine_running()]
  return task and task.cancellations or 0
end

--- Parks the running task until `loop.wake`, or, in the line of a `gate`, `loop.let_in`. The wait
--- ends with `owner`, too. Returns as `loop.await`.
function loop.park(task, deadline, owner, gate)
  return park(task, nil, deadline, owner, gate)
end

--- Lets a task in that stands in line. Its field `gate` says that it is within until it runs, which
--- is in this round: all it does is start a transfer.
function loop.let_in(task)
  task.ticket = nil
  newcomers.standing, newcomers.passed = newcomers.standing - 1, newcomers.passed + 1
  wake(task)
  task.turn = 0
end

--- Forgets a task that is closed from outside, or has ended. Needs no memory.
function loop.forget(task)
  local gate = task.gate
  local is_within = gate and not task.ticket
  unpark(task)
  task.start, task.reason, task.gate = false, OVER, nil
  if is_within then gate:leave() end
end

local function after_resume(task, before, ok, ...)
  resumed = before
  local thread = task.thread
  if not ok or coroutine.status(thread) == "dead" then
    if not ok then
      coroutine.close(thread) -- an error alone leaves to-be-closed variables as they are
    end
    task_of[thread] = nil
    task.group.on_end(task, ok, ...)
  elseif not task.parked then
    enqueue(task) -- a bare yield of the program's own: let the others run first
  end
end

-- Lets `task` run until its next wait. Its coroutine is made when it begins.
local function run(task)
  local before, start = resumed, task.start
  resumed = task
  if start then
    local packed = type(start) == "table" and start or { start, n = 1 }
    task.start, task.thread = false, coroutine.create(packed[1])
    task_of[task.thread] = task
    after_resume(task, before, resume(task.thread, unpack(packed, 2, packed.n)))
  else
    after_resume(task, before, resume(task.thread))
  end
end

-- Seconds until a task can continue without any transfer, or nil.
local function own_timeout()
  if first then return 0 end
  local left, earliest = newcomers.timeout(), due:earliest()
  if earliest then left = math.min(left or math.huge, math.max(0, earliest.due - monotonic())) end
  return left
end

--- Seconds until a task is due without anything happening outside, or nil.
function loop.timeout()
  while first and first.reason == OVER do
    dequeue()
  end
  local left, of_engine = own_timeout(), engine and engine:timeout() or nil
  if left and left < math.huge then return math.min(left, of_engine or math.huge) end
  return of_engine
end

--- True when nothing that this module knows of can ever wake a parked task.
function loop.is_stuck()
  return not own_timeout() and not (engine and (engine:active() > 0 or engine:timeout() == 0))
end

--- One round: waits at most `timeout` seconds (nil: until something happens) for a transfer that is
--- ready or a due time, then lets every task continue that can, once. An error that leaves it ends
--- all tasks: see the head.
function loop.round(timeout)
  loop.engine()
  local left = own_timeout()
  pump(left and math.min(timeout or math.huge, left) or timeout)
  local earliest = due:earliest()
  if earliest then
    local now = monotonic()
    while earliest and earliest.due <= now do
      wake(earliest, "deadline")
      earliest = due:earliest()
    end
  end
  -- Tasks that become runnable in this round wait for the next round, so that the network is
  -- served.
  local latest = turns
  while first and first.turn <= latest do
    local task = dequeue()
    if task.start and newcomers.must_wait() then
      newcomers.add(task)
    elseif task.reason ~= OVER then
      run(task)
    end
  end
  newcomers.count()
  for task in newcomers.take do
    if task.reason ~= OVER then run(task) end
  end
end

--- Empties the queue, when all tasks have been removed.
function loop.reset()
  first, last = nil, nil
  newcomers.reset()
end

return loop
