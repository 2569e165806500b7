-- Lifetimes: when something is closed, collected, abandoned or raised, in any order and from any
-- callback, nothing stays open and the program can continue.
--
-- After every test of this file no descriptor is open that was not before it, and nothing is under
-- way in the engine (`after_each`).

local gateway = require "spec.support.gateway"
local lfs = require "lfs"
local listing = require "spec.support.listing"
local loop = require "qhub.tasks.loop"
local qhub = require "qhub"
local shared = require "spec.support.shared"

local tasks = qhub.tasks
local plain_assert = _G.assert

local SIZE = 700000 -- more than a file holds ahead of its reader

local function collect()
  collectgarbage()
  collectgarbage()
end

local server = shared(gateway.start)
local execution_id, baseline

local function new(changes)
  local o = { token = server.token, base_url = server.url, max_retries = 0 }
  for name, value in pairs(changes or {}) do
    o[name] = value
  end
  return qhub.HubServiceClient(o)
end

setup(function()
  execution_id = server:create(1, {
    simulate = { pending_ms = 0, running_ms = 0, logs = 3, files = { ["a.bin"] = SIZE } },
  })[1]
  local client <close> = new()
  plain_assert(client:get_status(execution_id)) -- makes the engine
end)

before_each(function()
  collect()
  baseline = listing.descriptors()
end)

after_each(function()
  collect()
  assert.equal(0, loop.engine():active())
  assert.equal(baseline, listing.descriptors())
  assert.equal(0, tasks.step(0))
end)

-- All orders of a list.
local function permutations(list)
  local found = {}
  local function permute(n)
    if n == 1 then found[#found + 1] = table.move(list, 1, #list, 1, {}) end
    for index = 1, n do
      list[index], list[n] = list[n], list[index]
      permute(n - 1)
      list[index], list[n] = list[n], list[index]
    end
  end
  permute(#list)
  return found
end

-- A path that is free, and a function: how many files have its name in theirs.
local function temporary()
  local path = os.tmpname()
  os.remove(path)
  local folder, name = path:match "^(.*)/([^/]*)$"
  local function count()
    local found = 0
    for entry in lfs.dir(folder) do
      if entry:find(name, 1, true) then found = found + 1 end
    end
    return found
  end
  return path, count
end

-- ── orders ──────────────────────────────────────────────────────────────────────────────────────

describe("client, execution and file", function()
  -- Each step lets go of one of them in one way.
  local steps = {
    ["client:close"] = function(all)
      all.client:close()
    end,
    ["client collected"] = function(all)
      all.client = nil
      collect()
    end,
    ["execution collected"] = function(all)
      all.execution = nil
      collect()
    end,
    ["file:close"] = function(all)
      all.file:close()
    end,
    ["file collected"] = function(all)
      all.file = nil
      collect()
    end,
  }

  local function opened()
    local client = new()
    local execution = client:execution(execution_id)
    local file = plain_assert(execution:result_file "a.bin")
    plain_assert(file:read(10))
    return { client = client, execution = execution, file = file }
  end

  for _, client_step in ipairs { "client:close", "client collected" } do
    for _, file_step in ipairs { "file:close", "file collected" } do
      for _, order in ipairs(permutations { client_step, "execution collected", file_step }) do
        it("may be collected in the order " .. table.concat(order, ", "), function()
          local all = opened()
          for _, name in ipairs(order) do
            steps[name](all)
          end
          if all.client then
            all.client:close() -- closing twice is nothing
          end
          if all.file then all.file:close() end
        end)
      end
    end
  end

  it("are all released when all are collected at once", function()
    opened()
  end)

  it("keep each other alive: a file can be read when its client was dropped, not closed", function()
    local file <close> = (function()
      return plain_assert(new():get_result_file(execution_id, "a.bin"))
    end)()
    collect()
    assert.equal(SIZE, #plain_assert(file:read_all()))
  end)

  it("keep each other alive: an execution can be used when its client was dropped", function()
    local execution = new():execution(execution_id)
    collect()
    assert.equal("SUCCEEDED", plain_assert(execution:refresh()).status)
  end)

  it("report that they are closed, by an error value or a usage error", function()
    local all = opened()
    all.client:close()
    local chunk, err
    repeat
      chunk, err = all.file:read()
    until not chunk
    assert.equal("cancelled", err.kind)
    assert.has_error(function()
      all.execution:refresh()
    end)
    assert.matches("closed", tostring(all.client))
    assert.equal(execution_id, all.execution.id)
    all.file:close()
    assert.has_error(function()
      all.file:read()
    end)
    assert.matches("closed", tostring(all.file))
  end)

  it("close as to-be-closed variables, in Lua's order", function()
    local client <close> = new()
    local file <close> = plain_assert(client:get_result_file(execution_id, "a.bin"))
    plain_assert(file:read(10))
  end)
end)

-- ── callbacks ───────────────────────────────────────────────────────────────────────────────────

-- For each of the program's own functions: `options` makes a client's options, `act` does what
-- calls `fn`. `fn` returns nothing that matters.
local RUNNING = '{"status":"RUNNING"}'

local function get_status(client)
  return client:get_status(execution_id)
end

local callbacks = {
  ["a token function"] = {
    options = function(fn)
      return {
        token = function()
          fn()
          return server.token
        end,
      }
    end,
    act = get_status,
  },
  ["a transport"] = {
    options = function(fn)
      return {
        transport = function()
          fn()
          return { status_code = 200, body = RUNNING }
        end,
      }
    end,
    act = get_status,
  },
  ["a transport's body function"] = {
    options = function(fn)
      return {
        transport = function()
          local pieces = { RUNNING:sub(1, 5), RUNNING:sub(6) }
          return {
            status_code = 200,
            body = function()
              fn()
              return table.remove(pieces, 1)
            end,
          }
        end,
      }
    end,
    act = get_status,
  },
  ["on_response of the client"] = {
    options = function(fn)
      return { on_response = fn }
    end,
    act = get_status,
  },
  ["on_response of a file"] = {
    act = function(client, fn)
      local options = { on_response = fn }
      local file, err = client:get_result_file(execution_id, "a.bin", options)
      if not file then return nil, err end
      local held <close> = file
      return held:read(10)
    end,
  },
  ["a logger"] = {
    options = function(fn)
      return { logging = { level = "debug", logger = fn } }
    end,
    act = get_status,
  },
  ["a logger that hears of a retry"] = {
    options = function(fn)
      local function logger(level)
        if level == "warn" then fn() end
      end
      return { max_retries = 1, logging = { level = "warn", logger = logger } }
    end,
    act = function(client)
      local headers = { ["Retry-After"] = "0" }
      local id = server:create(1)[1] -- the others' requests are not for this one
      server:fault { match = { id = id }, fault = { status = 503, headers = headers } }
      return client:get_status(id)
    end,
  },
  ["on_status"] = {
    act = function(client, fn)
      return client:execution(execution_id):wait { on_status = fn }
    end,
  },
  ["an interval function"] = {
    act = function(client, fn)
      local id = server:create(1, { simulate = { pending_ms = 1e6 } })[1]
      return client:execution(id):wait {
        interval = function()
          fn()
          server:force(id, "SUCCEEDED")
          return 0.001
        end,
      }
    end,
  },
  ["the progress function of a wait"] = {
    act = function(client, fn)
      return client:execution(execution_id):wait { progress = fn }
    end,
  },
  ["the progress function of a download"] = {
    act = function(client, fn)
      local path, count = temporary()
      local function finish(...)
        os.remove(path)
        assert.equal(0, count())
        return ...
      end
      local results = table.pack(pcall(function()
        return client:execution(execution_id):download("a.bin", path, { progress = fn })
      end))
      if not results[1] then
        finish()
        error(results[2], 0)
      end
      return finish(table.unpack(results, 2, results.n))
    end,
  },
  ["on_status of run"] = {
    act = function(client, fn)
      local body = { input = {}, simulate = { pending_ms = 0, running_ms = 0 } }
      return client:run(body, { on_status = fn })
    end,
  },
  ["on_status of wait_all"] = {
    act = function(client, fn)
      local ids = server:create(2, { simulate = { pending_ms = 0, running_ms = 0 } })
      local list = { client:execution(ids[1]), client:execution(ids[2]) }
      return client:wait_all(list, { on_status = fn })
    end,
  },
  ["the body of a loop over a file"] = {
    act = function(client, fn)
      local count = 0
      for chunk in plain_assert(client:get_result_file(execution_id, "a.bin")) do
        count = count + #chunk
        fn()
      end
      return count
    end,
  },
  ["the body of a loop over logs"] = {
    act = function(client, fn)
      local count = 0
      for _ in client:execution(execution_id):follow_logs() do
        count = count + 1
        fn()
      end
      return count
    end,
  },
}

local names = {}
for name in pairs(callbacks) do
  names[#names + 1] = name
end
table.sort(names)

-- A client whose callback is `hook.fn`, and a function that makes it be called.
local function arrange(name)
  local callback = callbacks[name]
  local hook = {
    calls = 0,
    fn = function() end,
  }
  local function fn()
    hook.calls = hook.calls + 1
    hook.fn(hook.calls)
  end
  local client = new(callback.options and callback.options(fn))
  return client, hook, function()
    return callback.act(client, fn)
  end
end

for _, name in ipairs(names) do
  describe(name, function()
    it("that raises propagates its error, and everything is released", function()
      local client, hook, act = arrange(name)
      local problem = setmetatable({}, { __name = "problem" })
      function hook.fn()
        error(problem)
      end
      local ok, err = pcall(act)
      assert.is_false(ok)
      assert.equal(problem, err)
      assert.equal(1, hook.calls)
      collect()
      assert.equal(0, loop.engine():active())
      function hook.fn() end
      plain_assert(act()) -- the client is as good as before
      client:close()
    end)

    it("that raises in a task propagates its error, and the other tasks continue", function()
      local client, hook, act = arrange(name)
      local problem = {}
      function hook.fn()
        error(problem)
      end
      local other = new()
      local err, status = tasks.run(function()
        local failing = tasks.spawn(act)
        local going_on = tasks.spawn(other.get_status, other, execution_id)
        local _, errors = tasks.gather { failing }
        return errors[1], going_on:join().status
      end)
      assert.equal(problem, err)
      assert.equal("SUCCEEDED", status)
      client:close()
      other:close()
    end)

    it("may close the client", function()
      local client, hook, act = arrange(name)
      function hook.fn()
        client:close()
      end
      local ok, value, err = pcall(act)
      -- What was there already counts; what is not ends with kind cancelled, or is a usage error.
      if ok and value == nil then
        assert.equal("cancelled", err.kind)
      elseif not ok and qhub.is_error(value) then
        assert.equal("cancelled", value.kind)
      elseif not ok then
        assert.matches("closed", value)
      end
      assert.is_true(hook.calls > 0)
      assert.has_error(function()
        client:get_status(execution_id)
      end)
    end)

    it("may use the client", function()
      local client, hook, act = arrange(name)
      local inner
      function hook.fn(calls)
        if calls == 1 then inner = plain_assert(client:get_status(execution_id)) end
      end
      plain_assert(act())
      assert.is_truthy(inner.id)
      client:close()
    end)

    it("may collect garbage and drop the objects that it belongs to", function()
      local _, hook, act = arrange(name)
      hook.fn = collect
      plain_assert(act())
    end)

    it("may wait in a task while others continue", function()
      local client, hook, act = arrange(name)
      local turns = 0
      function hook.fn()
        tasks.sleep(0)
      end
      tasks.run(function()
        local done = false
        tasks.spawn(function()
          while not done do
            turns = turns + 1
            tasks.sleep(0)
          end
        end)
        plain_assert(act())
        done = true
      end)
      assert.is_true(turns > 0)
      client:close()
    end)

    it("may cancel the task that it runs in", function()
      local client, hook, act = arrange(name)
      local task
      function hook.fn()
        task:cancel()
        hook.fn = function() end
      end
      tasks.run(function()
        task = tasks.spawn(pcall, act)
      end)
      local ok, value, err = task:join()
      if not ok then
        assert.equal("cancelled", value.kind)
      elseif value == nil then
        assert.equal("cancelled", err.kind)
      end
      client:close()
    end)
  end)
end

-- ── abandoned ───────────────────────────────────────────────────────────────────────────────────

describe("unfinished work", function()
  local held -- a coroutine that is to be collected, until then
  it("is closed by break", function()
    local client = new()
    for chunk in plain_assert(client:get_result_file(execution_id, "a.bin")) do
      if chunk then break end
    end
    assert.equal(0, loop.engine():active())
    client:close()
  end)

  it("is closed by an error in the loop", function()
    local client <close> = new()
    assert.has_error(function()
      for _ in plain_assert(client:get_result_file(execution_id, "a.bin")) do
        error "enough"
      end
    end)
    assert.equal(0, loop.engine():active())
  end)

  it("is collected: an iterator that was never called", function()
    local client <close> = new()
    plain_assert(client:get_result_file(execution_id, "a.bin"))
    collect()
    assert.equal(0, loop.engine():active())
  end)

  it("is collected: a coroutine within a loop over a file", function()
    local client = new()
    held = coroutine.wrap(function()
      for chunk in plain_assert(client:get_result_file(execution_id, "a.bin")) do
        coroutine.yield(chunk)
      end
    end)
    held()
    assert.equal(1, loop.engine():active())
    held = nil
    collect()
    assert.equal(0, loop.engine():active())
    client:close()
  end)

  it("is collected: a coroutine within a download, and its part is removed", function()
    local client = new()
    local path, count = temporary()
    held = coroutine.wrap(function()
      local execution = client:execution(execution_id)
      return execution:download("a.bin", path, { progress = coroutine.yield })
    end)
    held()
    assert.equal(1, count())
    held = nil
    collect()
    assert.equal(0, count())
    assert.equal(0, loop.engine():active())
    client:close()
  end)

  it("is collected: a coroutine within a token function", function()
    local client = new { token = coroutine.yield }
    coroutine.wrap(client.get_status)(client, execution_id)
  end) -- and the client with it

  it("is closed by coroutine.close, wherever the coroutine was suspended", function()
    for _, name in ipairs(names) do
      local client, hook, act = arrange(name)
      local thread = coroutine.create(act)
      hook.fn = coroutine.yield
      if name ~= "the progress function of a download" then -- that one is below a pcall of ours
        plain_assert(coroutine.resume(thread))
        assert.equal("suspended", coroutine.status(thread))
        assert(coroutine.close(thread))
        assert.equal(0, loop.engine():active())
      end
      client:close()
    end
  end)

  it("is closed with the tasks of a run that is left", function()
    local client = new()
    server:fault { times = -1, fault = { hang = "headers" } }
    assert.has_error(function()
      tasks.run(function()
        for _ = 1, 5 do
          tasks.spawn(client.get_status, client, execution_id)
        end
        repeat
          tasks.sleep(0)
        until loop.engine():active() == 5
        error "enough"
      end)
    end)
    assert.equal(0, loop.engine():active())
    client:close()
  end)
end)

-- ── closed from outside ─────────────────────────────────────────────────────────────────────────

describe("closing the client ends", function()
  local is_open = false
  local HANG = { times = -1, fault = { hang = "headers" } }
  local cases = {
    ["a call"] = {
      fault = HANG,
      act = get_status,
    },
    ["a call that waits for its turn"] = {
      fault = HANG,
      options = { http = { max_connections = 1 } },
      act = function(client)
        local other = tasks.spawn(get_status, client)
        local result, err = get_status(client)
        assert.equal("cancelled", select(2, other:join()).kind)
        return result, err
      end,
    },
    ["a wait before a retry"] = {
      fault = { times = -1, fault = { status = 503, headers = { ["Retry-After"] = "30" } } },
      options = { max_retries = 1 },
      act = get_status,
      asleep = true,
    },
    ["the opening of a file"] = {
      fault = HANG,
      act = function(client)
        return client:get_result_file(execution_id, "a.bin")
      end,
    },
    ["a read"] = {
      fault = { times = -1, fault = { hang = "body", after = 1000 } },
      act = function(client)
        is_open = false
        local file <close> = plain_assert(client:get_result_file(execution_id, "a.bin"))
        is_open = true
        return file:read_all()
      end,
      is_open = function()
        return is_open
      end,
    },
    ["a download, whose part is removed"] = {
      fault = { times = -1, fault = { hang = "body", after = 1000 } },
      act = function(client)
        local path, count = temporary()
        local execution = client:execution(execution_id)
        local saved, err = execution:download("a.bin", path)
        assert.equal(0, count())
        return saved, err
      end,
    },
    ["a wait"] = {
      act = function(client)
        local id = server:create(1, { simulate = { pending_ms = 1e6 } })[1]
        return client:execution(id):wait { interval = 30 }
      end,
      asleep = true,
    },
    ["a run"] = {
      act = function(client)
        return client:run({ simulate = { pending_ms = 1e6 } }, { interval = 30 })
      end,
      asleep = true,
    },
    ["a wait for many"] = {
      act = function(client)
        local ids = server:create(2, { simulate = { pending_ms = 1e6 } })
        local list = { client:execution(ids[1]), client:execution(ids[2]) }
        return client:wait_all(list, { interval = 30 })
      end,
      asleep = true,
    },
    ["a loop over logs"] = {
      act = function(client)
        local id = server:create(1, { simulate = { pending_ms = 1e6, logs = 3 } })[1]
        local ok, err = pcall(function()
          for _ in client:execution(id):follow_logs { interval = 30 } do
          end
        end)
        return ok or nil, err
      end,
      asleep = true,
    },
  }
  local ordered = {}
  for name in pairs(cases) do
    ordered[#ordered + 1] = name
  end
  table.sort(ordered)
  for _, name in ipairs(ordered) do
    local case = cases[name]
    it(name .. ", at once and with kind cancelled", function()
      local client = new(case.options)
      if case.fault then server:fault(case.fault) end
      local result, err = tasks.run(function()
        local task = tasks.spawn(case.act, client)
        -- Under way: a request has come, and (asleep) nothing moves any more.
        repeat
          tasks.sleep(0.001)
        until server:requests().total > 0
          and (not case.asleep or loop.engine():active() == 0)
          and (not case.is_open or case.is_open())
        client:close()
        return task:join()
      end)
      assert.is_nil(result)
      assert.equal("cancelled", err.kind)
    end)
  end
end)

-- ── finalizers ──────────────────────────────────────────────────────────────────────────────────

describe("a finalizer of the program's", function()
  -- Runs `act` while `finalize` is called by a collection in the midst of it.
  local function finalized_within(finalize, client, hook, act)
    local done = false
    function hook.fn()
      if not done then
        setmetatable({}, {
          __gc = function()
            finalize(client)
            done = true
          end,
        })
        collect()
      end
    end
    local result = table.pack(act())
    assert.is_true(done)
    return table.unpack(result, 1, result.n)
  end

  it("may use the client during a call", function()
    local status
    local client, hook, act = arrange "a token function"
    local finalized = false
    assert.equal(
      execution_id,
      plain_assert(finalized_within(function()
        if not finalized then
          finalized = true
          local other <close> = new()
          status = plain_assert(other:get_status(execution_id)).status
        end
      end, client, hook, act)).id
    )
    assert.equal("SUCCEEDED", status)
    client:close()
  end)

  it("may close the client during a call", function()
    local client, hook, act = arrange "a token function"
    local result, err = finalized_within(client.close, client, hook, act)
    assert.is_nil(result)
    assert.equal("cancelled", err.kind)
  end)

  it("may use and close a file that is collected in the same cycle", function()
    local seen
    do
      local client = new()
      local file = plain_assert(client:get_result_file(execution_id, "a.bin"))
      setmetatable({}, {
        __gc = function()
          seen = { pcall(file.read, file, 10) }
          file:close()
          client:close()
        end,
      })
    end
    collect()
    assert.is_true(seen[1])
    assert.equal(10, #seen[2])
  end)

  it("runs in a task, which cannot yield inside it", function()
    local status
    local client = new()
    tasks.run(function()
      setmetatable({}, {
        __gc = function()
          status = plain_assert(client:get_status(execution_id)).status
        end,
      })
      collect()
    end)
    assert.equal("SUCCEEDED", status)
    client:close()
  end)
end)
