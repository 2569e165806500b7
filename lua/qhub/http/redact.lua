-- Redaction: what messages, logs and errors must not show.
--
-- Responsible for: the names whose values are secret, user info and secret parameters of URLs,
-- header fields for the log, and known secrets wherever a text repeats them. A text is compared
-- with a secret after folding case, decoding percent signs and leaving out what does not print, so
-- that an echo of a token is found in any of these spellings. Must not know the network.

local text = require "qhub.error.text"

local redact = {}

local BLANK = "REDACTED"
local LEAST_SECRET = 4 -- bytes: blanking what is shorter would tear up every message
local LEAST_CREDENTIAL = 8 -- bytes of a part of Authorization that is kept out of texts
local LONGEST_READ = 16 * 1024 -- bytes of remote text that are searched for a message
local LONGEST_SECRET = 8 * 1024 -- bytes, in any spelling
local MOST_ENCODED = 3 -- times that percent signs are decoded

-- ── names ────────────────────────────────────────────────────────────────────────────────────────

-- Anywhere in the name of a header or query parameter.
local WORDS = {
  "token",
  "key",
  "secret",
  "passw",
  "passphrase",
  "session",
  "credential",
  "authorization",
  "cookie",
  "signature",
}

-- As one of the parts of a name: "x-auth".
local PARTS = { auth = true, jwt = true, pwd = true, sig = true, sid = true }

-- As the whole name only: "status_code" is no secret.
local WHOLE = { code = true, pass = true, otp = true, assertion = true }

--- True when the value of a header or query parameter of this name must not be shown.
function redact.is_secret_name(name)
  name = name:lower()
  for _, word in ipairs(WORDS) do
    if name:find(word, 1, true) then return true end
  end
  for part in name:gmatch "%w+" do
    if PARTS[part] then return true end
  end
  return WHOLE[name] or false
end

-- ── URLs ─────────────────────────────────────────────────────────────────────────────────────────

local function byte_of(hex)
  return string.char(tonumber(hex, 16))
end

local function visible_parameter(before, name, value)
  local plain = name:gsub("%%(%x%x)", byte_of)
  return before .. name .. "=" .. (redact.is_secret_name(plain) and BLANK or value)
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

--- A URL as a line; see above.
function redact.url(url)
  return text.line(redact.urls(url), 2000)
end

-- ── known secrets ────────────────────────────────────────────────────────────────────────────────

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

-- `said` in lower case, without what does not print and without backslashes, which escape in JSON.
local function folded(said)
  if said:find "[\x80-\xFF]" then
    for _, pattern in ipairs(UNPRINTED) do
      said = said:gsub(pattern, "")
    end
  end
  return (said:gsub("[%c%s\\]+", ""):lower())
end

-- The same with percent-encoded bytes decoded, also those that were encoded again.
local function decoded(said)
  for _ = 1, MOST_ENCODED do
    said = said:gsub("%%(%x%x)", byte_of)
  end
  return folded(said)
end

-- The spellings of `secrets` to look for in a text of so many bytes, those that are long enough.
local function spellings(secrets, size)
  local result = {}
  local function add(spelling)
    if #spelling >= LEAST_SECRET then result[#result + 1] = spelling end
  end
  for _, secret in ipairs(secrets) do
    add(folded(secret))
    if secret:find("%", 1, true) then add(decoded(secret)) end
    -- What base64 makes of it in the midst of other bytes: its offset in a group of three makes
    -- three spellings; letters that depend on the neighbours are left out.
    local is_long = #secret >= LEAST_CREDENTIAL and size >= #secret * 4 // 3 - LEAST_SECRET
    for lead = 0, is_long and 2 or -1 do
      local code = text.base64(("\0"):rep(lead) .. secret):gsub("=", "")
      local last = (lead + #secret) % 3 == 0 and #code or #code - 1
      add(code:sub(lead == 0 and 1 or lead + 2, last):lower())
    end
  end
  table.sort(result, function(a, b)
    return #a > #b -- one that holds another is found first
  end)
  return result
end

-- The least of the numbers from `first` to `last` for which `holds`. It holds for all that follow.
local function least(first, last, holds)
  while first < last do
    local middle = (first + last) // 2
    if holds(middle) then
      last = middle
    else
      first = middle + 1
    end
  end
  return first
end

-- `said` with BLANK for every part of it that `fold` makes `spelling` of.
local function blanked(said, fold, spelling)
  local function shows(from, to)
    return fold(said:sub(from, to)):find(spelling, 1, true)
  end
  local pieces, first, last = {}, 1, #spelling
  while true do
    if shows(first, last) then
      local to = least(first, last, function(place)
        return shows(first, place)
      end)
      local from = least(first, to, function(place)
        return not shows(place + 1, to)
      end)
      pieces[#pieces + 1] = said:sub(first, from - 1) .. BLANK
      first, last = to + 1, to + #spelling
    elseif last < #said then
      last = first + 2 * (last - first + 1)
    else
      return table.concat(pieces) .. said:sub(first)
    end
  end
end

--- `said` without `secret` (one, or a list; nil for none) in any spelling.
function redact.without(said, secret)
  local secrets = type(secret) == "table" and secret or { secret }
  if not secrets[1] then return said end
  local sought = spellings(secrets, #said)
  for _, fold in ipairs { folded, said:find("%", 1, true) and decoded or nil } do
    local shown = fold(said)
    for _, spelling in ipairs(sought) do
      if shown:find(spelling, 1, true) then said = blanked(said, fold, spelling) end
    end
  end
  return said
end

--- Remote text as a part of a message, one line of at most `longest` (200) bytes: URLs and `secret`
--- are taken out before anything is cut or joined.
function redact.remote(said, secret, longest)
  local clean = redact.without(said:sub(1, LONGEST_READ), secret)
  -- What is cut off may end in the beginning of a secret.
  if #said > LONGEST_READ then clean = clean:sub(1, -LONGEST_SECRET - 1) .. BLANK end
  return text.line(redact.urls(clean), longest)
end

--- Header fields as the log may show them. Some hold URLs: Location, Link, Refresh, ...
function redact.headers(fields, secret)
  local result = {}
  for name, value in pairs(fields) do
    result[name] = redact.is_secret_name(name) and BLANK
      or redact.urls(redact.without(value, secret))
  end
  return result
end

-- ── what a call and a session know ───────────────────────────────────────────────────────────────

-- The parts of a value of Authorization after its scheme: a token, or parameters.
local function credentials_in(value)
  local parts = {}
  for part in (value:match "^%s*%S+%s+(.*)" or value):gmatch '[^%s,"]+' do
    if #part >= LEAST_CREDENTIAL or not parts[1] then parts[#parts + 1] = part end
  end
  return parts
end

--- What the gateway got to know by a call (see attempts.lua), as a list: the token and the one that
--- was rejected before it, or credentials that the program gave instead, and its body's secrets.
function redact.carried(call)
  local request = call.request
  local own = not request.authorize and request.fields.authorization
  local result = own and credentials_in(own) or {}
  result[#result + 1] = call.token or nil
  result[#result + 1] = call.rejected or nil
  for name, value in pairs(request.fields) do
    if name ~= "authorization" and value and redact.is_secret_name(name) then
      result[#result + 1] = value
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
