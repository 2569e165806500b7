-- The `logging` option: which events reach the program's logger, and what is never in them.
--
-- Silent unless asked for. A disabled log is nil, so that a call that logs nothing pays nothing.

local core = require "qhub.core"
local options = require "qhub.options"
local redact = require "qhub.http.redact"
local text = require "qhub.error.text"

local log = {}

local RANK = { debug = 1, info = 2, warn = 3, error = 4 }

local checkers = {
  level = options.check.one_of("debug", "info", "warn", "error"),
  logger = options.check.callable,
  silent = options.check.boolean,
}

local function to_stderr(level, message, fields)
  local parts = {}
  for _, name in ipairs { "method", "url", "status", "attempt", "seconds", "delay", "error" } do
    local value = fields[name]
    if math.type(value) == "float" then value = ("%.3f"):format(value) end
    if value ~= nil then parts[#parts + 1] = name .. "=" .. tostring(value) end
  end
  local line = text.line(table.concat(parts, " "), 2000)
  core.system.write(2, ("qhub %-5s %s %s\n"):format(level, message, line))
end

--- A log for the checked or unchecked `logging` option `given`, or nil when it is silent.
--- Raises a usage error.
function log.new(given, where)
  if given == nil then return nil end
  local checked = options.checked(given, checkers, where)
  if checked.silent or (not checked.level and not checked.logger) then return nil end
  return { rank = RANK[checked.level or "info"], logger = checked.logger or to_stderr }
end

--- Passes the logger of `self` (a log, or false) one event. `secret` (see redact.lua) is blanked
--- wherever it shows in the fields. The logger's own errors propagate.
function log.event(self, level, message, fields, secret)
  if not self or RANK[level] < self.rank then return end
  for name, value in pairs(fields) do
    if name == "url" then
      fields.url = redact.url(value, secret)
    elseif name == "headers" then
      fields.headers = redact.headers(value, secret)
    elseif type(value) == "string" then
      fields[name] = redact.remote(value, secret, 1000)
    end
  end
  self.logger(level, message, fields)
end

return log
