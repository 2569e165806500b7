-- Options and redirects of one call: they hold for that call, and for none after it.

local FakeTransport = require "spec.support.fake_transport"
local virtual_time = require "spec.support.virtual_time"

local OK = { status_code = 200, body = '{"id":"1","status":"RUNNING"}' }
local BUSY = { status_code = 503, headers = { ["Retry-After"] = "0.001" } }

describe("the options of one call", function()
  it("hold for that call alone", function()
    local fake = FakeTransport { OK }
    local client = fake:client { timeout = 7, headers = { ["X-One"] = "client" } }
    assert(client:get_status "1")
    assert(client:get_status("1", { timeout = 3, headers = { ["x-ONE"] = "call" } }))
    assert(client:get_status "1")
    local timeouts, headers = {}, {}
    for index, request in ipairs(fake.requests) do
      timeouts[index], headers[index] = request.timeout, request.headers["x-one"]
    end
    assert.same({ 7, 3, 7 }, timeouts)
    assert.same({ "client", "call", "client" }, headers)
  end)

  it("hold for that call alone when the calls around it have options, too", function()
    local fake = FakeTransport { BUSY }
    local client = fake:client { timeout = 7, max_retries = 0 }
    local seen = {}
    local function call(options)
      local before = #fake.requests
      client:get_status("1", options)
      seen[#seen + 1] = #fake.requests - before .. " x " .. fake.requests[#fake.requests].timeout
    end
    for _ = 1, 2 do
      call { timeout = 3 }
      call { timeout = 3, max_retries = 1 }
      call { timeout = 4 }
      call { timeout = 4, query = { a = 1 } }
      call { query = { a = 1 } }
      call()
    end
    local once = { "1 x 3", "2 x 3", "1 x 4", "1 x 4", "1 x 7", "1 x 7" }
    assert.same(table.move(once, 1, #once, #once + 1, once), seen)
    assert.equal("https://gateway.example/acme/vqe/v1/1?a=1", fake.requests[5].url)
  end)

  it("calls the hook of that call, and no other's", function()
    local client = FakeTransport({ OK }):client()
    local heard = {}
    for _, name in ipairs { "first", "second" } do
      local function hook()
        heard[#heard + 1] = name
      end
      assert(client:get_status("1", { timeout = 3, on_response = hook }))
      assert(client:get_status("1", { timeout = 3 }))
    end
    assert.same({ "first", "second" }, heard)
  end)

  it("may allow that start alone to be repeated", function()
    local fake = FakeTransport {
      function()
        return nil, "it broke"
      end,
    }
    local client = fake:client { max_retries = 1 }
    local _ <close> = virtual_time()
    for _, idempotent in ipairs { true, false, true } do
      client:start_execution({}, { idempotent = idempotent })
    end
    assert.equal(2 + 1 + 2, #fake.requests)
  end)

  it("may forbid retries, and total_timeout bounds what the transport is given", function()
    local fake = FakeTransport { BUSY }
    local client = fake:client { max_retries = 3 }
    local value, err = client:get_status("1", { max_retries = 0, total_timeout = 5 })
    assert.is_nil(value)
    assert.equal(1, err.attempts)
    assert.equal(1, #fake.requests)
    assert.is_true(fake.requests[1].timeout <= 5)
    client:get_status "1"
    assert.equal(5, #fake.requests)
  end)
end)

describe("a start that is redirected", function()
  it("by 307 is repeated with body and token at its own origin, and nowhere else", function()
    local location = "https://gateway.example/acme/vqe/v2/"
    local fake = FakeTransport { { status_code = 307, headers = { Location = location } }, OK }
    assert.equal("1", assert(fake:client():start_execution { molecule = "H2" }).id)
    local last = fake.requests[2]
    assert.equal("POST", last.method)
    assert.equal(location, last.url)
    assert.equal('{"molecule":"H2"}', last.body)
    assert.equal("Bearer t0ken", last.headers.authorization)

    location = "https://other.example/v2/"
    fake = FakeTransport { { status_code = 307, headers = { Location = location } }, OK }
    local value, err = fake:client():start_execution { molecule = "H2" }
    assert.is_nil(value)
    assert.equal(307, err.status_code)
    assert.equal(1, #fake.requests)
  end)

  it("is repeated at the gateway after a transient response of the target of a 307", function()
    local hop = { status_code = 307, headers = { Location = "/acme/vqe/v2/" } }
    local fake = FakeTransport { hop, BUSY, hop, OK }
    local reports = {}
    assert(fake:client():start_execution({}, {
      on_response = function(response)
        reports[#reports + 1] = response.attempts
      end,
    }))
    assert.equal("https://gateway.example/acme/vqe/v1/", fake.requests[3].url)
    assert.same({ 2 }, reports)
  end)
end)
