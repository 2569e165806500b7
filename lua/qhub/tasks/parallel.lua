-- The same work for each item of a list, several at once.
--
-- In a task it uses worker tasks of the task's own group. The workers only work: their results are
-- taken in the calling task, where the program's own functions belong. Knows nothing of what the
-- work is.

local check = require("qhub.options").check
local errors = require "qhub.error"
local loop = require "qhub.tasks.loop"
local options = require "qhub.options"
local show = require "qhub.error.text"
local tasks = require "qhub.tasks"
local usage_error = require("qhub.error").usage

local parallel = {}

local AT_ONCE = 16 -- of `each`
local DEFAULT_LIMIT = 32 -- of `map`

local function one_after_the_other(items, work, take, is_over)
  for _, item in ipairs(items) do
    if is_over() or take(item, work(item)) then break end
  end
  return true
end

local function any_alive(workers)
  for _, worker in ipairs(workers) do
    if not worker.state then return true end
  end
  return false
end

-- Left early, for any reason, it cancels the workers. When the calling task is cancelled, running
-- items end by that, and their results are still taken.
local function at_once(items, work, take, is_over, limit)
  local me = loop.current()
  local brought, next_index, is_left, is_cancelled = {}, 1, false, false
  local function carry()
    while next_index <= #items and not is_left and not is_over() do
      local item = items[next_index]
      next_index = next_index + 1
      local answer = table.pack(pcall(work, item))
      answer.item = item
      brought[#brought + 1] = answer
      loop.wake(me)
    end
  end
  local function leave(list)
    is_left = true
    for _, worker in ipairs(list) do
      worker:cancel()
    end
  end
  local workers <close> = setmetatable({}, {
    __close = function(list)
      for _, worker in ipairs(list) do
        worker.joiners = false
      end
      me = {} -- wakes nobody
      leave(list)
    end,
  })
  for index = 1, math.min(limit, #items) do
    local worker = tasks.spawn(carry)
    worker.observed = true
    worker.joiners = { me } -- its end wakes this task
    workers[index] = worker
  end
  while any_alive(workers) or brought[1] do
    if not brought[1] and not loop.park(me) then
      is_cancelled = true
      leave(workers)
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
    if worker.state == "failed" then error(worker.value, 0) end
  end
  if is_cancelled then return nil, "cancelled" end
  return true
end

--- Calls `take(item, ...)` with what `work(item)` returned, for each of `items`; in no particular
--- order when several run at once. `take` is called in the caller and ends the whole by returning
--- true; with `is_over()` no further item is begun. Errors of all three propagate.
--- Returns true, or nil and "cancelled" when the calling task was. In the main program it takes a
--- `tasks.run`, but only while no other task could run, for that would run the program's tasks
--- uninvited. There, and in a coroutine of the program's, whose token or transport function may
--- yield to whoever resumes that coroutine, items are worked on one after the other.
function parallel.each(items, work, take, is_over)
  if #items > 1 then
    if loop.current() then
      return at_once(items, work, take, is_over, AT_ONCE)
    elseif select(2, coroutine.running()) and loop.is_stuck() then
      return tasks.run(at_once, items, work, take, is_over, AT_ONCE)
    end
  end
  return one_after_the_other(items, work, take, is_over)
end

local checkers = { limit = check.integer(1, math.maxinteger), progress = check.callable }

-- Notifies the program's `progress`: `qhub.progress`, which has a reporter for it, or its function.
local function reporter_of(progress)
  if type(progress) == "table" and progress.reporter then return progress.reporter("map", "") end
  return setmetatable({
    update = function(_, done, total, failed)
      if progress then progress(done, total, failed) end
    end,
    finish = function() end,
  }, { __close = function() end })
end

local function never()
  return false
end

--- Calls `fn(item, index)` for each item of `list`, at most `limit` at once. Returns the first
--- values by index, and a table of errors by index (of those that returned nil and an error, or
--- raised), or nil when there is none. An error ends nothing but its own item. When the calling
--- task is cancelled, the items under way end with what that makes of them, and those that had not
--- begun with an error of kind "cancelled". `progress(done, total, failed)` is called at each end.
function parallel.map(list, fn, given)
  if type(list) ~= "table" then
    usage_error("tasks.map: a list is needed, got %s", show.value(list))
  end
  local o = options.checked(given, checkers, "tasks.map")
  local results, failures, done, failed, total = {}, nil, 0, 0, #list
  local reporter <close> = reporter_of(o.progress)
  local function fail(index, err)
    failures = failures or {}
    failures[index] = err == nil and "nil" or err
    failed = failed + 1
  end
  local indices, is_done = {}, {}
  for index = 1, total do
    indices[index] = index
  end
  local function work(index)
    return pcall(fn, list[index], index)
  end
  local function take(index, ok, value, err)
    is_done[index] = true
    done = done + 1
    if not ok then
      fail(index, value)
    else
      results[index] = value
      if value == nil and err ~= nil then fail(index, err) end
    end
    reporter:update(done, total, failed)
  end
  local limit = o.limit or DEFAULT_LIMIT
  local ok
  if loop.current() then
    ok = at_once(indices, work, take, never, limit)
  else
    ok = tasks.run(at_once, indices, work, take, never, limit)
  end
  if not ok then
    local message = "tasks.map: the task was cancelled before this item began"
    for index = 1, total do
      if not is_done[index] then
        fail(index, errors.new { kind = "cancelled", message = message })
      end
    end
  end
  reporter:finish(true)
  return results, failures
end

return parallel
