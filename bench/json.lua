-- JSON, in a process of its own.
--
--   json.lua encode|decode qhub|cjson doubles   a body of 10 MB, most of it random doubles
--   json.lua encode|decode qhub|cjson mixed     10 MB of objects: texts, integers, a few doubles
--   json.lua execution qhub|cjson COUNT         COUNT times an execution, decoded
--
-- Prints the CPU seconds of one operation (the median of five), the bytes of text, and how many of
-- the doubles came out other than they went in. Of executions it prints nothing.

local what, who, which = ...
local TIMES = 5

local codec = who == "qhub" and require("qhub").json or require "cjson"
if who == "cjson" then
  codec.encode_number_precision(14) -- the most that it allows, and its default
end

if what == "execution" then
  local text = require("bench.bodies").EXECUTION
  for _ = 1, tonumber(which) do
    assert(codec.decode(text).status)
  end
  return
end

local body = require("bench.bodies")[which]()
local text = require("qhub").json.encode(body)

local operation, argument = codec.encode, body
if what == "decode" then
  operation, argument = codec.decode, text
end
local seconds = {}
for i = 1, TIMES do
  collectgarbage()
  local before = os.clock()
  assert(operation(argument))
  seconds[i] = os.clock() - before
end
table.sort(seconds)

-- What lua-cjson wrote is read by a decoder that reads exactly.
local result = operation(argument)
if what == "encode" then result = require("qhub").json.decode(result) end

local function count_changed(before, after)
  if type(before) ~= "table" then
    return math.type(before) == "float" and before ~= after and 1 or 0
  end
  local changed = 0
  for key, value in pairs(before) do
    changed = changed + count_changed(value, after[key])
  end
  return changed
end
local changed = count_changed(body, result)
print(("%.6f %d %d"):format(seconds[(TIMES + 1) // 2], #text, changed))
