-- When tasks start: those whose calls would only wait for a connection start as connections become
-- free.

local gateway = require "spec.support.gateway"
local loop = require "qhub.tasks.loop"
local qhub = require "qhub"
local shared = require "spec.support.shared"

local tasks = qhub.tasks
local plain_assert = _G.assert

describe("tasks that wait for a connection", function()
  local server = shared(gateway.start)
  local id

  setup(function()
    local client <close> = qhub.HubServiceClient { base_url = server.url, token = server.token }
    id = plain_assert(client:start_execution { simulate = { pending_ms = 0, running_ms = 0 } }).id
  end)

  local function client_with(max_connections)
    return qhub.HubServiceClient {
      base_url = server.url,
      token = server.token,
      max_retries = 0,
      http = { max_connections = max_connections },
    }
  end

  -- The next `times` requests get no response.
  local function hang(times)
    server:fault { match = { method = "GET" }, times = times, fault = { hang = "headers" } }
  end

  it(
    "end by total_timeout, by cancellation and with their client, and were not attempted",
    function()
      hang(1)
      local client = client_with(1)
      tasks.run(function()
        local function call(options)
          return client:get_status(id, options)
        end
        local active = tasks.spawn(call)
        tasks.sleep(0)
        local late, cancelled = tasks.spawn(call, { total_timeout = 0.5 }), tasks.spawn(call)
        local closed = tasks.spawn(call)
        repeat
          tasks.sleep(0)
        until loop.engine():queued() == 3
        cancelled:cancel()
        local _, errors = tasks.gather { late, cancelled }
        assert.same(
          { "timeout", "total", false },
          { errors[1].kind, errors[1].phase, errors[1].sent }
        )
        assert.equal("cancelled", errors[2].kind)
        assert.same({ 0, 0 }, { errors[1].attempts, errors[2].attempts })
        client:close()
        _, errors = tasks.gather { active, closed }
        assert.same({ "cancelled", "cancelled" }, { errors[1].kind, errors[2].kind })
        assert.equal(0, loop.engine():queued())
      end)
      assert.equal(1, server:count "GET")
    end
  )

  it("do not start before, in the order in which they were spawned #timing", function()
    local client <close> = client_with(2)
    local rounds, most = 0
    repeat -- on a machine that is busy elsewhere, they may have to wait long enough to start
      local started, now = {}, 0
      rounds, most = rounds + 1, 0
      tasks.run(function()
        for index = 1, 100 do
          tasks.spawn(function()
            started[#started + 1] = index
            now = now + 1
            most = math.max(most, now)
            plain_assert(client:get_status(id))
            now = now - 1
          end)
        end
      end)
      assert.equal(100, #started)
      for index = 1, 100 do
        assert.equal(index, started[index])
      end
    until most <= 4 or rounds == 20
    assert.is_true(most <= 4, most .. " at once")
  end)

  it("start while others poll again and again", function()
    local client <close> = client_with(1)
    local is_over, polls = false, 0
    tasks.run(function()
      for _ = 1, 3 do
        tasks.spawn(function()
          repeat
            plain_assert(client:get_status(id))
            polls = polls + 1
          until is_over
        end)
      end
      tasks.sleep(0.01)
      polls = 0
      local list = {}
      for index = 1, 20 do
        list[index] = tasks.spawn(client.get_status, client, id)
      end
      tasks.gather(list)
      is_over = true
    end)
    assert.is_true(polls < 200, polls .. " polls of the first three")
  end)

  it("continue after a yield of their own", function()
    local client <close> = client_with(1)
    local ended = 0
    tasks.run(function()
      for index = 1, 200 do
        tasks.spawn(function()
          if index > 10 then coroutine.yield() end
          plain_assert(client:get_status(id))
          ended = ended + 1
        end)
      end
    end)
    assert.equal(200, ended)
  end)

  it("do not keep other tasks from starting for long", function()
    hang(-1)
    local client = client_with(1)
    local calls, started = {}, 0
    tasks.run(function()
      for index = 1, 1000 do
        calls[index] = tasks.spawn(function()
          started = started + 1
          return client:get_status(id)
        end)
      end
      tasks.sleep(0)
      tasks.sleep(0)
      assert.is_true(started < 200, started .. " of them started at once")
      local other = tasks.spawn(loop.now)
      assert.is_number(other:join())
      client:close()
      tasks.gather(calls)
    end)
  end)
end)
