-- The engine of qhub.core: news, steps, many transfers, and the ends of lives.

local bench = require "spec.support.engine_bench"
local core = require "qhub.core"

local monotonic = core.system.monotonic
local request_of, start, step_until = bench.request_of, bench.start, bench.step_until
local finish, fetch, failure_of = bench.finish, bench.fetch, bench.failure_of
local status_of, body_of = bench.status_of, bench.body_of
local run_script = bench.run_script

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

  describe("readiness", function()
    it("is reported once per event, for the transfer concerned", function()
      local transfer = start "/ok"
      assert.is_nil(engine:ready())
      step_until(function()
        return engine:step(1) == 1
      end)
      assert.equal(0, engine:timeout())
      assert.equal(transfer, engine:ready())
      assert.is_nil(engine:ready())
      assert.equal(0, engine:step(0))
      assert.is_nil(engine:timeout())
    end)

    it("of a stream is reported for headers, for bytes after a pause, and for the end", function()
      local states
      repeat -- a machine that is busy elsewhere may look only when all has come
        local transfer = start("/drip?n=3&ms=20", { stream = 1000 })
        local bytes = {}
        states = {}
        repeat
          engine:step(1)
          if engine:ready() then
            states[#states + 1] = transfer:state()
            bytes[#bytes + 1] = transfer:read(100) or nil
          end
        until states[#states] == "done"
        assert.equal("123", table.concat(bytes))
        assert.is_true(#states <= 5, table.concat(states, " "))
      until #states >= 3
    end)

    it("of a collected transfer is dropped with it", function()
      start "/ok"
      collectgarbage()
      collectgarbage()
      assert.equal(0, engine:active())
      assert.is_nil(engine:ready())
    end)
  end)

  describe("a step", function()
    it("waits for the given time when there is nothing to do #timing", function()
      local began = monotonic()
      assert.equal(0, engine:step(0.05))
      assert.is_true(monotonic() - began >= 0.05)
      began = monotonic()
      assert.equal(0, engine:step())
      assert.is_true(monotonic() - began < 1)
    end)

    it("refuses wrong arguments", function()
      for _, timeout in ipairs { -1, 0 / 0, "soon", {} } do
        assert.has_error(function()
          engine:step(timeout)
        end)
      end
    end)

    it("can be driven by another loop #pollfd", function()
      local cqueues = require "cqueues"
      local transfer = start "/later?ms=20"
      local turns = 0
      while transfer:state() ~= "done" do
        local timeout = engine:timeout()
        cqueues.poll({ pollfd = engine:pollfd(), events = "r" }, timeout)
        engine:step(0)
        turns = turns + 1
        assert.is_true(turns < 50)
      end
      assert.equal("later", body_of(transfer))
    end)
  end)

  describe("many transfers", function()
    it("run in parallel", function()
      local transfers = {}
      for i = 1, 64 do
        transfers[i] = start("/bytes?n=" .. i * 1000)
      end
      assert.equal(64, engine:active())
      for i, transfer in ipairs(transfers) do
        assert.equal(i * 1000, #body_of(finish(transfer)))
      end
      assert.equal(0, engine:active())
    end)

    it("wait for their turn at max_connections, in order", function()
      local narrow = engine:session { max_connections = 2 }
      local other = bench.new_server()
      local transfers = {}
      for i = 1, 12 do
        transfers[i] = start(other.url .. "/later?ms=5", nil, narrow)
      end
      assert.equal("active", transfers[2]:state())
      assert.equal("queued", transfers[3]:state())
      for _, transfer in ipairs(transfers) do
        assert.equal("later", body_of(finish(transfer)))
      end
      assert.equal(2, other:connections())
      other:stop()
    end)

    it("of another session do not wait", function()
      local narrow = engine:session { max_connections = 1 }
      local held = start("/held", nil, narrow)
      assert.equal("ok", body_of(fetch("/ok", nil, engine:session { max_connections = 1 })))
      assert.equal("active", held:state())
      server:release()
      finish(held)
    end)

    it("that wait too long for a connection time out and say so #timing", function()
      local narrow = engine:session { max_connections = 1 }
      local held = start("/silence", { timeout = 30 }, narrow)
      local failure = failure_of(fetch("/ok", { timeout = 0.1 }, narrow))
      assert.equal("timeout", failure.kind)
      assert.equal("connect", failure.details.phase)
      assert.is_false(failure.details.sent)
      assert.truthy(failure.message:find "max_connections")
      held:close()
      assert.equal("ok", body_of(fetch("/ok", nil, narrow)))
    end)

    it("that wait while the queue moves do not time out #timing", function()
      local narrow = engine:session { max_connections = 1 }
      local transfers = {}
      for i = 1, 8 do
        transfers[i] = start("/later?ms=50", { timeout = 0.25 }, narrow)
      end
      for _, transfer in ipairs(transfers) do
        assert.equal("later", body_of(finish(transfer)))
      end
    end)

    it("that wait for a slow but moving one do not time out #timing", function()
      local narrow = engine:session { max_connections = 1 }
      local slow = start("/drip?n=30&ms=20", { timeout = 0.25 }, narrow)
      local waiting = start("/ok", { timeout = 0.25 }, narrow)
      assert.equal(30, #body_of(finish(slow)))
      assert.equal("ok", body_of(finish(waiting)))
    end)
  end)

  describe("closing", function()
    it("a transfer ends it, can be repeated, and keeps its results", function()
      local transfer = start "/silence"
      transfer:close()
      transfer:close()
      assert.equal("done", transfer:state())
      assert.equal("cancelled", (transfer:failure()))
      assert.equal(0, engine:active())
      assert.is_nil(engine:ready())
      transfer = fetch "/ok"
      transfer:close()
      assert.equal(200, status_of(transfer))
      assert.is_nil((transfer:failure()))
      local queued = engine:session { max_connections = 1 }
      local first, second = start("/silence", nil, queued), start("/silence", nil, queued)
      second:close()
      first:close()
      assert.equal("ok", body_of(fetch("/ok", nil, queued)))
    end)

    it("a session ends and reports its own transfers only", function()
      local mine = engine:session { max_connections = 1 }
      local others = engine:session { max_connections = 1 }
      local active, queued = start("/silence", nil, mine), start("/silence", nil, mine)
      local waiting = start("/ok", nil, others)
      mine:close()
      mine:close()
      assert.equal("cancelled", (active:failure()))
      assert.equal("cancelled", (queued:failure()))
      local news = { [engine:ready()] = true, [engine:ready()] = true }
      assert.same({ [active] = true, [queued] = true }, news)
      assert.equal("ok", body_of(finish(waiting)))
      local refused, is_done = bench.send(mine, request_of "/ok")
      assert.is_true(is_done)
      assert.same(
        { "cancelled", "cancelled" },
        { (refused:failure()), (select(2, refused:failure())) }
      )
    end)

    it("an engine ends everything", function()
      local transfer = start "/silence"
      local stream = start("/bytes?n=10000000", { stream = 1000 })
      step_until(function()
        return stream:state() == "open"
      end)
      engine:close()
      engine:close()
      assert.equal("cancelled", (transfer:failure()))
      assert.equal("cancelled", (stream:failure()))
      assert.is_string(stream:read(10))
      assert.equal("cancelled", (bench.send(session, request_of "/ok"):failure()))
      for _, method in ipairs { "step", "ready", "timeout", "pollfd", "active", "session" } do
        assert.has_error(function()
          engine[method](engine, method == "session" and {} or nil)
        end)
      end
    end)

    it("happens when objects are collected, in any order", function()
      for _ = 1, 20 do
        local own = core.engine()
        local held = {
          own,
          own:session {},
          own:session { max_connections = 1 },
        }
        for i = 2, 3 do
          for _, path in ipairs { "/ok", "/silence", "/bytes?n=100000" } do
            local stream = path:find "bytes" and 1000 or nil
            held[#held + 1] = start(path, { stream = stream }, held[i])
          end
        end
        own:step(0.01)
        while #held > 0 do
          table.remove(held, math.random(#held))
          collectgarbage "step"
        end
      end
      collectgarbage()
      collectgarbage()
      assert.equal("ok", body_of(fetch("/ok")))
    end)

    it("happens through to-be-closed variables", function()
      local transfer
      do
        local own <close> = core.engine()
        local of_it <close> = own:session {}
        local inner <close> = start("/silence", nil, of_it)
        transfer = inner
      end
      assert.equal("cancelled", (transfer:failure()))
    end)

    it("happens when the interpreter ends during transfers #process", function()
      local output, ok = run_script([[
        a, b = start "/silence", start("/bytes?n=9000000", { stream = 1000 })
        c = start "http://no.invalid/"
        engine:step(0.05)
        d = start "/ok"
        os.exit(true, true)
      ]])
      assert.equal("", output)
      assert.is_true(ok)
    end)
  end)

  it("describes its objects without their secrets", function()
    local transfer = start "/silence?token=secret"
    assert.equal("qhub.Engine", tostring(engine))
    assert.equal("qhub.Session", tostring(session))
    assert.equal("qhub.Transfer (active)", tostring(transfer))
    engine:close()
    assert.equal("qhub.Engine (closed)", tostring(engine))
    assert.equal("qhub.Session (closed)", tostring(session))
    assert.equal("qhub.Transfer (done)", tostring(transfer))
  end)

  it("refuses settings of the wrong type", function()
    for name, value in pairs {
      proxy = {},
      ca_file = true,
      http_version = "3",
      max_connections = 0,
    } do
      assert.has_error(function()
        engine:session { [name] = value }
      end)
    end
  end)

  it("stops at once for a signal #process #timing", function()
    local output, ok = run_script(
      [[
      transfer = start "/silence"
      while transfer:state() ~= "done" do
        engine:step()
      end
    ]],
      "INT"
    )
    assert.is_nil(ok)
    assert.truthy(output:find("interrupted!", 1, true))
  end)

  it("reports a refusal by a proxy as a failure to connect, not as a response", function()
    local proxied = engine:session { proxy = server.url }
    local transfer = fetch("https://127.0.0.1:1/", nil, proxied)
    local failure = failure_of(transfer)
    assert.equal("network", failure.kind)
    assert.equal("connect", failure.details.phase)
    assert.is_false(failure.details.sent)
    assert.is_nil(status_of(transfer))
  end)

  it("uses the proxy that is set, and none when it is switched off", function()
    local proxied = engine:session { proxy = server.url }
    local transfer = fetch("http://nowhere.invalid/echo", nil, proxied)
    assert.equal(404, status_of(transfer))
    local direct = engine:session { proxy = false }
    assert.equal("ok", body_of(fetch("/ok", nil, direct)))
  end)

  it("stays the same size over many requests #large #process", function()
    local output = run_script [[
      local function memory()
        local file <close> = assert(io.open "/proc/self/statm")
        file:read "n"
        return file:read "n" * 4
      end
      local function some(n)
        for _ = 1, n do
          local transfer <close> = start "/ok"
          while transfer:state() ~= "done" do
            engine:step()
          end
        end
        collectgarbage()
        collectgarbage()
        return memory()
      end
      local before = some(500)
      print(some(4000) - before)
    ]]
    -- Sanitizers keep what was freed for a while.
    local allowance = os.getenv "LD_PRELOAD" and 300000 or 200
    assert.is_true(tonumber(output) < allowance, output)
  end)
end)
