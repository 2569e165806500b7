-- How values, addresses and foreign text look in a message that a person reads.
--
-- Remote text is hostile and program values may be large or secret: what comes out of here is one
-- line, bounded, free of control characters, and without what a URL's query may hold in secrets.

local core = require "qhub.core"

local show = {}

local LONGEST = 200

-- Names (of headers and query parameters) whose values are never shown.
local SECRET_WORDS = {
  "token",
  "key",
  "secret",
  "password",
  "session",
  "credential",
  "authorization",
  "cookie",
  "signature",
}

--- True when a header or query parameter of this name is not to be shown.
function show.is_secret_name(name)
  name = name:lower()
  for _, word in ipairs(SECRET_WORDS) do
    if name:find(word, 1, true) then
      return true
    end
  end
  return false
end

-- Code points beyond ASCII that steer a terminal or turn the order of what it shows: the C1
-- controls, the separators of lines, the marks of direction (Unicode, UAX #9), as byte patterns.
local STEERING = {
  "\xC2[\x80-\x9F]",
  "\xD8\x9C",
  "\xE2\x80[\x8E\x8F\xA8-\xAE]",
  "\xE2\x81[\xA6-\xAF]",
}

-- `text` with "?" for each byte that is no part of UTF-8: a terminal that is not in UTF-8 mode
-- takes some of them for commands.
local function valid(text)
  local pieces, from = {}, 1
  while true do
    local _, wrong = utf8.len(text, from)
    if not wrong then
      pieces[#pieces + 1] = text:sub(from)
      return table.concat(pieces)
    end
    pieces[#pieces + 1] = text:sub(from, wrong - 1) .. "?"
    from = wrong + 1
  end
end

-- Never in the middle of a UTF-8 sequence.
local function cut(text, longest)
  while longest > 0 and (text:byte(longest + 1) or 0) & 0xC0 == 0x80 do
    longest = longest - 1
  end
  return text:sub(1, longest)
end

--- `text` as one line of at most `longest` (200) bytes that is UTF-8 and steers no terminal: what
--- would is replaced by spaces or question marks.
function show.line(text, longest)
  longest = longest or LONGEST
  text = text:sub(1, longest * 2 + 4):gsub("[%c%s]+", " "):gsub("^ ", ""):gsub(" $", "")
  if text:find "[\x80-\xFF]" then
    text = valid(text)
    for _, pattern in ipairs(STEERING) do
      text = text:gsub(pattern, "?")
    end
  end
  if #text > longest then
    text = cut(text, longest) .. "…"
  end
  return text
end

--- A program's value for a message: quoted strings, plain numbers, else the type's name.
function show.value(value)
  local kind = type(value)
  if kind == "string" then
    return '"' .. show.line(value, 60) .. '"'
  elseif kind == "number" or kind == "boolean" or kind == "nil" then
    return tostring(value)
  end
  local metatable = getmetatable(value)
  local name = type(metatable) == "table" and rawget(metatable, "__name")
  return "a " .. (type(name) == "string" and show.line(name, 60) or kind)
end

-- One parameter of a query.
local function visible_parameter(before, name, value)
  local plain = name:gsub("%%(%x%x)", function(hex)
    return string.char(tonumber(hex, 16))
  end)
  return before .. name .. "=" .. (show.is_secret_name(plain) and "REDACTED" or value)
end

--- `text` without what the URLs in it hold in secrets: user info is dropped, the values of secret
--- parameters are blanked.
function show.urls(text)
  text = text:gsub("(%a[%w+.-]*://)[^/@%s]*@", "%1")
  if not text:find("=", 1, true) then
    return text
  end
  return (text:gsub('([?&;#])([^?&;#=%s<>"]+)=([^&;#%s<>]*)', visible_parameter))
end

--- A URL as a line; see above.
function show.url(url)
  return show.line(show.urls(url), 2000)
end

-- What is shorter keeps no secret: blanking it would only tear up every message ("any" in "many").
local LEAST_SECRET = 4

local function blanked(text, secret)
  local pieces, from = {}, 1
  while true do
    local first, last = text:find(secret, from, true)
    if not first then
      if from == 1 then
        return text
      end
      pieces[#pieces + 1] = text:sub(from)
      return table.concat(pieces)
    end
    pieces[#pieces + 1] = text:sub(from, first - 1)
    pieces[#pieces + 1] = "REDACTED"
    from = last + 1
  end
end

--- `text` without `secret` (a token, or several in a list) wherever it shows.
function show.without(text, secret)
  if type(secret) == "table" then
    for _, one in ipairs(secret) do
      text = show.without(text, one)
    end
    return text
  elseif not secret or #secret < LEAST_SECRET then
    return text
  end
  text = blanked(text, secret)
  local encoded = core.text.encode_segment(secret)
  if encoded ~= secret then -- as it looks in a URL
    text = blanked(text, encoded)
    text = blanked(text, (encoded:gsub("%%%x%x", string.lower)))
  end
  return text
end

--- Remote text as a part of a message: `secret` is taken out before anything is cut or joined.
function show.remote(text, secret, longest)
  return show.line(show.without(text, secret), longest)
end

return show
