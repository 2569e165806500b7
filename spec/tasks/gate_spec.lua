-- Gates: how many calls are within at once, in order of arrival.

local gates = require "qhub.tasks.gate"
local loop = require "qhub.tasks.loop"
local qhub = require "qhub"

local tasks = qhub.tasks

describe("gates", function()
  -- Runs `count` tasks that enter a gate for two within and note the order.
  local function through(gate, count, order, most)
    local inside = 0
    for index = 1, count do
      tasks.spawn(function()
        for turn = 1, 2 do
          assert(gate:admit())
          inside = inside + 1
          most[1] = math.max(most[1], inside)
          order[#order + 1] = index .. "." .. turn
          tasks.sleep(0.001)
          inside = inside - 1
          gate:leave()
        end
      end)
    end
  end

  it("admit at most their limit, in order of arrival", function()
    local gate, order, most = gates.new(2), {}, { 0 }
    tasks.run(through, gate, 4, order, most)
    assert.equal(2, most[1])
    assert.same({ "1.1", "2.1", "3.1", "1.2", "2.2", "4.1", "4.2", "3.2" }, order)
    assert.equal(0, gate.inside)
  end)

  it("end a wait at its deadline, by cancellation, and when the owner is closed", function()
    local gate, owner = gates.new(1), {}
    tasks.run(function()
      assert(gate:admit())
      local late = tasks.spawn(gate.admit, gate, loop.now() + 0.005)
      local cancelled = tasks.spawn(gate.admit, gate)
      local closed = tasks.spawn(gate.admit, gate, nil, owner)
      local patient = tasks.spawn(gate.admit, gate)
      repeat
        tasks.sleep(0)
      until gate.tail == 4
      cancelled:cancel()
      loop.wake_sleepers(owner)
      assert.same({ nil, "deadline" }, { late:join() })
      assert.same({ nil, "cancelled" }, { cancelled:join() })
      assert.same({ nil, "cancelled" }, { closed:join() })
      assert.equal("qhub.Task", getmetatable(patient).__name)
      gate:leave()
      assert.is_true(patient:join())
      gate:leave()
    end)
    assert.equal(0, gate.inside)
  end)

  it("are left by tasks that are closed or cancelled between admission and running", function()
    local gate = gates.new(1)
    tasks.run(function()
      assert(gate:admit())
      local task = tasks.spawn(gate.admit, gate)
      tasks.sleep(0)
      gate:leave()
      task:cancel()
      assert.same({ nil, "cancelled" }, { task:join() })
    end)
    assert.equal(0, gate.inside)
    pcall(tasks.run, function()
      assert(gate:admit())
      tasks.spawn(function()
        assert(gate:admit())
        local _ <close> = gate
        tasks.sleep(1)
      end)
      tasks.sleep(0)
      gate:leave()
      error "left"
    end)
    assert.equal(0, gate.inside)
  end)

  it("delay new tasks while others wait, but not forever", function()
    local gate, begun = gates.new(1), 0
    local function joins()
      begun = begun + 1
      assert(gate:admit())
      local _ <close> = gate
    end
    tasks.run(function()
      assert(gate:admit())
      for _ = 1, 1000 do
        tasks.spawn(joins)
      end
      tasks.sleep(0)
      assert.equal(1, begun)
      assert.equal(
        "begun",
        tasks
          .spawn(function()
            return "begun"
          end)
          :join()
      )
      gate:leave()
    end)
    assert.equal(1000, begun)
    assert.equal(0, gate.inside)
  end)

  it("do not stop a caller that cannot yield", function()
    local gate = gates.new(1)
    assert.is_true(gate:admit())
    assert.is_true(gate:admit())
    gate:leave()
    gate:leave()
    assert.equal(0, gate.inside)
  end)
end)
