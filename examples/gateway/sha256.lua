-- SHA-256 (FIPS 180-4) in Lua, in the shape of `openssl.digest`, for systems that lack that for Lua
-- 5.4 (Debian 11). Some megabytes a second, which is enough for the files of a demo.

local K = {}
local START = {}

-- The constants are the first 32 bits of the fractional parts of the cube roots and square roots of
-- the first primes, which a double holds.
do
  local function fraction(value)
    return math.floor((value - math.floor(value)) * (1 << 32))
  end
  local candidate = 2
  while #K < 64 do
    local is_prime = true
    for divisor = 2, math.floor(math.sqrt(candidate)) do
      is_prime = is_prime and candidate % divisor ~= 0
    end
    if is_prime then
      K[#K + 1] = fraction(candidate ^ (1 / 3))
      START[#START + 1] = #START < 8 and fraction(math.sqrt(candidate)) or nil
    end
    candidate = candidate + 1
  end
end

local WORDS = ">" .. ("I4"):rep(16)

local function rotated(word, bits)
  return (word >> bits | word << (32 - bits)) & 0xFFFFFFFF
end

local function compress(state, text, at)
  local w = { string.unpack(WORDS, text, at) }
  for t = 17, 64 do
    local x, y = w[t - 15], w[t - 2]
    local s0 = rotated(x, 7) ~ rotated(x, 18) ~ x >> 3
    local s1 = rotated(y, 17) ~ rotated(y, 19) ~ y >> 10
    w[t] = (w[t - 16] + s0 + w[t - 7] + s1) & 0xFFFFFFFF
  end
  local a, b, c, d, e, f, g, h = table.unpack(state)
  for t = 1, 64 do
    local s1 = rotated(e, 6) ~ rotated(e, 11) ~ rotated(e, 25)
    local first = h + s1 + (e & f ~ ~e & g) + K[t] + w[t]
    local s0 = rotated(a, 2) ~ rotated(a, 13) ~ rotated(a, 22)
    local second = s0 + (a & b ~ a & c ~ b & c)
    h, g, f, e = g, f, e, (d + first) & 0xFFFFFFFF
    d, c, b, a = c, b, a, (first + second) & 0xFFFFFFFF
  end
  for index, word in ipairs { a, b, c, d, e, f, g, h } do
    state[index] = (state[index] + word) & 0xFFFFFFFF
  end
end

local Digest = {}
Digest.__index = Digest

function Digest:update(text)
  self.length = self.length + #text
  text = self.rest .. text
  local at = 1
  while at + 63 <= #text do
    compress(self.state, text, at)
    at = at + 64
  end
  self.rest = text:sub(at)
  return self
end

-- The 32 bytes of the digest.
function Digest:final(text)
  self:update(text or "")
  local bits = self.length * 8
  self:update("\x80" .. ("\0"):rep((55 - self.length) % 64) .. string.pack(">I8", bits))
  return string.pack(">I4I4I4I4I4I4I4I4", table.unpack(self.state))
end

return {
  new = function()
    return setmetatable({ state = table.move(START, 1, 8, 1, {}), rest = "", length = 0 }, Digest)
  end,
}
