-- Hours: many tasks for minutes, over a link that resets, stalls and slices.
--
--   scripts/with_build.sh build lua5.4 scripts/conformance/soak.lua [tasks=N] [seconds=N] [link=0]
--
-- Each task does one thing after another: run, start and wait, follow logs, download, list, cancel.
-- Every start carries a marker of its own in `$tags`. The gateway must have seen each marker at
-- most once, and exactly once when the start came back (starts are not repeated once under way);
-- downloads have the right hash; descriptors and the Lua heap stay flat, and resident memory is
-- told. link=0 goes to the gateway directly. Assumes the project's root as working directory.

local gateway = require "spec.support.gateway"
local lfs = require "lfs"
local process = require "spec.support.process"
local digest = require "openssl.digest"
local qhub = require "qhub"

local tasks = qhub.tasks
local options = { tasks = 500, seconds = 60, link = 1, size = 100000, seed = os.time() }
for _, word in ipairs(arg) do
  local name, value = word:match "^(%w+)=(%d+)$"
  options[name or error("bad argument: " .. word)] = math.tointeger(value)
end
math.randomseed(options.seed)

local server <close> = gateway.start {
  idle = 0,
  record = 1000,
  set = { "pending_ms=50", "running_ms=400", "file_size=" .. options.size },
}
local port = server.port
local link
if options.link ~= 0 then
  local fifo = os.tmpname()
  os.remove(fifo)
  assert(os.execute("mkfifo -m 600 " .. fifo))
  local form = "exec %s scripts/conformance/unruly.lua to=%d cut=400000 stall=400 slice=20000 >%s"
  link = assert(io.popen(form:format(process.SERVER_LUA, port, fifo), "w"))
  local output <close> = assert(io.open(fifo))
  port = output:read("l"):match "^READY (%d+)"
  os.remove(fifo)
end

local client <close> = qhub.HubServiceClient {
  base_url = server.url:gsub(":%d+", ":" .. port, 1),
  token = server.token,
  max_retries = 4,
  timeout = 10,
  http = { proxy = false },
}

-- ── What the tasks do ───────────────────────────────────────────────────────────────────────────

local counts, errors, wrong = {}, {}, {}
local started, failed_starts, next_marker = {}, {}, 0
local began = os.time()

local function over()
  return os.time() - began >= options.seconds
end

local function note(err)
  local key = tostring(err)
  if qhub.is_error(err) then key = err.kind .. " " .. (err.status_code or err.phase or "") end
  errors[key] = (errors[key] or 0) + 1
  if not qhub.is_error(err) or err.kind == "decode" or err.kind == "file" then
    wrong[#wrong + 1] = tostring(err)
  end
end

local function body()
  next_marker = next_marker + 1
  local marker = "m" .. next_marker
  return { ["$tags"] = qhub.json.array { marker } }, marker
end

local function start()
  local given, marker = body()
  local execution, err = client:start_execution(given)
  if execution then
    started[marker] = true
  else
    failed_starts[marker] = err.sent
    note(err)
  end
  return execution
end

local function sha256(text)
  return (
    digest.new("sha256"):final(text):gsub(".", function(c)
      return ("%02x"):format(c:byte())
    end)
  )
end

local actions = {
  run = function()
    local given, marker = body()
    local result, err = client:run(given, { interval = 0.3 })
    started[marker] = result ~= nil or nil
    if err then
      failed_starts[marker] = err.sent or err.execution ~= nil
      note(err)
    end
  end,
  follow = function()
    local execution = start()
    if execution then
      local ok, err = pcall(function()
        local last
        for entry in assert(execution:follow_logs { interval = 0.3 }) do
          if last and entry.timestamp < last then wrong[#wrong + 1] = "log entries out of order" end
          last = entry.timestamp
        end
      end)
      if not ok then note(err) end
    end
  end,
  download = function()
    local execution = start()
    if not execution then return end
    local ok, err = execution:wait { interval = 0.3 }
    local file
    if ok then
      file, err = execution:result_file "result.bin"
    end
    local text
    if file then
      text, err = file:read_all()
    end
    if not text then return note(err) end
    if sha256(text) ~= server:file(execution.id, "result.bin").sha256 then
      wrong[#wrong + 1] = "a file with another hash"
    end
  end,
  cancel = function()
    local execution = start()
    if execution then
      local ok, err = execution:cancel()
      if not ok then note(err) end
    end
  end,
  ["cancelled task"] = function()
    local task = tasks.spawn(function()
      local execution = start()
      return execution and execution:wait { interval = 0.1 }
    end)
    tasks.sleep(math.random() * 0.3)
    task:cancel()
    pcall(task.join, task)
  end,
}
local names = {}
for name in pairs(actions) do
  names[#names + 1] = name
end
table.sort(names)

-- ── Measures ────────────────────────────────────────────────────────────────────────────────────

local function resident()
  local file <close> = assert(io.open "/proc/self/status")
  return math.tointeger(tonumber(file:read("a"):match "VmRSS:%s*(%d+)")) // 1024
end

local function descriptors()
  local count = 0
  for _ in lfs.dir "/proc/self/fd" do
    count = count + 1
  end
  return count
end

local samples = {}
local function sample()
  collectgarbage()
  collectgarbage()
  local heap = collectgarbage "count" // 1024
  samples[#samples + 1] =
    { at = os.time() - began, rss = resident(), heap = heap, fds = descriptors() }
  local last = samples[#samples]
  local done = 0
  for _, count in pairs(counts) do
    done = done + count
  end
  local form = "%4d s: %d done, resident %d MB, Lua %d MB, %d descriptors"
  print(form:format(last.at, done, last.rss, last.heap, last.fds))
  io.stdout:flush()
end

tasks.run(function()
  for _ = 1, options.tasks do
    tasks.spawn(function()
      tasks.sleep(math.random() * 5)
      while not over() do
        local name = names[math.random(#names)]
        actions[name]()
        counts[name] = (counts[name] or 0) + 1
      end
    end)
  end
  while not over() do
    tasks.sleep(math.max(5, options.seconds // 15))
    sample()
  end
end)
sample()
if link then link:close() end

-- ── Verdict ─────────────────────────────────────────────────────────────────────────────────────

local seen = {}
for _, execution in ipairs(server:call("GET", "executions").executions) do
  local marker = execution.tags and execution.tags[1]
  if marker then seen[marker] = (seen[marker] or 0) + 1 end
end
local double, lost, unsaid = 0, 0, 0
for marker, count in pairs(seen) do
  double = double + (count > 1 and 1 or 0)
  unsaid = unsaid + (failed_starts[marker] == false and 1 or 0)
end
for marker in pairs(started) do
  lost = lost + (seen[marker] and 0 or 1)
end
for name, count in pairs(counts) do
  print(("%-15s %d"):format(name, count))
end
for key, count in pairs(errors) do
  print(("error %-20s %d"):format(key, count))
end
for i = 1, math.min(#wrong, 5) do
  print("WRONG " .. wrong[i])
end
local first, last = samples[math.max(1, #samples // 5)], samples[#samples]
local grows = last.heap > first.heap * 1.2 + 5 or last.fds > first.fds * 1.2 + 20
local form = "starts: %d made, %d seen twice, %d lost, %d said not to be sent but seen"
print(form:format(next_marker, double, lost, unsaid))
print(("resident memory: from %d to %d MB"):format(first.rss, last.rss))
local bad = double + lost + unsaid + #wrong + (grows and 1 or 0)
print(("soak: %d tasks, %d s, %d failed"):format(options.tasks, options.seconds, bad))
os.exit(bad == 0, true)
