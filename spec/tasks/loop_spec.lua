-- qhub in loops that are not its own: cqueues polls it, luv watches its descriptor. Neither is
-- woken while nothing happens.

local cqueues = require "cqueues"
local gateway = require "spec.support.gateway"
local qhub = require "qhub"
local shared = require "spec.support.shared"
local uv = require "luv"
local waits = require "qhub.tasks.loop"

local tasks = qhub.tasks
local plain_assert = _G.assert

-- More steps than a quiet wait of a few calls needs, far fewer than a loop that spins.
local QUIET = 40

describe("a program's own loop #pollfd", function()
  local server = shared(gateway.start)
  local client, id

  setup(function()
    client = qhub.HubServiceClient { base_url = server.url, token = server.token }
    id = plain_assert(client:start_execution { simulate = { pending_ms = 0, running_ms = 0 } }).id
  end)

  teardown(function()
    client:close()
  end)

  before_each(function()
    server:fault { match = { method = "GET" }, times = -1, fault = { delay_ms = 300 } }
  end)

  -- Spawns `count` calls; returns where their statuses come to stand.
  local function spawn_calls(count)
    local statuses = {}
    for _ = 1, count do
      tasks.spawn(function()
        local status = plain_assert(client:get_status(id)).status
        statuses[#statuses + 1] = status
      end)
    end
    return statuses
  end

  -- Steps the tasks in a loop of cqueues until none is left. Returns how often.
  local function steps_in_cqueues()
    local loop, steps = cqueues.new(), 0
    loop:wrap(function()
      while tasks.step(0) > 0 do
        steps = steps + 1
        cqueues.poll(tasks)
      end
    end)
    plain_assert(loop:loop())
    return steps
  end

  it("of cqueues polls qhub like a socket and sleeps while nothing happens", function()
    local statuses = spawn_calls(5)
    local steps = steps_in_cqueues()
    assert.equal(5, #statuses)
    assert.is_true(steps < QUIET, steps .. " steps")
  end)

  it("of cqueues does its own work in the meantime", function()
    spawn_calls(1)
    local ticks, running = 0, true
    local loop = cqueues.new()
    loop:wrap(function()
      while tasks.step(0) > 0 do
        cqueues.poll(tasks)
      end
      running = false
    end)
    loop:wrap(function()
      while running do
        cqueues.sleep(0.01)
        ticks = ticks + 1
      end
    end)
    plain_assert(loop:loop())
    assert.is_true(ticks > 5, ticks .. " ticks")
  end)

  it("of luv watches one descriptor and one timer", function()
    local statuses, steps = spawn_calls(5), 0
    local watcher, timer = uv.new_poll(tasks.pollfd()), uv.new_timer()
    local function step()
      steps = steps + 1
      if tasks.step(0) == 0 then
        watcher:close()
        timer:close()
        return
      end
      local seconds = tasks.timeout()
      if seconds then
        timer:start(math.ceil(seconds * 1000), 0, step)
      else
        timer:stop()
      end
    end
    watcher:start("r", step)
    step()
    uv.run()
    assert.equal(5, #statuses)
    assert.is_true(steps < QUIET, steps .. " steps")
  end)

  it("learns from tasks.timeout when a sleeping task is due", function()
    local woken
    tasks.spawn(function()
      tasks.sleep(0.05)
      woken = true
    end)
    local steps = steps_in_cqueues()
    assert.is_true(woken)
    assert.is_true(steps < 10, steps .. " steps")
  end)

  it("that steps without waiting always returns at once", function()
    local statuses = spawn_calls(1)
    local steps = 0
    while tasks.step(0) > 0 do
      steps = steps + 1
    end
    assert.equal(1, #statuses)
    assert.is_true(steps > 100, steps .. " steps") -- 0.3 s of steps that did not wait
  end)
end)

describe("a sleep in a call of one client", function()
  it("ends when that client is closed, and not with another one", function()
    local one, other, due = {}, {}, waits.now() + 0.05
    local results, errors = tasks.run(function()
      local list = {
        tasks.spawn(waits.sleep_until, due, one),
        tasks.spawn(waits.sleep_until, due, other),
        tasks.spawn(waits.sleep_until, due),
      }
      tasks.sleep(0)
      waits.wake_sleepers(one)
      return tasks.gather(list)
    end)
    assert.same({ [2] = true, [3] = true }, results)
    assert.same({ "cancelled" }, errors)
  end)
end)
