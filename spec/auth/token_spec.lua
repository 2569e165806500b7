-- The program's token function: when it is asked, what it may return, raise and wait for.

local FakeTransport = require "spec.support.fake_transport"

local SOON = { ["Retry-After"] = "0.001" }
local OK = { status_code = 200, body = '{"id":"1","status":"RUNNING"}' }
local BUSY = { status_code = 503, headers = SOON }
local DENIED = { status_code = 401 }

describe("a token function", function()
  it("is called for every attempt, without arguments", function()
    local calls = {}
    local fake = FakeTransport { BUSY, BUSY, OK }
    local client = fake:client {
      token = function(...)
        calls[#calls + 1] = { n = select("#", ...), ... }
        return "t" .. #calls
      end,
    }
    assert(client:get_status "1")
    assert.equal(3, #calls)
    assert.is_nil(calls[1][1])
    assert.equal("Bearer t3", fake.requests[3].headers.authorization)
  end)

  it("is called once more with the rejected token after a 401, beside max_retries", function()
    local rejected
    local fake = FakeTransport { DENIED, OK }
    local client = fake:client {
      max_retries = 0,
      token = function(old)
        rejected = old or rejected
        return old and "new" or "old"
      end,
    }
    assert(client:get_status "1")
    assert.equal("old", rejected)
    assert.equal(2, #fake.requests)
    assert.equal("Bearer new", fake.requests[2].headers.authorization)
  end)

  it("leads to one repetition after a 401, and to none with the same token", function()
    local fake = FakeTransport { DENIED }
    local count = 0
    local client = fake:client {
      token = function()
        count = count + 1
        return "t" .. count
      end,
    }
    local value, err = client:get_status "1"
    assert.is_nil(value)
    assert.equal(401, err.status_code)
    assert.equal(2, err.attempts)
    assert.equal(2, #fake.requests)
    fake = FakeTransport { DENIED }
    client = fake:client {
      token = function()
        return "same"
      end,
    }
    value, err = client:get_status "1"
    assert.is_nil(value)
    assert.equal(401, err.status_code)
    assert.equal(1, #fake.requests)
  end)

  it("repeats a start too, because a 401 starts nothing", function()
    local fake = FakeTransport { DENIED, { status_code = 201, body = '{"id":"9"}' } }
    local client = fake:client {
      token = function(old)
        return old and "b" or "a"
      end,
    }
    assert.equal("9", assert(client:start_execution {}).id)
    assert.equal(2, #fake.requests)
  end)

  it("that returns no usable token ends the call with kind token and sends nothing", function()
    for _, values in ipairs { {}, { nil, "vault sealed" }, { "" }, { "a\nb" }, { 5 }, { {} } } do
      local fake = FakeTransport { OK }
      local client = fake:client {
        token = function()
          return table.unpack(values, 1, 2)
        end,
      }
      local value, err = client:get_status "1"
      assert.is_nil(value)
      assert.equal("token", err.kind)
      assert.is_nil(err.message:find("a\nb", 1, true))
      if values[2] then assert.matches("vault sealed", err.message) end
      assert.equal(0, #fake.requests)
    end
  end)

  it("may raise any value, which propagates unchanged", function()
    local thrown = setmetatable({}, { __name = "mine" })
    local client = FakeTransport({ OK }):client {
      token = function()
        error(thrown)
      end,
    }
    local ok, err = pcall(client.get_status, client, "1")
    assert.is_false(ok)
    assert.equal(thrown, err)
  end)

  it("may yield in the program's own coroutine", function()
    local client = FakeTransport({ OK }):client {
      token = function()
        return (coroutine.yield "please")
      end,
    }
    local thread = coroutine.create(function()
      return client:get_status "1"
    end)
    local _, asked = coroutine.resume(thread)
    assert.equal("please", asked)
    local ok, execution = coroutine.resume(thread, "tok")
    assert.is_true(ok)
    assert.equal("1", execution.id)
  end)

  it("is not called when the request sets or removes Authorization itself", function()
    local asked = false
    local fake = FakeTransport { OK }
    local client = fake:client {
      token = function()
        asked = true
        return "t"
      end,
    }
    client:get_status("1", { headers = { Authorization = "Basic x" } })
    client:get_status("1", { headers = { authorization = false } })
    assert.is_false(asked)
    assert.equal("Basic x", fake.requests[1].headers.authorization)
    assert.is_nil(fake.requests[2].headers.authorization)
  end)
end)
