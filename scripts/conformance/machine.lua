-- What a machine does to a program: few descriptors, a full disk, a folder that cannot be written,
-- a program that is stopped and continued, a clock that jumps, a name that cannot be resolved for
-- a while.
--
--   scripts/conformance/machine.sh [NAME...]       parts of the names
--
-- Each case is a program in a process of its own, under a shell line that makes the condition, and
-- what is done to it from here between the lines that it prints. It must end well by itself; one
-- that takes a minute is killed and fails. Mounts are made in a namespace of the program's own.
-- Assumes the project's root as working directory, and libfaketime at FAKETIME_LIBRARY.

local gateway = require "spec.support.gateway"
local process = require "spec.support.process"

local is_root = io.popen("id -u"):read "l" == "0"
local MOUNTS = is_root and "unshare -m" or "unshare -rm"
local FAKETIME = assert(os.getenv "FAKETIME_LIBRARY")

local top = os.tmpname()
os.remove(top)
assert(os.execute("mkdir -m 755 " .. top))

local function write(name, text)
  local file <close> = assert(io.open(top .. "/" .. name, "wb"))
  file:write(text)
end

local function sleep(seconds)
  os.execute("sleep " .. seconds)
end

-- Stops a program three times, each time for longer than its timeout.
local function stop_and_continue(child)
  for _ = 1, 3 do
    child:signal "STOP"
    sleep(2)
    child:signal "CONT"
    sleep(0.3)
  end
end

-- What every program begins with: a client, a run that is over and has a file of 400,000 bytes.
local PROLOGUE = [[
local qhub = require "qhub"
local now = require("qhub.tasks.loop").now
local tasks = qhub.tasks
local base_url, token, id, folder = "%s", "%s", "%s", "%s"
local function new(changes)
  local options = { base_url = base_url, token = token, timeout = 10, http = { proxy = false } }
  for name, value in pairs(changes or {}) do
    options[name] = value
  end
  return qhub.HubServiceClient(options)
end
local function say(word)
  print(word)
  io.stdout:flush()
end
local function files(path)
  local pipe <close> = io.popen("ls -A '" .. path .. "'")
  return (pipe:read "a")
end
local client <close> = new()
assert(client:get_status(id))
local pid = io.open("/proc/self/stat"):read "n"
say("READY " .. pid)
]]

local DOWNLOAD_FAILS = [[
for _, options in ipairs { {}, { resume = true } } do
  local path, err = client:execution(id):download("a.bin", folder .. "/disk/a", options)
  assert(not path and err.kind == "file", tostring(err))
  assert(tostring(err):find("$REASON", 1, true), tostring(err))
  assert(not files(folder .. "/disk"):find "^a\n")
  assert(options.resume or files(folder .. "/disk") == "old\n", files(folder .. "/disk"))
end
assert(client:get_status(id))
assert(client:execution(id):download("a.bin", folder .. "/a"))
]]

local DISK = "mkdir -p $T/disk && mount -t tmpfs -o %s none $T/disk && echo x >$T/disk/old"

local cases = {
  {
    "64 descriptors, 200 starts and 200 files at once",
    shell = "ulimit -n 64",
    program = [[
      local done = 0
      tasks.run(function()
        for _ = 1, 200 do
          tasks.spawn(function()
            local execution = assert(client:start_execution { input = {} })
            assert(execution:wait { interval = 0.1 })
            local file = assert(client:get_result_file(id, "a.bin"))
            assert(#assert(file:read_all()) == 400000)
            done = done + 1
          end)
        end
      end)
      assert(done == 200)
    ]],
    check = function(server)
      local posts = server:count "POST"
      return posts == 200, posts .. " starts"
    end,
  },
  {
    "no descriptor left by the program itself",
    shell = "ulimit -n 24",
    program = [[
      local fresh = new { max_retries = 0 }
      local held = {}
      local function hold()
        repeat
          held[#held + 1] = io.open "/dev/null"
        until not io.open "/dev/null"
      end
      local function let_go()
        while #held > 0 do
          table.remove(held):close()
        end
      end
      -- A module that is needed now for the first time cannot be loaded.
      hold()
      local ok, message = pcall(fresh.get_status, fresh, id)
      assert(not ok and message:find "attempts.lua: Too many open files", tostring(message))
      let_go()
      assert(fresh:get_status(id))
      assert(not fresh:get_status "none")
      fresh:close()
      fresh = new { max_retries = 0 }
      hold()
      local _, err = fresh:get_status(id)
      assert(err.kind == "network" and err.sent == false, tostring(err))
      assert(tostring(err):find "too many open files", tostring(err))
      let_go()
      assert(fresh:get_status(id))
    ]],
  },
  {
    "a full disk",
    shell = DISK:format "size=64k",
    mounts = true,
    program = DOWNLOAD_FAILS:gsub("$REASON", "No space left on device"),
  },
  {
    "a limit to the size of files",
    shell = "mkdir -p $T/disk && echo x >$T/disk/old; trap '' XFSZ; ulimit -S -f 100",
    program = DOWNLOAD_FAILS:gsub("$REASON", "File too large"):gsub("\nassert%b()\n$", "\n"),
  },
  {
    "a folder that cannot be written",
    shell = DISK:format "size=8m" .. " && mount -o remount,ro $T/disk",
    mounts = true,
    program = DOWNLOAD_FAILS:gsub("$REASON", "Read-only file system"),
  },
  {
    "stopped and continued within a wait",
    program = [[
      local execution = assert(client:start_execution { simulate = { running_ms = 5000 } })
      say "waiting"
      local hasty = new { timeout = 1, max_retries = 0 }
      assert(hasty:execution(execution.id):wait { interval = 0.2 })
      say "done"
    ]],
    act = function(child)
      child:expect "waiting"
      stop_and_continue(child)
      child:expect "done"
    end,
  },
  {
    "stopped and continued within a download, for longer than the timeout",
    program = [[
      local hasty = new { timeout = 1, max_retries = 0 }
      local file <close> = assert(hasty:get_result_file(id, "slow.bin"))
      local size = #assert(file:read(1))
      say "reading"
      for chunk in file do
        size = size + #chunk
      end
      assert(size == 400000, size)
      say "done"
    ]],
    prepare = function(server)
      local rule = {
        match = { operation = "get_result_file" },
        fault = { drip = { bytes = 20000, ms = 100 } },
      }
      server:fault(rule)
    end,
    act = function(child)
      child:expect "reading"
      stop_and_continue(child)
      child:expect "done"
    end,
  },
  {
    "a clock that jumps a day ahead and back",
    environment = "LD_PRELOAD='%s' FAKETIME_TIMESTAMP_FILE='$T/clock' FAKETIME_NO_CACHE=1 "
      .. "FAKETIME_DONT_FAKE_MONOTONIC=1",
    program = [[
      local credentials = qhub.credentials.client_credentials {
        access_key_id = "demo-key",
        secret_access_key = "demo-secret",
        token_endpoint = base_url:match "^%a+://[^/]+" .. "/token",
        http = { proxy = false },
      }
      local service <close> = new { token = credentials }
      local began, start = os.time(), now()
      for round = 1, 6 do
        local result = service:run({ simulate = { running_ms = 600 } }, { interval = 0.2 })
        assert(result)
        say "round"
        local entries = 0
        local run = assert(service:start_execution { simulate = { running_ms = 300 } })
        for _ in assert(run:follow_logs { interval = 0.1 }) do
          entries = entries + 1
        end
        assert(entries > 0)
      end
      local spent = now() - start
      assert(spent < 30, spent)
      assert(math.abs(os.time() - began - 86400) < 60, "the clock did not jump")
    ]],
    act = function(child)
      for _, offset in ipairs { "+1d", "-1d", "+0", "-400d", "+400d", "+1d" } do
        child:expect "round"
        write("clock", offset .. "\n")
      end
    end,
    check = function(server)
      local requests = server:tokens().requests
      return requests == 1, requests .. " tokens were fetched"
    end,
  },
  {
    "a name that cannot be resolved for a while",
    shell = "mount --bind $T/hosts /etc/hosts && mount --bind $T/switch /etc/nsswitch.conf",
    mounts = true,
    program = [[
      base_url = base_url:gsub("127.0.0.1", "gateway.example")
      local known <close> = new()
      local execution = assert(known:start_execution { simulate = { running_ms = 1000 } })
      say "known"
      repeat
        tasks.run(tasks.sleep, 0.05)
      until io.open(folder .. "/gone")
      local stranger <close> = new { max_retries = 0 }
      local _, err = stranger:get_status(id)
      assert(err.kind == "network" and err.sent == false, tostring(err))
      assert(tostring(err):find("gateway.example", 1, true), tostring(err))
      local _, start = stranger:start_execution {}
      assert(start.kind == "network" and start.sent == false, tostring(start))
      assert(known:get_status(id)) -- its connection is there
      say "waits"
      local newcomer <close> = new { max_retries = 0 }
      local ok = assert(newcomer:execution(execution.id):wait { interval = 0.3, timeout = 30 })
      assert(ok.status == "SUCCEEDED")
      assert(stranger:get_status(id))
    ]],
    prepare = function()
      write("hosts", "127.0.0.1 localhost\n127.0.0.1 gateway.example\n")
      write("switch", "hosts: files\n")
    end,
    act = function(child)
      child:expect "known"
      write("hosts", "127.0.0.1 localhost\n")
      write("gone", "")
      child:expect "waits"
      sleep(3)
      write("hosts", "127.0.0.1 localhost\n127.0.0.1 gateway.example\n")
    end,
  },
} -- stylua: ignore

-- ── Running them ────────────────────────────────────────────────────────────────────────────────

local Child = {}
Child.__index = Child

function Child:expect(word)
  local line = self.process.pipe:read "l"
  if line ~= word then error(("expected %q, got %q"):format(word, line), 0) end
end

function Child:signal(name)
  os.execute(("kill -%s %d 2>/dev/null"):format(name, self.process.words[1]))
end

-- Runs a case; returns what was wrong with it.
local function try(case)
  local settings = { "pending_ms=20", "running_ms=50" }
  local server <close> = gateway.start { set = settings, idle = 0 }
  local names = { ["a.bin"] = 400000, ["slow.bin"] = 400000 }
  local shape = { pending_ms = 0, running_ms = 0, files = names }
  local id = server:create(1, { simulate = shape })[1]
  if case.prepare then case.prepare(server) end
  write("program.lua", PROLOGUE:format(server.url, server.token, id, top) .. case.program)
  local shell = case.shell and case.shell .. " && " or ""
  local environment = (case.environment or ""):format(FAKETIME)
  local form = "%sexec env %s %s '$T/program.lua' 2>&1"
  write("command", (form:format(shell, environment, process.SERVER_LUA):gsub("$T", top)))
  local mounts = case.mounts and MOUNTS or ""
  local child = process.start(("timeout -k 1 60 %s sh '%s/command'"):format(mounts, top))
  local ok, why = pcall(case.act or type, setmetatable({ process = child }, Child))
  local output, ended_well = child:wait()
  if not ok or not ended_well then return (ok and "" or why .. ": ") .. output end
  if case.check then
    local is_right, what = case.check(server)
    if not is_right then return what end
  end
end

local tried, failed = 0, 0
for _, case in ipairs(cases) do
  local wanted = #arg == 0
  for _, word in ipairs(arg) do
    wanted = wanted or case[1]:find(word, 1, true) ~= nil
  end
  if wanted then
    local ok, failure = pcall(try, case)
    if not ok then failure = failure or "it failed" end
    tried, failed = tried + 1, failed + (failure and 1 or 0)
    print((failure and "FAILED " or "ok ") .. case[1])
    if failure then print("  " .. tostring(failure):sub(1, 900)) end
    io.stdout:flush()
  end
end
os.execute("rm -rf '" .. top .. "'")
print(("machine: %d tried, %d failed"):format(tried, failed))
os.exit(failed == 0 and tried > 0, true)
