-- The token of one attempt: the client's string, or what the program's function gives.
--
-- Knows nothing of how tokens are had; see credentials.lua for functions that do.

local core = require "qhub.core"
local loop = require "qhub.tasks.loop"

local token = {}

-- A usable token, or nil and why not (a text that never holds the token).
local function checked(value, reason)
  if value == nil then
    if reason == nil then
      return nil, "the token function returned no token"
    end
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

--- A token for `session`, a fresh one when `rejected` was refused. Returns it; or nil and why there
--- is none; or nil alone when the call was cancelled meanwhile. The function's errors propagate.
function token.obtain(session, rejected)
  local source = session.token
  if type(source) == "string" then
    return source
  end
  local cancellations = loop.cancellations()
  local usable, reason
  local ok, value, why = loop.call(source, rejected)
  if ok then
    usable, reason = checked(value, why)
  end
  if not usable and (not ok or session.is_closed or loop.cancellations() > cancellations) then
    return nil
  end
  return usable, reason
end

return token
