-- The source of tokens over the program's function: a usable token for one attempt, or why not.
--
-- Knows nothing of how tokens are had; see client_credentials.lua for a function that does.

local core = require "qhub.core"
local loop = require "qhub.tasks.loop"
local program = require "qhub.tasks.program"

-- A usable token, or nil and why not (a text that never holds the token).
local function checked(value, reason)
  if value == nil then
    if reason == nil then return nil, "the token function returned no token" end
    return nil, "the token function returned no token: " .. tostring(reason)
  elseif type(value) ~= "string" then
    return nil, "the token function returned a " .. type(value) .. " instead of a string"
  elseif value == "" then
    return nil, "the token function returned an empty string"
  elseif core.text.has_control(value) then
    return nil, "the token function returned a token with control characters"
  elseif value:find "^ *[Bb][Ee][Aa][Rr][Ee][Rr] " then
    return nil, "the token function returned a token that begins with Bearer; leave the word out"
  end
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
