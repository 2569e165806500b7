-- Result files: throughput and the most memory that a process ever had (VmHWM, Linux), by size; and
-- one gibibyte over 20 random breaks, whose SHA-256 must be that of the gateway.
--
--   scripts/with_build.sh build lua5.4 bench/files.lua
--
-- The simulator runs in a process of its own, and so does each measurement: memory that one has
-- freed would hide what the next one takes.

local MIB = 1 << 20

-- ── one measurement ─────────────────────────────────────────────────────────────────────────────

local function measure(url, token, id, name, how)
  local qhub = require "qhub"
  local now = require("qhub.core").system.monotonic
  local client = qhub.HubServiceClient { base_url = url, token = token }
  local execution = client:execution(id)
  local started = now()
  if how == "save" then
    local path = os.tmpname()
    assert(execution:download(name, path))
    os.remove(path)
  elseif how == "hash" then
    local sum <close> = assert(io.popen("sha256sum", "w"))
    for chunk in assert(execution:result_file(name)) do
      sum:write(chunk)
    end
  else
    for _ in assert(execution:result_file(name)) do -- luacheck: ignore 542
    end
  end
  local seconds = now() - started
  local status = io.open "/proc/self/status"
  local peak = status and status:read("a"):match "VmHWM:%s*(%d+)" or "?"
  io.stderr:write(("%.6f %s\n"):format(seconds, peak))
end

-- Runs this file again for one measurement; returns seconds, KiB, and what it wrote.
local function in_child(gateway, id, name, how)
  local errors = os.tmpname()
  local command = ("exec lua5.4 bench/files.lua %s %s %s %s %s 2>%s"):format(
    gateway.url,
    gateway.token,
    id,
    name,
    how,
    errors
  )
  local child = assert(io.popen(command))
  local output = child:read "a"
  local ok = child:close()
  local file <close> = assert(io.open(errors))
  local figures = file:read "a"
  os.remove(errors)
  local seconds, peak = figures:match "^([%d.]+) (%d+)\n$"
  assert(ok and seconds, figures)
  return tonumber(seconds), math.tointeger(peak), output
end

-- ── all of them ─────────────────────────────────────────────────────────────────────────────────

local function all()
  local gateway <close> = require("spec.support.gateway").start()
  local function file(size)
    local simulate = { pending_ms = 0, running_ms = 0, files = { f = size } }
    return gateway:create(1, { simulate = simulate })[1]
  end
  local function line(what, size, seconds, peak)
    local rate = size / MIB / seconds
    print(("%-34s %8.3f s %8.0f MiB/s %8d KiB at most"):format(what, seconds, rate, peak))
  end
  for _, how in ipairs { "read", "save" } do
    for _, size in ipairs { 1, 100, 1024 } do
      local seconds, peak = in_child(gateway, file(size * MIB), "f", how)
      line(("%s %d MiB"):format(how, size), size * MIB, seconds, peak)
    end
  end
  local id = file(1024 * MIB)
  gateway:fault {
    match = { operation = "get_result_file" },
    times = 20,
    fault = { random_break = 50 * MIB },
  }
  local before = gateway:count(nil, "/result/")
  local seconds, peak, sum = in_child(gateway, id, "f", "hash")
  line("1024 MiB with breaks, into sha256sum", 1024 * MIB, seconds, peak)
  assert(sum:match "^%x+" == gateway:file(id, "f").sha256, "the bytes differ")
  print(("SHA-256 identical after %d breaks"):format(gateway:count(nil, "/result/") - before - 1))
end

if arg[1] then
  measure(table.unpack(arg))
else
  all()
end
