-- Hours: many tasks for minutes, over a link that resets, stalls and slices.
--
--   scripts/with_build.sh build lua5.4 scripts/conformance/soak.lua [tasks=N] [seconds=N] [link=0]
--
-- Each task does one thing after another: run, start and wait, follow logs, read a file, download
-- one, cancel a run, cancel a task. Every start carries a number of its own in `$tags`. The gateway
-- must have seen each number at most once, once when the start came back, and never when it is
-- said not to have been sent (starts are not repeated once under way); files have the right hash,
-- and no part of one is left; descriptors, the Lua heap and resident memory do not grow after the
-- first fifth of the time. link=0 goes to the gateway directly. Assumes the project's root as
-- working directory.

local gateway = require "spec.support.gateway"
local lfs = require "lfs"
local listing = require "spec.support.listing"
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
  local words = ("to=%d cut=120000 stall=400 slice=20000"):format(port)
  link = process.server("scripts/conformance/unruly.lua", words)
  port = link.words[1]
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
local STARTED, UNSURE, NOT_SENT = 1, 2, 3
local starts = {} -- what became of each, by number; 0 for one whose task was cancelled
local began = os.time()
local folder = os.tmpname()
os.remove(folder)
assert(lfs.mkdir(folder))

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
  local number = #starts + 1
  starts[number] = 0
  return { ["$tags"] = qhub.json.array { tostring(number) } }, number
end

local function note_start(number, execution, err)
  starts[number] = execution and STARTED or err.sent == false and NOT_SENT or UNSURE
end

local function start()
  local given, number = body()
  local execution, err = client:start_execution(given)
  note_start(number, execution, err)
  if err then note(err) end
  return execution
end

local function sha256(text)
  return (
    digest.new("sha256"):final(text):gsub(".", function(c)
      return ("%02x"):format(c:byte())
    end)
  )
end

local function finished()
  local execution = start()
  if not execution then return end
  local ok, err = execution:wait { interval = 0.3 }
  if not ok then return note(err) end
  return execution
end

local function check_hash(execution, text)
  if sha256(text) ~= server:file(execution.id, "result.bin").sha256 then
    wrong[#wrong + 1] = "a file with another hash"
  end
end

local actions = {
  run = function()
    local given, number = body()
    local result, err = client:run(given, { interval = 0.3 })
    note_start(number, result or err.execution, err)
    if err then note(err) end
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
  read = function()
    local execution = finished()
    if not execution then return end
    local file, err = execution:result_file "result.bin"
    local text
    if file then
      text, err = file:read_all()
    end
    if not text then return note(err) end
    check_hash(execution, text)
  end,
  download = function()
    local execution = finished()
    if not execution then return end
    local path = folder .. "/" .. execution.id
    local ok, err = execution:download("result.bin", path)
    if not ok then return note(err) end
    local file <close> = assert(io.open(path, "rb"))
    check_hash(execution, file:read "a")
    os.remove(path)
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

local samples = {}
local function sample()
  collectgarbage()
  collectgarbage()
  local heap = collectgarbage "count" // 1024
  samples[#samples + 1] =
    { at = os.time() - began, rss = resident(), heap = heap, fds = listing.descriptors() }
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
  local number = tonumber(execution.tags and execution.tags[1])
  if number then seen[number] = (seen[number] or 0) + 1 end
end
local double, lost, unsaid = 0, 0, 0
for number, result in ipairs(starts) do
  local count = seen[number] or 0
  double = double + (count > 1 and 1 or 0)
  lost = lost + (result == STARTED and count == 0 and 1 or 0)
  unsaid = unsaid + (result == NOT_SENT and count > 0 and 1 or 0)
end
for _, name in ipairs(listing.names(folder)) do
  wrong[#wrong + 1] = "left behind: " .. name
end
os.execute("rm -rf '" .. folder .. "'")
for name, count in pairs(counts) do
  print(("%-15s %d"):format(name, count))
end
for key, count in pairs(errors) do
  print(("error %-20s %d"):format(key, count))
end
for i = 1, math.min(#wrong, 5) do
  print("WRONG " .. wrong[i])
end

-- The most in the samples from the share `from` of the time to the share `to`. The last sample
-- comes when all tasks have ended.
local function most(name, from, to)
  local count, found = #samples - 1, 0
  for i = math.floor(count * from) + 1, math.floor(count * to) do
    found = math.max(found, samples[i][name])
  end
  return found
end
local grows = false
for name, slack in pairs { rss = 10, heap = 10, fds = 20 } do
  local before, after = most(name, 0.2, 0.5), most(name, 0.5, 1)
  grows = grows or after > before * 1.1 + slack
  local text = "%-4s at most %d from the first fifth on, %d in the second half"
  print(text:format(name, before, after))
end
local form = "starts: %d made, %d seen twice, %d lost, %d said not to be sent but seen"
print(form:format(#starts, double, lost, unsaid))
local bad = double + lost + unsaid + #wrong + (grows and 1 or 0)
print(("soak: %d tasks, %d s, %d failed"):format(options.tasks, options.seconds, bad))
os.exit(bad == 0, true)
