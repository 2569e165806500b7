-- Redaction: what messages, logs and errors must not show.
--
-- Responsible for: the names whose values are secret, user info and secret parameters of URLs,
-- header fields for the log, and known secrets wherever a text repeats them. Of a text and a secret
-- the letters and digits are compared, in lower case, so that case and characters put in between
-- hide nothing; percent-encoded bytes are decoded for it. Must not know the network.

local text = require "qhub.error.text"

local redact = {}

local BLANK = "REDACTED"
local LEAST_SECRET = 4 -- bytes: blanking what is shorter would tear up every message
local LEAST_LETTERS = 6 -- letters and digits that are compared without what is between them
local LONGEST_READ = 16 * 1024 -- bytes of remote text that are searched for a message
local LONGEST_SECRET = 8 * 1024 -- bytes, in any spelling
local MOST_ENCODED = 3 -- times that percent signs are decoded

-- ── names ────────────────────────────────────────────────────────────────────────────────────────

-- Patterns of names whose values are secret: words anywhere in a name; words that are a part of it
-- ("x-auth"); and words that are the whole of it ("status_code" is no secret).
local SECRET_NAMES = "token key secret passw passphrase session credential authorization cookie "
  .. "signature %f[%w]auth%f[%W] %f[%w]jwt%f[%W] %f[%w]pwd%f[%W] %f[%w]sig%f[%W] %f[%w]sid%f[%W] "
  .. "^code$ ^pass$ ^otp$ ^assertion$"

--- True when the value of a header or query parameter of this name must not be shown.
function redact.is_secret_name(name)
  for pattern in SECRET_NAMES:gmatch "%S+" do
    if name:lower():find(pattern) then return true end
  end
  return false
end

-- ── URLs ─────────────────────────────────────────────────────────────────────────────────────────

local function decoded(said)
  return (said:gsub("%%(%x%x)", function(hex)
    return string.char(tonumber(hex, 16))
  end))
end

local function visible_parameter(before, name, value)
  return before .. name .. "=" .. (redact.is_secret_name(decoded(name)) and BLANK or value)
end

-- A scheme without the user info after it; nil: it is none.
local function bare(scheme)
  return scheme:find "%a" and scheme .. "://"
end

-- `word`, a text without blanks, without the user info in it. Each pattern takes time in proportion
-- to the length only: the first one starts where a scheme does, the second one has its `@`.
local function without_user(word)
  word = word:gsub("%f[%w+.-]([%w+.-]*)://[^/?#@]*@", bare)
  local before, after = word:match "^(.*@)(.*)$"
  return before and before:gsub("%f[%w+.-]([%w+.-]*://)[^@:]*:.*@", "%1") .. after or word
end

--- `said` without what the URLs in it hold in secrets: user info is dropped, also one that breaks
--- the rules of URLs ("user:pa/ss@"), the values of secret parameters are blanked.
function redact.urls(said)
  if said:find("@", 1, true) then said = said:gsub("%S+", without_user) end
  return (said:gsub('([?&;#])([^?&;#=%s<>"]+)=([^&;#%s<>]*)', visible_parameter))
end

-- ── known secrets ────────────────────────────────────────────────────────────────────────────────

local function letters_of(said)
  return (said:gsub("[^A-Za-z0-9]+", ""):lower())
end

-- `said` with BLANK for every part of it whose letters are `sought`.
local function without_letters(said, sought)
  local letters, places, pieces, start = letters_of(said), {}, {}, 1
  for place in said:gmatch "()[A-Za-z0-9]" do
    places[#places + 1] = place
  end
  local first, last = letters:find(sought, 1, true)
  while first do
    pieces[#pieces + 1] = said:sub(start, places[first] - 1) .. BLANK
    start = places[last] + 1
    first, last = letters:find(sought, last + 1, true)
  end
  return table.concat(pieces) .. said:sub(start)
end

-- `said` with BLANK for all of `secrets`.
local function blanked(said, secrets)
  local letters = letters_of(said)
  for _, secret in ipairs(secrets) do
    if said:find(secret, 1, true) then
      said = said:gsub(secret:gsub("[^A-Za-z0-9]", "%%%0"), BLANK)
    end
    local sought = letters_of(secret)
    if #sought >= LEAST_LETTERS and letters:find(sought, 1, true) then
      said = without_letters(said, sought)
    end
  end
  return said
end

-- The text, decoded as often as it could be encoded.
local function plain(said)
  for _ = 1, said:find("%", 1, true) and MOST_ENCODED or 0 do
    said = decoded(said)
  end
  return said
end

--- `said` without the secrets in its URLs, and without `secret` (one, or a list; nil for none). A
--- text that shows one only when percent-encoded bytes are decoded is returned decoded, as a line:
--- what else was encoded must not steer a terminal.
function redact.without(said, secret)
  local secrets = {}
  for _, one in ipairs(type(secret) == "table" and secret or { secret }) do
    if #one >= LEAST_SECRET then
      secrets[#secrets + 1] = one
      if one:find("%", 1, true) then secrets[#secrets + 1] = plain(one) end
    end
  end
  table.sort(secrets, function(a, b)
    return #a > #b -- one that holds another is found first
  end)
  said = redact.urls(blanked(said, secrets))
  local whole = plain(said)
  local clean = whole ~= said and blanked(whole, secrets)
  return clean and clean ~= whole and text.line(clean, #clean) or said
end

--- A URL as a line; see above.
function redact.url(url, secret)
  return text.line(redact.without(url, secret), 2000)
end

--- Remote text as a part of a message, one line of at most `longest` (200) bytes: secrets are taken
--- out before anything is cut or joined.
function redact.remote(said, secret, longest)
  local clean = redact.without(said:sub(1, LONGEST_READ), secret)
  -- What is cut off may end in the beginning of a secret.
  if #said > LONGEST_READ then clean = clean:sub(1, -LONGEST_SECRET - 1) .. BLANK end
  return text.line(clean, longest)
end

--- Header fields as the log may show them. Some hold URLs: Location, Link, Refresh, ...
function redact.headers(fields, secret)
  local result = {}
  for name, value in pairs(fields) do
    result[name] = redact.is_secret_name(name) and BLANK or redact.without(value, secret)
  end
  return result
end

-- ── what a call and a session know ───────────────────────────────────────────────────────────────

--- What the gateway got to know by a call (see attempts.lua), as a list: the token and the one that
--- was rejected before it, what the program gave in headers, and its body's secrets.
function redact.carried(call)
  local request = call.request
  local result = { call.token or nil }
  result[#result + 1] = call.rejected or nil
  for name, value in pairs(request.fields) do
    if value and redact.is_secret_name(name) then
      -- Of Authorization what follows the scheme: a token, or parameters.
      local own = name == "authorization" and value:gsub("^%s*%S+%s+", "")
      for part in (own or value):gmatch(own and '[^%s,"=]+' or ".+") do
        result[#result + 1] = part
      end
    end
  end
  local secrets = request.secrets or {}
  return table.move(secrets, 1, #secrets, #result + 1, result)
end

--- What the gateway may say back to a call, as a list: what it carried, and what the session knows
--- of earlier ones: tokens, and the secrets of starts.
function redact.of(call)
  local known, result = call.session.secrets, redact.carried(call)
  return table.move(known, 1, #known, #result + 1, result)
end

return redact
