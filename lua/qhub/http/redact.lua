-- What a call carried in secrets, which is kept out of all texts about it.

local secrets = {}

local LEAST_CREDENTIAL = 8 -- bytes of a part of Authorization that is kept out of texts
local MOST_REMEMBERED = 8

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

--- Notes `secret` (as `secrets.of` gives it) among the latest of `client`, in `client.secrets_`,
--- for texts that a later call brings.
function secrets.note(client, secret)
  local latest = client.secrets_
  if type(secret) ~= "string" then
    for _, one in ipairs(secret or {}) do
      secrets.note(client, one)
    end
  elseif not latest then
    client.secrets_ = { secret }
  elseif latest[1] ~= secret then
    table.insert(latest, 1, secret)
    latest[MOST_REMEMBERED + 1] = nil
  end
end

return secrets
