-- Lua-cURL with lua-cjson as a contender.
--
--   luacurl.lua status URL COUNT
--   luacurl.lua start URL BYTES COUNT
--   luacurl.lua upload URL COUNT

local bodies = require "bench.bodies"
local cjson = require "cjson"
local lcurl = require "lcurl"

local HEADERS = {
  "authorization: Bearer demo-token",
  "accept: application/json, */*;q=0.5",
  "user-agent: lua-curl",
}

local function perform(easy)
  local pieces = {}
  easy:setopt_writefunction(function(piece)
    pieces[#pieces + 1] = piece
    return true
  end)
  easy:perform()
  assert(easy:getinfo_response_code() // 100 == 2)
  return cjson.decode(table.concat(pieces))
end

local function starts(url, count, body)
  local lines = { "content-type: application/json", table.unpack(HEADERS) }
  local easy = lcurl.easy { url = url, httpheader = lines, post = true }
  for _ = 1, count do
    easy:setopt_postfields(cjson.encode(body))
    assert(perform(easy).status == "SUCCEEDED")
  end
end

local modes = {}

function modes.status(url, count)
  local easy = lcurl.easy { httpheader = HEADERS }
  for _ = 1, tonumber(count) do
    easy:setopt_url(url)
    assert(perform(easy).status == "SUCCEEDED")
  end
end

function modes.start(url, bytes, count)
  starts(url, tonumber(count), bodies.text(tonumber(bytes)))
end

function modes.upload(url, count)
  starts(url, tonumber(count), bodies.doubles(250000))
end

modes[arg[1]](table.unpack(arg, 2))
