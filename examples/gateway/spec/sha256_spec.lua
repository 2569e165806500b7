-- The simulator's own SHA-256, for systems without luaossl, against known digests.

local sha256 = dofile "examples/gateway/sha256.lua"

local function hex(bytes)
  return (bytes:gsub(".", function(byte)
    return ("%02x"):format(byte:byte())
  end))
end

describe("the simulator's SHA-256", function()
  -- FIPS 180-4, examples of the standard.
  local KNOWN = {
    [""] = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
    abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq = "248d6a61d20638b8e5c026930c3e6039"
      .. "a33ce45964ff2167f6ecedd419db06c1",
  }

  it("is that of the standard's examples", function()
    for text, digest in pairs(KNOWN) do
      assert.equal(digest, hex(sha256.new("sha256"):final(text)))
    end
  end)

  it("is the same however the text is cut", function()
    local text = ("The quick brown fox. "):rep(20)
    local whole = hex(sha256.new("sha256"):final(text))
    for size = 1, 130 do
      local sum = sha256.new "sha256"
      for at = 1, #text, size do
        sum:update(text:sub(at, at + size - 1))
      end
      assert.equal(whole, hex(sum:final()))
    end
  end)
end)
