-- The loop of a call: retries, redirects and the time it may take. Over a fake transport, whose
-- delays are those that it asks for, and over the network.

local client_of = require "spec.support.client_of"
local FakeTransport = require "spec.support.fake_transport"
local gateway = require "spec.support.gateway"
local loop = require "qhub.tasks.loop"
local shared = require "spec.support.shared"
local virtual_time = require "spec.support.virtual_time"

local SOON = { ["Retry-After"] = "0.001" }
local OK = { status_code = 200, body = '{"id":"1","status":"RUNNING"}' }
local BUSY = { status_code = 503, headers = SOON }
local DENIED = { status_code = 401 }

local function broken()
  return nil, "reset"
end

describe("a response that breaks off", function()
  it("is requested again, with any rate limit headers", function()
    local cut = {
      status_code = 200,
      headers = { ["X-RateLimit-Reset"] = tostring(os.time() + 3600) },
      body = function()
        return nil, "reset"
      end,
    }
    local time <close> = virtual_time()
    local fake = FakeTransport { cut, OK }
    assert(fake:client():get_status "1")
    assert.equal(2, #fake.requests)
    assert.is_true(time.slept[1] <= 1.25)
  end)
end)

describe("retries", function()
  it("repeat every operation after transient responses, including a start", function()
    for _, call in ipairs {
      function(c)
        return c:get_status "1"
      end,
      function(c)
        return c:start_execution {}
      end,
      function(c)
        return c:cancel_execution "1"
      end,
      function(c)
        return c:get_result_file("1", "f")
      end,
    } do
      local fake = FakeTransport { BUSY, { status_code = 429, headers = SOON }, OK }
      assert(call(fake:client()))
      assert.equal(3, #fake.requests)
    end
  end)

  it("end with the last error and the number of attempts", function()
    local fake = FakeTransport { BUSY }
    local value, err = fake:client({ max_retries = 4 }):get_status "1"
    assert.is_nil(value)
    assert.equal(503, err.status_code)
    assert.equal(5, err.attempts)
    assert.equal(5, #fake.requests)
    assert.equal(0.001, err.retry_after)
  end)

  it("can be set per request", function()
    local fake = FakeTransport { BUSY }
    fake:client():get_status("1", { max_retries = 0 })
    assert.equal(1, #fake.requests)
  end)

  it("never repeat a start that may have been sent, unless it is declared idempotent", function()
    local fake = FakeTransport { broken }
    local client = fake:client()
    client:start_execution {}
    assert.equal(1, #fake.requests)
    fake = FakeTransport { broken, { status_code = 201, body = '{"id":"1"}' } }
    fake.responses[1] = function()
      return nil, "reset"
    end
    assert(fake:client():start_execution({}, { idempotent = true }))
    assert.equal(2, #fake.requests)
  end)

  it("never repeat a start after its 303, only the GET that follows", function()
    local location = "https://gateway.example/acme/vqe/v1/5"
    local fake = FakeTransport {
      { status_code = 303, headers = { Location = location } },
      BUSY,
      { status_code = 200, body = '{"id":"5"}' },
    }
    assert.equal("5", assert(fake:client():start_execution {}).id)
    local methods = {}
    for index, request in ipairs(fake.requests) do
      methods[index] = request.method
    end
    assert.same({ "POST", "GET", "GET" }, methods)
  end)

  it("of the GET after a 303 carry the token of their own attempt", function()
    local fake = FakeTransport {
      { status_code = 303, headers = { Location = "/acme/vqe/v1/5" } },
      DENIED,
      BUSY,
      { status_code = 200, body = '{"id":"5"}' },
    }
    local count = 0
    local function token()
      count = count + 1
      return "t" .. count
    end
    assert(fake:client({ token = token }):start_execution {})
    local tokens = {}
    for index, request in ipairs(fake.requests) do
      tokens[index] = request.headers.authorization:match "t%d$"
    end
    assert.same({ "t1", "t1", "t2", "t3" }, tokens)
  end)

  it("are given up when the wait exceeds 60 s or total_timeout", function()
    for _, case in ipairs { { "30", 5 }, { "61" } } do
      local fake = FakeTransport { { status_code = 503, headers = { ["retry-after"] = case[1] } } }
      local value, err = fake:client():get_status("1", { total_timeout = case[2] })
      assert.is_nil(value)
      assert.equal("api", err.kind)
      assert.equal(tonumber(case[1]), err.retry_after)
      assert.equal(1, #fake.requests)
    end
  end)

  it("do not repeat a response that does not decode", function()
    local fake = FakeTransport { { status_code = 200, body = "<html>" } }
    local value, err = fake:client():get_status "1"
    assert.is_nil(value)
    assert.equal("decode", err.kind)
    assert.equal(1, #fake.requests)
  end)

  it("reach max_retries for every call, however many calls have failed", function()
    local _ <close> = virtual_time()
    local fake = FakeTransport {
      function()
        return { status_code = 503 }
      end,
    }
    local client = fake:client { max_retries = 2 }
    for _ = 1, 200 do
      client:get_status "1"
    end
    assert.equal(600, #fake.requests)
  end)

  it("always reach max_retries for the first call that fails", function()
    local fake = FakeTransport { BUSY }
    fake:client({ max_retries = 150 }):get_status "1"
    assert.equal(151, #fake.requests)
  end)
end)

describe("redirects", function()
  it("are followed without sending credentials to another origin", function()
    local fake = FakeTransport {
      { status_code = 302, headers = { location = "https://storage.example/f?sig=1" } },
      { status_code = 200, body = "bytes" },
    }
    local file = assert(fake:client():get_result_file("1", "f"))
    assert.equal("bytes", file:read_all())
    assert.is_nil(fake.requests[2].headers.authorization)
    assert.equal("https://storage.example/f?sig=1", fake.requests[2].url)
  end)

  it("that are not followed are errors of kind api with their status", function()
    for _, case in ipairs {
      { { follow_redirects = false }, "/x" },
      { {}, "http://gateway.example/x" },
      { {}, "file:///etc/passwd" },
    } do
      local fake = FakeTransport { { status_code = 302, headers = { location = case[2] } } }
      local value, err = fake:client(case[1]):get_status "1"
      assert.is_nil(value)
      assert.equal("api", err.kind)
      assert.equal(302, err.status_code)
      assert.matches("not followed", err.message)
      assert.equal(1, #fake.requests)
    end
  end)

  it("are the statuses 301, 302, 303, 307 and 308, no others", function()
    for _, status_code in ipairs { 300, 304, 305, 306, 399 } do
      local other = { status_code = status_code, headers = { location = "/x" } }
      local fake = FakeTransport { other, OK }
      local value, err = fake:client():get_status "1"
      assert.is_nil(value)
      assert.equal(status_code, err.status_code)
      assert.equal(1, #fake.requests)
    end
  end)

  it("end after 20 hops", function()
    local fake = FakeTransport { { status_code = 302, headers = { location = "/x" } } }
    local value, err = fake:client():get_status "1"
    assert.is_nil(value)
    assert.equal(302, err.status_code)
    assert.equal(21, #fake.requests)
  end)

  it("start again at the gateway when the other origin fails", function()
    local away = { status_code = 302, headers = { location = "https://storage.example/f" } }
    local fake = FakeTransport { away, BUSY, away, { status_code = 200, body = "x" } }
    assert(fake:client():get_result_file("1", "f"))
    assert.matches("^https://gateway", fake.requests[3].url)
    assert.equal("Bearer t0ken", fake.requests[3].headers.authorization)
  end)

  it("send no token to another origin after its 401, and request no new one", function()
    local asked = {}
    local fake = FakeTransport {
      { status_code = 302, headers = { location = "https://storage.example/f" } },
      DENIED,
    }
    local client = fake:client {
      token = function(rejected)
        asked[#asked + 1] = rejected or "fresh"
        return "t"
      end,
    }
    local value, err = client:get_status "1"
    assert.is_nil(value)
    assert.equal(401, err.status_code)
    assert.same({ "fresh" }, asked)
  end)
end)

describe("time", function()
  local server = shared(gateway.start)

  it("of a call is bounded by total_timeout, including retries and waits #timing", function()
    local client <close> = client_of(server, { total_timeout = 1, max_retries = 1000 })
    server:fault { times = -1, fault = { status = 503, headers = { ["Retry-After"] = "0.05" } } }
    local began = loop.now()
    local _, err = client:get_status "x"
    local seconds = loop.now() - began
    assert.is_true(err.status_code == 503 or err.phase == "total", err)
    assert.is_true(err.attempts > 2 and seconds < 1.5, seconds)
  end)

  it("of a call is bounded by total_timeout in the middle of a response #timing", function()
    local client <close> = client_of(server, { total_timeout = 0.2 })
    server:fault { times = -1, fault = { drip = { bytes = 1, ms = 20, head = true } } }
    local began = loop.now()
    local _, err = client:get_service_executions()
    local seconds = loop.now() - began
    assert.equal("timeout", err.kind)
    assert.equal("total", err.phase)
    assert.equal(1, err.attempts)
    assert.is_true(seconds >= 0.2 and seconds < 1.5, seconds)
  end)

  it("of a file is bounded by total_timeout until its first byte only #timing", function()
    local simulate = { pending_ms = 0, running_ms = 0, files = { ["result.bin"] = 100 } }
    local id = server:create(1, { simulate = simulate })[1]
    server:fault { times = -1, fault = { drip = { bytes = 10, ms = 130 } } }
    local client <close> = client_of(server, { total_timeout = 1 })
    local began = loop.now()
    assert.equal(100, #assert(client:get_result_file(id, "result.bin")):read_all())
    assert.is_true(loop.now() - began > 1)
  end)
end)
