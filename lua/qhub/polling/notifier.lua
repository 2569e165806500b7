-- Notifies the program of a wait: `on_status` at the first status and at each change, `progress`.
--
-- Errors of the program's functions propagate. Without these options it costs nothing.

local executions = require "qhub.execution"
local progress = require "qhub.progress"

local notifiers = {}

local Notifier = {}
Notifier.__index = Notifier

--- Notifies the program's `on_status` and `progress` (of the checked options `o`) of `execution`;
-- to be held in a to-be-closed variable.
function notifiers.new(o, execution)
  return setmetatable({
    execution = execution,
    on_status = o.on_status,
    reporter = progress.start(o.progress, "wait", execution.id),
  }, Notifier)
end

--- To be called after each poll: notifies `on_status` of the first status and of each change.
function Notifier:notify()
  local execution = self.execution
  local status = execution.status
  if status == nil or self.is_done then return end
  if status ~= self.notified then
    self.notified = status
    if self.on_status then self.on_status(execution) end
  end
  self.reporter:update(execution)
  if executions.is_terminal(status) then
    self.is_done = true
    self.reporter:finish(true)
  end
end

--- Ends the report; one that is not complete leaves nothing on a terminal.
function Notifier:close()
  self.reporter:finish(false)
end
Notifier.__close = Notifier.close

local ManyNotifier = {}
ManyNotifier.__index = ManyNotifier

--- The same for the slots of `wait_all`, `total` in number: `qhub.progress` shows their counts.
function notifiers.of_many(o, total)
  return setmetatable({
    is_silent = o.on_status == nil and o.progress == nil,
    on_status = o.on_status or false,
    progress = o.progress ~= progress.display and o.progress or false,
    reporter = o.progress == progress.display and progress.start(o.progress, "batch", ""),
    total = total, -- slots
    counts = {}, -- by status
    last = {}, -- object -> the status that was notified last
  }, ManyNotifier)
end

--- To be called when the status of `slot` may have changed.
function ManyNotifier:notify(slot)
  for _, execution in ipairs(slot.objects or { slot.execution }) do
    local status, before = execution.status, self.last[execution]
    if status ~= nil and status ~= before then
      self.last[execution] = status
      if execution == slot.execution then
        local counts = self.counts
        counts[status] = (counts[status] or 0) + 1
        if before then counts[before] = counts[before] - 1 end
      end
      if self.on_status then self.on_status(execution) end
      if self.progress then self.progress(execution) end
    end
  end
end

--- Shows the counts again.
function ManyNotifier:flush()
  local reporter, counts = self.reporter, self.counts
  if reporter and next(counts) then
    local failed = (counts.FAILED or 0) + (counts.CANCELLED or 0)
    reporter:update(
      (counts.SUCCEEDED or 0) + failed,
      self.total,
      counts.FAILED or 0,
      counts.RUNNING or 0
    )
  end
end

function ManyNotifier:finish(ok)
  if self.reporter then self.reporter:finish(ok) end
end

function ManyNotifier:__close()
  self:finish(false)
end

return notifiers
