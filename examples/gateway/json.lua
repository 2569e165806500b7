-- JSON for the simulator: compact, strict enough to refuse a broken request body.
--
-- Responsible for: text to tables and back. It knows nothing of the gateway, and the simulator uses
-- it instead of qhub.json on purpose, so that one never vouches for the other's mistakes.
-- Numbers keep Lua's two kinds; `json.null` stands for null; an empty table is written as {} unless
-- it was marked by `json.array`. Members are written in sorted order, so answers are reproducible.

local json = {}

json.null = setmetatable({}, {
  __tostring = function()
    return "null"
  end,
})

local array_mt = { __name = "json array" }

-- Marks a table as an array in place and returns it.
function json.array(list)
  return setmetatable(list, array_mt)
end

-- Inserts already encoded text into a value that is to be encoded.
local raw_mt = { __name = "json text" }
function json.raw(text)
  return setmetatable({ text = text }, raw_mt)
end

local escapes = {
  ['"'] = '\\"',
  ["\\"] = "\\\\",
  ["\b"] = "\\b",
  ["\f"] = "\\f",
  ["\n"] = "\\n",
  ["\r"] = "\\r",
  ["\t"] = "\\t",
}

local function escape(byte)
  return escapes[byte] or string.format("\\u%04x", byte:byte())
end

local function quote(text)
  return '"' .. text:gsub('[%c"\\]', escape) .. '"'
end

local function write_number(number)
  if math.type(number) == "integer" then return string.format("%d", number) end
  local text = string.format("%.15g", number)
  if tonumber(text) ~= number then text = string.format("%.17g", number) end
  return text:find("[.eEn]") and text or text .. ".0"
end

local write

local function write_table(value, out)
  local mt = getmetatable(value)
  if value == json.null then
    out[#out + 1] = "null"
  elseif mt == raw_mt then
    out[#out + 1] = value.text
  elseif mt == array_mt or #value > 0 then
    out[#out + 1] = "["
    for index = 1, #value do
      out[#out + 1] = index > 1 and "," or nil
      write(value[index], out)
    end
    out[#out + 1] = "]"
  else
    local names = {}
    for name in pairs(value) do
      names[#names + 1] = name
    end
    table.sort(names)
    out[#out + 1] = "{"
    for index, name in ipairs(names) do
      out[#out + 1] = (index > 1 and "," or "") .. quote(name) .. ":"
      write(value[name], out)
    end
    out[#out + 1] = "}"
  end
end

function write(value, out)
  local kind = type(value)
  if kind == "table" then
    write_table(value, out)
  elseif kind == "string" then
    out[#out + 1] = quote(value)
  elseif kind == "number" then
    out[#out + 1] = write_number(value)
  else
    out[#out + 1] = tostring(value)
  end
end

-- Text of a value: nil, booleans, numbers, strings, tables.
function json.encode(value)
  local out = {}
  write(value, out)
  return table.concat(out)
end

json.quote = quote

local unescapes = { b = "\b", f = "\f", n = "\n", r = "\r", t = "\t", ['"'] = '"', ["\\"] = "\\" }
unescapes["/"] = "/"

local function bad(position, what)
  error({ json = string.format("%s at byte %d", what, position) }, 0)
end

-- One \uXXXX, together with the second half of a surrogate pair if there is one.
local function read_unicode(text, position)
  local hex = text:match("^%x%x%x%x", position) or bad(position, "bad \\u escape")
  local code = tonumber(hex, 16)
  position = position + 4
  local low = code >= 0xD800 and code < 0xDC00 and text:match("^\\u([dD][c-fC-F]%x%x)", position)
  if low then
    code = 0x10000 + ((code - 0xD800) << 10) + (tonumber(low, 16) - 0xDC00)
    position = position + 6
  end
  return utf8.char(code), position
end

-- What ends a run of plain characters. DEL, unlike %c, is legal as it is (RFC 8259, 7).
local SPECIAL = '["\\\0-\31]'

local function read_string(text, position)
  local stop = text:find(SPECIAL, position)
  if stop and text:byte(stop) == 34 then return text:sub(position, stop - 1), stop + 1 end
  local parts = {}
  while stop do
    parts[#parts + 1] = text:sub(position, stop - 1)
    local byte = text:byte(stop)
    if byte == 34 then
      return table.concat(parts), stop + 1
    elseif byte ~= 92 then
      bad(stop, "raw control character")
    end
    local letter = text:sub(stop + 1, stop + 1)
    if letter == "u" then
      parts[#parts + 1], position = read_unicode(text, stop + 2)
    else
      parts[#parts + 1] = unescapes[letter] or bad(stop, "bad escape")
      position = stop + 2
    end
    stop = text:find(SPECIAL, position)
  end
  bad(position, "unfinished string")
end

local read
local words = { ["true"] = true, ["false"] = false, null = json.null }

local function skip(text, position)
  return text:find("[^ \t\r\n]", position) or #text + 1
end

local function read_list(text, position, depth, close, read_item)
  position = skip(text, position)
  if text:byte(position) == close then return position + 1 end
  while true do
    position = skip(text, read_item(position, depth + 1))
    local byte = text:byte(position)
    if byte == close then
      return position + 1
    elseif byte ~= 44 then
      bad(position, "comma expected")
    end
    position = skip(text, position + 1)
  end
end

function read(text, position, depth)
  local byte = text:byte(position)
  if depth > 150 then
    bad(position, "nested too deep")
  elseif byte == 123 then
    local object = {}
    return object,
      read_list(text, position + 1, depth, 125, function(at, level)
        if text:byte(at) ~= 34 then bad(at, "member name expected") end
        local name
        name, at = read_string(text, at + 1)
        at = skip(text, at)
        if text:byte(at) ~= 58 then bad(at, "colon expected") end
        object[name], at = read(text, skip(text, at + 1), level)
        return at
      end)
  elseif byte == 91 then
    local list = json.array {}
    return list,
      read_list(text, position + 1, depth, 93, function(at, level)
        list[#list + 1], at = read(text, at, level)
        return at
      end)
  elseif byte == 34 then
    return read_string(text, position + 1)
  end
  local word = text:match("^%l+", position)
  if word and words[word] ~= nil then return words[word], position + #word end
  local number = text:match("^-?%d+%.?%d*[eE]?[+-]?%d*", position)
  local value = number and tonumber(number)
  if not value or number:find("^-?0%d") then bad(position, "value expected") end
  return value, position + #number
end

-- The value of a text, or nil and a message.
function json.decode(text)
  local ok, value, position = pcall(read, text, skip(text, 1), 0)
  if not ok then return nil, type(value) == "table" and value.json or tostring(value) end
  position = skip(text, position)
  if position <= #text then
    return nil, string.format("text after the value at byte %d", position)
  end
  return value
end

return json
