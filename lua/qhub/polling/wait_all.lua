-- `client:wait_all`: waits for many executions at the cost of a few requests. Three rules:
--
-- 1. While more than one is pending, a poll is one request for the list of executions.
-- 2. An execution that two lists in a row do not name is requested by itself.
-- 3. When the list is refused, or fails twice in a row, each is requested by itself, a few at once
--    (parallel.lua), and for a minute no list is.
--
-- An item of the list is merged into what is known: it may be sparser than a status, and older, so
-- a terminal status stays. What is fatal to one is fatal to all: a program learns of it now and not
-- hours later, and what was seen stays in the executions, so that another call can wait for the
-- others.

local execution_class = require "qhub.execution"
local log = require "qhub.http.log"
local loop = require "qhub.tasks.loop"
local null = require("qhub.core").json.null
local parallel = require "qhub.tasks.parallel"
local progress = require "qhub.progress"
local schedules = require "qhub.polling.schedule"
local text = require "qhub.error.text"
local usage_error = require("qhub.error").usage
local wait = require "qhub.polling.wait"

local wait_all = {}

local WHERE = "wait_all"
local MISSES = 2
-- So many single requests that fail in a row end a poll: the gateway fails, not the run.
local FAILURES_IN_A_ROW = 3
local SECONDS_WITHOUT_LIST = 60

local no_list_until = setmetatable({}, { __mode = "k" }) -- client -> a time, after rule 3

-- Known status -> whether it is terminal.
local IS_FINAL = {}
for _, status in ipairs(execution_class.STATUSES) do
  IS_FINAL[status] = execution_class.is_terminal(status)
end

-- ── what is waited for ──────────────────────────────────────────────────────────────────────────

-- An entry for each object of `executions`, in their order, and the entries by id; those of one id
-- are chained by `twin`.
local function entries_of(client, executions)
  local entries, by_id, is_taken = {}, {}, {}
  for index = 1, #executions do
    local execution = executions[index]
    if not execution_class.is(execution) then
      usage_error("%s: item %d is %s, not an execution", WHERE, index, text.value(execution))
    elseif execution_class.owner(execution) ~= client then
      usage_error("%s: item %d is an execution of another client", WHERE, index)
    end
    local raw = execution.raw
    local id, status = raw.id, raw.status
    if type(id) ~= "string" or id == "" then -- rare: a number, another spelling, or none
      id = execution.id or usage_error("%s: the gateway gave item %d no id", WHERE, index)
    end
    if not is_taken[execution] then
      is_taken[execution] = true
      local entry = {
        execution = execution,
        id = id,
        twin = by_id[id],
        status = status ~= null and status or nil, -- that was seen last
        list = 0, -- the number of the last one that named it, 0 for none
        notified = nil, -- status
      }
      by_id[id] = entry
      entries[#entries + 1] = entry
    end
  end
  return entries, by_id
end

-- Merges the items of list number `number` into what is known, in place. It makes few calls: lists
-- are long. Between its first item and its end only the status and the start of an execution
-- change. Of items with the same id the first counts; one without a status does not help.
local function merge(by_id, list, number)
  for index = 1, #list do
    local item = list[index]
    local id, status = item.id, item.status
    local has_status = IS_FINAL[status] ~= nil or type(status) == "string"
    local entry = has_status and id ~= nil and (by_id[id] or by_id[tostring(id)])
    while entry and entry.list ~= number do
      local raw = entry.execution.raw -- another task may have replaced it
      local is_open = not IS_FINAL[raw.status] -- an end stays: the item may be older
      if is_open and (IS_FINAL[status] or entry.list == 0) then
        for name, value in next, item do
          if value ~= null then raw[name] = value end
        end
      elseif is_open then
        raw.status = status
        local start = item.startedAt and "startedAt" or "started_at"
        if item[start] and item[start] ~= null then raw[start] = item[start] end
      end
      entry.status, entry.list = raw.status, number
      entry = entry.twin
    end
  end
end

-- Notifies the program of the first status and of each change of `entries`.
local function notify(state, entries)
  local counts, options = state.counts, state.schedule.options
  local on_status, on_progress = options.on_status, not state.is_drawn and options.progress
  for index = 1, #entries do
    local entry = entries[index]
    local status, before = entry.status, entry.notified
    if status ~= before and status ~= nil then
      entry.notified = status
      counts[status] = (counts[status] or 0) + 1
      if before then counts[before] = counts[before] - 1 end
      if on_status then on_status(entry.execution) end
      if on_progress then on_progress(entry.execution) end
    end
  end
  local failed = counts.FAILED or 0
  state.ended = (counts.SUCCEEDED or 0) + (counts.CANCELLED or 0) + failed
  state.reporter:update(state.ended, #state.entries, failed, counts.RUNNING or 0)
end

-- ── one poll ────────────────────────────────────────────────────────────────────────────────────

local function is_throttled(err)
  return err.status_code == 429 or err.retry_after ~= nil
end

-- True when `err` of the list is one that single requests may do without.
local function is_refused(state, err)
  if schedules.is_transient(err) then
    return state.schedule.failures > 0 and not is_throttled(err)
  end
  -- The decoder's: a list may outgrow max_response_bytes.
  return err.kind == "decode" or err.kind == "api" and err.status_code ~= 401
end

-- Requests the list. Returns the entries that have to be requested singly, or nil and an error.
local function poll_list(state, pending)
  local client = state.client
  local list, err = client.session.plain_list(state.schedule:request())
  if not list then
    if not is_refused(state, err) then return nil, err end
    local message = "wait_all: the list cannot be used, each execution is requested by itself: "
    log.event(client.session.log, "warn", "list", { error = message .. err.message })
    no_list_until[client] = loop.now() + SECONDS_WITHOUT_LIST
    return pending
  end
  local number = state.lists + 1
  state.lists = number
  merge(state.by_id, list, number)
  notify(state, pending)
  local singly = {}
  for index = 1, #pending do
    local entry = pending[index]
    if number - entry.list >= MISSES then singly[#singly + 1] = entry end
  end
  return singly
end

-- Requests the status of each of `entries`, as long as it makes sense. Returns nil, or the error
-- that ended it.
local function poll_singly(state, entries)
  local client, schedule = state.client, state.schedule
  local most, failures, failure = math.min(FAILURES_IN_A_ROW, #entries), 0, nil
  local function is_over()
    return failure ~= nil or schedule:is_over() or client.session.is_closed
  end
  local ok = parallel.each(entries, function(entry)
    local execution = entry.execution
    if is_over() then return true end
    local latest, err = wait.look(client, execution, schedule)
    if is_over() then return true end -- which may have ended this request
    if latest then
      entry.status, failures = execution.status, 0
      notify(state, { entry })
    elseif err then
      failures = failures + 1
      if failures >= most or is_throttled(err) or not schedules.is_transient(err) then
        err.execution, failure = execution, err
      end
    end
    return failure ~= nil
  end)
  return failure or not ok and schedule:ended "cancelled" or nil
end

-- Returns nil, or an error.
local function poll(state)
  local pending, err = {}, nil
  for index = 1, #state.pending do
    local entry = state.pending[index]
    if not IS_FINAL[entry.status] then pending[#pending + 1] = entry end
  end
  state.pending = pending
  local singly = pending
  if #pending > 1 and loop.now() >= (no_list_until[state.client] or 0) then
    singly, err = poll_list(state, pending)
  end
  return err or singly[1] and poll_singly(state, singly)
end

-- ── all ─────────────────────────────────────────────────────────────────────────────────────────

-- What errors are about (see `Schedule:about`), and the executions that have not ended, be it by
-- the doing of other tasks.
local function about(entries)
  local pending = {}
  for _, entry in ipairs(entries) do
    entry.status = entry.execution.status
    if not IS_FINAL[entry.status] then pending[#pending + 1] = entry.execution end
  end
  local first = pending[1] or entries[1].execution
  local form = "%d of %d executions are not finished, the first of them, %s,"
  return first, form:format(#pending, #entries, schedules.describe(first)), pending
end

--- Polls until all of `executions` (of `client`) are terminal; returns that list, or nil and an
--- error with `pending` (the executions that are not) and `execution` (the one that failed, else
--- the first pending).
function wait_all.wait_all(client, executions, given)
  local schedule = schedules.new(client, WHERE, given)
  if type(executions) ~= "table" or (#executions == 0 and next(executions) ~= nil) then
    usage_error("%s: a list of executions is needed, got %s", WHERE, text.value(executions))
  end
  local entries, by_id = entries_of(client, executions)
  function schedule.about()
    return about(entries)
  end
  local is_drawn = schedule.options.progress == progress.display
  local reporter <close> = progress.start(is_drawn and progress.display or nil, "batch", "")
  local state = {
    client = client,
    schedule = schedule,
    entries = entries,
    pending = entries, -- that had not ended at the last poll
    ended = 0, -- of them
    by_id = by_id,
    lists = 0, -- that were had
    counts = {}, -- of entries, by the status that was notified
    is_drawn = is_drawn,
    reporter = reporter,
  }
  notify(state, entries)
  local ok, err = schedule:poll_until(function()
    return state.ended == #entries
  end, function()
    return poll(state)
  end)
  if not ok then
    local _, _, pending = about(entries)
    err.pending = pending
    if pending[1] then return nil, err end
  end
  notify(state, entries)
  reporter:finish(true)
  return executions
end

return wait_all
