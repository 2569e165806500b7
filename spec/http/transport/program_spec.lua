-- The transport over a function of the program's: what it is given, what it may return, raise and
-- wait for.

local FakeTransport = require "spec.support.fake_transport"
local tasks = require("qhub").tasks

local OK = { status_code = 200, body = '{"id":"1","status":"RUNNING"}' }

describe("total_timeout over a transport function", function()
  it("ends the call even when the function is slow, and passes it the time left", function()
    local told
    local function slow(request)
      told = request.timeout
      tasks.sleep(0.05)
      return OK
    end
    local function slow_body()
      return {
        status_code = 200,
        body = function()
          tasks.sleep(0.05)
          return "{"
        end,
      }
    end
    local function slow_rest()
      local pieces = { '{"id"', ':"1"}' }
      return {
        status_code = 200,
        body = function()
          tasks.sleep(#pieces < 2 and 0.05 or 0)
          return table.remove(pieces, 1)
        end,
      }
    end
    for _, response in ipairs { slow, slow_body, slow_rest } do
      local client = FakeTransport({ response }):client { total_timeout = 0.02 }
      local _, err = client:get_status "1"
      assert.equal("timeout", err.kind)
      assert.equal("total", err.phase)
    end
    assert.is_true(told <= 0.02)
    -- A response to a start is taken all the same: it names a run.
    assert.equal(
      "1",
      assert(FakeTransport({ slow }):client({ total_timeout = 0.02 }):start_execution {}).id
    )
    -- Of an error about a file the text is cut off.
    local function not_found()
      return {
        status_code = 404,
        body = function()
          tasks.sleep(0.01)
          return "x"
        end,
      }
    end
    local client = FakeTransport({ not_found }):client { total_timeout = 0.05 }
    local _, err = client:get_result_file("1", "a")
    assert.equal(404, err.status_code)
    assert.matches("^x+$", err.body)
    assert(FakeTransport({ slow }):client({ timeout = 3, total_timeout = 600 }):get_status "1")
    assert.equal(3, told)
  end)
end)

describe("a transport function", function()
  it("receives method, url, headers, body and timeout", function()
    local fake = FakeTransport { { status_code = 201, body = '{"id":"1"}' } }
    fake:client({ timeout = 7 }):start_execution { a = 1 }
    local request = fake.requests[1]
    assert.equal("POST", request.method)
    assert.equal('{"a":1}', request.body)
    assert.equal(7, request.timeout)
    assert.is_nil(getmetatable(request.headers))
  end)

  it("may return headers in any case and a body in chunks", function()
    local chunks = { '{"id"', "", ':"1"}' }
    local client = FakeTransport({
      function()
        return {
          status_code = 200,
          headers = { ["X-REQUEST-ID"] = "r" },
          body = function()
            return table.remove(chunks, 1)
          end,
        }
      end,
    }):client {
      on_response = function(response)
        assert.equal("r", response.headers["x-request-id"])
      end,
    }
    assert.equal("1", assert(client:get_status "1").id)
  end)

  it("may raise any value, which propagates unchanged", function()
    local client = FakeTransport({
      function()
        error("mine", 0)
      end,
    }):client()
    local ok, err = pcall(client.get_status, client, "1")
    assert.is_false(ok)
    assert.equal("mine", err)
  end)

  it("that returns wrong values gets an error that says so", function()
    for _, response in ipairs {
      {},
      { status_code = "200" },
      { status_code = 99 },
      { status_code = 200, body = 5 },
      { status_code = 200, headers = "x" },
    } do
      local client = FakeTransport({ response }):client()
      local ok, message = pcall(client.get_status, client, "1")
      assert.is_false(ok)
      assert.matches("transport function must return", message)
    end
  end)

  it("may yield", function()
    local client = FakeTransport({
      function()
        coroutine.yield "waiting"
        return OK
      end,
    }):client()
    local thread = coroutine.wrap(function()
      return client:get_status "1"
    end)
    assert.equal("waiting", thread())
    assert.equal("1", thread().id)
  end)
end)
