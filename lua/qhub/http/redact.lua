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
local LEAST_ENCODED = 8 -- bytes of a secret that is looked for in base64
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

-- What of a text is compared, as the inside of a pattern's brackets: letters and digits; of a
-- secret with few of them all that prints.
local LETTERS, PRINTING = "A-Za-z0-9", "!-~\x80-\xFF"

-- What does not print beyond ASCII: C1 controls, blanks, soft hyphens, joiners, zero widths, marks
-- of direction, variation selectors, the byte order mark.
local UNPRINTED = {
  "\xC2[\x80-\xA0\xAD]",
  "\xCD\x8F",
  "\xD8\x9C",
  "\xE1\xA0[\x8B-\x8F]",
  "\xE2\x80[\x80-\x8F\xA8-\xAF]",
  "\xE2\x81[\x9F-\xAF]",
  "\xE3\x80\x80",
  "\xEF\xB8[\x80-\x8F]",
  "\xEF\xBB\xBF",
  "\xF3\xA0[\x80-\x87].",
}

-- `said` with zero bytes in the places of what does not print.
local function printing(said)
  if not said:find "[\x80-\xFF]" then return said end
  for _, pattern in ipairs(UNPRINTED) do
    said = said:gsub(pattern, function(found)
      return ("\0"):rep(#found)
    end)
  end
  return said
end

-- What is compared of `said`.
local function compared(said, class)
  return (said:gsub("[^" .. class .. "]+", ""):lower())
end

-- `said` with BLANK for every part of which `sought` is what is compared.
local function without_compared(said, sought, class)
  local whole, places, pieces, start = printing(said), {}, {}, 1
  local kept = compared(whole, class)
  for place in whole:gmatch("()[" .. class .. "]") do
    places[#places + 1] = place
  end
  local first, last = kept:find(sought, 1, true)
  while first do
    pieces[#pieces + 1] = said:sub(start, places[first] - 1) .. BLANK
    start = places[last] + 1
    first, last = kept:find(sought, last + 1, true)
  end
  return table.concat(pieces) .. said:sub(start)
end

-- `said` with BLANK for all of `secrets`.
local function blanked(said, secrets)
  local shown = printing(said)
  local kept = { [LETTERS] = compared(shown, LETTERS), [PRINTING] = compared(shown, PRINTING) }
  for _, secret in ipairs(secrets) do
    if said:find(secret, 1, true) then
      said = said:gsub(secret:gsub("[^A-Za-z0-9]", "%%%0"), BLANK)
    end
    local class = #compared(secret, LETTERS) >= LEAST_LETTERS and LETTERS or PRINTING
    local sought = compared(printing(secret), class)
    if #sought >= LEAST_SECRET and kept[class]:find(sought, 1, true) then
      said = without_compared(said, sought, class)
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
      -- What base64 makes of it in the midst of other bytes: its offset in a group of three makes
      -- three spellings; letters that depend on the neighbours are left out.
      for lead = 0, #one >= LEAST_ENCODED and 2 or -1 do
        local code = text.base64(("\0"):rep(lead) .. one):gsub("=", "")
        local last = (lead + #one) % 3 == 0 and #code or #code - 1
        secrets[#secrets + 1] = code:sub(lead == 0 and 1 or lead + 2, last)
      end
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
