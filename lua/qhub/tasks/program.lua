-- Calls of the program's own functions, which may wait: tokens and transports.

local errors = require "qhub.error"
local loop = require "qhub.tasks.loop"

local program = {}

local function settled(cancellations, ok, ...)
  if ok then return true, ... end
  local err = ...
  if loop.cancellations() > cancellations and errors.is_error(err) and err.kind == "cancelled" then
    return false
  end
  error(err, 0)
end

--- Calls `fn(...)`. Returns true and what it returned, or false when it raised since the running
--- task was cancelled. Its own errors propagate.
function program.call(fn, ...)
  if not loop.running() then return true, fn(...) end
  return settled(loop.cancellations(), pcall(fn, ...))
end

return program
