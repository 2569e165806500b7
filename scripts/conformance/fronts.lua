-- Real servers and proxies in front of the gateway simulator: every operation, starts counted,
-- downloads that are cut on the way, and a link that is slow.
--
--   scripts/conformance/fronts.sh [NAME...]
--
-- Each front is a program of Debian's, unpacked, not installed, on loopback, ended at the end. The
-- promises: all operations work, also over a link that slices, stalls and is slow; the gateway sees
-- each start once; a download over a link that goes silent becomes whole; one that is cut yields
-- the file's bytes, or an error, whatever the front does to validators (strong or weak), ranges and
-- encodings, and whether or not the file is swapped in between; never a mixture. Assumes the
-- project's root as the working directory. Programs and libraries come from unpack.sh (environment
-- DEBIAN_ROOT, FRONT_PATH).

local gateway = require "spec.support.gateway"
local process = require "spec.support.process"
local programs = require "spec.support.front"
local digest = require "openssl.digest"
local fronts = require "scripts.conformance.front_list"
local qhub = require "qhub"

local ROOT = assert(os.getenv "DEBIAN_ROOT")
local SIZE = 400000
local USER = io.popen("id -un"):read "l"

local top = os.tmpname()
os.remove(top)
assert(os.execute("mkdir -m 755 " .. top))

-- ── Checks ──────────────────────────────────────────────────────────────────────────────────────

local failures
local function check(condition, what, ...)
  if not condition then failures[#failures + 1] = what .. " " .. table.concat({ ... }, " ") end
  return condition
end

local function sha256(text)
  return (
    digest.new("sha256"):final(text):gsub(".", function(c)
      return ("%02x"):format(c:byte())
    end)
  )
end

local function operations(server, client)
  local weak = { size = SIZE, weak = true, last_modified = false }
  local files = { ["a.bin"] = SIZE, ["ü ?.txt"] = "hello", ["weak.bin"] = weak }
  local body = { simulate = { files = files } }
  local execution = assert(client:start_execution(body))
  assert(execution:wait { interval = 0.1, timeout = 20 })
  check(execution.status == "SUCCEEDED", "status", tostring(execution.status))
  check(assert(execution:result())._links, "no links in the result")
  check(#assert(execution:logs()) > 0, "no logs")
  check(#assert(client:get_service_executions()) > 0, "an empty list")
  for _, name in ipairs(assert(execution:result_files())) do
    local text = assert(assert(client:get_result_file(execution.id, name)):read_all())
    check(sha256(text) == server:file(execution.id, name).sha256, "another file:", name)
  end
  local running = assert(client:start_execution { simulate = { running_ms = 60000 } })
  check(running:cancel(), "not cancelled")
  local _, err = client:get_status "nothing"
  check(err and err.status_code == 404, "no 404:", tostring(err))
  return execution
end

-- Many starts at once over kept connections: the gateway sees each once, and none that is said to
-- have failed before it was sent. HTTP/1.1 has no way to tell a request that met the end of a kept
-- connection from one that was taken: those are unsure, and counted.
local function starts(server, client)
  server:call("DELETE", "requests")
  local wanted, ok, unsure = 200, 0, 0
  qhub.tasks.run(function()
    for _ = 1, wanted do
      qhub.tasks.spawn(function()
        local execution, err = client:start_execution { x = 1 }
        ok = ok + (execution and 1 or 0)
        if not execution and err.sent then
          unsure = unsure + 1
        else
          check(execution, "a start:", tostring(err))
        end
      end)
    end
  end)
  local seen = server:count "POST"
  local is_right = seen >= ok and seen <= ok + unsure and unsure <= wanted // 10
  check(is_right, ("%d starts came back, %d unsure, the gateway saw %d"):format(ok, unsure, seen))
  return unsure
end

-- Downloads of a file whose connection breaks: whole, or an error; of one version. At least `least`
-- of 24 have to come whole.
local function cuts(server, client, broken, id, name, least)
  local whole = 0
  for round = 1, 24 do
    local known = { [server:file(id, name).sha256] = true }
    if round <= 12 then
      local fault = { random_break = SIZE }
      server:fault { match = { operation = "get_result_file" }, times = 3, fault = fault }
    end
    if round % 2 == 0 then
      local fault = { change_etag = true }
      server:fault { match = { operation = "get_result_file" }, skip = 1, times = 1, fault = fault }
    end
    local path = top .. "/download"
    local got, err = (round <= 12 and client or broken):execution(id):download(name, path)
    known[server:file(id, name).sha256] = true
    if got then
      local file <close> = assert(io.open(path, "rb"))
      whole = whole + 1
      -- A cache may go on serving what was there before.
      check(known[sha256(file:read "a")], name, "a mixture in round", tostring(round))
    else
      local kind = err.kind
      local is_remote = kind == "network" or kind == "timeout" or kind == "api"
      check(is_remote, "error:", tostring(err))
    end
    server:call("DELETE", "faults")
  end
  local form = "only %d of 24 cut downloads of %s became whole"
  check(whole >= least, form:format(whole, name))
  return whole
end

-- A link to a port, see unruly.lua: its port, and what closes it.
local function open_link(to, arguments)
  local words = ("to=%d %s"):format(to, arguments)
  local link = process.server("scripts/conformance/unruly.lua", words)
  return link.words[1], link
end

-- Starts the program. Returns it, or nil when nothing answers at its port.
local function start_program(front, gateway_port)
  local environment = "PATH='%s' LD_LIBRARY_PATH='%s'\nexport LD_LIBRARY_PATH\nexec "
  environment = environment:format(os.getenv "FRONT_PATH", os.getenv "FRONT_LIBRARIES")
  local words = { G = gateway_port, R = ROOT, U = USER }
  local program, log = programs.start(front.config, environment .. front.run, words)
  if not program then print(log) end
  return program
end

-- A client of the front, at the front's own port or that of a link to it.
local function new_client(front, server, program, at, timeout)
  local options = { token = server.token, max_retries = 6, timeout = timeout or 3, http = {} }
  for name, value in pairs(front.http or {}) do
    options.http[name] = value
  end
  options.http.ca_file = front.tunnel and server.ca_file or front.tls and program.ca_file or nil
  options.http.proxy = front.proxy and "http://127.0.0.1:" .. program.port or false
  local scheme = (front.tls or front.tunnel) and "https" or "http"
  local origin = ("%s://127.0.0.1:%d"):format(scheme, at)
  options.base_url = server.url:gsub("^%a+://127.0.0.1:%d+", origin)
  return qhub.HubServiceClient(options)
end

local function try(front)
  failures = {}
  local set = { "pending_ms=20", "running_ms=50" }
  local server <close> = gateway.start { set = set, idle = 0, tls = front.tunnel }
  local program = start_program(front, server.port)
  if not program then return check(false, "it did not start") end
  local link_to = front.proxy and server.port or program.port
  local cut_port, cut_link = open_link(link_to, ("cut=%d slice=9000"):format(SIZE // 2))
  local slow_port, slow_link = open_link(link_to, "slice=700 stall=200 rate=4000000")
  local silent_port, silent_link = open_link(link_to, ("cut=%d freeze=1"):format(SIZE))
  local client <close> = new_client(front, server, program, link_to)
  local silent <close> = new_client(front, server, program, silent_port, 0.5)
  local broken <close> = new_client(front, server, program, cut_port)
  local slow <close> = new_client(front, server, program, slow_port)
  local ok, message = xpcall(function()
    local id = operations(server, client).id
    operations(server, slow)
    for _ = 1, 4 do
      assert(silent:execution(id):download("a.bin", top .. "/download"))
      local file <close> = assert(io.open(top .. "/download", "rb"))
      check(sha256(file:read "a") == server:file(id, "a.bin").sha256, "another file after silence")
    end
    local unsure = starts(server, client)
    local whole = cuts(server, client, broken, id, "a.bin", 8)
    local weak = cuts(server, client, broken, id, "weak.bin", 0)
    local form = "%d of 24 cut downloads whole, %d under weak tags, %d starts unsure"
    front.note = form:format(whole, weak, unsure)
  end, debug.traceback)
  check(ok, tostring(message))
  cut_link:close()
  slow_link:close()
  silent_link:close()
  program:stop()
end

local bad, count = 0, 0
for _, front in ipairs(fronts) do
  local wanted = #arg == 0
  for _, word in ipairs(arg) do
    wanted = wanted or front[1]:lower():find(word:lower(), 1, true) ~= nil
  end
  if wanted then
    count = count + 1
    try(front)
    bad = bad + (#failures > 0 and 1 or 0)
    local word = #failures == 0 and "ok" or "FAILED"
    print(("%s %s: %s"):format(word, front[1], front.note or "not finished"))
    for i = 1, math.min(#failures, 5) do
      print("  " .. failures[i]:sub(1, 600))
    end
    io.stdout:flush()
  end
end
os.execute("rm -rf '" .. top .. "'")
print(("fronts: %d tried, %d failed"):format(count, bad))
os.exit(bad == 0 and count > 0, true)
