-- How values and foreign text look in a message that a person reads.
--
-- Remote text is hostile and program values may be large: what comes out of here is one line,
-- bounded and free of control characters. It knows nothing of secrets; see http/redact.lua.

local text = {}

local LONGEST = 200

-- Code points beyond ASCII that steer a terminal or turn the order of what it shows: the C1
-- controls, the separators of lines, the marks of direction (Unicode, UAX #9), as byte patterns.
local STEERING = {
  "\xC2[\x80-\x9F]",
  "\xD8\x9C",
  "\xE2\x80[\x8E\x8F\xA8-\xAE]",
  "\xE2\x81[\xA6-\xAF]",
}

-- `said` with "?" for each byte that is no part of UTF-8: a terminal that is not in UTF-8 mode
-- takes some of them for commands.
local function valid(said)
  local length, wrong = utf8.len(said)
  while not length do
    said = said:sub(1, wrong - 1) .. "?" .. said:sub(wrong + 1)
    length, wrong = utf8.len(said, wrong + 1)
  end
  return said
end

--- `said` as one line of at most `longest` (200) bytes that is UTF-8 and steers no terminal: what
--- would is replaced by spaces or question marks.
function text.line(said, longest)
  longest = longest or LONGEST
  said = said:sub(1, longest * 2 + 4):gsub("[%c%s]+", " "):gsub("^ ", ""):gsub(" $", "")
  if said:find "[\x80-\xFF]" then
    said = valid(said)
    for _, pattern in ipairs(STEERING) do
      said = said:gsub(pattern, "?")
    end
  end
  if #said > longest then
    -- Never in the middle of a UTF-8 sequence.
    said = said:sub(1, utf8.offset(said, 0, longest + 1) - 1) .. "…"
  end
  return said
end

--- A program's value for a message: quoted strings, plain numbers, else the type's name.
function text.value(value)
  local kind = type(value)
  if kind == "string" then
    return '"' .. text.line(value, 60) .. '"'
  elseif kind == "number" or kind == "boolean" or kind == "nil" then
    return tostring(value)
  end
  local metatable = getmetatable(value)
  local name = type(metatable) == "table" and rawget(metatable, "__name")
  return "a " .. (type(name) == "string" and text.line(name, 60) or kind)
end

local BASE64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"

--- RFC 4648, 4.
function text.base64(bytes)
  local pieces = {}
  for at = 1, #bytes, 3 do
    local a, b, c = bytes:byte(at, at + 2)
    local bits = a << 16 | (b or 0) << 8 | (c or 0)
    for index = 0, 3 do
      local place = (bits >> (18 - 6 * index) & 63) + 1
      pieces[#pieces + 1] = at + index > #bytes + 1 and "=" or BASE64:sub(place, place)
    end
  end
  return table.concat(pieces)
end

return text
