-- `execution:follow_logs`: the entries of a growing log, each once.
--
-- The gateway hands out the whole log each time, so what is new has to be found by comparing it
-- with what was there at the last look. Entries have no identity of their own: two lines that are
-- equal in timestamp, severity and message are two entries. The promise, strongest first:
--
-- * A log that only grows at its end: every entry exactly once, in its order.
-- * A log that also loses entries at its front (a gateway that keeps the last so many): the same,
--   for all that were there at some look.
-- * A shorter answer with nothing new in it (an old one from a cache, a moment of 404): nothing
--   happens; the entries that are missing from it are known when they come back.
-- * A log that is rewritten or completed in the middle: an entry is new when the log holds more
--   like it than it did before, wherever it stands. So a line that came late is not lost, the
--   others are not repeated, and one whose text was changed counts as another.
--
-- Nobody can tell a log that lost a line at its front and got an equal one at its end from a log
-- that stayed as it is, if its lines carry no time.

local core = require "qhub.core"
local usage_error = require("qhub.error").usage
local polling = require "qhub.polling.wait"

local follow = {}

local WHERE = "follow_logs"

-- ── what is new ─────────────────────────────────────────────────────────────────────────────────

local function part_of_key(value)
  if value == nil or type(value) == "string" then
    return value or ""
  end
  return core.json.encode(value)
end

local function key_of(entry)
  local timestamp, severity = part_of_key(entry.timestamp), part_of_key(entry.severity)
  return timestamp .. "\0" .. severity .. "\0" .. part_of_key(entry.message)
end

local function is_prefix(list, of)
  if #list > #of then
    return false
  end
  for index = 1, #list do
    if list[index] ~= of[index] then
      return false
    end
  end
  return true
end

-- The length of the longest end of `old` that `new` begins with (Knuth, Morris, Pratt 1977: `new`
-- is the pattern, `old` the text).
local function overlap(old, new)
  local fallback, length = { 0 }, 0
  for index = 2, #new do
    while length > 0 and new[index] ~= new[length + 1] do
      length = fallback[length]
    end
    if new[index] == new[length + 1] then
      length = length + 1
    end
    fallback[index] = length
  end
  length = 0
  for index = 1, #old do
    if length == #new then
      length = fallback[length]
    end
    while length > 0 and old[index] ~= new[length + 1] do
      length = fallback[length]
    end
    if old[index] == new[length + 1] then
      length = length + 1
    end
  end
  return length
end

local function from(first, last)
  local places = {}
  for place = first, last do
    places[#places + 1] = place
  end
  return places
end

--- Which of `new` (a list of keys) are not in `old`, the list before: their places, in order.
function follow.unseen(old, new)
  if is_prefix(old, new) then
    return from(#old + 1, #new)
  elseif is_prefix(new, old) then
    return {}
  end
  -- A log that lost its front has most of the rest in common with what it was.
  local common = overlap(old, new)
  if 2 * common >= #new then
    return from(common + 1, #new)
  end
  local counts, places = {}, {}
  for _, key in ipairs(old) do
    counts[key] = (counts[key] or 0) + 1
  end
  for place, key in ipairs(new) do
    local count = counts[key] or 0
    if count > 0 then
      counts[key] = count - 1
    else
      places[#places + 1] = place
    end
  end
  return places
end

-- ── looking ─────────────────────────────────────────────────────────────────────────────────────

local Follower = {}
Follower.__index = Follower

-- Adds what is new in `entries` to the queue.
local function take(self, entries)
  local keys = {}
  for index, entry in ipairs(entries) do
    keys[index] = key_of(entry)
  end
  local places = follow.unseen(self.keys, keys)
  for _, place in ipairs(places) do
    self.last = self.last + 1
    self.queue[self.last] = entries[place]
  end
  if places[1] then
    self.keys = keys
  end
end

-- One look: at the status, and then at the log, so that what is read after the end is all of it.
-- Returns true, or nil and an error.
local function look(self)
  local client, execution, pace = self.client, self.execution, self.pace
  if not execution:is_terminal() then
    local latest, err = client:get_status(execution.id, pace:request())
    if latest then
      polling.absorb(execution, latest.raw)
      self.is_seen = true
    elseif
      not (self.is_known and not self.is_seen and polling.is_missing(err) and pace:is_early())
    then
      return nil, err
    end
  end
  local is_last = execution:is_terminal()
  local entries, err = client:get_logs(execution.id, pace:request())
  if entries then
    take(self, entries)
  elseif not polling.is_missing(err) then -- 404: none yet
    return nil, err
  end
  self.is_finished = is_last
  return true
end

-- Looks until there is something in the queue or the log has ended. Raises the error object.
local function fill(self)
  while self.first > self.last and not self.is_finished do
    local ok, reason = self.pace:rest()
    local err
    if not ok then
      err = self.pace:ended(reason, self.execution, polling.describe(self.execution))
    else
      ok, err = look(self)
      if self.pace:note(err) then
        err = nil
      end
    end
    if err then
      err.execution = self.execution
      self.err = err
      error(err, 0)
    end
  end
end

local Busy = {
  __close = function(self)
    self.follower.is_busy = false
  end,
}

local function next_entry(self)
  if self.first > self.last and not self.is_closed then
    if self.err then
      error(self.err, 0)
    elseif self.is_busy then
      usage_error("%s: another task waits for the next entry already", WHERE)
    end
    self.is_busy = true
    local _ <close> = setmetatable({ follower = self }, Busy)
    fill(self)
  end
  local entry = self.queue[self.first]
  if entry ~= nil then
    self.queue[self.first] = nil
    self.first = self.first + 1
  end
  return entry
end

function Follower:__close()
  self.is_closed = true
  self.queue = {}
end

--- The four values of a generic `for` over the log entries of `execution`; or nil and an error when
--- the first look fails, after the retries of its calls. Later trouble that may pass by itself is
--- ridden out; other trouble, and the end of `timeout`, is raised.
function follow.logs(client, execution, given)
  local o = polling.checked(given, WHERE, polling.following)
  local self = setmetatable({
    client = client,
    execution = execution,
    pace = polling.pace(client, o),
    keys = {}, -- of the log at the last look that brought something
    queue = {}, -- entries first .. last are still to be handed out
    first = 1,
    last = 0,
    is_known = execution.status ~= nil,
    is_seen = false,
    is_finished = false,
    is_closed = false,
    is_busy = false,
    err = nil,
  }, Follower)
  self.pace:rest() -- the first look is due at once
  local ok, err = look(self)
  if not ok then
    if polling.is_transient(err) and self.pace:is_over() then
      err = self.pace:ended("timeout", execution, polling.describe(execution), err)
    end
    err.execution = execution
    return nil, err
  end
  return function()
    return next_entry(self)
  end, nil, nil, self
end

return follow
