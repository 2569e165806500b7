-- Start, wait and result in one call: what it asks, what it returns, what its errors bring along.

local loop = require "qhub.tasks.loop"
local qhub = require "qhub"
local fake_gateway = require "spec.support.fake_gateway"
local gateway = require "spec.support.gateway"
local on_time = require "spec.support.on_time"
local shared = require "spec.support.shared"
local virtual_time = require "spec.support.virtual_time"

local STARTED = { status_code = 201, body = '{"id":"e1","status":"PENDING"}' }
local SUCCEEDED, FAILED = '{"id":"e1","status":"SUCCEEDED"}', '{"id":"e1","status":"FAILED"}'
local RESULT = '{"energy":-1.5}'
local MISSING = { status_code = 404 }

describe("run", function()
  local service = shared(gateway.start)
  local client
  setup(function()
    client =
      qhub.HubServiceClient { base_url = service.url, token = service.token, max_retries = 0 }
  end)
  teardown(function()
    client:close()
  end)

  local function body(simulate)
    return { input = { molecule = "H2" }, simulate = simulate }
  end

  it("starts once, waits, and returns only the result", function()
    local seen = {}
    local returned = table.pack(client:run(body { pending_ms = 20, running_ms = 30 }, {
      interval = 0.02,
      on_status = function(execution)
        seen[#seen + 1] = execution.status
      end,
    }))
    assert.equal(1, returned.n)
    local result = returned[1]
    assert.equal(-1.13727, result.energy)
    assert.equal("SUCCEEDED", result.embedded.status.status)
    assert.same({ "PENDING", "RUNNING", "SUCCEEDED" }, seen)
    local operations = service:requests().operations
    assert.equal(1, operations.start_execution)
    assert.equal(1, operations.get_result)
    assert.is_nil(operations.get_logs)
  end)

  it("waits for a result that appears after the end", function()
    local result = assert(
      client:run(
        body { pending_ms = 0, running_ms = 0, result_delay_ms = 300 },
        { interval = 0.02 }
      )
    )
    assert.is_number(result.energy)
    assert.equal(2, service:requests().operations.get_result)
  end)

  it("accepts a start whose response has only a Location", function()
    service:settings { start = "location" }
    assert(client:run(body { pending_ms = 0, running_ms = 10 }, { interval = 0.02 }))
  end)

  it("returns an error of kind execution with result and logs when the run FAILED", function()
    local result, err =
      client:run(body { pending_ms = 0, running_ms = 20, outcome = "FAILED" }, { interval = 0.02 })
    assert.is_nil(result)
    assert.equal("execution", err.kind)
    assert.equal("FAILED", err.execution.status)
    assert.equal("FAILED", err.result.embedded.status.status)
    assert.equal("ERROR", err.logs[#err.logs].severity)
    assert.matches("backend rejected the job: calibration in progress", tostring(err), 1, true)
  end)

  it("returns an error of kind execution for a run that was CANCELLED", function()
    local result, err = client:run(body { pending_ms = 0, running_ms = 60000 }, {
      interval = 0.02,
      on_status = function(execution)
        if execution.status == "RUNNING" then assert(execution:cancel()) end
      end,
    })
    assert.is_nil(result)
    assert.equal("execution", err.kind)
    assert.equal("CANCELLED", err.execution.status)
    assert.matches("was cancelled", err.message)
  end)

  it("reports a failed run even when its result and logs are not available", function()
    for _, status in ipairs { 404, 500, 403 } do
      for _, operation in ipairs { "get_logs", "get_result" } do
        service:fault { match = { operation = operation }, fault = { status = status } }
      end
      local _, err =
        client:run(body { pending_ms = 0, running_ms = 0, outcome = "FAILED" }, { interval = 0.02 })
      assert.equal("execution", err.kind)
      assert.equal("FAILED", err.execution.status)
      assert.is_nil(err.result)
      assert.is_nil(err.logs)
    end
  end)

  it("bounds start, wait and result by its timeout #timing", function()
    local silent = { hang = "headers", seconds = 30 }
    local quick = { pending_ms = 10, running_ms = 0 }
    local cases = {
      -- what hangs, how the run goes; kind and phase of the error, whether the run is known
      { "start_execution", quick, "timeout", "total", false },
      { "get_status", quick, "timeout", "wait", true },
      { "get_result", quick, "timeout", "wait", true },
      { nil, { running_ms = 60000 }, "timeout", "wait", true },
      { nil, { pending_ms = 0, running_ms = 0, result_delay_ms = 60000 }, "timeout", "wait", true },
      {
        "get_logs",
        { pending_ms = 0, running_ms = 0, outcome = "FAILED" },
        "execution",
        nil,
        true,
      },
    }
    for _, case in ipairs(cases) do
      local operation, simulate, kind, phase, is_started = table.unpack(case, 1, 5)
      service:clear()
      if operation then
        service:fault { match = { operation = operation }, times = -1, fault = silent }
      end
      local started = loop.now()
      local result, err = client:run(body(simulate), { interval = 0.02, timeout = 0.3 })
      on_time(0.3, started)
      assert.is_nil(result)
      assert.equal(kind, err.kind)
      assert.equal(phase, err.phase)
      assert.equal(is_started, err.execution ~= nil)
    end
  end)

  it("runs many at once in tasks", function()
    local energies = qhub.tasks.run(function()
      local list = {}
      for index = 1, 20 do
        list[index] = qhub.tasks.spawn(client.run, client, {
          input = { molecule = "H2", bond_length = 0.3 + 0.1 * index },
          simulate = { pending_ms = 10, running_ms = 50 },
        }, { interval = 0.02 })
      end
      local results, failures = qhub.tasks.gather(list)
      assert.is_nil(failures)
      return results
    end)
    assert.equal(20, #energies)
    assert.is_true(energies[1].energy > energies[4].energy)
    assert.equal(20, service:requests().operations.start_execution)
  end)
end)

describe("run", function()
  it("checks all options before it sends anything", function()
    local client, counts = fake_gateway {}
    local wrong = {
      { interval = -1 },
      { starts = {} },
      { start = { idempotent = 1 } },
      { start = { chunk_size = 1 } },
      { start = 1 },
      { request = { idempotent = true } },
    }
    for _, options in ipairs(wrong) do
      local raised, message = pcall(function()
        client:run({}, options)
      end)
      assert.is_false(raised)
      assert.matches("^spec/polling/run_spec.lua:%d+: run", message)
    end
    for _, unusable in ipairs { 1, { print }, { f = print } } do
      assert.has_error(function()
        client:run(unusable)
      end)
    end
    assert.equal(0, counts.start)
  end)

  it("passes the start its own options", function()
    local sent
    local client = fake_gateway {
      start = function(_, _, request)
        sent = request
        return STARTED
      end,
      status = SUCCEEDED,
      result = RESULT,
    }
    assert(client:run({ a = 1 }, { start = { headers = { ["X-Trace"] = "1" }, body = { b = 2 } } }))
    assert.equal("1", sent.headers["x-trace"])
    assert.same({ a = 1, b = 2 }, qhub.json.decode(sent.body))
  end)

  it("returns the start's own error when nothing was started, and waits for nothing", function()
    local client, counts = fake_gateway { start = { status_code = 400 } }
    local result, err = client:run {}
    assert.is_nil(result)
    assert.equal(400, err.status_code)
    assert.is_nil(err.execution)
    assert.equal(0, counts.status)
  end)

  it("carries the execution in every error after the start", function()
    local denied, html = { status_code = 403 }, "<html>"
    local cases = {
      { status = denied },
      { status = html },
      { status = SUCCEEDED, result = denied },
      { status = SUCCEEDED, result = html },
      { status = SUCCEEDED, result = { status_code = 500 } },
      { status = FAILED, result = MISSING, logs = MISSING },
    }
    for _, answers in ipairs(cases) do
      answers.start = STARTED
      local client = fake_gateway(answers)
      local result, err = client:run({}, { interval = 0.004 })
      assert.is_nil(result)
      assert.equal("e1", err.execution.id)
    end
  end)

  it("waits 1, 2, 4 and 8 seconds for a result, and then returns the 404", function()
    local time <close> = virtual_time()
    local client, counts = fake_gateway { start = STARTED, status = SUCCEEDED, result = MISSING }
    local _, err = client:run {}
    assert.equal(404, err.status_code)
    assert.equal(5, counts.result)
    for index, seconds in ipairs { 1, 2, 4, 8 } do
      assert.near(seconds, time.slept[index], 0.01)
    end
  end)

  it("fails when the result says that the run failed", function()
    local client = fake_gateway {
      start = STARTED,
      status = SUCCEEDED,
      result = '{"_embedded":{"status":{"id":"e1","status":"FAILED"}}}',
      logs = MISSING,
    }
    local result, err = client:run {}
    assert.is_nil(result)
    assert.equal("execution", err.kind)
    assert.equal("FAILED", err.execution.status)
    assert.is_table(err.result)
  end)

  -- The error of a run that ended FAILED with this result and log.
  local function failed_with(result, logs, options)
    local client =
      fake_gateway({ start = STARTED, status = FAILED, result = result, logs = logs }, options)
    return select(2, client:run {})
  end

  it("shows the title and detail of the result in preference to log lines", function()
    local err = failed_with(
      '{"type":"about:blank","title":"Bad input","detail":"no such molecule"}',
      '[{"message":"Traceback","severity":"ERROR"}]'
    )
    assert.equal('run: "e1" ended as FAILED: Bad input: no such molecule', err.message)
    err = failed_with('{"error":"no qubits"}', MISSING)
    assert.equal('run: "e1" ended as FAILED: no qubits', err.message)
  end)

  it("shows the last error of the log, on one line", function()
    local err = failed_with(
      "{}",
      [=[[
        {"message":"one","severity":"ERROR"},
        {"message":"two\nand \u001b[31m","severity":"ERROR"},
        {"message":"only information","severity":"INFO"}]]=]
    )
    assert.equal('run: "e1" ended as FAILED: two and [31m', err.message)
    assert.equal(3, #err.logs)
    err = failed_with("{}", '[{"message":"one","severity":"INFO"},{"message":"two"}]')
    assert.equal('run: "e1" ended as FAILED: two', err.message)
  end)

  it("shows no token of the program's in what the service says", function()
    local calls = 0
    local options = {
      token = function()
        calls = calls + 1
        return "t0ken-" .. calls
      end,
    }
    local err = failed_with('{"error":"denied for t0ken-3"}', MISSING, options)
    assert.equal('run: "e1" ended as FAILED: denied for REDACTED', err.message)
    calls = 0
    err = failed_with("{}", '["' .. ("y"):rep(195) .. 't0ken-4"]', options)
    assert.is_nil(err.message:find("t0", 1, true))
  end)

  it("returns the error of a run that FAILED though its body is another one by then", function()
    local client =
      fake_gateway { start = STARTED, status = FAILED, result = MISSING, logs = MISSING }
    local body = { x = 1 }
    local result, err = client:run(body, {
      on_status = function()
        body.x = print
      end,
    })
    assert.is_nil(result)
    assert.equal("e1", err.execution.id)
  end)

  it("propagates an error of on_status unchanged, and the run continues", function()
    local client, counts = fake_gateway { start = STARTED, status = SUCCEEDED, result = RESULT }
    local fault, mine = {}, nil
    local raised, err = pcall(client.run, client, {}, {
      on_status = function(execution)
        mine = execution
        error(fault)
      end,
    })
    assert.is_false(raised)
    assert.is_true(rawequal(fault, err))
    assert.equal(0, counts.cancel)
    assert.equal(-1.5, assert(assert(mine:wait()):result()).energy)
  end)

  it("ends with kind cancelled and the execution when its client is closed", function()
    local client = fake_gateway { start = STARTED, status = STARTED }
    local result, err = client:run({}, {
      on_status = function()
        client:close()
      end,
    })
    assert.is_nil(result)
    assert.equal("cancelled", err.kind)
    assert.equal("e1", err.execution.id)
  end)
end)
