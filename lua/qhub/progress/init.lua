-- The `progress` option: a function of the program's, or `qhub.progress`, which draws one line on
-- the terminal.
--
-- A transfer or wait calls `progress.start` once and notifies the reporter of what happened; it
-- knows neither terminals nor what the program gave. Drawing goes to stderr, and only where that is
-- a terminal. The terminal has one line for all transfers and waits of this Lua state: the one that
-- reports last has it; each leaves a line when it is complete.

local core = require "qhub.core"
local executions = require "qhub.execution"
local line = require "qhub.progress.line"
local usage_error = require("qhub.error").usage
local options = require "qhub.options"
local text = require "qhub.error.text"

local progress = {}

local STDERR = 2
local ERASE_LINE = "\r\27[K"
local REDRAW_SECONDS, IS_FREQUENT = 0.1, { file = true, map = true } -- of these kinds
local DEFAULT_COLUMNS, LEAST_COLUMNS = 80, 10

local function environment(name)
  local value = core.system.getenv(name)
  return value ~= "" and value or nil
end

-- ── reporters that draw ─────────────────────────────────────────────────────────────────────────

-- A reporter that draws is the state of its line (see line.lua), and: kind, started, ended, begun
-- (there is something to show), is_plain (a line must not be rewritten), is_utf8.
local Drawn = { __name = "qhub.progress.reporter" }
Drawn.__index = Drawn

local shown -- the reporter that has the line, if any
local shown_at = -math.huge -- when the line was drawn last

-- Draws the line of `reporter`, and `ending` after it.
local function draw(reporter, now, ending)
  reporter.elapsed = now - reporter.started
  if reporter.kind == "file" and reporter.elapsed > 0 then
    local got = reporter.received - reporter.first_received
    reporter.rate = got > 0 and got / reporter.elapsed or nil
  end
  local columns = math.max(core.system.columns(STDERR) or DEFAULT_COLUMNS, LEAST_COLUMNS)
  -- Not into the last column, where some terminals begin a new line.
  local drawn = line[reporter.kind](reporter, columns - 1, reporter.is_utf8)
  core.system.write(STDERR, (reporter.is_plain and "" or ERASE_LINE) .. drawn .. ending)
end

-- What the arguments of `update` are, by kind.
local ARGUMENTS = {
  file = { "received", "size" },
  wait = { "execution" },
  batch = { "done", "total", "failed", "running" },
  map = { "done", "total", "failed" },
}

--- For a file: bytes received so far, and the size or nil. For a wait: the execution. For many
--- ("batch", "map"): how many are done, of how many, how many failed, how many run or nil.
function Drawn:update(...)
  if self.ended then return end
  for index, name in ipairs(ARGUMENTS[self.kind]) do
    self[name] = select(index, ...)
  end
  self.first_received = self.first_received or self.received -- there from an earlier attempt
  self.begun, shown = true, self
  local now = core.system.monotonic()
  local is_due = not IS_FREQUENT[self.kind] or now - shown_at >= REDRAW_SECONDS
  if is_due and not self.is_plain then
    shown_at = now
    draw(self, now, "")
  end
end

--- Ends the reporter: with `ok` its last state stays as a line, else nothing does. Idempotent.
function Drawn:finish(ok)
  local was_begun = self.begun and not self.ended
  self.ended = true
  if not was_begun or not ok and self ~= shown then return end
  if ok then
    draw(self, core.system.monotonic(), "\n")
  elseif not self.is_plain then
    core.system.write(STDERR, ERASE_LINE)
  end
  shown, shown_at = nil, -math.huge
end

function Drawn:__close()
  self:finish(false)
end

-- ── reporters that draw nothing ─────────────────────────────────────────────────────────────────

local function nothing() end

local Called = { __name = "qhub.progress.reporter", finish = nothing, __close = nothing }
Called.__index = Called

function Called:update(...)
  self.fn(...)
end

local SILENT = setmetatable({ fn = nothing }, Called)

-- ── the public value ────────────────────────────────────────────────────────────────────────────

local Display = { __name = "qhub.progress" }

--- What `qhub.progress` is.
progress.display = setmetatable({}, Display)

--- Begins to report. `option` is the program's checked option (nil for none), `kind` is "file",
--- "wait", "batch" or "map", `name` that of the file or execution. Returns a reporter, to be held
--- in a to-be-closed variable:
---   `update(received, size)` or `update(execution)`: what happened; errors of the program's
---     function propagate from here.
---   `finish(ok)`: the end, with ok as whether it was reached; closing does it with false.
function progress.start(option, kind, name)
  local is_drawn = option == progress.display
  if option == nil or is_drawn and not core.system.isatty(STDERR) then return SILENT end
  if not is_drawn then return setmetatable({ fn = option }, Called) end
  local locale = environment "LC_ALL" or environment "LC_CTYPE" or environment "LANG" or ""
  return setmetatable({
    kind = kind,
    name = type(name) == "string" and name or "",
    started = core.system.monotonic(),
    begun = false,
    ended = false,
    is_plain = (environment "TERM" or "dumb") == "dumb",
    is_utf8 = locale:lower():find "utf%-?8" ~= nil, -- POSIX 8.2
  }, Drawn)
end

local called = {} -- kind -> the reporter of direct calls

--- Called as the functions that may stand in its place, so that a program's own function can pass
--- on its arguments: `qhub.progress(received, size)` or `qhub.progress(execution)`.
function Display.__call(_, first, size)
  local kind = math.type(first) and "file" or executions.is(first) and "wait"
  if not kind then
    usage_error("progress: bytes received or an execution is needed, got %s", text.value(first))
  end
  local name = kind == "wait" and first.id
  local reporter = called[kind] or progress.start(progress.display, kind, name)
  reporter:update(first, size)
  local is_complete = kind == "wait" and first:is_terminal() or kind == "file" and first == size
  if is_complete then reporter:finish(true) end
  called[kind] = not is_complete and reporter or nil
end

function Display.__tostring()
  return Display.__name
end

--- Checker of the option (see options/init.lua).
progress.check = options.check.callable

return progress
