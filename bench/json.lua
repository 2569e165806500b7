-- JSON, in a process of its own: a body of 10 MB, most of it random doubles.
--
--   json.lua encode|decode qhub|cjson
--
-- Prints the CPU seconds of one operation (the median of five), the bytes of text, and how many of
-- the doubles came out other than they went in.

local what, who = ...
local COUNT, TIMES = 520000, 5

local codec = who == "qhub" and require("qhub").json or require "cjson"
if who == "cjson" then
  codec.encode_number_precision(14) -- the most that it allows, and its default
end

math.randomseed(20250501)
local numbers = {}
for i = 1, COUNT do
  numbers[i] = math.random() * 2 - 1
end
local body = { input = { coefficients = numbers }, params = { shots = 1000 } }

local function written()
  local pieces = {}
  for i, number in ipairs(numbers) do
    pieces[i] = ("%.17g"):format(number)
  end
  local list = table.concat(pieces, ",")
  return '{"input":{"coefficients":[' .. list .. ']},"params":{"shots":1000}}'
end
local text = written()

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

local result, wrong = operation(argument), 0
if what == "encode" then
  local list = result:match "%[(.-)%]"
  local i = 0
  for literal in list:gmatch "[^,]+" do
    i = i + 1
    wrong = wrong + (tonumber(literal) == numbers[i] and 0 or 1)
  end
  assert(i == COUNT)
else
  for i, number in ipairs(result.input.coefficients) do
    wrong = wrong + (number == numbers[i] and 0 or 1)
  end
end
print(("%.6f %d %d"):format(seconds[(TIMES + 1) // 2], #text, wrong))
