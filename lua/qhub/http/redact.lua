-- What a call carried in secrets, which is kept out of all texts about it.

local secrets = {}

local LEAST_CREDENTIAL = 8 -- bytes of a part of Authorization that is kept out of texts

-- The parts of a value of Authorization after its scheme: a token, or parameters.
local function credentials_in(value)
  local parts = {}
  for part in (value:match "^%s*%S+%s+(.*)" or value):gmatch '[^%s,"]+' do
    if #part >= LEAST_CREDENTIAL or not parts[1] then
      parts[#parts + 1] = part
    end
  end
  return parts
end

--- What the gateway got to know by a call (see call.lua) and may say back: the token (one, or a
--- list with the one that was rejected before it), or credentials that the program gave instead.
function secrets.of(plan, state)
  local own = not plan.authorize and plan.fields.authorization
  if own then
    return credentials_in(own)
  elseif state.rejected then
    return { state.token, state.rejected }
  end
  return state.token
end

return secrets
