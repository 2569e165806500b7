-- What a call carried in secrets, which is kept out of all texts about it.

local secrets = {}

local LEAST_CREDENTIAL = 8 -- bytes of a part of Authorization that is kept out of texts

--- The parts of a value of Authorization after its scheme: a token, or parameters.
function secrets.credentials_in(value)
  local parts = {}
  for part in (value:match "^%s*%S+%s+(.*)" or value):gmatch '[^%s,"]+' do
    if #part >= LEAST_CREDENTIAL or not parts[1] then
      parts[#parts + 1] = part
    end
  end
  return parts
end

return secrets
