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
local loop = require "qhub.tasks.loop"
local usage_error = require("qhub.error").usage
local options = require "qhub.options"
local show = require "qhub.error.text"

local progress = {}

local STDERR = 2
local REDRAW_SECONDS = 0.1
local RATE_SECONDS = 3 -- what the shown rate is an average of, about
local DEFAULT_COLUMNS, LEAST_COLUMNS = 80, 10

-- ── the terminal ────────────────────────────────────────────────────────────────────────────────

local function environment(name)
  local value = core.system.getenv(name)
  return value ~= "" and value or nil
end

-- What stderr can do: nil when it is not a terminal, else plain (a line must not be rewritten),
-- colour (https://no-color.org) and utf8 (by the locale of the environment, POSIX 8.2).
local function terminal()
  if not core.system.isatty(STDERR) then return nil end
  local kind = environment "TERM"
  local locale = environment "LC_ALL" or environment "LC_CTYPE" or environment "LANG" or ""
  local plain = not kind or kind == "dumb"
  return {
    plain = plain,
    colour = not plain and not environment "NO_COLOR",
    utf8 = locale:lower():find "utf%-?8" ~= nil,
  }
end

local ERASE_LINE, RESET = "\r\27[K", "\27[0m"
local COLOURS = { green = "\27[32m", red = "\27[31m", yellow = "\27[33m", cyan = "\27[36m" }
local COLOUR_OF_STATUS = { SUCCEEDED = "green", FAILED = "red", CANCELLED = "yellow" }

-- ── reporters that draw ─────────────────────────────────────────────────────────────────────────

local Drawn = { __name = "qhub.progress.reporter" }
Drawn.__index = Drawn

local shown -- the reporter that has the line, if any
local shown_at = -math.huge -- when the line was drawn last

-- The text of `reporter` as one line for the terminal, without an end.
local function text_of(reporter)
  local screen = reporter.terminal
  local columns = math.max(core.system.columns(STDERR) or DEFAULT_COLUMNS, LEAST_COLUMNS)
  -- Not into the last column, where some terminals begin a new line.
  local write = line[reporter.kind]
  local before, accent, after = write(reporter, columns - 1, screen.utf8)
  if screen.colour and accent ~= "" then
    local colour = COLOUR_OF_STATUS[reporter.status] or "cyan"
    colour = (reporter.failed or 0) > 0 and "red" or colour
    accent = COLOURS[colour] .. accent .. RESET
  end
  return before .. accent .. after
end

-- Redraws the line of `reporter`, when the last drawing is long enough ago.
local function redraw(reporter, now)
  shown = reporter
  if not reporter.terminal.plain and now - shown_at >= REDRAW_SECONDS then
    shown_at = now
    reporter.elapsed = now - reporter.started
    core.system.write(STDERR, ERASE_LINE .. text_of(reporter))
  end
end

-- The rate is an average that forgets: old speeds count for less the longer they are past.
local function measure(reporter, now)
  local span = now - reporter.measured_at
  if span < REDRAW_SECONDS then return end
  local rate = (reporter.received - reporter.measured) / span
  local weight = reporter.rate and 1 - math.exp(-span / RATE_SECONDS) or 1
  reporter.rate = math.max(0, (reporter.rate or 0) + weight * (rate - (reporter.rate or 0)))
  reporter.measured, reporter.measured_at = reporter.received, now
end

--- For a file: bytes received so far, and the size or nil. For a wait: the execution. For many
--- ("batch", "map"): how many are done, of how many, how many failed, how many run or nil.
function Drawn:update(first, size, failed, running)
  if self.ended then return end
  local now = loop.now()
  self.elapsed = now - self.started
  if self.kind == "file" then
    self.received, self.size = first, size
    if self.begun then
      measure(self, now)
    else
      self.first_received, self.measured, self.measured_at = first, first, now
    end
  elseif self.kind ~= "wait" then
    self.done, self.total, self.running = first, size, running
    self.failed = failed
  else
    local status = show.line(tostring(first.status or "UNKNOWN"), 40)
    local is_news = status ~= self.status
    self.status = status
    self.name = type(first.id) == "string" and first.id or "execution"
    if is_news and self.terminal.plain then core.system.write(STDERR, text_of(self) .. "\n") end
  end
  self.begun = true
  redraw(self, now)
end

--- Redraws the elapsed time, for a wait in which nothing happens.
function Drawn:tick()
  local now = loop.now()
  if self == shown and not self.ended then redraw(self, now) end
end

--- Ends the reporter: with `ok` its last state stays as a line, else nothing does. Idempotent.
function Drawn:finish(ok)
  if self.ended then return end
  self.ended = true
  if not self.begun then return end
  local now = loop.now()
  self.elapsed = now - self.started
  local plain = self.terminal.plain
  local last = ""
  -- On a plain terminal the last status of a wait stands there already.
  if ok and not (plain and self.kind == "wait") then
    if self.kind == "file" and self.elapsed > 0 then
      self.rate = (self.received - self.first_received) / self.elapsed
    end
    last = text_of(self) .. "\n"
  end
  if last ~= "" or self == shown then
    core.system.write(STDERR, (plain and "" or ERASE_LINE) .. last)
    shown, shown_at = nil, -math.huge
  end
end

function Drawn:__close()
  self:finish(false)
end

local function new_drawn(kind, name, screen)
  return setmetatable({
    kind = kind,
    name = type(name) == "string" and name or "",
    terminal = screen,
    started = loop.now(),
    elapsed = 0,
    received = 0,
    status = "UNKNOWN",
    begun = false,
    ended = false,
  }, Drawn)
end

-- ── reporters that draw nothing ─────────────────────────────────────────────────────────────────

local function nothing() end

local SILENT = setmetatable({ update = nothing, finish = nothing }, { __close = nothing })

local Called = { __name = "qhub.progress.reporter", finish = nothing, __close = nothing }
Called.__index = Called

function Called:update(...)
  self.fn(...)
end

-- ── the public value ────────────────────────────────────────────────────────────────────────────

local Display = { __name = "qhub.progress" }
local called = {} -- kind -> the reporter of direct calls

--- Called as the functions that may stand in its place, so that a program's own function can pass
--- on its arguments: `qhub.progress(received, size)` or `qhub.progress(execution)`.
function Display.__call(_, first, size)
  local kind = math.type(first) and "file" or executions.is(first) and "wait"
  if not kind then
    usage_error("progress: bytes received or an execution is needed, got %s", show.value(first))
  end
  local last = called[kind]
  if last and kind == "file" and first < last.received then
    called[kind] = nil -- another transfer; the last one ended without the last word
    last:finish(false)
  end
  local screen = not called[kind] and terminal()
  if screen then called[kind] = new_drawn(kind, "", screen) end
  local reporter = called[kind]
  if not reporter then return end
  reporter:update(first, size)
  local done = kind == "wait" and first:is_terminal() or kind == "file" and first == size
  if done then
    called[kind] = nil
    reporter:finish(true)
  end
end

function Display.__tostring()
  return Display.__name
end

--- What `qhub.progress` is. Its `reporter(kind, name)` begins to report for callers below this
--- module; see `start`.
progress.display = setmetatable({}, Display)
Display.__index = {
  reporter = function(kind, name)
    return progress.start(progress.display, kind, name)
  end,
}

--- Checker of the option (see options/init.lua).
progress.check = options.check.callable

--- Begins to report. `option` is the program's checked option (nil for none), `kind` is "file",
--- "wait", "batch" or "map", `name` that of the file. Returns a reporter, to be held in a
--- to-be-closed variable:
---   `update(received, size)` or `update(execution)`: what happened; errors of the program's
---     function propagate from here.
---   `finish(ok)`: the end, with ok as whether it was reached; closing does it with false.
---   `tick()`: nil, or a function to be called about once a second while nothing happens.
function progress.start(option, kind, name)
  if option == nil then
    return SILENT
  elseif option ~= progress.display then
    return setmetatable({ fn = option }, Called)
  end
  local screen = terminal()
  return screen and new_drawn(kind, name, screen) or SILENT
end

return progress
