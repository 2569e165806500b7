-- Bearer tokens: a fixed one, and those of the token endpoint.
--
-- Responsible for: who may come in, for how long, and the client credentials grant (RFC 6749, 4.4).
-- It must not know what the tokens protect.

local json = require "json"

local Tokens = {}
Tokens.__index = Tokens

-- `settings` has token, access_key_id, secret_access_key, expires_in (seconds).
local function new(clock, settings, random)
  return setmetatable({
    clock = clock,
    settings = settings,
    random = random,
    issued = {},
    counts = { requests = 0, granted = 0, refused = 0 },
    revoked = {},
  }, Tokens)
end

-- Whether a request's Authorization field lets it in; else false and the reason.
function Tokens:check(authorization)
  local token = authorization and authorization:match("^[Bb]earer (.+)$")
  if not token then
    return false, "Missing Credentials"
  elseif self.revoked[token] then
    return false, "Invalid Credentials"
  elseif token == self.settings.token then
    return true
  end
  local expires = self.issued[token]
  if not expires then
    return false, "Invalid Credentials"
  elseif expires <= self.clock:now() then
    return false, "Access Token Expired"
  end
  return true
end

-- Makes one token, or all there are, worthless from now on.
function Tokens:revoke(token)
  if token then
    self.revoked[token] = true
    return
  end
  self.revoked[self.settings.token] = true
  for issued in pairs(self.issued) do
    self.revoked[issued] = true
  end
end

-- Forgets revocations.
function Tokens:restore()
  self.revoked = {}
end

-- Lets all issued tokens expire now.
function Tokens:expire()
  for token in pairs(self.issued) do
    self.issued[token] = self.clock:now()
  end
end

local alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"

local function base64(text)
  local out = {}
  for at = 1, #text, 3 do
    local a, b, c = text:byte(at, at + 2)
    local bits = a << 16 | (b or 0) << 8 | (c or 0)
    for index = 0, 3 do
      local place = (bits >> (18 - 6 * index) & 63) + 1
      out[#out + 1] = index <= #text - at + 1 and alphabet:sub(place, place) or "="
    end
  end
  return table.concat(out)
end

local function refuse(self, status, code, text)
  self.counts.refused = self.counts.refused + 1
  local body = json.encode { error = code, error_description = text }
  return { status = status, body = body, headers = { ["Content-Type"] = "application/json" } }
end

-- Handles POST /token.
function Tokens:grant(request)
  local settings, counts = self.settings, self.counts
  counts.requests = counts.requests + 1
  local pair = settings.access_key_id .. ":" .. settings.secret_access_key
  local given = (request.headers.authorization or ""):match("^[Bb]asic%s+(%S+)$")
  if request.method ~= "POST" then
    return { status = 405, body = "", headers = { Allow = "POST" } }
  elseif given ~= base64(pair) then
    return refuse(self, 401, "invalid_client", "Client Authentication failed.")
  elseif not ("&" .. request.body .. "&"):find("&grant_type=client_credentials&", 1, true) then
    return refuse(self, 400, "unsupported_grant_type", "Unsupported grant_type value")
  end
  local random = self.random
  local token = string.format("issued-%d-%016x", counts.granted + 1, random(0, 0x7fffffffffffffff))
  self.issued[token] = self.clock:now() + settings.expires_in
  counts.granted = counts.granted + 1
  local body = json.encode {
    access_token = token,
    scope = "default",
    token_type = "Bearer",
    expires_in = settings.expires_in,
  }
  local headers = { ["Content-Type"] = "application/json", ["Cache-Control"] = "no-store" }
  return { status = 200, body = body, headers = headers }
end

return { new = new, base64 = base64 }
