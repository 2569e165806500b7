-- What happens within the hosts of embed.c: one function for each of its cases. They raise when
-- something is not as it must be.

local base_url = BASE_URL or os.getenv "QHUB_BASE_URL" -- luacheck: ignore 113
local token = TOKEN or os.getenv "QHUB_TOKEN" -- luacheck: ignore 113

local cases = {}

local function equal(actual, expected)
  if actual ~= expected then error(("expected %s, got %s"):format(expected, actual), 2) end
end

local function client_of(more)
  local o = { token = token, base_url = base_url, max_retries = 0 }
  for name, value in pairs(more or {}) do
    o[name] = value
  end
  return require("qhub").HubServiceClient(o)
end

-- A run that is over already, with a file of `size` bytes.
local function finished_run(client, size)
  local body = { input = { n = 0.5 }, simulate = { pending_ms = 0, running_ms = 0, echo = true } }
  body.simulate.files = { ["a.bin"] = size or 1000 }
  return assert(client:start_execution(body))
end

-- All that programs do, without anything of io, os and debug.
local function everything()
  local qhub = require "qhub"
  local client <close> = client_of()
  local execution = finished_run(client, 50000)
  assert(execution:wait { interval = 0.01 })
  equal(execution.status, "SUCCEEDED")
  equal(#assert(execution:logs()) > 0, true)
  equal(type(assert(execution:result()).energy), "number")
  local size = 0
  for chunk in assert(execution:result_file "a.bin") do
    size = size + #chunk
  end
  equal(size, 50000)
  local listed = false
  for _, one in ipairs(assert(client:get_service_executions())) do
    listed = listed or one == execution
  end
  equal(listed, true)
  local nothing, err = client:get_status "none"
  equal(nothing, nil)
  equal(err.status_code, 404)
  equal(tostring(err):find "404" ~= nil, true)
  local ok, message = pcall(client.get_status, client)
  equal(ok, false)
  equal(type(message), "string")
  local over = { pending_ms = 0, running_ms = 0 }
  local results = qhub.tasks.run(function()
    return qhub.tasks.gather {
      qhub.tasks.spawn(client.get_status, client, execution.id),
      qhub.tasks.spawn(client.run, client, { input = {}, simulate = over }),
    }
  end)
  equal(results[1].id, execution.id)
end

function cases.sandbox()
  equal(io, nil)
  equal(os, nil)
  equal(debug, nil)
  everything()
  local qhub = require "qhub"
  equal(select("#", qhub.credentials.default { access_token = "x" }), 1)
end

function cases.in_german()
  equal(os.setlocale(nil, "numeric"), "de_DE.UTF-8")
  local qhub = require "qhub"
  local encode, decode = qhub.json.encode, qhub.json.decode
  equal(encode { 0.5, -1e300, 1.0, 3 }, "[0.5,-1e+300,1.0,3]")
  equal(decode "[0.5, 1.25e-3]"[1], 0.5)
  equal(decode "[0.5, 1.25e-3]"[2], 1.25e-3)
  equal((decode "[0,5]")[2], 5)
  equal(decode "0,5", nil)
  equal(qhub.parse_timestamp "2024-05-05T10:00:00.25Z", 1714903200.25)
  everything()
  local client <close> = client_of()
  local execution = finished_run(client)
  local echo = assert(execution:result()).echo
  equal(echo.input.n, 0.5)
  equal(os.setlocale(nil, "numeric"), "de_DE.UTF-8") -- nobody has changed it
end

function cases.moved()
  everything()
  local client <close> = client_of()
  local name = os.tmpname()
  os.remove(name)
  equal(assert(finished_run(client):download("a.bin", name)), name)
  assert(os.remove(name))
end

function cases.with_sigpipe(port)
  local client <close> = client_of {
    base_url = ("http://127.0.0.1:%d/x"):format(port),
    timeout = 10,
  }
  for _ = 1, 5 do
    local execution, err = client:start_execution { input = ("x"):rep(8 << 20) }
    equal(execution, nil)
    equal(err.kind, "network")
    execution, err = client:get_status "x"
    equal(execution, nil)
    equal(err.kind, "network")
  end
end

function cases.without_stderr()
  local client <close> = client_of { logging = { level = "debug" } }
  equal(finished_run(client).status ~= nil, true)
  everything()
end

-- The inodes of all sockets that lead nowhere beyond this machine.
local function local_sockets()
  local inodes = {}
  for line in io.lines "/proc/net/unix" do
    inodes[line:match "^%S+ %S+ %S+ %S+ %S+ %S+ +(%d+)" or ""] = true
  end
  return inodes
end

-- The descriptors beyond the standard ones that a command finds open. libcurl 7.88 makes pairs of
-- sockets, to wake itself, without the flag that would close them here, and gives nobody a chance
-- to set it; they do not count, since they lead back to this process and nobody reads them.
local function inherited()
  local pipe <close> = assert(io.popen("ls -l /proc/self/fd", "r"))
  local pairs_of_sockets, found = local_sockets(), {}
  for line in pipe:lines() do
    local fd, target = line:match "(%d+) %-> (.*)$"
    if fd and tonumber(fd) > 2 and not target:find "/proc/" then
      local inode = target:match "^socket:%[(%d+)%]$"
      if not (inode and pairs_of_sockets[inode]) then found[#found + 1] = target end
    end
  end
  return table.concat(found, ", ")
end

function cases.with_children()
  local before = inherited() -- what this process was started with
  local client <close> = client_of()
  local execution = finished_run(client, 5000000)
  local file <close> = assert(execution:result_file "a.bin")
  assert(file:read(100))
  local qhub = require "qhub"
  equal(inherited(), before)
  qhub.tasks.run(function()
    qhub.tasks.spawn(function()
      assert(client:get_status(execution.id))
    end)
    qhub.tasks.sleep(0.001)
    equal(inherited(), before)
    -- A name is looked up by a thread of libcurl's, with a socket pair.
    local there <close> = client_of { base_url = base_url:gsub("127%.0%.0%.1", "localhost") }
    local looking = qhub.tasks.spawn(there.get_status, there, execution.id)
    qhub.tasks.sleep(0)
    equal(inherited(), before)
    looking:join()
  end)
  local path = os.tmpname()
  assert(execution:download("a.bin", path, {
    progress = function()
      equal(inherited(), before)
    end,
  }))
  os.remove(path)
end

local held -- lives in the state that is forked

function cases.before_fork()
  local client = client_of()
  local execution = finished_run(client, 3000000)
  local file = assert(execution:result_file "a.bin")
  local first = #assert(file:read(1000))
  held = { client = client, execution = execution, file = file, read = first }
  package.loaded.held = held
  return true
end

function cases.after_fork()
  held = package.loaded.held
  local size = held.read
  for chunk in held.file do
    size = size + #chunk
  end
  equal(size, 3000000)
  equal(assert(held.client:get_status(held.execution.id)), held.execution)
end

-- Ways to leave things open, for lua_close. What is kept in globals is found there last.
local ways = {}

function ways.a_file(client)
  OPEN = assert(finished_run(client, 9000000):result_file "a.bin") -- luacheck: ignore 111
  OPEN:read(10) -- luacheck: ignore 113
end

function ways.a_loop(client)
  local iterator = coroutine.wrap(function()
    for chunk in assert(finished_run(client, 9000000):result_file "a.bin") do
      coroutine.yield(chunk)
    end
  end)
  iterator()
  OPEN = iterator -- luacheck: ignore 111
end

function ways.tasks(client)
  local qhub = require "qhub"
  for index = 1, 10 do
    qhub.tasks.spawn(client.run, client, { input = {}, simulate = { running_ms = 1e6 } })
    qhub.tasks.spawn(qhub.tasks.sleep, index)
  end
  for _ = 1, 10 do
    qhub.tasks.step(0.01)
  end
end

function ways.a_run(client)
  local qhub = require "qhub"
  local outer = coroutine.wrap(function()
    qhub.tasks.run(function()
      qhub.tasks.spawn(client.get_status, client, "x")
      coroutine.yield() -- the program's own
    end)
  end)
  debug.sethook(function()
    error "enough"
  end, "", 20000)
  pcall(outer)
  debug.sethook()
end

function ways.a_download(client)
  local path = os.tmpname()
  local thread = coroutine.create(function()
    finished_run(client, 9000000):download("a.bin", path, { progress = coroutine.yield })
  end)
  assert(coroutine.resume(thread))
  OPEN = thread -- luacheck: ignore 111
  os.remove(path)
end

function ways.queued()
  local client = client_of { http = { max_connections = 1 } }
  local qhub = require "qhub"
  local execution = finished_run(client, 9000000)
  OPEN = assert(execution:result_file "a.bin") -- luacheck: ignore 111
  for _ = 1, 5 do
    qhub.tasks.spawn(client.get_status, client, execution.id)
  end
  qhub.tasks.step(0)
end

function ways.logs(client)
  local body = { input = {}, simulate = { pending_ms = 0, running_ms = 1e6, logs = 5 } }
  local execution = assert(client:start_execution(body))
  OPEN = coroutine.wrap(function() -- luacheck: ignore 111
    for entry in execution:follow_logs { interval = 0.01 } do
      coroutine.yield(entry)
    end
  end)
  OPEN() -- luacheck: ignore 113
end

local order = { "a_file", "a_loop", "tasks", "a_run", "a_download", "queued", "logs" }

function cases.leave_open(way)
  CLIENT = client_of() -- luacheck: ignore 111
  ways[order[way]](CLIENT) -- luacheck: ignore 113
end

-- Finalizers of the program's run as well when the state is closed, the latest first.
function cases.with_finalizers()
  local client = client_of()
  local file = assert(finished_run(client, 9000000):result_file "a.bin")
  FINAL = setmetatable({}, { -- luacheck: ignore 111
    __gc = function()
      pcall(file.read, file)
      pcall(client.get_status, client, "x")
      pcall(client.get_result_file, client, "x", "y")
      file:close()
      client:close()
      pcall(client.get_status, client, "x")
    end,
  })
end

local function leave()
  os.exit(7, true)
end

local exits = {
  function() -- from a callback
    client_of({ on_response = leave }):get_status "x"
  end,
  function() -- from a task
    local client = client_of()
    local qhub = require "qhub"
    qhub.tasks.run(function()
      qhub.tasks.spawn(client.get_status, client, "x")
      qhub.tasks.spawn(leave)
      qhub.tasks.sleep(1)
    end)
  end,
  function() -- from a token function, within a task
    local client = client_of { token = leave }
    require("qhub").tasks.run(client.get_status, client, "x")
  end,
  function() -- from a loop over a file
    for _ in assert(finished_run(client_of(), 9000000):result_file "a.bin") do
      leave()
    end
  end,
  function() -- from the progress function of a download, whose part goes, too
    local path = os.tmpname()
    os.remove(path)
    finished_run(client_of(), 9000000):download("a.bin", path, { progress = leave })
  end,
}

function cases.leave_by_exit(way)
  exits[way]()
end

function cases.refused()
  local client <close> = client_of()
  local execution = finished_run(client, 8000000)
  for _ = 1, 3 do
    local ok, message = pcall(function()
      local file <close> = assert(execution:result_file "a.bin")
      return assert(file:read_all())
    end)
    equal(ok, false)
    equal(tostring(message):find "not enough memory" ~= nil, true)
    local size = 0
    for chunk in assert(execution:result_file "a.bin") do
      size = size + #chunk
    end
    equal(size, 8000000)
    equal(assert(client:get_status(execution.id)), execution)
  end
end

return cases
