-- Gzip without a compression library.
--
-- Responsible for: wrapping bytes in stored blocks (RFC 1951, 3.2.4), which any inflater takes, and
-- a small text that inflates to a huge one. It must not know who asks.

local gzip = {}

local HEADER = "\31\139\8\0\0\0\0\0\0\255"

local function crc_table()
  local crcs = {}
  for index = 0, 255 do
    local crc = index
    for _ = 1, 8 do
      crc = crc & 1 == 1 and 0xEDB88320 ~ (crc >> 1) or crc >> 1
    end
    crcs[index] = crc
  end
  return crcs
end

local crcs

local function crc32(text)
  crcs = crcs or crc_table()
  local crc = 0xffffffff
  for at = 1, #text do
    crc = crcs[(crc ~ text:byte(at)) & 255] ~ (crc >> 8)
  end
  return crc ~ 0xffffffff
end

-- A gzip member that holds `text` uncompressed. About 10 MB a second, because of the checksum.
function gzip.store(text)
  local parts = { HEADER }
  local at = 1
  repeat
    local part = text:sub(at, at + 65534)
    at = at + 65535
    local final = at > #text and 1 or 0
    parts[#parts + 1] = string.pack("<BI2I2", final, #part, ~#part & 0xffff) .. part
  until at > #text
  parts[#parts + 1] = string.pack("<I4I4", crc32(text), #text & 0xffffffff)
  return table.concat(parts)
end

-- A gzip member of about size / 158 bytes that inflates to `size` or a few more blanks. Its sum
-- is wrong: it is for clients that must stop before they come to the end.
function gzip.bomb(size)
  -- One block of fixed codes (RFC 1951, 3.2.6): a blank, then "258 bytes from distance 1" again
  -- and again. That pair is 13 bits, so 8 of them repeat every 13 bytes.
  local bits, held, out = 0, 0, {}
  local function put(value, count)
    bits, held = bits | value << held, held + count
    while held >= 8 do
      out[#out + 1] = string.char(bits & 255)
      bits, held = bits >> 8, held - 8
    end
  end
  local function reversed(value, count)
    local result = 0
    for _ = 1, count do
      result, value = result << 1 | value & 1, value >> 1
    end
    return result
  end
  put(1 | 1 << 1, 3)
  put(reversed(0x30 + 32, 8), 8)
  local start = #out
  for _ = 1, 8 do
    put(reversed(0xC0 + 285 - 280, 8), 8)
    put(0, 5)
  end
  local cycle = table.concat(out, "", start + 1, start + 13)
  local rest = bits
  local repeats = size // (258 * 8)
  local tail = string.char(rest & 255, 0)
  local body = table.concat(out, "", 1, start) .. cycle:rep(repeats + 1) .. tail
  return HEADER .. body .. string.pack("<I4I4", 0, size & 0xffffffff)
end

return gzip
