-- Random values for the JSON specs, the same ones for the same seed, and an equality that sees what
-- JSON must keep: integer or float, every bit of a double, array or object.

local json = require("qhub.core").json

local Values = {}
Values.__index = Values

local values = {}

-- Whether two decoded or encodable values are the same to the last bit.
function values.same(a, b)
  if math.type(a) == "float" and math.type(b) == "float" then
    return string.pack("d", a) == string.pack("d", b)
  end
  if type(a) ~= "table" or type(b) ~= "table" then
    return a == b and math.type(a) == math.type(b)
  end
  local function is_array(t)
    return json.is_array(t) or #t > 0
  end
  if is_array(a) ~= is_array(b) then return false end
  for key, value in next, a do
    if not values.same(value, rawget(b, key)) then return false end
  end
  for key in next, b do
    if rawget(a, key) == nil then return false end
  end
  return true
end

-- A generator (xorshift64*).
function values.new(seed)
  return setmetatable({ state = seed * 0x9E3779B97F4A7C15 | 1 }, Values)
end

-- 64 random bits.
function Values:bits()
  local x = self.state
  x = x ~ (x >> 12)
  x = x ~ (x << 25)
  x = x ~ (x >> 27)
  self.state = x
  return x * 0x2545F4914F6CDD1D
end

-- An integer from `low` to `high`.
function Values:between(low, high)
  return low + (self:bits() >> 1) % (high - low + 1)
end

-- An integer of any length.
function Values:integer()
  local value = self:bits() >> self:between(0, 63)
  return self:between(0, 1) == 0 and value or -value
end

-- A finite double; each bit pattern is as likely as any other, or it is a short decimal.
function Values:double()
  if self:between(0, 3) == 0 then return self:between(-10000, 10000) / 10 ^ self:between(0, 5) end
  while true do
    local value = string.unpack("d", string.pack("j", self:bits()))
    if value == value and math.abs(value) < math.huge then return value end
  end
end

-- Valid UTF-8 of all lengths, with NUL, quotes, control characters and characters beyond U+FFFF.
function Values:string()
  local ranges = { { 0, 31 }, { 32, 126 }, { 32, 126 }, { 127, 0x7FF }, { 0x800, 0xD7FF } }
  ranges[#ranges + 1] = { 0xE000, 0xFFFF }
  ranges[#ranges + 1] = { 0x10000, 0x10FFFF }
  local characters = {}
  local plain = self:between(0, 1) == 0
  for i = 1, self:between(0, self:between(0, 9) == 0 and 200 or 12) do
    local range = plain and ranges[2] or ranges[self:between(1, #ranges)]
    characters[i] = utf8.char(self:between(range[1], range[2]))
  end
  return table.concat(characters)
end

-- Any value; containers nest at most `depth` times and hold up to `width` items.
function Values:value(depth, width)
  local kind = self:between(1, depth > 0 and 9 or 6)
  if kind == 1 then
    return ({ true, false, json.null })[self:between(1, 3)]
  elseif kind == 2 then
    return self:integer()
  elseif kind <= 4 then
    return self:double()
  elseif kind <= 6 then
    return self:string()
  end
  return self:container(depth, width)
end

-- An array or an object.
function Values:container(depth, width)
  local count = self:between(0, width)
  if self:between(0, 1) == 0 then
    local array = json.array {}
    for i = 1, count do
      array[i] = self:value(depth - 1, width)
    end
    return array
  end
  local object = {}
  for _ = 1, count do
    object[self:string()] = self:value(depth - 1, width)
  end
  return object
end

-- JSON text of a value, with blanks wherever they are allowed and escapes that need not be.
function Values:text(value)
  local out = {}
  local function blank()
    local blanks = { "", "", " ", "\n", "\t", "\r\n  " }
    out[#out + 1] = blanks[self:between(1, #blanks)]
  end
  local function escape(text)
    return (
      text:gsub(utf8.charpattern, function(character)
        local code = utf8.codepoint(character)
        if code < 32 or code == 34 or code == 92 or self:between(0, 7) == 0 then
          if code > 0xFFFF then
            code = code - 0x10000
            return ("\\u%04x\\u%04X"):format(0xD800 + (code >> 10), 0xDC00 + (code & 0x3FF))
          end
          return ("\\u%04X"):format(code)
        end
      end)
    )
  end
  local function add(item)
    blank()
    if type(item) == "string" then
      out[#out + 1] = '"' .. escape(item) .. '"'
    elseif type(item) ~= "table" then
      out[#out + 1] = json.encode(item)
    elseif json.is_array(item) then
      out[#out + 1] = "["
      for i, element in ipairs(item) do
        out[#out + 1] = i > 1 and "," or ""
        add(element)
      end
      blank()
      out[#out + 1] = "]"
    else
      out[#out + 1] = "{"
      for name, member in next, item do
        add(name)
        blank()
        out[#out + 1] = ":"
        add(member)
        out[#out + 1] = next(item, name) ~= nil and "," or ""
      end
      blank()
      out[#out + 1] = "}"
    end
    blank()
  end
  add(value)
  return table.concat(out)
end

return values
