-- `client:wait_all`: waits for many executions at the cost of a few.
--
-- One poll is one request for the list of executions; those that the list does not name are
-- requested one by one, a few at once where that is possible (parallel.lua). When the list is not
-- available (refused, not a list, failing repeatedly, or naming none of these executions) all are
-- requested one by one, and the list is tried again only rarely.
--
-- An item of the list is merged into what is known: it may be sparser than a status, and older, so
-- a terminal status stays. Now and then one execution is requested by itself, so that a list that
-- stays out of date is detected.
--
-- What is fatal to one is fatal to all: a program learns of it now and not hours later, and what
-- was seen stays in the executions, so that another call can wait for the others.

local log = require "qhub.http.log"
local execution_class = require "qhub.execution"
local loop = require "qhub.tasks.loop"
local usage_error = require("qhub.error").usage
local notifiers = require "qhub.polling.notifier"
local schedules = require "qhub.polling.schedule"
local slots_module = require "qhub.polling.slots"
local parallel = require "qhub.tasks.parallel"
local show = require "qhub.error.text"

local wait_all = {}

-- Statuses that need no further check.
local KNOWN = {}
for _, status in ipairs(execution_class.STATUSES) do
  KNOWN[status] = true
end
local FINAL = { SUCCEEDED = true, FAILED = true, CANCELLED = true }

local WHERE = "wait_all"
-- Seconds until a list that was of no use is requested again: doubling, and at once the most after
-- a refusal.
local FIRST_PAUSE, LONGEST_PAUSE = 15, 300
-- A list that fails so often in a row for transient reasons is given up for the time being.
local LIST_FAILURES = 2
-- So many lists must miss an execution before it is requested by itself: a list may be behind a
-- start.
local MISSES = 2
-- Few executions in a very long list: a request for each is less work than the list.
local FEW, LONG = 4, 1000
-- Seconds between comparisons of the list with a status.
local PROBE_EVERY = 60
-- So many single requests that fail in a row end a poll: the gateway fails, not the run.
local FAILURES_IN_A_ROW = 3

-- ── slots: one for each id ──────────────────────────────────────────────────────────────────────

local function check(client, executions)
  if type(executions) ~= "table" then
    usage_error("%s: a list of executions is needed, got %s", WHERE, show.value(executions))
  elseif client.session.is_closed then
    usage_error("%s: the client is closed", WHERE)
  end
  for index = 1, #executions do
    local execution = executions[index]
    if not execution_class.is(execution) then
      usage_error("%s: item %d is %s, not an execution", WHERE, index, show.value(execution))
    elseif execution_class.owner(execution) ~= client then
      usage_error("%s: item %d is an execution of another client", WHERE, index)
    end
  end
end

-- Notifies of the first status and each change of the slots' objects.
local function notify_all(state, slots)
  local notifier = state.notifier
  if notifier.is_silent then return end
  for index = 1, #slots do
    local slot = slots[index]
    if slot.status ~= slot.notified or slot.objects then
      slot.notified = slot.status
      notifier:notify(slot)
    end
  end
  notifier:flush()
end

-- ── the list ────────────────────────────────────────────────────────────────────────────────────

local function wants_list(state, count)
  if loop.now() < math.max(state.no_list_until, state.client.session.no_list_until or 0) then
    return false
  end
  if state.only_list then return true end
  return count > 1 and not (count <= FEW and state.listed and state.listed > LONG * count)
end

local function pause_list(state)
  state.no_list_until = loop.now() + state.list_pause
  state.list_pause = math.min(2 * state.list_pause, LONGEST_PAUSE)
end

-- After a list that failed: true when the executions shall be requested singly, false when `err`
-- is transient or ends the wait.
local function does_without(state, err)
  if schedules.is_transient(err) then
    state.list_failures = state.list_failures + 1
    if err.status_code == 429 or err.retry_after or state.list_failures < LIST_FAILURES then
      return false
    end
    pause_list(state)
    return true
  elseif err.kind == "decode" or (err.kind == "api" and err.status_code ~= 401) then
    -- So it will be for the other waits of this client. A list may outgrow max_response_bytes.
    local message = "wait_all: the list cannot be used, each execution is requested by itself: "
    log.event(state.client.session.log, "warn", "list", { error = message .. err.message })
    state.client.session.no_list_until = loop.now() + LONGEST_PAUSE
    return true
  end
  return false
end

-- Adds to `singly` some that the list names as running, when it is time to compare.
local function add_probes(state, slots, singly)
  if loop.now() < state.probe_at then return end
  local count = 0
  for _, slot in ipairs(slots) do
    if count < state.probes and slot.misses == 0 and not FINAL[slot.execution.status] then
      count = count + 1
      slot.is_probe = true
      singly[#singly + 1] = slot
    end
  end
end

-- An end that the list did not show makes the next poll request twice as many singly.
local function compare(state, singly)
  local is_probed, is_behind = false, false
  for _, slot in ipairs(singly) do
    if slot.is_probe then
      slot.is_probe = nil
      is_probed = true
      is_behind = is_behind or FINAL[slot.execution.status]
    end
  end
  if is_behind then
    state.probes = 2 * state.probes
  elseif is_probed then
    state.probes, state.probe_at = 1, loop.now() + PROBE_EVERY
  end
end

-- Requests the list. Returns the slots that have to be requested singly, or nil and an error.
local function poll_list(state, slots)
  local list, err = state.client.session.plain_list(state.schedule:request())
  if not list then
    if does_without(state, err) then return slots end
    return nil, err
  end
  state.list_failures, state.listed = 0, #list
  local poll, found = state.schedule.poll, 0
  local named, items = {}, {}
  for index = 1, #list do
    local item = list[index]
    local id, status = item.id, item.status
    local slot = id ~= nil and (state.by_id[id] or state.by_id[tostring(id)])
    -- Of duplicates the first counts. An item without a status does not help.
    local has_status = status ~= nil and KNOWN[status] or type(status) == "string"
    if slot and slot.listed_at ~= poll and has_status then
      slot.listed_at, slot.misses, slot.is_listed = poll, 0, true
      found = found + 1
      named[found], items[found] = slot, item
    end
  end
  slots_module.absorb_items(named, items)
  local singly = {}
  for index = 1, #slots do
    local slot = slots[index]
    if slot.listed_at ~= poll then
      slot.misses, slot.is_listed = slot.misses + 1, false
      if slot.misses >= MISSES or not slot.is_known then singly[#singly + 1] = slot end
    end
  end
  if found > 0 then
    state.list_pause = FIRST_PAUSE
  elseif #singly == #slots then
    pause_list(state)
  end
  add_probes(state, slots, singly)
  return singly
end

-- ── one by one ──────────────────────────────────────────────────────────────────────────────────

-- Takes the result of a single request. Returns true when no more should be sent in this poll.
local function take(state, round, slot, latest, err)
  if latest then
    round.failures, round.is_answered = 0, true
    slots_module.absorb(slot, latest.raw)
    notify_all(state, { slot })
    return false
  elseif slot.is_listed and schedules.is_missing(err) then
    state.only_list, slot.is_listed = true, false -- until the list names it again
    return false
  elseif
    slot.is_known
    and not slot.is_seen
    and schedules.is_missing(err)
    and state.schedule:is_early()
  then
    return false
  end
  round.last_error, round.slot = err, slot
  round.is_fatal = not schedules.is_transient(err)
  round.failures = round.failures + 1
  return round.is_fatal
    or round.failures >= FAILURES_IN_A_ROW
    or err.status_code == 429
    or err.retry_after ~= nil
end

-- Those that the last poll did not reach come first.
local function in_turn(slots, poll)
  local first, later = {}, {}
  for _, slot in ipairs(slots) do
    table.insert(slot.asked_at == poll - 1 and later or first, slot)
  end
  table.move(later, 1, #later, #first + 1, first)
  return first
end

local function poll_singly(state, slots)
  local client, schedule = state.client, state.schedule
  local round = { failures = 0 }
  local ok = parallel.each(in_turn(slots, schedule.poll), function(slot)
    slot.asked_at = schedule.poll
    return client:get_status(slot.id, schedule:request())
  end, function(slot, latest, err)
    return take(state, round, slot, latest, err)
  end, function()
    return schedule:is_over() or client.session.is_closed
  end)
  round.is_cancelled = not ok
  return round
end

-- ── all ─────────────────────────────────────────────────────────────────────────────────────────

-- `err` as the error of the whole: with what is pending, and the execution that failed.
local function failed(state, err, slot)
  err.pending = {}
  for index, unfinished_slot in ipairs(slots_module.unfinished(state.slots, true)) do
    err.pending[index] = unfinished_slot.execution
  end
  err.execution = slot and slot.execution or err.pending[1]
  return err
end

local function ended(state, reason)
  local pending = slots_module.unfinished(state.slots, true)
  local first = pending[1].execution
  local form = "%d of %d executions are not finished, the first of them, %s,"
  local text = form:format(#pending, #state.slots, schedules.describe(first))
  return failed(state, state.schedule:ended(reason, first, text))
end

-- One poll of all that is unfinished. Returns true, or nil and the error that ends the wait.
local function poll_once(state, slots)
  local singly = slots
  if wants_list(state, #slots) then
    local err
    singly, err = poll_list(state, slots)
    notify_all(state, slots)
    if not singly then
      if state.schedule:take(err) then return true end
      return nil, failed(state, err)
    end
  end
  local round = singly[1] and poll_singly(state, singly) or {}
  if round.is_cancelled then
    return nil, ended(state, "cancelled")
  elseif round.is_fatal then
    return nil, failed(state, round.last_error, round.slot)
  end
  compare(state, singly)
  local last_error = round.last_error
  local is_bad = last_error and (last_error.retry_after or not round.is_answered)
  state.schedule:take(is_bad and last_error or nil)
  return true
end

--- Polls until all of `executions` (of `client`) are terminal; returns that list, or nil and an
-- error with `pending` (the executions that are not) and `execution` (the one that failed, else
-- the first pending).
function wait_all.wait_all(client, executions, given)
  local o = schedules.checked(given, WHERE)
  check(client, executions)
  local slots, by_id = slots_module.of(executions)
  local notifier <close> = notifiers.of_many(o, #slots)
  local state = { client = client, slots = slots, by_id = by_id, notifier = notifier }
  local pending = slots_module.unfinished(slots)
  notify_all(state, slots)
  if not pending[1] then
    notifier:finish(true)
    return executions
  end
  local schedule = schedules.new(client, o)
  state.schedule = schedule
  state.no_list_until = 0
  state.list_pause = FIRST_PAUSE
  state.list_failures = 0
  state.listed = nil -- items of the last list
  state.only_list = false -- a status was 404 for what the list names: request the list to the end
  state.probes = 1
  state.probe_at = schedule.started + PROBE_EVERY
  local reporter = notifier.reporter
  local tick = reporter and reporter.tick and function()
    reporter:tick()
  end
  repeat
    local is_due, reason = schedule:next_poll(tick)
    pending = slots_module.unfinished(pending, loop.current() or not notifier.is_silent)
    if pending[1] then
      local ok, err
      if is_due then
        ok, err = poll_once(state, pending)
      else
        err = ended(state, reason)
      end
      if not ok then return nil, err end
      pending = slots_module.unfinished(pending)
    end
  until not pending[1]
  notify_all(state, slots)
  notifier:finish(true)
  return executions
end

return wait_all
