-- Redaction: what messages, logs and errors must not show.
--
-- Responsible for: the names whose values are secret, user info and secret parameters of URLs,
-- header fields for the log, and known secrets wherever a text repeats them. A text is compared
-- with a secret after folding case, decoding percent signs and leaving out what does not print, so
-- that an echo of a token is found in any of these spellings. Must not know calls or the network.

local show = require "qhub.error.text"

local redact = {}

local BLANK = "REDACTED"
local LEAST_SECRET = 4 -- bytes: blanking what is shorter would tear up every message
local LEAST_CREDENTIAL = 8 -- bytes of a part of Authorization that is kept out of texts
local LONGEST_READ = 16 * 1024 -- bytes of remote text that a message is made of

-- ── names ────────────────────────────────────────────────────────────────────────────────────────

-- Anywhere in the name of a header or query parameter.
local WORDS = "token key secret passw passphrase session credential authorization cookie signature"

-- As one of the parts of a name: "x-auth".
local PARTS = { auth = true, jwt = true, pwd = true, sig = true, sid = true }

-- As the whole name only: "status_code" is no secret.
local WHOLE = { code = true, pass = true, otp = true, assertion = true }

--- True when the value of a header or query parameter of this name must not be shown.
function redact.is_secret_name(name)
  name = name:lower()
  if WHOLE[name] then return true end
  for word in WORDS:gmatch "%a+" do
    if name:find(word, 1, true) then return true end
  end
  for part in name:gmatch "%w+" do
    if PARTS[part] then return true end
  end
  return false
end

-- ── URLs ─────────────────────────────────────────────────────────────────────────────────────────

local function visible_parameter(before, name, value)
  local plain = name:gsub("%%(%x%x)", function(hex)
    return string.char(tonumber(hex, 16))
  end)
  return before .. name .. "=" .. (redact.is_secret_name(plain) and BLANK or value)
end

local function without_secret_parameters(text)
  if not text:find("=", 1, true) then return text end
  return (text:gsub('([?&;#])([^?&;#=%s<>"]+)=([^&;#%s<>]*)', visible_parameter))
end

--- `text` without what the URLs in it hold in secrets: user info is dropped, also one that breaks
--- the rules of URLs ("user:pa/ss@"), the values of secret parameters are blanked.
function redact.urls(text)
  if text:find("@", 1, true) then
    text = text:gsub("(%a[%w+.-]*://)[^/?#@%s]*@", "%1"):gsub("(%a[%w+.-]*://)[^%s@:]*:%S*@", "%1")
  end
  return without_secret_parameters(text)
end

--- A URL as a line; see above.
function redact.url(url)
  return show.line(redact.urls(url), 2000)
end

--- What a program gave as a URL and is refused, as a quoted value: without anything before the last
--- "@", for where user info ends is a guess when a URL is malformed.
function redact.given_url(value)
  if type(value) ~= "string" then return show.value(value) end
  local scheme, rest = value:match "^(%a[%w+.-]*://)(.*)$"
  rest = (rest or value):gsub("^.*@", "")
  return show.value(without_secret_parameters((scheme or "") .. rest))
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

local function blanks_for(bytes)
  return (" "):rep(#bytes)
end

-- `text` in lower case, with blanks for what does not print.
local function blanked(text)
  if text:find "[\x80-\xFF]" then
    for _, pattern in ipairs(UNPRINTED) do
      text = text:gsub(pattern, blanks_for)
    end
  end
  return text:lower()
end

-- The same without the blanks, and without backslashes, which escape in JSON.
local function folded(text)
  return (blanked(text):gsub("[%c%s\\]+", ""))
end

-- Where each byte of `folded(text)` is in `text`, a list.
local function places_of(text)
  local places = {}
  for first, after in blanked(text):gmatch "()[^%c%s\\]+()" do
    for place = first, after - 1 do
      places[#places + 1] = place
    end
  end
  return places
end

-- `text` with its percent-encoded bytes decoded, also those encoded again; with it, where each byte
-- of it begins and ends in `text`.
local function decoded(text)
  local bytes, first, last = {}, {}, {}
  local count, at = 0, 1
  while at <= #text do
    local byte, stop = text:sub(at, at), at
    if byte == "%" then
      local digits = at + 1
      while text:find("^25%x%x", digits) do
        digits = digits + 2
      end
      local hex = text:match("^%x%x", digits)
      if hex then
        byte, stop = string.char(tonumber(hex, 16)), digits + 1
      end
    end
    count = count + 1
    bytes[count], first[count], last[count] = byte, at, stop
    at = stop + 1
  end
  return table.concat(bytes), first, last
end

-- Adds what base64 makes of `secret` in the midst of other bytes: its offset in a group of three
-- makes three spellings; letters that depend on the neighbours are left out.
local function add_base64(result, secret)
  for lead = 0, 2 do
    local code = show.base64(("\0"):rep(lead) .. secret):gsub("=", "")
    local last = (lead + #secret) % 3 == 0 and #code or #code - 1
    result[#result + 1] = code:sub(lead == 0 and 1 or lead + 2, last):lower()
  end
end

-- The spellings of `secrets` to look for in a text of so many bytes, those that are long enough.
local function spellings(secrets, size)
  local all, result = {}, {}
  for _, secret in ipairs(secrets) do
    all[#all + 1] = folded(secret)
    if secret:find("%", 1, true) then all[#all + 1] = folded((decoded(secret))) end
    if #secret >= LEAST_CREDENTIAL and size >= #secret * 4 // 3 - LEAST_SECRET then
      add_base64(all, secret)
    end
  end
  for _, spelling in ipairs(all) do
    if #spelling >= LEAST_SECRET then result[#result + 1] = spelling end
  end
  return result
end

-- Adds the places of `secrets` (spellings) in `text`, which was cut off when `is_cut`, to `ranges`.
-- `first` and `last` say where the bytes of `text` are in the original, when it is decoded.
local function add_ranges(ranges, text, secrets, is_cut, first, last)
  local plain, places = folded(text), nil
  local function add(from, to)
    places = places or places_of(text)
    from, to = places[from], places[to]
    ranges[#ranges + 1] = { first and first[from] or from, last and last[to] or to }
  end
  for _, secret in ipairs(secrets) do
    local from, to = plain:find(secret, 1, true)
    while from do
      add(from, to)
      from, to = plain:find(secret, to + 1, true)
    end
    -- The beginning of a secret at the end of what was cut off.
    local length = is_cut and math.min(#secret - 1, #plain) or 0
    while length >= LEAST_SECRET and plain:sub(-length) ~= secret:sub(1, length) do
      length = length - 1
    end
    if length >= LEAST_SECRET then add(#plain - length + 1, #plain) end
  end
end

local function without(text, secret, is_cut)
  local secrets = type(secret) == "table" and secret or { secret }
  if not secrets[1] or #text < LEAST_SECRET then return text end
  local ranges, sought = {}, spellings(secrets, #text)
  add_ranges(ranges, text, sought, is_cut)
  if text:find("%", 1, true) then
    local whole, first, last = decoded(text)
    add_ranges(ranges, whole, sought, is_cut, first, last)
  end
  if not ranges[1] then return text end
  table.sort(ranges, function(a, b)
    return a[1] < b[1] or a[1] == b[1] and a[2] > b[2]
  end)
  local pieces, from = {}, 1
  for _, range in ipairs(ranges) do
    if range[1] >= from then
      pieces[#pieces + 1] = text:sub(from, range[1] - 1)
      pieces[#pieces + 1] = BLANK
    end
    from = math.max(from, range[2] + 1)
  end
  pieces[#pieces + 1] = text:sub(from)
  return table.concat(pieces)
end

--- `text` without `secret` (one, or a list; nil for none) in any spelling.
function redact.without(text, secret)
  return without(text, secret, false)
end

--- Remote text as a part of a message, one line of at most `longest` (200) bytes: URLs and `secret`
--- are taken out before anything is cut or joined.
function redact.remote(text, secret, longest)
  local is_cut = #text > LONGEST_READ
  if is_cut then text = text:sub(1, LONGEST_READ) end
  return show.line(redact.urls(without(text, secret, is_cut)), longest)
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
function redact.carried(request, state)
  local own = not request.authorize and request.fields.authorization
  local result = own and credentials_in(own) or {}
  result[#result + 1] = state.token or nil
  result[#result + 1] = state.rejected or nil
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
function redact.of(session, request, state)
  local known = session.secrets or {}
  local result = redact.carried(request, state)
  return table.move(known, 1, #known, #result + 1, result)
end

return redact
