-- What alloc.c runs while memory gives out: one scenario for each thing that a program does.
--
-- A scenario has `run` (what is done under failures; returns what a program would look at), `check`
-- (raises unless that is the right answer) and, as needed, `prepare` (before each run), `settle`
-- (after it: nothing of it may be left), `errors` (kinds of error that are the right answer, or
-- part of it, with all memory there), `group` (failures in one Lua state) and `stride` (every how
-- manieth allocation fails when time is short). Only `run` is short of memory. Everything talks to
-- a gateway simulator.

local base_url = assert(os.getenv "QHUB_BASE_URL", "run this by scripts/with_gateway.sh")
local token = os.getenv "QHUB_TOKEN"
local folder = os.getenv "QHUB_HOST_DIR" or "/tmp"

-- Makes what Lua 5.4.4 needs for long strings: it never gets over a failure in the midst of that
-- (newbox in lauxlib.c leaves a metatable without __close).
local _ = table.concat { ("x"):rep(10000), "y" }

-- All of it now: Lua tells a file that it has no memory to open as one that is not there.
require "qhub"
for file in io.popen("cd lua && find qhub -name '*.lua'"):lines() do
  require((file:gsub("%.lua$", ""):gsub("/init$", ""):gsub("/", ".")))
end

local function loaded()
  return {
    qhub = require "qhub",
    loop = require "qhub.tasks.loop",
    core = require "qhub.core",
  }
end

-- ── the simulator ───────────────────────────────────────────────────────────────────────────────

local session

-- A request to the control interface, straight over the engine. Returns the response's body.
local function control(method, path, body)
  local m = loaded()
  local engine = m.loop.engine()
  session = session or engine:session { proxy = false }
  local request = session:prepare {
    method = method,
    header_lines = "",
    timeout = 10,
    connect_timeout = 10,
  }
  local url = base_url:match "^%a+://[^/]+" .. "/_control/" .. path
  local transfer <close> = assert(session:start(request, url, body))
  while transfer:state() ~= "done" do
    assert(m.loop.await(transfer, m.loop.now() + 10))
  end
  local status_code, answer = transfer:result()
  assert(status_code == 200, answer)
  return answer
end

local function json(value)
  return loaded().qhub.json.encode(value)
end

-- Starts a run by way of the control interface; returns its id.
local function create(simulate)
  local body = { input = { molecule = "H2" }, simulate = simulate }
  local answer = control("POST", "executions", json { create = 1, body = body })
  return answer:match '"ids":%["([^"]+)"'
end

-- ── what all scenarios use ──────────────────────────────────────────────────────────────────────

local client, id, run_id -- made by the first `prepare`
local FILE = { ["data.bin"] = 40000 }

local function options(more)
  local o = { token = token, base_url = base_url, max_retries = 0, timeout = 5 }
  for name, value in pairs(more or {}) do
    o[name] = value
  end
  return o
end

-- Waits before another attempt, which are not what is tried here, are cut short.
local function hurry()
  local loop = loaded().loop
  local sleep_until = loop.sleep_until
  function loop.sleep_until(deadline, owner)
    return sleep_until(math.min(deadline, loop.now() + 0.002), owner)
  end
end

local function prepare()
  if not client then
    local qhub = loaded().qhub
    hurry()
    control("DELETE", "faults")
    control("DELETE", "executions")
    client = qhub.HubServiceClient(options())
    id = create { pending_ms = 0, running_ms = 0, logs = 5, files = FILE }
  end
end

local function finish()
  if client then client:close() end
  if session then session:close() end
  client, session, id, run_id = nil, nil, nil, nil
end

-- Nothing may be under way, and no task alive, when a scenario is over.
local function settle()
  collectgarbage()
  collectgarbage()
  local m = loaded()
  local active = m.loop.engine():active()
  assert(active == 0, active .. " transfers are left under way")
  local live = m.qhub.tasks.step(0)
  assert(live == 0, live .. " tasks are left alive")
end

local function expect(actual, expected)
  if actual ~= expected then error(("expected %s, got %s"):format(expected, actual), 2) end
end

-- The value, or nil and the error object; another failure is raised.
local function result_of(value, failure)
  if value then
    return value
  elseif loaded().qhub.is_error(failure) then
    return nil, failure
  end
  error(failure, 0)
end

-- Errors that lack of memory may be told by.
local MEMORY_KINDS = { network = true, file = true, decode = true }

-- libcurl and zlib have other words for it here and there.
local WORDS = {
  "memory",
  "allocate",
  "cannot find the host",
  "could not resolve",
  "is too large", -- of headers
  "failure within decompression software",
}

local function names_memory(message)
  message = message:lower()
  for _, words in ipairs(WORDS) do
    if message:find(words, 1, true) then return true end
  end
  return false
end

local function judge_by(scenario)
  return function(first, second, met)
    if first ~= nil then
      scenario.check(first, second)
      return
    end
    assert(loaded().qhub.is_error(second), "nil, and no error object: " .. tostring(second))
    local expected = scenario.errors and scenario.errors[second.kind]
    local for_memory = MEMORY_KINDS[second.kind] or scenario.memory_kind == second.kind
    if not expected and not (met and for_memory) then
      error(("an error of kind %s: %s"):format(second.kind, second))
    end
    if for_memory and not expected then
      assert(names_memory(tostring(second)), "an error that hides its cause: " .. tostring(second))
    end
  end
end

local scenarios, order = {}, {}

local function add(name, scenario)
  scenario.judge = judge_by(scenario)
  local own_prepare, own_finish = scenario.prepare, scenario.finish
  if not scenario.bare then
    scenario.prepare = function()
      prepare()
      if own_prepare then own_prepare() end
    end
    scenario.settle = scenario.settle or settle
    scenario.finish = function()
      if own_finish then own_finish() end
      finish()
    end
  end
  scenarios[name] = scenario
  order[#order + 1] = name
end

-- ── client and calls ────────────────────────────────────────────────────────────────────────────

add("client", {
  run = function()
    local one <close> = loaded().qhub.HubServiceClient(options {
      headers = { ["X-One"] = "1", ["X-Two"] = "2" },
      logging = { level = "debug", logger = print, silent = true },
      http = { proxy = false, max_connections = 3, http_version = "1.1", ca_file = "/none" },
      on_response = function() end,
    })
    return tostring(one)
  end,
  check = function(text)
    expect(text, "qhub.HubServiceClient " .. base_url)
  end,
})

add("status", {
  run = function()
    return client:get_status(id)
  end,
  check = function(execution)
    expect(execution.id, id)
    expect(execution.status, "SUCCEEDED")
    expect(type(execution.created_at), "string")
  end,
})

-- Connections of its own, made and closed within the run.
add("connection", {
  run = function()
    local one <close> = loaded().qhub.HubServiceClient(options { http = { max_connections = 2 } })
    return one:get_status(id)
  end,
  check = function(execution)
    expect(execution.id, id)
  end,
})

add("start", {
  run = function()
    local body = {
      input = { molecule = "H2", terms = { 1, 2.5, "\u{e9}\u{1F600}\n" }, nested = { { {} } } },
      tags = loaded().qhub.json.array { "a", "b" },
    }
    local query = { trace = { "x", "y z" } }
    return client:start_execution(body, { headers = { ["X-More"] = "yes" }, query = query })
  end,
  check = function(execution)
    expect(type(execution.id), "string")
    -- Without the memory for the body, `Location` names the run all the same.
    expect(execution.status or "PENDING", "PENDING")
  end,
})

add("result", {
  run = function()
    return client:get_result(id)
  end,
  check = function(result)
    expect(type(result.energy), "number")
    expect(result.embedded.status.id, id)
    expect(type(result.links["data.bin"].href), "string")
  end,
})

add("logs", {
  run = function()
    return client:get_logs(id)
  end,
  check = function(entries)
    expect(#entries, 5)
    expect(type(entries[5].message), "string")
  end,
})

add("list", {
  run = function()
    return client:get_service_executions()
  end,
  check = function(list)
    expect(#list, 1)
    expect(list[1].id, id)
  end,
})

add("cancel", {
  prepare = function()
    run_id = run_id or create { pending_ms = 1e6, running_ms = 0 }
  end,
  run = function()
    return client:cancel_execution(run_id)
  end,
  check = function(value)
    expect(value, true)
  end,
})

-- A response that comes compressed.
add("gzip", {
  prepare = function()
    if not run_id then
      run_id = create { pending_ms = 0, running_ms = 0 }
      local match = { id = run_id }
      local fault = { content_encoding = "gzip" }
      control("POST", "faults", json { match = match, times = -1, fault = fault })
    end
  end,
  run = function()
    return client:get_status(run_id)
  end,
  check = function(execution)
    expect(execution.id, run_id)
  end,
})

-- An error object from a response, a log, and the raw response.
add("failure", {
  run = function()
    local seen = 0
    local function logger()
      seen = seen + 1
    end
    local one <close> = loaded().qhub.HubServiceClient(options {
      logging = { level = "debug", logger = logger },
      token = function()
        return token
      end,
      on_response = function(response)
        seen = seen + response.status_code
      end,
    })
    local execution, err = one:get_status "no such execution"
    if execution == nil and err.kind == "api" then return { err, tostring(err), seen } end
    return nil, err
  end,
  check = function(all)
    expect(all[1].status_code, 404)
    expect(all[2]:find("get_status: 404 Not Found", 1, true) ~= nil, true)
    expect(all[3], 404 + 2)
  end,
})

-- A first response that is worth another attempt, a second one that is a redirect.
add("detour", {
  prepare = function()
    run_id = run_id or create { pending_ms = 0, running_ms = 0 }
    local match = { pattern = run_id:gsub("%-", "%%-") .. "$" }
    local again = { status = 503, headers = { ["Retry-After"] = "0" } }
    local there = { status = 307, headers = { Location = base_url .. "/" .. run_id .. "?there" } }
    control("DELETE", "faults")
    control("POST", "faults", json { match = match, times = 1, fault = again })
    control("POST", "faults", json { match = match, times = -1, fault = there })
  end,
  run = function()
    return client:get_status(run_id, { max_retries = 1 })
  end,
  errors = { api = true }, -- the 503, when there is no memory for what comes after it
  check = function(execution)
    expect(execution.id, run_id)
  end,
})

-- ── JSON ────────────────────────────────────────────────────────────────────────────────────────

local TEXT = '{"a":[1,2.5,-3e-7,"\\u00e9\\n\\ud83d\\ude00",true,null,{}],'
  .. '"b":{"c":{"d":[[],[[]]]}},"text":"'
  .. ("x\\\\"):rep(300)
  .. '"}'

add("json", {
  run = function()
    local codec = loaded().qhub.json
    return codec.encode(codec.decode(TEXT))
  end,
  check = function(text)
    local codec = loaded().qhub.json
    expect(codec.decode(text).text, ("x\\"):rep(300))
    expect(codec.decode(text).a[4], "\u{e9}\n\u{1F600}")
    expect(#text, #codec.encode(codec.decode(TEXT)))
  end,
})

add("json refused", {
  run = function()
    local codec = loaded().qhub.json
    local value, err = codec.decode '{"a": [1, 2, tru]}'
    local ok, message = pcall(codec.encode, { input = { list = { 1, 2, 0 / 0 } } })
    if value == nil and not ok and message ~= "not enough memory" then return { err, message } end
    error("not enough memory", 0)
  end,
  check = function(both)
    expect(both[1].kind, "decode")
    expect(both[2]:find("input.list[3]", 1, true) ~= nil, true)
  end,
})

-- ── files ───────────────────────────────────────────────────────────────────────────────────────

local function same_size(count)
  expect(count, 40000)
end

add("file", {
  run = function()
    local file, err = client:get_result_file(id, "data.bin", { chunk_size = 8192 })
    if not file then return nil, err end
    local held <close> = file
    local count = 0
    while true do
      local chunk, failure = held:read()
      if failure then
        return nil, failure
      elseif not chunk then
        return count
      end
      count = count + #chunk
    end
  end,
  check = same_size,
})

add("file loop", {
  run = function()
    local iterator, err, _, closing = client:get_result_file(id, "data.bin", { chunk_size = 9000 })
    if not iterator then return nil, err end
    local count = 0
    local ok, failure = pcall(function()
      for chunk in iterator, nil, nil, closing do
        count = count + #chunk
      end
    end)
    return result_of(ok and count, failure)
  end,
  check = same_size,
})

add("read_all", {
  run = function()
    local file, err = client:get_result_file(id, "data.bin")
    if not file then return nil, err end
    local held <close> = file
    local all, failure = held:read_all()
    if not all then return nil, failure end
    return #all
  end,
  check = same_size,
})

local target = folder .. "/qhub-alloc-" .. tostring(TEXT):len() .. "-" .. base_url:match ":(%d+)"

local function size_of(path)
  local file <close> = assert(io.open(path, "rb"))
  return file:seek "end"
end

-- What the folder holds of the target: it, and parts of it.
local function leftovers()
  local pipe <close> = assert(io.popen("ls -1 -A " .. folder))
  local count = 0
  for name in pipe:lines() do
    if name:find(target:match "[^/]+$", 1, true) then count = count + 1 end
  end
  return count
end

local function no_leftovers()
  os.remove(target)
  settle()
  expect(leftovers(), 0)
end

add("download", {
  run = function()
    local seen = 0
    local path, err = client:execution(id):download("data.bin", target, {
      progress = function(received)
        seen = math.max(seen, received)
      end,
    })
    if not path then return nil, err end
    return { path, seen }
  end,
  check = function(both)
    expect(both[1], target)
    same_size(both[2])
    same_size(size_of(target))
  end,
  settle = no_leftovers,
})

add("save", {
  run = function()
    local file, err = client:get_result_file(id, "data.bin")
    if not file then return nil, err end
    local held <close> = file
    return held:save(target)
  end,
  check = function(path)
    expect(path, target)
    same_size(size_of(target))
  end,
  settle = no_leftovers,
})

-- The first half comes, then the connection breaks, and the second half is asked for.
add("resume", {
  prepare = function()
    control("DELETE", "faults")
    local match = { path = "data.bin", range = false }
    control("POST", "faults", json { match = match, times = -1, fault = { truncate = 20000 } })
  end,
  run = function()
    local o = { resume = true, max_retries = 1 }
    return client:execution(id):download("data.bin", target, o)
  end,
  check = function(path)
    expect(path, target)
    same_size(size_of(target))
  end,
  errors = { network = true }, -- the break, when there is no memory to go on
  settle = function()
    os.execute("rm -f " .. target .. "* " .. target:gsub("[^/]+$", ".%0") .. "*")
    settle()
  end,
})

-- ── waiting ─────────────────────────────────────────────────────────────────────────────────────

add("wait", {
  prepare = function()
    run_id = create { pending_ms = 0, running_ms = 3 }
  end,
  run = function()
    local execution = client:execution(run_id)
    local statuses = {}
    local done, err = execution:wait {
      interval = 0.002,
      on_status = function(one)
        statuses[#statuses + 1] = one.status
      end,
    }
    if not done then return nil, err end
    return { done, statuses[#statuses] }
  end,
  check = function(both)
    expect(both[1].status, "SUCCEEDED")
    expect(both[2], "SUCCEEDED")
  end,
})

add("run", {
  run = function()
    local body = { input = {}, simulate = { pending_ms = 0, running_ms = 0 } }
    return client:run(body, { interval = 0.002 })
  end,
  check = function(result)
    expect(type(result.energy), "number")
  end,
  memory_kind = "execution",
})

add("run failed", {
  run = function()
    local body = { input = {}, simulate = { pending_ms = 0, running_ms = 0, outcome = "FAILED" } }
    local result, err = client:run(body, { interval = 0.002 })
    if result == nil and err.kind == "execution" then return err end
    return nil, err
  end,
  check = function(err)
    expect(err.execution.status, "FAILED")
  end,
})

add("follow_logs", {
  run = function()
    local entries = {}
    local ok, failure = pcall(function()
      local a, b, c, d = client:execution(id):follow_logs { interval = 0.002 }
      if not a then error(b, 0) end
      for entry in a, b, c, d do
        entries[#entries + 1] = entry.message
      end
    end)
    return result_of(ok and entries, failure)
  end,
  check = function(entries)
    expect(#entries, 5)
  end,
})

add("wait_all", {
  prepare = function()
    run_id = run_id or create { pending_ms = 0, running_ms = 0 }
  end,
  run = function()
    local list = { client:execution(id), client:execution(run_id) }
    return client:wait_all(list, { interval = 0.002 })
  end,
  check = function(list)
    expect(#list, 2)
    expect(list[1].status, "SUCCEEDED")
    expect(list[2].status, "SUCCEEDED")
  end,
})

-- ── tasks ───────────────────────────────────────────────────────────────────────────────────────

add("tasks", {
  run = function()
    local tasks = loaded().qhub.tasks
    return tasks.run(function()
      local list = {}
      list[1] = tasks.spawn(client.get_status, client, id)
      list[2] = tasks.spawn(client.get_logs, client, id)
      list[3] = tasks.spawn(function()
        tasks.sleep(0.001)
        return client:get_result(id)
      end)
      local results, errors = tasks.gather(list)
      return result_of(not errors and results, errors and select(2, next(errors)))
    end)
  end,
  check = function(results)
    expect(results[1].id, id)
    expect(#results[2], 5)
    expect(type(results[3].energy), "number")
  end,
})

-- The program's own loop, and tasks that are cancelled in each of their states.
local spawned = {}

add("tasks cancelled", {
  run = function()
    local tasks = loaded().qhub.tasks
    local function spawn(...)
      spawned[#spawned + 1] = tasks.spawn(...)
    end
    spawn(pcall, tasks.sleep, 100)
    spawn(client.get_status, client, id)
    tasks.step(0)
    spawn(client.get_status, client, id)
    for _, task in ipairs(spawned) do
      task:cancel()
    end
    while tasks.step(0.1) > 0 do
    end
    local _, why = spawned[1]:join()
    local _, first = spawned[2]:join()
    local status, err = spawned[3]:join()
    return { status, err, first, tostring(why) }
  end,
  check = function(all)
    expect(all[1], nil)
    expect(all[2].kind, "cancelled")
  end,
  settle = function()
    -- Those outside `run` outlive an error of the program's, who is here to end them.
    for index, task in pairs(spawned) do
      task:cancel()
      spawned[index] = nil
    end
    local tasks = loaded().qhub.tasks
    for _ = 1, 100 do -- one that memory did not suffice to remember ends by itself
      local ok, live = pcall(tasks.step, 0.1)
      if ok and live == 0 then break end
    end
    settle()
  end,
})

-- ── tokens, transports ──────────────────────────────────────────────────────────────────────────

local function endpoint()
  return { status_code = 200, body = '{"access_token":"demo-token","expires_in":3600}' }
end

add("credentials", {
  run = function()
    local qhub = loaded().qhub
    local one <close> = qhub.HubServiceClient(options {
      token = qhub.credentials.client_credentials {
        access_key_id = "key",
        secret_access_key = "secret",
        transport = endpoint,
      },
    })
    local results, errors = qhub.tasks.run(function()
      return qhub.tasks.gather {
        qhub.tasks.spawn(one.get_status, one, id),
        qhub.tasks.spawn(one.get_status, one, id),
      }
    end)
    return result_of(not errors and results, errors and select(2, next(errors)))
  end,
  check = function(results)
    expect(results[1].id, id)
    expect(results[2].id, id)
  end,
})

add("transport", {
  run = function()
    local one <close> = loaded().qhub.HubServiceClient(options {
      transport = function(request)
        local pieces = { '{"id":"', request.url:match "[^/]+$", '","status":"RUNNING"}' }
        local index = 0
        return {
          status_code = 200,
          headers = { ["Content-Type"] = "application/json" },
          body = function()
            index = index + 1
            return pieces[index]
          end,
        }
      end,
    })
    return one:get_status(id)
  end,
  check = function(execution)
    expect(execution.id, id)
  end,
})

-- ── loading ─────────────────────────────────────────────────────────────────────────────────────

-- The first call of a state makes the engine.
add("first", {
  bare = true,
  group = 1,
  stride = 3,
  prepare = loaded,
  run = function()
    local one <close> = loaded().qhub.HubServiceClient(options())
    return one:get_service_executions()
  end,
  check = function(list)
    expect(type(list), "table")
  end,
})

local function forget()
  for name in pairs(package.loaded) do
    if name:find "^qhub" then package.loaded[name] = nil end
  end
end

add("load", {
  bare = true,
  stride = 149,
  prepare = forget,
  run = function()
    local ok, message = pcall(require, "qhub")
    if ok then return message end
    -- `require` reports what a loader raised as part of a longer message, and takes a file that
    -- cannot be opened, for any reason, for none.
    local text = tostring(message)
    local is_memory = text:find "memory" or text:find "not found:"
    error(is_memory and "not enough memory" or message, 0)
  end,
  check = function(qhub)
    expect(type(qhub.HubServiceClient), "function")
  end,
  settle = forget,
})

return { scenarios = scenarios, order = order }
