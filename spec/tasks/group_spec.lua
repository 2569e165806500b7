-- Groups of tasks: who raises an error that was not joined, and when.

local tasks = require "qhub.tasks"

describe("errors that were not joined", function()
  local function fail_later(seconds)
    return tasks.spawn(function()
      tasks.sleep(seconds)
      error("lost", 0)
    end)
  end

  it("are raised by run even when a join or gather of the task was cancelled", function()
    for _, wait in ipairs {
      function(task)
        task:join()
      end,
      function(task)
        tasks.gather { task }
      end,
    } do
      local ok, err = pcall(tasks.run, function()
        local failing = fail_later(0.02)
        local joiner = tasks.spawn(pcall, wait, failing)
        tasks.sleep(0.001)
        joiner:cancel()
      end)
      assert.is_false(ok)
      assert.equal("lost", err)
    end
  end)

  it("are not raised by an inner run when a task of the outer one joins them", function()
    local joined
    tasks.run(function()
      local failing
      local joiner = tasks.spawn(function()
        tasks.sleep(0.001)
        joined = table.pack(pcall(failing.join, failing))
      end)
      tasks.run(function()
        failing = fail_later(0.02)
      end)
      joiner:join()
    end)
    assert.same({ false, "lost", n = 2 }, joined)
  end)

  it("are raised by run for tasks that the program's own coroutine spawned in it", function()
    local ok, err = pcall(tasks.run, function()
      coroutine.wrap(function()
        fail_later(0.001)
      end)()
    end)
    assert.is_false(ok)
    assert.equal("lost", err)
  end)

  it("are raised by the step in which the task failed while another one sleeps", function()
    local long <close> = setmetatable({ tasks.spawn(tasks.sleep, 1e6) }, {
      __close = function(list)
        list[1]:cancel()
        tasks.step(0)
      end,
    })
    local failing = fail_later(0)
    local raised = 0
    for _ = 1, 5 do
      local ok, err = pcall(tasks.step, 0)
      if not ok then
        assert.equal("lost", err)
        raised = raised + 1
      end
    end
    assert.equal(1, raised)
    assert.same({ false, "lost" }, { pcall(failing.join, failing) })
    assert.equal("live", tostring(long[1]):match "%((%a+)%)")
  end)

  it("are not raised by step while a task waits to gather them", function()
    local failing, slow = fail_later(0), tasks.spawn(tasks.sleep, 0.02)
    local gatherer = tasks.spawn(tasks.gather, { slow, failing })
    while tasks.step(1) > 0 do
    end
    local _, errors = gatherer:join()
    assert.same({ [2] = "lost" }, errors)
  end)

  it("take time proportional to their number #timing", function()
    for _ = 1, 8000 do
      tasks.spawn(error, "lost")
    end
    local started, raised = os.clock(), 0
    repeat
      local ok, live = pcall(tasks.step, 0)
      raised = raised + (ok and 0 or 1)
    until ok and live == 0
    assert.equal(8000, raised)
    assert.is_true(os.clock() - started < 1)
  end)

  it("are raised by one step each", function()
    local list = { fail_later(0), fail_later(0) }
    local raised = 0
    repeat
      local ok, err = pcall(tasks.step, 0)
      raised = raised + (ok and 0 or 1)
    until ok and err == 0
    assert.equal(#list, raised)
  end)

  it("do not include the cancellation of a task", function()
    assert.equal(
      "done",
      tasks.run(function()
        local task = tasks.spawn(tasks.sleep, 1e6)
        tasks.sleep(0)
        task:cancel()
        return "done"
      end)
    )
  end)

  it("are released when they are joined", function()
    tasks.run(function()
      local function fail()
        local task = tasks.spawn(error, ("x"):rep(100000))
        assert.is_false((pcall(task.join, task)))
        local _, errors = tasks.gather { tasks.spawn(error, ("x"):rep(100000)) }
        assert.is_string(errors[1])
      end
      fail()
      collectgarbage()
      local before = collectgarbage "count"
      for _ = 1, 50 do
        fail()
      end
      collectgarbage()
      assert.is_true(collectgarbage "count" - before < 1000)
    end)
  end)

  it("are raised when a gather that waits for the task ends early", function()
    local ok, err = pcall(tasks.run, function()
      local failing, long = fail_later(0), tasks.spawn(tasks.sleep, 1e6)
      local gatherer = tasks.spawn(pcall, tasks.gather, { failing, long })
      tasks.sleep(0.005)
      gatherer:cancel()
      gatherer:join()
      long:cancel()
    end)
    assert.is_false(ok)
    assert.equal("lost", err)
  end)

  it("are raised by their run when a task outside it still waits to gather them", function()
    tasks.run(function()
      local failing
      local long = tasks.spawn(tasks.sleep, 1e6)
      local gatherer = tasks.spawn(function()
        tasks.sleep(0.001)
        pcall(tasks.gather, { failing, long })
      end)
      local ok, err = pcall(tasks.run, function()
        failing = fail_later(0.02)
      end)
      assert.same({ false, "lost" }, { ok, err })
      gatherer:cancel()
      gatherer:join()
      long:cancel()
    end)
    assert.equal(0, tasks.step(0))
  end)

  it("are raised once, even when the error refers to its task", function()
    local task
    task = tasks.spawn(function()
      error { task = task }
    end)
    local raised = 0
    for _ = 1, 10 do
      raised = raised + (pcall(tasks.step, 0) and 0 or 1)
      task = nil
      collectgarbage()
    end
    assert.equal(1, raised)
    assert.is_nil(task)
  end)

  it("are not raised after a join, even when earlier joins were cancelled", function()
    local failing
    pcall(tasks.run, function()
      failing = fail_later(0.01)
      tasks.run(function()
        failing = fail_later(0.01)
        local joiner = tasks.spawn(pcall, failing.join, failing)
        tasks.sleep(0.001)
        joiner:cancel()
      end)
    end)
    assert.is_false((pcall(failing.join, failing)))
    collectgarbage()
    assert.equal(0, tasks.step(0))
  end)

  it("of an inner run are raised before the cancellation of a task in it", function()
    local ok, err = pcall(tasks.run, function()
      local is_failing = false
      local outer = tasks.spawn(tasks.run, function()
        tasks.spawn(function()
          is_failing = true
          error("lost", 0)
        end)
        tasks.sleep(1e6)
      end)
      repeat
        tasks.sleep(0)
      until is_failing
      outer:cancel()
    end)
    assert.is_false(ok)
    assert.equal("lost", err)
  end)

  it("are returned by gather for error values of any type", function()
    local results, errors = tasks.run(function()
      return tasks.gather { tasks.spawn(error), tasks.spawn(type, 1) }
    end)
    assert.same({ [2] = "number" }, results)
    assert.same({ "nil" }, errors)
  end)
end)
