-- Waiting for one execution: the pace of polling, what is ridden out, what ends a wait. Over a
-- fake transport where the gateway's responses matter, over the simulator where the network does.

local FakeTransport = require "spec.support.fake_transport"
local loop = require "qhub.tasks.loop"
local gateway = require "spec.support.gateway"
local on_time = require "spec.support.on_time"
local qhub = require "qhub"
local schedules = require "qhub.polling.schedule"
local shared = require "spec.support.shared"
local virtual_time = require "spec.support.virtual_time"
local wait = require "qhub.polling.wait"
local playing = require "spec.polling.fake_execution"

local function status(name)
  return { status_code = 200, body = '{"id":"e1","status":"' .. name .. '"}' }
end

local PENDING, RUNNING, SUCCEEDED = status "PENDING", status "RUNNING", status "SUCCEEDED"
local BUSY = { status_code = 503 }
local MISSING = { status_code = 404 }
local QUICK = 0.004

describe("a wait for responses without a status", function()
  it("ends with kind decode after ten in a row", function()
    local client = FakeTransport({ { status_code = 200, body = '{"id":"e1"}' } }):client()
    local execution = client:execution "e1"
    local done, err = execution:wait { interval = 0.001 }
    assert.is_nil(done)
    assert.equal("decode", err.kind)
    assert.equal(execution, err.execution)
    assert.matches("10 responses", err.message)
  end)
end)

describe("a wait whose client is closed by on_status", function()
  it("returns nil and an error of kind cancelled, with the execution", function()
    local client =
      FakeTransport({ { status_code = 200, body = '{"id":"e1","status":"RUNNING"}' } }):client()
    local execution = client:execution "e1"
    local done, err = execution:wait {
      interval = 0.001,
      on_status = function()
        client:close()
      end,
    }
    assert.is_nil(done)
    assert.equal("cancelled", err.kind)
    assert.equal(execution, err.execution)
  end)
end)

describe("wait", function()
  it("notifies on_status of the first status and each change, once", function()
    local execution = playing { PENDING, RUNNING, RUNNING, SUCCEEDED }
    local seen = {}
    local waited = assert(execution:wait {
      interval = QUICK,
      on_status = function(run)
        assert.equal(execution, run)
        seen[#seen + 1] = run.status
      end,
    })
    assert.is_true(rawequal(execution, waited))
    assert.same({ "PENDING", "RUNNING", "SUCCEEDED" }, seen)
  end)

  it("notifies on_status of a known status before the first poll", function()
    local execution, fake = playing({ SUCCEEDED }, "PENDING")
    local asked
    assert(execution:wait {
      on_status = function()
        asked = asked or #fake.requests
      end,
    })
    assert.equal(0, asked)
  end)

  it("returns the execution for any terminal status", function()
    for _, name in ipairs { "SUCCEEDED", "FAILED", "CANCELLED" } do
      local execution = playing { status(name) }
      assert.equal(name, assert(execution:wait()).status)
    end
  end)

  it("sends nothing when the execution has already ended", function()
    local execution, fake = playing({ BUSY }, "FAILED")
    assert.equal(execution, execution:wait())
    assert.equal(0, #fake.requests)
  end)

  it("sends nothing after the end", function()
    local execution, fake = playing { RUNNING, SUCCEEDED, RUNNING }
    assert(execution:wait { interval = QUICK })
    assert(execution:wait { interval = QUICK })
    assert.equal(2, #fake.requests)
  end)

  it("continues through UNKNOWN, unrecognised and missing statuses", function()
    local nothing = { status_code = 200, body = '{"id":"e1","status":null}' }
    local execution, fake = playing { status "UNKNOWN", status "PAUSED", nothing, SUCCEEDED }
    assert(execution:wait { interval = QUICK })
    assert.equal(4, #fake.requests)
  end)

  it("continues through transient failures: 503, 429, 408, a broken connection", function()
    local execution, fake = playing {
      BUSY,
      { status_code = 429 },
      function()
        return nil, "reset"
      end,
      RUNNING,
      { status_code = 408 },
      SUCCEEDED,
    }
    assert(execution:wait { interval = QUICK })
    assert.equal(6, #fake.requests)
  end)

  it("backs off while the gateway fails, and polls quickly afterwards", function()
    local time <close> = virtual_time()
    local answers = { RUNNING }
    for _ = 1, 8 do
      answers[#answers + 1] = BUSY
    end
    answers[#answers + 1] = RUNNING
    answers[#answers + 1] = SUCCEEDED
    local execution = playing(answers)
    assert(execution:wait { interval = 2 })
    local slept = time.slept
    assert.equal(10, #slept)
    assert.is_true(slept[9] > 50 and slept[9] <= 60)
    assert.is_true(slept[10] <= 2)
  end)

  it("respects Retry-After, even one that a single call refuses", function()
    local time <close> = virtual_time()
    local throttled = { status_code = 429, headers = { ["Retry-After"] = "300" } }
    local execution = playing({ throttled, SUCCEEDED }, nil, { max_retries = 2 })
    assert(execution:wait { interval = 2 })
    assert.equal(1, #time.slept)
    assert.is_true(time.slept[1] >= 300 and time.slept[1] <= 330)
  end)

  it("ignores a Retry-After of years", function()
    local time <close> = virtual_time()
    local throttled = { status_code = 503, headers = { ["Retry-After"] = "1772186690000" } }
    local execution = playing { throttled, SUCCEEDED }
    assert(execution:wait())
    assert.is_true(time.slept[1] <= 4000)
  end)

  it("stops polling when Retry-After reaches beyond the timeout", function()
    local throttled = { status_code = 429, headers = { ["Retry-After"] = "300" } }
    local execution, fake = playing { throttled }
    local waited, err = execution:wait { interval = QUICK, timeout = 0.05 }
    assert.is_nil(waited)
    assert.equal("timeout", err.kind)
    assert.equal("wait", err.phase)
    assert.equal(429, err.cause.status_code)
    assert.equal(1, #fake.requests)
  end)

  it("ends with a permanent failure, and the error has the execution", function()
    local html =
      { status_code = 200, headers = { ["Content-Type"] = "text/html" }, body = "<html>" }
    for kind, answer in pairs { api = { status_code = 403 }, decode = html } do
      local execution, fake = playing { RUNNING, answer }
      local waited, err = execution:wait { interval = QUICK }
      assert.is_nil(waited)
      assert.equal(kind, err.kind)
      assert.equal(execution, err.execution)
      assert.equal(2, #fake.requests)
    end
  end)

  it("ends at once with 404 for an id that the gateway never returned", function()
    local execution, fake = playing { MISSING }
    local _, err = execution:wait { interval = QUICK }
    assert.equal(404, err.status_code)
    assert.equal(1, #fake.requests)
  end)

  it("continues through 404 for a moment when the gateway has named the run", function()
    local execution = playing({ MISSING, MISSING, SUCCEEDED }, "PENDING")
    assert(execution:wait { interval = QUICK })
    local time <close> = virtual_time()
    execution = playing({ MISSING }, "PENDING")
    local started = time.now()
    local _, err = execution:wait()
    assert.equal(404, err.status_code)
    -- At the first look after the three seconds of grace; the looks are at most 2 s apart.
    assert.near(4, time.now() - started, 1)
  end)

  it("ends with 404 when a known run has disappeared", function()
    local time <close> = virtual_time()
    local execution = playing({ RUNNING, MISSING }, "PENDING")
    local _, err = execution:wait { interval = 2 }
    assert.equal(404, err.status_code)
    assert.is_true(#time.slept > 0)
  end)

  it("polls once more shortly before its timeout, for any interval", function()
    local execution, fake = playing { RUNNING, SUCCEEDED }
    assert(execution:wait {
      timeout = 0.1,
      interval = function()
        return 1000
      end,
    })
    assert.equal(2, #fake.requests)
  end)

  it("keeps a terminal status when an older response arrives", function()
    local execution, _, client = playing({ RUNNING }, "SUCCEEDED")
    assert(wait.look(client, execution, schedules.new(client, {})))
    assert.equal("SUCCEEDED", execution.status)
  end)

  it("propagates errors of on_status, progress and interval unchanged", function()
    local fault = setmetatable({}, {
      __tostring = function()
        return "mine"
      end,
    }) -- stylua: ignore
    local function failing()
      error(fault)
    end
    for _, name in ipairs { "on_status", "progress", "interval" } do
      local execution = playing { RUNNING }
      local ok, err = pcall(execution.wait, execution, { [name] = failing })
      assert.is_false(ok)
      assert.is_true(rawequal(fault, err))
    end
  end)

  it("refuses wrong options at the caller's line and sends nothing", function()
    local execution, fake = playing { SUCCEEDED }
    local wrong = {
      { intervall = 1 },
      { interval = -1 },
      { interval = "2" },
      { interval = 0 / 0 },
      { timeout = -1 },
      { timeout = math.huge },
      { on_status = true },
      { progress = 1 },
      { request = { tiemout = 1 } },
      { request = 1 },
    }
    for _, options in ipairs(wrong) do
      local ok, message = pcall(function()
        execution:wait(options)
      end)
      assert.is_false(ok)
      assert.matches("^spec/polling/wait_spec.lua:%d+: wait", message)
    end
    assert.has_error(function()
      execution:wait(2)
    end)
    assert.equal(0, #fake.requests)
    local ok, message = pcall(execution.wait, (playing { RUNNING }), {
      interval = function() end,
    })
    assert.is_false(ok)
    assert.matches("interval%(1%) must return a number", message)
  end)

  it("raises for a closed client", function()
    local execution, _, client = playing { RUNNING }
    client:close()
    assert.has_error(function()
      execution:wait()
    end)
  end)

  it("polls without a pause when the interval is 0", function()
    local time <close> = virtual_time()
    local execution, fake = playing { PENDING, RUNNING, SUCCEEDED }
    assert(execution:wait { interval = 0 })
    assert.equal(3, #fake.requests)
    assert.same({}, time.slept)
  end)

  it("polls with the options in `request`", function()
    local execution, fake = playing { SUCCEEDED }
    assert(
      execution:wait { request = { headers = { ["X-Trace"] = "7" }, query = { full = true } } }
    )
    assert.equal("7", fake.requests[1].headers["x-trace"])
    assert.matches("%?full=true$", fake.requests[1].url)
  end)

  it("notifies progress after each poll", function()
    local seen = {}
    local execution = playing { PENDING, PENDING, SUCCEEDED }
    assert(execution:wait {
      interval = QUICK,
      progress = function(run)
        seen[#seen + 1] = run.status
      end,
    })
    assert.same({ "PENDING", "PENDING", "SUCCEEDED" }, seen)
  end)

  it("stops polling when a wait in another task has seen the end", function()
    local execution, fake = playing { RUNNING, RUNNING, SUCCEEDED }
    qhub.tasks.run(function()
      local slow = qhub.tasks.spawn(function()
        return execution:wait {
          interval = function()
            return 0.05
          end,
        }
      end)
      assert(execution:wait { interval = QUICK })
      assert(slow:join())
    end)
    assert.equal(3, #fake.requests)
  end)

  it("ends with kind cancelled when its task is cancelled, or its client closed", function()
    for _, way in ipairs { "cancel", "close" } do
      local execution, _, client = playing { RUNNING }
      qhub.tasks.run(function()
        local task
        task = qhub.tasks.spawn(function()
          return execution:wait {
            interval = 1000,
            on_status = function()
              if way == "close" then
                client:close()
              else
                qhub.tasks.spawn(function()
                  task:cancel()
                end)
              end
            end,
          }
        end)
        local waited, err = task:join()
        assert.is_nil(waited)
        assert.equal("cancelled", err.kind)
        assert.equal(execution, err.execution)
      end)
    end
  end)
end)

describe("wait over the network", function()
  local service = shared(gateway.start)
  local client
  setup(function()
    client = qhub.HubServiceClient { base_url = service.url, token = service.token }
  end)
  teardown(function()
    client:close()
  end)

  local function start(simulate)
    return assert(client:start_execution { simulate = simulate })
  end

  it("follows a run to its end", function()
    local execution = start { pending_ms = 60000 }
    local seen, next_status = {}, { PENDING = "RUNNING", RUNNING = "SUCCEEDED" }
    assert(execution:wait {
      interval = 0.02,
      on_status = function(run)
        seen[#seen + 1] = run.status
        if next_status[run.status] then service:force(run.id, next_status[run.status]) end
      end,
    })
    assert.same({ "PENDING", "RUNNING", "SUCCEEDED" }, seen)
    assert.is_string(execution.ended_at)
  end)

  it("ends at its timeout, and the run continues #timing", function()
    local execution = start { running_ms = 60000 }
    local started = loop.now()
    local waited, err = execution:wait { interval = 0.1, timeout = 0.4 }
    on_time(0.4, started)
    assert.is_nil(waited)
    assert.equal("timeout", err.kind)
    assert.equal("wait", err.phase)
    assert.equal(execution, err.execution)
    assert.equal(0, service:count("PUT", "cancel"))
    service:force(execution.id, "SUCCEEDED")
    assert(execution:wait())
  end)

  it("ends at its timeout when the gateway is silent #timing", function()
    local execution = start { running_ms = 60000 }
    service:fault {
      match = { operation = "get_status" },
      times = -1,
      fault = { hang = "headers", seconds = 30 },
    }
    local started = loop.now()
    local _, err = execution:wait { interval = 0.1, timeout = 0.4 }
    on_time(0.4, started)
    assert.equal("wait", err.phase)
  end)

  it("continues through resets, truncations and 5xx until the end", function()
    local execution = start { running_ms = 60000 }
    service:force(execution.id, "SUCCEEDED")
    for _, fault in ipairs { { reset = "headers" }, { truncate = 5 }, { status = 500 } } do
      service:fault { match = { operation = "get_status" }, fault = fault }
    end
    assert(execution:wait { interval = 0.01, request = { max_retries = 0 } })
    assert.equal(4, service:requests().operations.get_status)
  end)
end)
