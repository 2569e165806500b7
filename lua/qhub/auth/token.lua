-- The source of tokens over the program's function: a usable token for one attempt, or why not.
--
-- Knows nothing of how tokens are had; see client_credentials.lua for a function that does.

local loop = require "qhub.tasks.loop"
local options = require "qhub.options"

-- Why `value` is no usable token, a text that never holds it; or nil. `reason` is the program's.
local function fault_of(value, reason)
  if value == nil then
    return "the token function returned no token"
      .. (reason == nil and "" or ": " .. tostring(reason))
  end
  local fault = options.token_fault(value)
  return fault and "the token function's token " .. fault
end

--- The source of tokens (see session.lua) over `fn`, whose own errors propagate.
local function source_over(fn)
  return function(session, rejected)
    local cancellations = loop.cancellations()
    local ok, value, reason = loop.call(fn, rejected)
    local fault = ok and fault_of(value, reason)
    if ok and not fault then return value end
    if not fault or session.is_closed or loop.cancellations() > cancellations then
      return nil, session:closed_failure()
    end
    return nil, { kind = "token", message = fault, not_attempted = true }
  end
end

return { source_over = source_over }
