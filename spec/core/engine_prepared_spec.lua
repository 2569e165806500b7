-- Prepared requests of qhub.core, outcomes of transfers, and waiting for one of them.

local bench = require "spec.support.engine_bench"
local core = require "qhub.core"

local monotonic = core.system.monotonic
local request_of = bench.request_of

describe("core.engine", function()
  local server, engine, session

  setup(function()
    server = bench.start_server()
  end)

  teardown(bench.stop_server)

  before_each(function()
    engine, session = bench.open()
  end)

  after_each(bench.close)

  local function start(path, changes, body)
    local prepared = session:prepare(request_of(path, changes))
    return assert(session:start(prepared, server.url .. path, body))
  end

  describe("a prepared request", function()
    it("can be started many times with different URLs and bodies", function()
      local prepared = session:prepare(request_of("/echo", {
        method = "POST",
        header_lines = "X-Kept: yes\n",
      }))
      collectgarbage()
      for i = 1, 5 do
        local path = "/echo?n=" .. i
        local transfer = assert(session:start(prepared, server.url .. path, ("x"):rep(i)))
        while not engine:wait(transfer) do
        end
        local status, body, kind = transfer:result()
        assert.equal(200, status)
        assert.is_nil(kind)
        assert.truthy(body:find("POST " .. path, 1, true), body)
        assert.truthy(body:lower():find("x-kept: yes", 1, true), body)
        assert.truthy(body:find(("x"):rep(i), 1, true))
      end
    end)

    it("outlives its userdata while a transfer uses it", function()
      local transfer = start("/echo", { header_lines = "X-Kept: yes\n" })
      collectgarbage()
      collectgarbage()
      while not engine:wait(transfer) do
      end
      assert.truthy(select(2, transfer:result()):lower():find("x-kept: yes", 1, true))
    end)

    it("is refused when a field has the wrong type, and so is a start without a URL", function()
      assert.has_error(function()
        session:prepare(request_of("/ok", { method = {} }))
      end)
      assert.has_error(function()
        session:prepare(request_of("/ok", { header_lines = { "A: b" } }))
      end)
      local prepared = session:prepare(request_of "/ok")
      for _, url in ipairs { false, "", "http://a\0b/" } do
        assert.has_error(function()
          session:start(prepared, url)
        end)
      end
      assert.has_error(function()
        session:start(prepared, server.url, 1)
      end)
    end)
  end)

  describe("a result", function()
    it("is nil until the transfer is done", function()
      local transfer = start "/silence"
      assert.equal(0, select("#", transfer:result()))
      transfer:close()
      local status, body, kind, _, details = transfer:result()
      assert.is_false(status)
      assert.is_nil(body)
      assert.equal("cancelled", kind)
      assert.is_table(details)
    end)

    it("of a stream has a status and no body", function()
      local transfer = start("/chunked", { stream = 1024 })
      while not engine:wait(transfer) do
      end
      local status, body = transfer:result()
      assert.equal(200, status)
      assert.is_nil(body)
      assert.equal(15, #bench.drain(transfer))
    end)

    it("of a body that breaks off has status, the bytes received, and the failure", function()
      local transfer = start "/truncate"
      while not engine:wait(transfer) do
      end
      local status, body, kind, message, details = transfer:result()
      assert.equal(200, status)
      assert.is_true(#body > 0)
      assert.equal("network", kind)
      assert.is_string(message)
      assert.is_true(details.sent)
    end)
  end)

  describe("waiting for one transfer", function()
    it("ends early when another one is ready, which ready() then returns", function()
      local slow, quick = start "/silence", start "/ok"
      assert.is_false(engine:wait(slow, 30))
      assert.equal(quick, engine:ready())
      slow:close()
    end)

    it("ends when the time is over, and at once when the transfer is done #timing", function()
      local transfer = start "/silence"
      local before = monotonic()
      assert.is_false(engine:wait(transfer, 0.1))
      local waited = monotonic() - before
      assert.is_true(waited >= 0.1 and waited < 2, tostring(waited))
      transfer:close()
      assert.is_true(engine:wait(transfer, 30))
    end)

    it("clears its readiness, so that ready() does not return the transfer again", function()
      local transfer = start "/ok"
      while not engine:wait(transfer) do
      end
      assert.is_nil(engine:ready())
    end)
  end)

  it("stops waiting for one transfer at once for a signal #process #timing", function()
    local output, ok = bench.run_script(
      [[
      local prepared = session:prepare { method = "GET", header_lines = "", timeout = 9,
        connect_timeout = 9 }
      local transfer = session:start(prepared, server .. "/silence")
      while not engine:wait(transfer) do
      end
    ]],
      "INT"
    )
    assert.is_nil(ok)
    assert.truthy(output:find("interrupted!", 1, true))
  end)
end)
