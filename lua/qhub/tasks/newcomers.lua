-- Tasks that have not begun while others wait in the queue of a gate, which they would only join.
--
-- What a task needs is made when it begins, so that many that wait cost little. As many begin in a
-- round of the loop as were admitted since the last one, so that those that poll repeatedly do not
-- starve them; and some when none was admitted for a while, since their work may have nothing to do
-- with gates. When no task waits in a queue, all begin.

local monotonic = require("qhub.core").system.monotonic

local PATIENCE, AT_ONCE = 0.005, 64 -- so many begin when nobody was let in for so many seconds

-- Counted by loop.lua: the tasks in lines, and those let in since the last round.
local newcomers = { standing = 0, passed = 0 }

local first, last -- in order of arrival, by their field `next`
local allowed, latest = 0, 0 -- how many may begin in this round; when some were allowed last

--- Whether a task that has not begun is to wait.
function newcomers.must_wait()
  return first ~= nil or newcomers.standing > 0
end

--- Lets `task`, which is in no queue, wait after the others.
function newcomers.add(task)
  if first then
    last.next = task
  else
    first, latest = task, monotonic()
  end
  last = task
end

--- Seconds until some may begin in any case, or nil when none waits.
function newcomers.timeout()
  if not first then return nil end
  return newcomers.standing > 0 and math.max(0, latest + PATIENCE - monotonic()) or 0
end

--- Decides, once in a round, how many may begin.
function newcomers.count()
  allowed = newcomers.passed
  newcomers.passed = 0
  if not first then return end
  local now = monotonic()
  if allowed == 0 and now - latest >= PATIENCE then allowed = AT_ONCE end
  if allowed > 0 then latest = now end
end

--- Takes out the next one that may begin, or returns nil.
function newcomers.take()
  local task = first
  if not task or allowed == 0 and newcomers.standing > 0 then return nil end
  first, task.next = task.next or nil, false
  last = first and last
  allowed = math.max(0, allowed - 1)
  return task
end

--- Forgets all.
function newcomers.reset()
  first, last = nil, nil
end

return newcomers
