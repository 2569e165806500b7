-- `qhub.tasks`: many executions from one thread, errors that are never lost, cancellation, and life
-- in another loop.

local gateway = require "spec.support.gateway"
local loop = require "qhub.tasks.loop"
local qhub = require "qhub"
local FakeTransport = require "spec.support.fake_transport"
local shared = require "spec.support.shared"

local tasks = qhub.tasks
local plain_assert = _G.assert

describe("tasks", function()
  local server = shared(gateway.start)
  local client, execution

  setup(function()
    client = qhub.HubServiceClient { base_url = server.url, token = server.token }
    execution = plain_assert(client:start_execution {
      input = {},
      simulate = { pending_ms = 0, running_ms = 0, files = { ["a.bin"] = 3000000 } },
    })
  end)

  teardown(function()
    client:close()
  end)

  describe("run", function()
    it("returns its function's results after every task in it has ended", function()
      local ended = 0
      local a, b, c = tasks.run(function(x, y)
        for _ = 1, 3 do
          tasks.spawn(function()
            tasks.sleep(0.001)
            ended = ended + 1
          end)
        end
        return x, nil, y
      end, 1, 2)
      assert.same({ 1, nil, 2 }, { a, b, c })
      assert.equal(3, ended)
    end)

    it("lets calls in different tasks run at the same time", function()
      server:fault { match = { method = "GET" }, times = 20, fault = { delay_ms = 200 } }
      local started = os.time()
      local results, errors = tasks.run(function()
        local list = {}
        for index = 1, 20 do
          list[index] = tasks.spawn(function()
            return client:get_status(execution.id)
          end)
        end
        return tasks.gather(list)
      end)
      assert.is_nil(errors)
      assert.equal(20, #results)
      assert.is_true(os.time() - started < 3, "20 calls of 0.2 s took longer than 3 s")
    end)

    it("raises its function's error and closes unfinished tasks", function()
      local closed = false
      local ok, err = pcall(tasks.run, function()
        tasks.spawn(function()
          local _ <close> = setmetatable({}, {
            __close = function()
              closed = true
            end,
          })
          tasks.sleep(60)
        end)
        tasks.sleep(0)
        error("mine", 0)
      end)
      assert.is_false(ok)
      assert.equal("mine", err)
      assert.is_true(closed)
    end)

    it("raises an error that was not joined, after the other tasks have ended", function()
      local others = false
      local ok, err = pcall(tasks.run, function()
        tasks.spawn(error, "lost")
        tasks.spawn(function()
          tasks.sleep(0.01)
          others = true
        end)
      end)
      assert.is_false(ok)
      assert.equal("lost", err)
      assert.is_true(others)
    end)

    it("nests: an inner run waits only for its own tasks", function()
      local order = {}
      tasks.run(function()
        tasks.spawn(function()
          tasks.sleep(0.05)
          order[#order + 1] = "outer"
        end)
        tasks.run(function()
          tasks.spawn(function()
            tasks.sleep(0.005)
            order[#order + 1] = "inner"
          end)
        end)
        order[#order + 1] = "between"
      end)
      assert.same({ "inner", "between", "outer" }, order)
    end)

    it("reports a deadlock when every task waits for another one", function()
      local ok, err = pcall(tasks.run, function()
        local a, b
        a = tasks.spawn(function()
          tasks.sleep(0)
          b:join()
        end)
        b = tasks.spawn(function()
          a:join()
        end)
      end)
      assert.is_false(ok)
      assert.matches("waits for another", err)
    end)

    it("runs one file iterator per task", function()
      local sizes = tasks.run(function()
        local list = {}
        for index = 1, 5 do
          list[index] = tasks.spawn(function()
            local size = 0
            for chunk in plain_assert(execution:result_file "a.bin") do
              size = size + #chunk
            end
            return size
          end)
        end
        return (tasks.gather(list))
      end)
      assert.same({ 3000000, 3000000, 3000000, 3000000, 3000000 }, sizes)
    end)
  end)

  describe("join", function()
    it("returns the task's results or raises its error, every time it is called", function()
      tasks.run(function()
        local fine = tasks.spawn(function()
          return 1, nil, 3
        end)
        assert.same({ n = 3, 1, nil, 3 }, table.pack(fine:join()))
        assert.same({ n = 3, 1, nil, 3 }, table.pack(fine:join()))
        local thrown = {}
        local failing = tasks.spawn(error, thrown)
        for _ = 1, 2 do
          local ok, err = pcall(failing.join, failing)
          assert.is_false(ok)
          assert.equal(thrown, err)
        end
      end)
    end)

    it("of a task with itself is refused", function()
      local ok, err = pcall(tasks.run, function()
        local me
        me = tasks.spawn(function()
          me:join()
        end)
        me:join()
      end)
      assert.is_false(ok)
      assert.matches("wait for itself", err)
    end)
  end)

  describe("gather", function()
    it("returns first values and errors by index", function()
      local results, errors = tasks.run(function()
        return tasks.gather {
          tasks.spawn(function()
            return "a", "b"
          end),
          tasks.spawn(function()
            return nil, "soft"
          end),
          tasks.spawn(error, "hard"),
          tasks.spawn(function() end),
        }
      end)
      assert.same({ "a" }, results)
      assert.same({ [2] = "soft", [3] = "hard" }, errors)
    end)

    it("returns no errors when every task succeeded", function()
      local results, errors = tasks.run(function()
        return tasks.gather {}
      end)
      assert.same({}, results)
      assert.is_nil(errors)
    end)
  end)

  describe("cancel", function()
    it("ends a call with kind cancelled, and the client stays usable", function()
      server:fault { match = { method = "GET" }, times = 1, fault = { hang = "headers" } }
      tasks.run(function()
        local task = tasks.spawn(function()
          return client:get_status(execution.id)
        end)
        tasks.sleep(0.02)
        task:cancel()
        local value, err = task:join()
        assert.is_nil(value)
        assert.equal("cancelled", err.kind)
        assert.equal(execution.id, plain_assert(client:get_status(execution.id)).id)
      end)
    end)

    it("makes sleep raise, and does nothing to a finished task", function()
      tasks.run(function()
        local sleeper = tasks.spawn(tasks.sleep, 60)
        tasks.sleep(0)
        sleeper:cancel()
        local ok, err = pcall(sleeper.join, sleeper)
        assert.is_false(ok)
        assert.equal("cancelled", err.kind)
        local done = tasks.spawn(function()
          return 1
        end)
        done:join()
        done:cancel()
        assert.equal(1, done:join())
      end)
    end)

    it("ends a backoff sleep and a wait", function()
      local busy = { status_code = 503, headers = { ["retry-after"] = "50" } }
      local fake = FakeTransport { busy }
      local slow = fake:client()
      tasks.run(function()
        local call = tasks.spawn(function()
          return slow:get_status "1"
        end)
        tasks.sleep(0)
        call:cancel()
        local value, err = call:join()
        assert.is_nil(value)
        assert.equal("cancelled", err.kind)
      end)
    end)

    it("keeps a task that has not begun from ever running", function()
      local ran = false
      tasks.run(function()
        local task = tasks.spawn(function()
          ran = true
        end)
        task:cancel()
        local value, err = task:join()
        assert.is_nil(value)
        assert.equal("cancelled", err.kind)
      end)
      assert.is_false(ran)
    end)

    it("ends a join once: a later wait is not cut short by it #timing", function()
      local slept = tasks.run(function()
        local joined = tasks.spawn(tasks.sleep, 0.03)
        local joiner = tasks.spawn(function()
          pcall(joined.join, joined)
          local started = loop.now()
          tasks.sleep(0.1)
          return loop.now() - started
        end)
        tasks.sleep(0.01)
        joiner:cancel()
        return joiner:join()
      end)
      assert.is_true(slept >= 0.1)
    end)
  end)

  it("end with kind cancelled when their client is closed, during a call and asleep", function()
    server:fault { match = { method = "GET" }, times = 1, fault = { hang = "headers" } }
    local own = qhub.HubServiceClient { base_url = server.url, token = server.token }
    local asleep =
      FakeTransport({ { status_code = 503, headers = { ["retry-after"] = "50" } } }):client()
    tasks.run(function()
      local list = {
        tasks.spawn(function()
          return own:get_status(execution.id)
        end),
        tasks.spawn(function()
          return asleep:get_status "1"
        end),
      }
      tasks.sleep(0.02)
      own:close()
      asleep:close()
      local _, errors = tasks.gather(list)
      assert.equal("cancelled", errors[1].kind)
      assert.equal("cancelled", errors[2].kind)
    end)
  end)

  it("block inside C calls that cannot yield, and get their response", function()
    local found = tasks.run(function()
      local list = { 3, 1, 2 }
      table.sort(list, function(a, b)
        plain_assert(client:get_status(execution.id))
        return a < b
      end)
      local lazy = setmetatable({}, {
        __index = function(_, name)
          return plain_assert(client:get_status(name))
        end,
      })
      local _, status = pcall(function()
        return lazy[execution.id].id
      end)
      list[4] = status
      return list
    end)
    assert.same({ 1, 2, 3, execution.id }, found)
  end)

  it("leave the program's own coroutines alone: there a call blocks", function()
    local thread = coroutine.wrap(function()
      return plain_assert(client:get_status(execution.id)).id
    end)
    assert.equal(execution.id, thread())
    local inner = tasks.run(function()
      local generator = coroutine.wrap(function()
        coroutine.yield(plain_assert(client:get_status(execution.id)).id)
      end)
      return generator()
    end)
    assert.equal(execution.id, inner)
  end)

  it("that yield themselves let the others run", function()
    local order = {}
    tasks.run(function()
      for name = 1, 2 do
        tasks.spawn(function()
          for _ = 1, 2 do
            order[#order + 1] = name
            coroutine.yield()
          end
        end)
      end
    end)
    assert.same({ 1, 2, 1, 2 }, order)
  end)

  describe("in a loop of the program's own", function()
    it("advance by step, which returns how many tasks are alive", function()
      local id
      local task = tasks.spawn(function()
        id = plain_assert(client:get_status(execution.id)).id
      end)
      local steps = 0
      while tasks.step(1) > 0 do
        steps = steps + 1
      end
      assert.equal(execution.id, id)
      assert.is_true(steps > 0)
      assert.equal(0, tasks.step(0))
      assert.is_nil(task:join())
    end)

    it("have a descriptor, events and a timeout, as functions and methods #pollfd", function()
      tasks.step(0) -- what the tests before left behind
      assert.is_number(tasks.pollfd())
      assert.equal(tasks.pollfd(), tasks:pollfd())
      assert.equal("r", tasks:events())
      assert.is_nil(tasks:timeout())
      local task = tasks.spawn(tasks.sleep, 0.02)
      assert.equal(0, tasks.timeout())
      tasks:step(0)
      assert.is_true(tasks:timeout() <= 0.02)
      task:join()
    end)

    it("leave no work after they were abandoned, so that the loop can sleep", function()
      tasks.spawn(error, "never begun"):cancel()
      assert.is_nil(tasks.timeout())
      pcall(tasks.run, function()
        tasks.spawn(error, "never begun")
        error "left"
      end)
      assert.is_nil(tasks.timeout())
    end)

    it("serve the engine even when no task is alive", function()
      local session = loop.engine():session {}
      local request = session:prepare {
        method = "GET",
        header_lines = "",
        timeout = 10,
        connect_timeout = 10,
      }
      local transfer = plain_assert(session:start(request, server.url))
      for _ = 1, 1000 do -- polls, as the loop around would see the descriptor
        if transfer:state() == "done" then break end
        assert.equal(0, tasks.step(0))
        server:clear() -- a request and its response: time for the network
      end
      assert.equal("done", transfer:state())
    end)

    it("raise an error that was not joined from step, after the last task has ended", function()
      tasks.spawn(error, "lost")
      local ok, err
      repeat
        ok, err = pcall(tasks.step, 0)
      until not ok or err == 0
      assert.is_false(ok)
      assert.equal("lost", err)
      assert.equal(0, tasks.step(0))
    end)

    it("can be joined from outside of tasks", function()
      local task = tasks.spawn(function()
        return plain_assert(client:get_status(execution.id)).id
      end)
      assert.equal(execution.id, task:join())
    end)
  end)

  it("are closed by an interrupt within step, report it, and new tasks can be spawned", function()
    local interrupted = 0
    for count = 1, 400 do
      local closed, begun, list = 0, 0, {}
      local counting = {
        __close = function()
          closed = closed + 1
        end,
      }
      for index = 1, 3 do
        list[index] = tasks.spawn(function()
          begun = begun + 1
          local _ <close> = setmetatable({}, counting)
          tasks.sleep(0)
        end)
      end
      local ok, err = pcall(function()
        debug.sethook(function()
          debug.sethook()
          error("interrupt", 0)
        end, "", count)
        tasks.step(0)
        debug.sethook()
      end)
      debug.sethook()
      local live
      repeat
        live = tasks.step(0)
      until live == 0
      assert.equal(begun, closed)
      for _, task in ipairs(list) do
        local joined, reason = pcall(task.join, task)
        if not joined then
          interrupted = interrupted + 1
          assert.is_false(ok)
          assert.equal("interrupt", err)
          assert.equal("cancelled", reason.kind)
          assert.matches("ended by an interrupt", reason.message)
        end
      end
      assert.is_true(tasks.run(function() -- and new ones are not stuck
        tasks.sleep(0)
        return true
      end))
    end
    assert.is_true(interrupted > 100, interrupted)
  end)

  it("are abandoned in time proportional to their number #timing", function()
    local started = os.clock()
    pcall(tasks.run, function()
      for _ = 1, 100000 do
        tasks.spawn(tasks.sleep, 1)
      end
      error "left"
    end)
    assert.is_true(os.clock() - started < 1.5)
  end)

  it("that never ran are counted when the program ends #process", function()
    local function output_of(code)
      local command = ("LUA_PATH='%s' LUA_CPATH='%s' %s -e '%s' 2>&1"):format(
        package.path,
        package.cpath,
        os.getenv "LUA" or "lua5.4",
        code
      )
      local pipe <close> = plain_assert(io.popen(command))
      return pipe:read "a"
    end
    local spawn = [[local t = require("qhub").tasks; t.spawn(function() end); t.spawn(print)]]
    assert.matches("^qhub: 2 tasks were spawned and never ran; use", output_of(spawn))
    assert.equal("\n", output_of(spawn .. " while t.step(0) > 0 do end"))
  end)

  it("can be spawned anew after an interrupt at any instruction of the scheduler", function()
    local function with_interrupt(count, fn)
      debug.sethook(function()
        debug.sethook()
        error("interrupt", 0)
      end, "", count)
      local ok, result = pcall(tasks.run, fn)
      debug.sethook()
      return ok, result
    end
    local function sleep()
      for _ = 1, 3 do
        tasks.sleep(0)
      end
      return "slept"
    end
    local function many() -- the hook is that of each coroutine: tasks are interrupted, too
      for _ = 1, 20 do
        tasks.spawn(sleep)
      end
      local long = tasks.spawn(tasks.sleep, 100)
      tasks.spawn(long.cancel, long)
      tasks.gather { long, tasks.spawn(sleep) }
    end
    local before, failures = { debug.gethook() }, {}
    for step = 1, 600 do
      local count = step < 300 and step + 20 or step * 7
      pcall(with_interrupt, count, many)
      local ok, result = with_interrupt(10000000, sleep) -- an end where it would spin
      if not (ok and result == "slept") then failures[#failures + 1] = count end
      if failures[3] then break end
    end
    debug.sethook(table.unpack(before))
    assert.same({}, failures)
  end)

  it("end after an interrupt in the midst of what the program does to them", function()
    local before, failures = { debug.gethook() }, {}
    local sethook, each = debug.sethook, ipairs -- not looked up while it counts
    for count = 1, 240 do
      local list = {}
      for index = 1, count <= 120 and 5 or 1 do
        list[index] = tasks.spawn(tasks.sleep, 0.001 * index)
      end
      pcall(tasks.step, 0)
      pcall(function()
        sethook(function()
          sethook()
          error("interrupt", 0)
        end, "", (count - 1) % 120 + 1)
        for _, task in each(list) do
          task:cancel()
        end
        sethook()
      end)
      local rounds = 0
      repeat
        rounds = rounds + 1
        local ok, live = pcall(tasks.step, 0.01)
      until ok and live == 0 or rounds == 20
      if rounds == 20 then failures[#failures + 1] = count end
    end
    debug.sethook(table.unpack(before))
    assert.same({}, failures)
  end)

  it("run under the debug hook that is set when they start, and leave none behind #hook", function()
    local before, hook = { debug.gethook() }, function() end
    debug.sethook()
    tasks.run(debug.gethook)
    debug.sethook(hook, "", 1000000)
    local _, _, count = tasks.run(debug.gethook)
    debug.sethook()
    tasks.run(debug.sethook, hook, "", 1000000)
    local left = tasks.run(debug.gethook)
    debug.sethook(table.unpack(before))
    assert.equal(1000000, count)
    assert.is_nil(left)
  end)

  it("end alone when the program resumes or closes their coroutines, ended or not", function()
    local ended, parked
    tasks.run(function()
      ended = coroutine.running()
    end)
    assert.is_false((coroutine.resume(ended, 1)))
    coroutine.close(ended)
    local results, errors = tasks.run(function()
      local closed = tasks.spawn(function()
        parked = coroutine.running()
        tasks.sleep(0.01)
      end)
      local other = tasks.spawn(function()
        tasks.sleep(0.01)
        return "slept"
      end)
      tasks.sleep(0)
      coroutine.close(parked)
      return tasks.gather { closed, other }
    end)
    assert.matches("dead coroutine", errors[1])
    assert.equal("slept", results[2])
  end)

  it("that sleep forever have no deadline", function()
    local task = tasks.spawn(tasks.sleep, math.huge)
    tasks.step(0)
    assert.is_nil(tasks.timeout())
    task:cancel()
    assert.is_false((pcall(task.join, task)))
  end)

  it("end a call with nil and an error when a function of the program waits in it", function()
    local function waits()
      tasks.sleep(1e6)
    end
    local fake = FakeTransport { waits }
    local body = FakeTransport {
      { status_code = 200, body = waits },
    }
    for _, waiting in ipairs {
      fake:client {},
      body:client {},
      fake:client { token = waits },
    } do
      tasks.run(function()
        local task = tasks.spawn(waiting.get_status, waiting, "1")
        tasks.sleep(0.001)
        task:cancel()
        local status, err = task:join()
        assert.is_nil(status)
        assert.equal("cancelled", err.kind)
      end)
    end
  end)

  it("raise usage errors that name the wrong argument", function()
    assert.matches("function is needed", select(2, pcall(tasks.spawn, 1)))
    assert.matches("function is needed", select(2, pcall(tasks.run)))
    assert.matches("number of seconds", select(2, pcall(tasks.sleep, -1)))
    assert.matches("list of tasks", select(2, pcall(tasks.gather, 1)))
    assert.matches("task is needed", select(2, pcall(tasks.gather, { 1 })))
    assert.matches("number of seconds", select(2, pcall(tasks.step, "x")))
  end)
end)
