-- A client that the program closes in one of its own functions: what is under way ends with kind
-- cancelled, never with a usage error, and a run that was started is in the error.

local FakeTransport = require "spec.support.fake_transport"
local tasks = require("qhub").tasks

local BODIES = {
  '{"id":"1","status":"PENDING"}',
  '{"id":"1","status":"RUNNING"}',
  '{"id":"1","status":"SUCCEEDED"}',
  '{"energy":-1.5}',
}

-- A client whose run takes four requests; `options(close)` are more of its options.
local function closing(options)
  local client
  local fake = FakeTransport {
    function(_, count)
      return { status_code = 200, body = BODIES[math.min(count, #BODIES)] }
    end,
  }
  client = fake:client(options(function()
    client:close()
  end))
  return client, fake
end

-- A function that calls `close` at its call number `at`, and returns `value`.
local function at_call(at, close, value)
  local count = 0
  return function()
    count = count + 1
    if count == at then close() end
    return value
  end
end

local function assert_cancelled(client, at, options)
  local value, err = client:run({}, options or { interval = 0.001 })
  assert.is_nil(value, at)
  assert.equal("cancelled", err.kind, at)
  return err
end

describe("a client that is closed within run", function()
  it("by on_response ends it with the execution", function()
    for at = 1, 3 do
      local client = closing(function(close)
        return { on_response = at_call(at, close) }
      end)
      assert.equal("1", assert_cancelled(client, at).execution.id)
    end
  end)

  it("by the on_response of the start's response ends it with the execution", function()
    local client, fake
    client, fake = closing(function()
      return {}
    end)
    local err = assert_cancelled(client, 1, {
      start = {
        on_response = function()
          client:close()
        end,
      },
    })
    assert.equal("1", err.execution.id)
    assert.equal(1, #fake.requests)
  end)

  it("by on_status ends it with the execution, in any status", function()
    for at = 1, 3 do
      local client
      client = closing(function()
        return {}
      end)
      local on_status = at_call(at, function()
        client:close()
      end)
      local err = assert_cancelled(client, at, { interval = 0.001, on_status = on_status })
      assert.equal("1", err.execution.id)
    end
  end)

  it("by the logger ends it with the execution", function()
    for at = 1, 6 do -- two events for each request
      local client = closing(function(close)
        return { logging = { level = "debug", logger = at_call(at, close) } }
      end)
      assert.equal("1", assert_cancelled(client, at).execution.id)
    end
  end)

  it("by the token function ends it, with the execution after the start", function()
    for at = 1, 4 do
      local client, fake = closing(function(close)
        return { token = at_call(at, close, "t0ken") }
      end)
      local err = assert_cancelled(client, at)
      assert.equal(at - 1, #fake.requests)
      assert.equal(at > 1 and "1" or nil, err.execution and err.execution.id)
    end
  end)

  it("by the transport function ends it, with the execution once that was started", function()
    for at = 1, 4 do
      local client
      local fake = FakeTransport {
        function(_, count)
          if count == at then client:close() end
          return { status_code = 200, body = BODIES[math.min(count, #BODIES)] }
        end,
      }
      client = fake:client()
      local err = assert_cancelled(client, at)
      assert.equal("1", err.execution.id)
      assert.equal(at, #fake.requests)
    end
  end)

  it("by another task ends all runs with their executions", function()
    local client = closing(function()
      return {}
    end)
    tasks.run(function()
      local run = tasks.spawn(function()
        return client:run({}, { interval = 30 })
      end)
      tasks.sleep(0.01)
      client:close()
      local value, err = run:join()
      assert.is_nil(value)
      assert.equal("cancelled", err.kind)
      assert.equal("1", err.execution.id)
    end)
  end)
end)

describe("a client that is closed within wait_all", function()
  it("by on_status ends it with kind cancelled, or with the list when all have ended", function()
    for _, status in ipairs { "RUNNING", "SUCCEEDED" } do
      local body = ('{"id":"1","status":"%s"}'):format(status)
      local client
      client = FakeTransport({ { status_code = 200, body = body } }):client {}
      local list = { client:execution "1" }
      local value, err = client:wait_all(list, {
        interval = 0.001,
        on_status = function()
          client:close()
        end,
      })
      if status == "RUNNING" then
        assert.is_nil(value)
        assert.equal("cancelled", err.kind)
      else
        assert.equal(list, value)
      end
    end
  end)
end)
