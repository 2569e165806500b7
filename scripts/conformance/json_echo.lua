-- Reads JSON texts and writes each as qhub.json decoded and encoded it.
--
--   lua5.4 scripts/conformance/json_echo.lua
--
-- A text arrives on standard input after its length as eight bytes, little-endian, and leaves the
-- same way. After each text comes, framed alike, what the elements of an array are, in binary: `d`
-- and a double, `q` and an integer, `s` and a string after its length as four bytes.

local json = require("qhub").json

local function binary(value)
  local kind = math.type(value)
  if kind == "float" then
    return string.pack("<c1d", "d", value)
  elseif kind == "integer" then
    return string.pack("<c1i8", "q", value)
  end
  return string.pack("<c1s4", "s", value)
end

io.stdout:setvbuf "full"
while true do
  local head = io.read(8)
  if not head then break end
  local text = io.read((string.unpack("<i8", head)))
  local value = assert(json.decode(text))
  local out = json.encode(value)
  local facts = {}
  if text:find "^%[" then
    for i, element in ipairs(value) do
      facts[i] = type(element) ~= "table"
          and element ~= json.null
          and type(element) ~= "boolean"
          and binary(element)
        or ""
    end
  end
  facts = table.concat(facts)
  io.write(string.pack("<s8s8", out, facts))
  io.flush()
end
