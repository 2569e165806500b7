-- The source of tokens over the program's function: a usable token for one attempt, or why not.
--
-- Knows nothing of how tokens are had; see client_credentials.lua for a function that does.

local loop = require "qhub.tasks.loop"
local options = require "qhub.options"
local program = require "qhub.tasks.program"

-- A usable token, or nil and why not (a text that never holds the token).
local function checked(value, reason)
  if value == nil then
    local why = reason == nil and "" or ": " .. tostring(reason)
    return nil, "the token function returned no token" .. why
  end
  local fault = options.token_fault(value)
  if fault then return nil, "the token function's token " .. fault end
  return value
end

--- The source of tokens (see session.lua) over `fn`, whose own errors propagate.
local function source_over(fn)
  return function(session, rejected)
    local cancellations = loop.cancellations()
    local usable, reason
    local ok, value, why = program.call(fn, rejected)
    if ok then
      usable, reason = checked(value, why)
    end
    if not usable and (not ok or session.is_closed or loop.cancellations() > cancellations) then
      return nil
    end
    return usable, reason
  end
end

return { source_over = source_over }
