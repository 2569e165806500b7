-- The generated table of powers that numbers are read and written with: every entry, by
-- multiplication of big integers, from the text of the C file.

-- Big integers: limbs of 24 bits, the lowest first.
local LIMB = 1 << 24

local function normalize(limbs)
  local carry = 0
  local i = 1
  while limbs[i] or carry > 0 do
    carry = carry + (limbs[i] or 0)
    limbs[i] = carry % LIMB
    carry = carry // LIMB
    i = i + 1
  end
  while #limbs > 1 and limbs[#limbs] == 0 do
    limbs[#limbs] = nil
  end
  return limbs
end

local function multiply(a, b)
  local product = {}
  for i = 1, #a + #b do
    product[i] = 0
  end
  for i, x in ipairs(a) do
    for j, y in ipairs(b) do
      product[i + j - 1] = product[i + j - 1] + x * y
    end
  end
  return normalize(product)
end

local function power_of_two(exponent)
  local limbs = {}
  for i = 1, exponent // 24 do
    limbs[i] = 0
  end
  limbs[#limbs + 1] = 1 << exponent % 24
  return limbs
end

-- Negative, zero or positive as a is less than, equal to or greater than b.
local function compare(a, b)
  if #a ~= #b then return #a - #b end
  for i = #a, 1, -1 do
    if a[i] ~= b[i] then return a[i] - b[i] end
  end
  return 0
end

local function bit_length(a)
  local bits = 0
  while a[#a] >> bits > 0 do
    bits = bits + 1
  end
  return (#a - 1) * 24 + bits
end

-- 128 bits as a big integer, less `minus` (0 or 1).
local function from_halves(high, low, minus)
  local limbs = {}
  for shift = 0, 96, 24 do
    local limb = shift < 64 and low >> shift or 0
    if shift > 40 and shift < 64 then
      limb = limb | high << (64 - shift)
    elseif shift >= 64 then
      limb = high >> (shift - 64)
    end
    limbs[#limbs + 1] = limb & (LIMB - 1)
  end
  limbs[#limbs + 1] = high >> 56
  local i = 1
  while minus > 0 do
    limbs[i] = limbs[i] - 1
    minus = limbs[i] < 0 and 1 or 0
    limbs[i] = limbs[i] % LIMB
    i = i + 1
  end
  return normalize(limbs)
end

describe("the table of powers", function()
  local file = assert(io.open "src/text/number_powers.h")
  local text = file:read "a"
  file:close()

  local function constant(name)
    return math.tointeger(tonumber(text:match("POWERS_" .. name .. " = (-?%d+)")))
  end
  local first, last, step = constant "FIRST", constant "LAST", constant "STEP"

  local fives = { [0] = { 1 } }
  for k = 1, math.max(-first, last) do
    fives[k] = multiply(fives[k - 1], { 5 })
  end

  it("has for each power of ten the least 128-bit number that is not below it", function()
    local k = first
    for high, low in text:gmatch "{(0x%x+), (0x%x+)}" do
      high, low = math.tointeger(tonumber(high)), math.tointeger(tonumber(low))
      assert.is_true(high < 0, "the highest bit is set") -- as a signed integer
      local entry, below = from_halves(high, low, 0), from_halves(high, low, 1)
      if k < 0 then
        -- entry / 2^n >= 5^k, and no smaller one is
        local product = multiply(entry, fives[-k])
        local one = power_of_two(bit_length(product) - 1)
        assert.is_true(compare(product, one) >= 0, k)
        assert.is_true(compare(multiply(below, fives[-k]), one) < 0, k)
      else
        -- both sides brought to whole numbers
        local shift = bit_length(fives[k]) - 128
        local unit = power_of_two(math.max(shift, 0))
        local power = multiply(fives[k], power_of_two(math.max(-shift, 0)))
        assert.is_true(compare(multiply(entry, unit), power) >= 0, k)
        assert.is_true(compare(multiply(below, unit), power) < 0, k)
      end
      k = k + step
    end
    assert.equal(last + step, k)
  end)
end)
