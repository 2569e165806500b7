-- `execution:follow_logs`: the entries of a growing log, each once.
--
-- The gateway hands out the whole log each time, so what is new has to be found by comparing it
-- with what was there at the last poll. Entries have no identity of their own: two lines that are
-- equal in timestamp, severity and message are two entries. The promise, strongest first:
--
-- * An entry is new when the log holds more like it than it did before, wherever it stands; new
--   ones come in the order of the log. So a log that grows at its end gives every entry exactly
--   once, one that also loses entries at its front does, too, a line that came late is not lost,
--   and one whose text was changed counts as another.
-- * A shorter response with nothing new in it (an old one from a cache, a moment of 404): nothing
--   happens; the entries that are missing from it are known when they come back. An empty one at
--   the end of a log that had entries is requested again, and raised when it stays empty.
--
-- It is impossible to distinguish a log that lost a line at its front and got an equal one at its
-- end from a log that stayed as it is, if its lines carry no time.

local core = require "qhub.core"
local errors = require "qhub.error"
local schedules = require "qhub.polling.schedule"
local wait = require "qhub.polling.wait"

local follow = {}

-- How often an empty log is requested again at the end of a run whose log had entries.
local MOST_EMPTY = 4

local WHERE = "follow_logs"

-- ── what is new ─────────────────────────────────────────────────────────────────────────────────

-- What JSON text cannot hold, such as NaN, is distinguished by the complaint about it.
local function part_of_key(value)
  if value == nil or type(value) == "string" then return value or "" end
  return select(2, pcall(core.json.encode, value))
end

local function key_of(entry)
  local timestamp, severity = part_of_key(entry.timestamp), part_of_key(entry.severity)
  return timestamp .. "\0" .. severity .. "\0" .. part_of_key(entry.message)
end

--- Which of `entries` are new, in order, when the log before held as many of each key as `known`
--- says; and what this one holds.
function follow.unseen(known, entries)
  local new, counts = {}, {}
  for _, entry in ipairs(entries) do
    local key = key_of(entry)
    local count = (counts[key] or 0) + 1
    counts[key] = count
    if count > (known[key] or 0) then new[#new + 1] = entry end
  end
  return new, counts
end

-- ── polling ─────────────────────────────────────────────────────────────────────────────────────

local Follower = {}
Follower.__index = Follower

-- Adds what is new in `entries` to the queue.
local function take(self, entries)
  local new, counts = follow.unseen(self.known, entries)
  table.move(new, 1, #new, self.last + 1, self.queue)
  if new[1] then
    self.last, self.known = self.last + #new, counts
  end
end

-- One poll: the status, then the log, so that what is read after the end is complete. Returns nil,
-- or an error.
local function poll(self)
  local client, execution, schedule = self.client, self.execution, self.schedule
  if not execution:is_terminal() then
    local _, err = wait.look(client, execution, schedule)
    if err then return err end
  end
  local is_last = execution:is_terminal()
  local entries, err = client:get_logs(execution.id, schedule:request())
  if entries and entries[1] then
    take(self, entries)
  elseif err and not schedules.is_missing(err) then -- 404: none yet
    return err
  elseif is_last and self.last > 0 then
    self.empty = self.empty + 1
    if self.empty <= MOST_EMPTY then return nil end
    local message = ("%s: the log had %d entries and is empty at the end"):format(WHERE, self.last)
    return err or errors.new { kind = "decode", message = message }
  end
  self.is_finished = is_last
end

-- The next entry, or nil at the end. Raises the error object, and again at every later call.
local function next_entry(self)
  if self.first > self.last and not self.err then
    local _, err = self.schedule:poll_until(function()
      return self.first <= self.last or self.is_finished or self.is_closed
    end, function()
      return poll(self)
    end)
    self.err = err
  end
  if self.is_closed then return nil end
  if self.err then error(self.err, 0) end
  local entry = self.queue[self.first]
  if entry ~= nil then
    self.queue[self.first] = nil
    self.first = self.first + 1
  end
  return entry
end

function Follower:__close()
  self.is_closed = true
end

--- The four values of a generic `for` over the log entries of `execution`; or nil and an error when
--- the first poll fails, after the retries of its calls. Later transient failures are ignored;
--- other failures, and the end of `timeout`, are raised.
function follow.logs(client, execution, given)
  local self = setmetatable({
    client = client,
    execution = execution,
    schedule = schedules.new(client, WHERE, given, schedules.following),
    known = {}, -- how many of each key the log held at the last poll that had something new
    queue = {}, -- entries first .. last are still to be handed out
    first = 1,
    last = 0,
    is_finished = false,
    empty = 0, -- polls at the end that found no entries, though there had been some
    is_closed = false,
    err = nil, -- that has ended it
  }, Follower)
  self.schedule.execution = execution
  self.schedule:next_poll() -- the first poll is due at once
  local err = poll(self)
  if err then return nil, self.schedule:failed(err) end
  return function()
    return next_entry(self)
  end, nil, nil, self
end

return follow
