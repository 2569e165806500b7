-- The same work for each item of a list, several at once: by worker tasks, each of which takes one
-- item after the other. Knows nothing of what the work is.

local check = require("qhub.options").check
local errors = require "qhub.error"
local groups = require "qhub.tasks.group"
local loop = require "qhub.tasks.loop"
local options = require "qhub.options"
local progress = require "qhub.progress"
local tasks = require "qhub.tasks"
local text = require "qhub.error.text"

local parallel = {}

local AT_ONCE = 16 -- of `each`
local DEFAULT_LIMIT = 32 -- of `map`

-- Calls `work(index)` for each index up to `count`, at most `limit` at once, until one returns true
-- or raises. Then, or when it is left for any reason, what is under way is cancelled. Returns true,
-- or nil when the calling task was cancelled. Errors of `work` propagate.
local function at_once(count, limit, work)
  local next_index, failure, is_cancelled, workers = 1, nil, false, {}
  local function leave()
    next_index = count + 1
    for _, worker in ipairs(workers) do
      worker:cancel()
    end
  end
  local _ <close> = setmetatable({}, { __close = leave })
  local function carry()
    while next_index <= count do
      local index = next_index
      next_index = index + 1
      local ok, result = pcall(work, index)
      if not ok then failure = failure or { result } end
      if result or not ok then leave() end
    end
  end
  for index = 1, math.min(limit, count) do
    workers[index] = tasks.spawn(carry)
  end
  while not loop.call(tasks.gather, workers) do
    is_cancelled = true
    leave()
  end
  if failure then error(failure[1], 0) end
  return not is_cancelled or nil
end

local function in_tasks(count, limit, work)
  if loop.current() then return at_once(count, limit, work) end
  return tasks.run(at_once, count, limit, work)
end

--- Calls `work(item)` for each of `items`; in no particular order when several run at once. It ends
--- the whole by returning true. Its errors propagate. Returns true, or nil when the calling task
--- was cancelled.
--- In the main program it takes a `tasks.run`, but only while no other task could run, for that
--- would run the program's tasks uninvited. There, and in a coroutine of the program's, whose token
--- or transport function may yield to whoever resumes that coroutine, items are worked on one after
--- the other.
function parallel.each(items, work)
  local count = #items
  local function work_at(index)
    return work(items[index])
  end
  local is_alone = select(2, coroutine.running()) and loop.is_stuck()
  if count > 1 and (is_alone or loop.current()) then return in_tasks(count, AT_ONCE, work_at) end
  for index = 1, count do
    if work_at(index) then break end
  end
  return true
end

local checkers = { limit = check.integer(1, math.maxinteger), progress = progress.check }

--- Calls `fn(item, index)` for each item of `list`, at most `limit` at once. Returns the first
--- values by index, and a table of errors by index (of those that returned nil and an error, or
--- raised), or nil when there is none. An error ends nothing but its own item. When the calling
--- task is cancelled, the items under way end with what that makes of them, and those that had not
--- begun with an error of kind "cancelled". `progress(done, total, failed)` is called at each end.
function parallel.map(list, fn, given)
  if type(list) ~= "table" then
    errors.usage("tasks.map: a list is needed, got %s", text.value(list))
  end
  local o = options.checked(given, checkers, "tasks.map")
  local results, failures, is_done, done, failed, total = {}, {}, {}, 0, 0, #list
  local reporter <close> = progress.start(o.progress, "map", "")
  local function finish(index, value, err)
    results[index], failures[index], is_done[index] = value, err, true
    done, failed = done + 1, failed + (err == nil and 0 or 1)
  end
  local ok = in_tasks(total, o.limit or DEFAULT_LIMIT, function(index)
    finish(index, groups.first_of(pcall(fn, list[index], index)))
    reporter:update(done, total, failed)
  end)
  for index = 1, ok and 0 or total do
    if not is_done[index] then
      local message = "tasks.map: the task was cancelled before this item began"
      finish(index, nil, errors.new { kind = "cancelled", message = message })
    end
  end
  reporter:finish(true)
  return results, failed > 0 and failures or nil
end

return parallel
