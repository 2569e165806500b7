-- Who is measured: how each contender is run for a kind of measurement, and who cannot be.

local runner = require "bench.runner"
local server = require "bench.server"

local contenders = {}

local LUA = os.getenv "LUA" or "lua5.4"

local function python()
  for _, name in ipairs { "python3", "/usr/bin/python3" } do
    if runner.succeeds(name .. " -c 'import httpx'") then return name end
  end
end

local has = {
  curl = runner.succeeds "command -v curl",
  luacurl = runner.succeeds(LUA .. ' -e \'require "lcurl" require "cjson"\''),
  luasocket = runner.succeeds(LUA .. ' -e \'require "socket.http" require "cjson"\''),
  cjson = runner.succeeds(LUA .. " -e 'require \"cjson\"'"),
  node = runner.succeeds "node -e 'fetch'",
  httpx = python(),
  valgrind = runner.succeeds "command -v valgrind",
  gnuplot = runner.succeeds "command -v gnuplot",
}
contenders.has = has

--- Prints who is left out.
function contenders.tell_missing()
  local names = {
    curl = "the curl program",
    luacurl = "Lua-cURL with lua-cjson",
    luasocket = "LuaSocket with lua-cjson",
    cjson = "lua-cjson",
    node = "Node's fetch",
    httpx = "Python's httpx",
    valgrind = "callgrind (no instruction counts)",
    gnuplot = "gnuplot (no plot)",
  }
  for key, name in pairs(names) do
    if not has[key] then print("not installed, left out: " .. name) end
  end
end

local function add(list, present, name, command, more)
  if present then
    local contender = { name = name, command = command }
    for key, value in pairs(more or {}) do
      contender[key] = value
    end
    list[#list + 1] = contender
  end
end

-- The commands below take the number of requests as their last word: `command .. " 100"`.

local function qhub(mode, base)
  return ("%s bench/qhub.lua %s %s %s"):format(LUA, mode, base, server.id)
end

--- One status after the other. `share`: the part of the usual number of requests that is enough.
function contenders.status(site)
  local url = site.base .. "/" .. server.id
  local list = {}
  add(list, true, "libcurl easy", "build/bench/libcurl easy " .. url, { counted = true })
  add(list, true, "qhub", qhub("status", site.base), { counted = true })
  add(list, has.luacurl, "Lua-cURL", LUA .. " bench/luacurl.lua status " .. url, { counted = true })
  add(list, has.luasocket, "LuaSocket", LUA .. " bench/luasocket.lua status " .. url, {
    counted = true,
    share = 0.25,
  })
  add(list, has.node, "Node fetch", "node bench/fetch.mjs status " .. url)
  add(list, has.httpx, "httpx", ("%s bench/httpx_client.py status %s"):format(has.httpx, url), {
    share = 0.1,
  })
  return list
end

--- One start with a body of 1,000 bytes after the other.
function contenders.start(site)
  local url = site.base .. "/"
  local list = {}
  local function starts(present, name, command)
    add(list, present, name, command .. " 1000", { counted = true })
  end
  starts(true, "libcurl easy", "build/bench/libcurl post " .. url)
  starts(true, "qhub", qhub("start", site.base))
  starts(has.luacurl, "Lua-cURL", LUA .. " bench/luacurl.lua start " .. url)
  return list
end

--- Ten starts with a body of 4.8 MB, encoded from a table each time.
function contenders.upload(site)
  local list = {}
  add(list, true, "qhub", qhub("upload", site.base) .. " 10")
  local url = site.base .. "/ 10"
  add(list, has.luacurl, "Lua-cURL", LUA .. " bench/luacurl.lua upload " .. url)
  return list
end

--- Many statuses, 64 at a time; over HTTP/2 with `secure`. Each has command(count). `most`: the
--- greatest count; the slow ones are left out when that is large.
function contenders.statuses(site, secure, most)
  local base = secure and site.secure_base or site.base
  local url = base .. "/" .. server.id
  local ca_file = secure and site.ca_file or ""
  local list = {}
  add(list, true, "libcurl multi", function(count)
    return ("build/bench/libcurl multi %s %d 64 %s"):format(url, count, ca_file)
  end)
  add(list, true, "qhub", function(count)
    return ("%s %d %s"):format(qhub("statuses", base), count, ca_file)
  end)
  if secure or most > 10000 then
    return list -- the others speak HTTP/1.1 only, as they come
  end
  add(list, has.node, "Node fetch", function(count)
    return ("node bench/fetch.mjs statuses %s %d 64"):format(url, count)
  end)
  add(list, has.httpx, "httpx", function(count)
    return ("%s bench/httpx_client.py statuses %s %d 64"):format(has.httpx, url, count)
  end, { rounds = 1 })
  return list
end

--- A result file. Each has command(name).
function contenders.file(site)
  local folder = ("%s/%s/result/"):format(site.base, server.id)
  local list = {}
  local function reads(present, name, command)
    add(list, present, name, function(file)
      return command .. folder .. file
    end)
  end
  reads(true, "libcurl easy", "build/bench/libcurl file ")
  add(list, true, "qhub", function(file)
    return qhub("file", site.base) .. " " .. file
  end)
  reads(has.curl, "curl", "curl -s -o /dev/null ")
  reads(has.luasocket, "LuaSocket", LUA .. " bench/luasocket.lua file ")
  reads(has.node, "Node fetch", "node bench/fetch.mjs file ")
  reads(has.httpx, "httpx", ("%s bench/httpx_client.py file "):format(has.httpx))
  return list
end

--- A result file of 1 GiB, saved.
function contenders.save(site)
  local list = {}
  local path = "build/bench/saved"
  add(list, true, "qhub", qhub("save", site.base) .. " 1GiB " .. path)
  local url = ("%s/%s/result/1GiB"):format(site.base, server.id)
  add(list, has.curl, "curl", ("curl -s -o %s %s"):format(path, url))
  return list
end

--- A result file of any gateway, into sha256sum.
function contenders.pipe(base, id, name)
  return ("sh -c '%s bench/qhub.lua pipe %s %s %s | sha256sum'"):format(LUA, base, id, name)
end

--- From the start of the process to the first response.
function contenders.first(site)
  local url = site.base .. "/" .. server.id
  local list = {}
  local counted = { counted = true }
  add(list, has.curl, "curl", "curl -s -o /dev/null " .. url, counted)
  add(list, true, "qhub", qhub("status", site.base) .. " 1", counted)
  local luacurl = LUA .. " bench/luacurl.lua status " .. url .. " 1"
  add(list, has.luacurl, "Lua-cURL", luacurl, counted)
  add(list, has.luasocket, "LuaSocket", LUA .. " bench/luasocket.lua status " .. url .. " 1")
  add(list, has.node, "Node fetch", "node bench/fetch.mjs status " .. url .. " 1")
  local httpx = ("%s bench/httpx_client.py status %s 1"):format(has.httpx, url)
  add(list, has.httpx, "httpx", httpx)
  return list
end

--- JSON, `what` being "encode" or "decode", of `which` text ("doubles", "mixed").
function contenders.json(what, which)
  local list = {}
  add(list, true, "qhub", ("%s bench/json.lua %s qhub %s"):format(LUA, what, which))
  add(list, has.cjson, "lua-cjson", ("%s bench/json.lua %s cjson %s"):format(LUA, what, which))
  return list
end

--- An execution decoded; takes the number of times as its last word. `who`: "qhub" or "cjson".
function contenders.execution(who)
  return ("%s bench/json.lua execution %s"):format(LUA, who)
end

--- Runs from start to result against the simulator. Each has command(gateway, count).
function contenders.scale()
  local list = {}
  for _, how in ipairs { "wait_all", "tasks" } do
    add(list, true, how, function(gateway, count)
      local command = "%s bench/qhub.lua scale %s %s %d %s"
      return command:format(LUA, gateway.url, gateway.token, count, how)
    end)
  end
  return list
end

return contenders
