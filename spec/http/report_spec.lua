-- The hook `on_response`, over a fake transport: when it is called, and what it may do.

local FakeTransport = require "spec.support.fake_transport"

local SOON = { ["Retry-After"] = "0.001" }
local OK = { status_code = 200, body = '{"id":"1","status":"RUNNING"}' }
local BUSY = { status_code = 503, headers = SOON }

local function broken()
  return nil, "reset"
end

describe("on_response", function()
  it("is called once per call that got a response of any status", function()
    for _, last in ipairs { OK, { status_code = 404 } } do
      local seen = {}
      local client = FakeTransport({ BUSY, last }):client {
        on_response = function(response)
          seen[#seen + 1] = response
        end,
      }
      client:get_status "1"
      assert.equal(1, #seen)
      assert.equal(last.status_code, seen[1].status_code)
      assert.equal(2, seen[1].attempts)
      assert.equal("GET", seen[1].method)
      assert.is_number(seen[1].seconds)
      assert.is_table(seen[1].headers)
      assert.matches("/1$", seen[1].url)
    end
  end)

  it("is called with the last response there was when the last attempt got none", function()
    local seen = {}
    local client = FakeTransport({ BUSY, broken }):client {
      max_retries = 1,
      on_response = function(response)
        seen[#seen + 1] = response
      end,
    }
    local value, err = client:get_status "1"
    assert.is_nil(value)
    assert.equal("network", err.kind)
    assert.equal(1, #seen)
    assert.equal(503, seen[1].status_code)
    assert.equal(2, seen[1].attempts)
  end)

  it("of a request replaces the client's, and is not called without a response", function()
    local who = {}
    local function note(name)
      return function()
        who[#who + 1] = name
      end
    end
    local client =
      FakeTransport({ OK, broken }):client { on_response = note "client", max_retries = 0 }
    client:get_status("1", { on_response = note "request" })
    client:get_status "1"
    assert.same({ "request" }, who)
  end)

  it("may raise; the response has been released by then", function()
    local client = FakeTransport({ OK }):client {
      on_response = function()
        error("mine", 0)
      end,
    }
    local ok, err = pcall(client.get_status, client, "1")
    assert.is_false(ok)
    assert.equal("mine", err)
    client:close()
  end)

  it("may use the client", function()
    local client, nested
    local fake = FakeTransport { OK }
    client = fake:client {
      on_response = function()
        if not nested then
          nested = true
          assert(client:get_logs("1"))
        end
      end,
    }
    fake.responses[2] = { status_code = 200, body = "[]" }
    assert(client:get_status "1")
    assert.equal(2, #fake.requests)
  end)
end)
