-- LuaSocket with lua-cjson as a contender. Its HTTP client makes a connection for each request.
--
--   luasocket.lua status URL COUNT
--   luasocket.lua file URL

local cjson = require "cjson"
local http = require "socket.http"

local modes = {}

function modes.status(url, count)
  for _ = 1, tonumber(count) do
    local pieces = {}
    local _, status = http.request {
      url = url,
      headers = { authorization = "Bearer demo-token", accept = "application/json" },
      sink = function(chunk)
        pieces[#pieces + 1] = chunk
        return 1
      end,
    }
    assert(status == 200 and cjson.decode(table.concat(pieces)).status == "SUCCEEDED")
  end
end

function modes.file(url)
  local total = 0
  local _, status = http.request {
    url = url,
    sink = function(chunk)
      total = total + #(chunk or "")
      return 1
    end,
  }
  assert(status == 200)
  print(total)
end

modes[arg[1]](table.unpack(arg, 2))
