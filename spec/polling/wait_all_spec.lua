-- Waiting for many executions: how many requests that takes, what happens where the gateway has no
-- usable list, and what the executions show.

local core = require "qhub.core"
local execution_class = require "qhub.execution"
local loop = require "qhub.tasks.loop"
local qhub = require "qhub"
local FakeTransport = require "spec.support.fake_transport"
local fake_gateway = require "spec.support.fake_gateway"
local gateway = require "spec.support.gateway"
local on_time = require "spec.support.on_time"
local shared = require "spec.support.shared"
local virtual_time = require "spec.support.virtual_time"

local QUICK = 0.02

describe("wait_all", function()
  local service = shared(gateway.start)
  local client
  before_each(function()
    service:forget()
    client =
      qhub.HubServiceClient { base_url = service.url, token = service.token, max_retries = 0 }
  end)

  after_each(function()
    client:close()
  end)
  -- `count` executions that end after `running_ms`, known only by their ids.
  local function executions(count, running_ms)
    local ids =
      service:create(count, { simulate = { pending_ms = 0, running_ms = running_ms or 60 } })
    local list = {}
    for index, id in ipairs(ids) do
      list[index] = client:execution(id)
    end
    return list
  end

  local function operations()
    local counted = service:requests().operations
    return counted.get_service_executions or 0, counted.get_status or 0
  end

  local function check_ended(list)
    for _, execution in ipairs(list) do
      assert.equal("SUCCEEDED", execution.status)
    end
  end

  it("sends one request per poll for any number of executions", function()
    for _, count in ipairs { 2, 100, 1000 } do
      service:forget()
      service:clear()
      local list = executions(count, 150)
      local polls = 0
      assert(client:wait_all(list, {
        interval = function(poll)
          polls = poll
          return 0.05
        end,
      }))
      local lists, statuses = operations()
      assert.equal(polls + 1, lists)
      assert.equal(0, statuses)
      check_ended(list)
    end
  end)

  it("requests the status of a single execution directly", function()
    assert(client:wait_all(executions(1), { interval = QUICK }))
    local lists, statuses = operations()
    assert.equal(0, lists)
    assert.is_true(statuses > 1)
  end)

  it("returns the same list in its order, its executions updated in place", function()
    local list = executions(5)
    local before = table.move(list, 1, #list, 1, {})
    local returned = table.pack(client:wait_all(list, { interval = QUICK }))
    assert.equal(1, returned.n)
    assert.is_true(rawequal(list, returned[1]))
    for index, execution in ipairs(list) do
      assert.is_true(rawequal(before[index], execution))
      assert.is_string(execution.created_at)
    end
    check_ended(list)
  end)

  it("sends nothing for an empty list, or when all have ended", function()
    local empty = {}
    assert.is_true(rawequal(empty, client:wait_all(empty)))
    local list = executions(3, 0)
    assert(client:wait_all(list))
    service:call("DELETE", "requests")
    local seen = 0
    assert(client:wait_all(list, {
      on_status = function()
        seen = seen + 1
      end,
    }))
    assert.equal(3, seen)
    assert.equal(0, service:requests().total)
  end)

  it("accepts the same execution more than once, as one object or as two", function()
    local list = executions(3)
    list[4], list[5] = list[1], client:execution(list[2].id)
    list[6] = client:execution(list[3].id)
    local told = 0
    assert(client:wait_all(list, {
      interval = QUICK,
      on_status = function(execution)
        told = told + (execution.status == "SUCCEEDED" and 1 or 0)
      end,
    }))
    check_ended(list)
    assert.equal(5, told) -- distinct objects
    assert.is_false(rawequal(list[2].raw, list[5].raw))
  end)

  it("sends one request per poll for objects with the same id, too", function()
    local list = executions(10)
    for index = 1, 10 do
      list[10 + index] = client:execution(list[index].id)
      list[20 + index] = list[10 + index]
    end
    assert(client:wait_all(list, { interval = QUICK }))
    check_ended(list)
    local _, single = operations()
    assert.equal(0, single)
  end)

  it("finds its executions among others in an unordered list", function()
    service:create(50, { simulate = { running_ms = 60000 } })
    local list = executions(20)
    service:settings { list_unordered = true }
    assert(client:wait_all(list, { interval = QUICK }))
    local _, statuses = operations()
    assert.equal(0, statuses)
    check_ended(list)
  end)

  it("requests singly only those that a partial list does not name", function()
    local list = executions(10, 100)
    service:settings { list_limit = 7 } -- the newest seven
    assert(client:wait_all(list, { interval = QUICK }))
    check_ended(list)
    for index, execution in ipairs(list) do
      local count = 0
      for _, request in ipairs(service:requests().requests) do
        count = count + (request.path:find(execution.id, 1, true) and 1 or 0)
      end
      assert.equal(index <= 3, count > 0)
    end
  end)

  it("polls singly when the list is refused, and does not request it again", function()
    for _, oddity in ipairs { { list_status = 403 }, { list_status = 404 }, { health = true } } do
      service:clear()
      service:settings(oddity)
      local own = qhub.HubServiceClient { base_url = service.url, token = service.token }
      for _ = 1, 2 do
        local list = {}
        for index, execution in ipairs(executions(5)) do
          list[index] = own:execution(execution.id)
        end
        assert(own:wait_all(list, { interval = QUICK }))
        check_ended(list)
      end
      local lists, statuses = operations()
      assert.equal(1, lists)
      assert.is_true(statuses >= 10)
      own:close()
    end
  end)

  it("sends single requests a few at a time, in a task and in the main program", function()
    local function peak(run)
      service:clear()
      service:settings { list_status = 405, latency_ms = 5 }
      local list = executions(60)
      run(function()
        assert(client:wait_all(list, { interval = QUICK }))
      end)
      check_ended(list)
      return service:requests().peak
    end
    local in_task = peak(qhub.tasks.run)
    assert.is_true(in_task > 4 and in_task <= 16)
    local in_main_program = peak(function(work)
      work()
    end)
    assert.is_true(in_main_program > 4 and in_main_program <= 16)
    -- In a coroutine that is not ours nothing is spread over other coroutines.
    assert.equal(
      1,
      peak(function(work)
        local ok, message = coroutine.resume(coroutine.create(work))
        assert(ok, message)
      end)
    )
  end)

  it("does not run other tasks when it is called outside of tasks", function()
    service:settings { list_status = 405 }
    local moved = false
    local task = qhub.tasks.spawn(function()
      moved = true
    end)
    assert(client:wait_all(executions(5), { interval = QUICK }))
    assert.is_false(moved)
    task:join()
    assert.is_true(moved)
  end)

  it("ends at its timeout, and names those that have not ended #timing", function()
    for _, list_status in ipairs { 200, 403 } do
      service:clear()
      service:settings { list_status = list_status }
      local list = executions(3, 60000)
      table.insert(list, 2, executions(1, 0)[1])
      local started = loop.now()
      local waited, err = client:wait_all(list, { interval = 0.1, timeout = 0.4 })
      on_time(0.4, started)
      assert.is_nil(waited)
      assert.equal("timeout", err.kind)
      assert.equal("wait", err.phase)
      assert.equal(list[1], err.execution)
      assert.same({ list[1], list[3], list[4] }, err.pending)
      assert.matches("3 of 4 executions are not finished", err.message)
      assert.equal("SUCCEEDED", list[2].status)
    end
  end)

  it("ends at its timeout when the gateway is silent #timing", function()
    for _, operation in ipairs { "get_service_executions", "get_status" } do
      service:clear()
      if operation == "get_status" then service:settings { list_status = 403 } end
      service:fault {
        match = { operation = operation },
        times = -1,
        fault = { hang = "headers", seconds = 30 },
      }
      local list = executions(40)
      for _, run in ipairs {
        qhub.tasks.run,
        function(work)
          work()
        end,
      } do
        local started = loop.now()
        run(function()
          local _, err = client:wait_all(list, { interval = 0.1, timeout = 0.3 })
          assert.equal("wait", err.phase)
          assert.equal(40, #err.pending)
        end)
        on_time(0.3, started)
      end
    end
  end)

  it("notifies on_status of the first status and each change of each execution", function()
    local list = {}
    for index = 1, 4 do
      list[index] = assert(client:start_execution {
        simulate = { pending_ms = 60, running_ms = 20 * index },
      })
    end
    local seen = {}
    assert(client:wait_all(list, {
      interval = 0.01,
      on_status = function(execution)
        local told = seen[execution.id] or {}
        seen[execution.id] = told
        assert.not_equal(told[#told], execution.status)
        told[#told + 1] = execution.status
      end,
    }))
    for _, execution in ipairs(list) do
      local told = seen[execution.id]
      assert.equal("PENDING", told[1])
      assert.equal("SUCCEEDED", told[#told])
    end
  end)

  it("propagates an error of on_status unchanged, even during single requests", function()
    service:settings { list_status = 403, latency_ms = 2 }
    local list = executions(40)
    local fault = {}
    local function waiting()
      client:wait_all(list, {
        on_status = function(execution)
          if rawequal(execution, list[7]) then error(fault) end
        end,
      })
    end
    local ok, err = pcall(waiting)
    assert.is_false(ok)
    assert.is_true(rawequal(fault, err))
    list = executions(40)
    qhub.tasks.run(function()
      ok, err = pcall(waiting)
      assert.is_false(ok)
      assert.is_true(rawequal(fault, err))
      -- The workers of the call that has ended wake nobody.
      local started = loop.now()
      qhub.tasks.sleep(0.05)
      assert.is_true(loop.now() - started >= 0.05)
    end)
  end)

  it("ends with kind cancelled when its task is cancelled or the client closed", function()
    for _, list_status in ipairs { 200, 403 } do
      for _, way in ipairs { "cancel", "close" } do
        service:clear()
        service:settings { list_status = list_status }
        local own = qhub.HubServiceClient { base_url = service.url, token = service.token }
        local list = {}
        for index, execution in ipairs(executions(30, 60000)) do
          list[index] = own:execution(execution.id)
        end
        qhub.tasks.run(function()
          local task, told
          task = qhub.tasks.spawn(function()
            return own:wait_all(list, {
              interval = 1000,
              on_status = function()
                if told then return end
                told = true
                qhub.tasks.spawn(function()
                  if way == "close" then
                    own:close()
                  else
                    task:cancel()
                  end
                end)
              end,
            })
          end)
          local waited, err = task:join()
          assert.is_nil(waited)
          assert.equal("cancelled", err.kind)
          assert.equal(30, #err.pending)
        end)
        own:close()
      end
    end
  end)

  it("fails when one execution cannot be requested, and names it", function()
    local list = executions(3, 60000)
    table.insert(list, 2, client:execution "no-such-run")
    local waited, err = client:wait_all(list, { interval = QUICK })
    assert.is_nil(waited)
    assert.equal(404, err.status_code)
    assert.equal("no-such-run", err.execution.id)
    assert.equal(4, #err.pending)
  end)

  it("refuses anything but a list of its own executions, and sends nothing", function()
    local other = qhub.HubServiceClient { base_url = service.url, token = service.token }
    local known = client:execution "a"
    local wrong =
      { 1, "a", { "a" }, { known, {} }, { other:execution "a" }, { known, 1 }, { a = known } }
    for _, list in ipairs(wrong) do
      local ok, message = pcall(function()
        client:wait_all(list)
      end)
      assert.is_false(ok)
      assert.matches("^spec/polling/wait_all_spec.lua:%d+: wait_all", message)
    end
    assert.has_error(function()
      client:wait_all({ known }, { intervall = 1 })
    end)
    assert.has_error(function()
      client:wait_all()
    end)
    assert.has_error(function()
      other:close()
      other:wait_all { other:execution "a" }
    end)
    assert.equal(0, service:requests().total)
  end)
end)

-- A client whose list is that of `lists` (see fake_gateway.lua) and whose statuses are those of
-- `statuses` by id: a name, a response, or a function of the request's number. Three executions
-- that are known to be PENDING. Counts of what was requested.
local function playing(lists, statuses)
  local client, counts = fake_gateway {
    list = lists,
    status = function(count, id)
      local answer = statuses and statuses[id] or { status_code = 404 }
      if type(answer) == "function" then answer = answer(count) end
      if type(answer) == "table" then return answer end
      return ('{"id":"%s","status":"%s","createdAt":"then"}'):format(id, answer)
    end,
  }
  local list = {}
  for index, id in ipairs { "a", "b", "c" } do
    list[index] = client:execution(id)
    local known = { id = id, status = "PENDING", createdAt = "then", tags = core.json.array { id } }
    execution_class.merge(list[index], known)
  end
  return client, list, counts
end

local function items(...)
  local parts = {}
  for index, status in ipairs { ... } do
    parts[index] = ('{"id":"%s","status":"%s"}'):format(("abc"):sub(index, index), status)
  end
  return "[" .. table.concat(parts, ",") .. "]"
end

local ALL = items("SUCCEEDED", "FAILED", "CANCELLED")
local BUSY = { status_code = 503 }

describe("the list in wait_all", function()
  it("may have fewer members than is known: known members are kept", function()
    local client, list, counts = playing {
      '[{"id":"a","status":"FAILED","createdAt":null,"endedAt":"now","more":1},{"id":"b","status":'
        .. '"SUCCEEDED"},{"id":"c","status":"CANCELLED"}]',
    }
    assert(client:wait_all(list))
    assert.equal("then", list[1].created_at)
    assert.equal("now", list[1].ended_at)
    assert.equal(1, list[1].raw.more)
    assert.same({ "b" }, list[2].tags)
    assert.equal(0, counts.status)
  end)

  it("does not undo a terminal status when it is older", function()
    local client, list = playing({
      items("SUCCEEDED", "RUNNING", "RUNNING"),
      items("RUNNING", "SUCCEEDED", "RUNNING"),
    }, { c = "SUCCEEDED" })
    local time <close> = virtual_time()
    local told = 0
    assert(client:wait_all(list, {
      on_status = function(execution)
        told = told + (execution:is_terminal() and 1 or 0)
      end,
    }))
    assert.equal(3, told)
    assert.equal(2, #time.slept)
    for _, execution in ipairs(list) do
      assert.equal("SUCCEEDED", execution.status)
    end
  end)

  it("shows the status and the start of a run at once, all else when it has ended", function()
    local function item(status, members)
      return ('{"id":"a","status":"%s"%s},{"id":"b","status":"RUNNING"}'):format(status, members)
    end
    for _, start in ipairs { "startedAt", "started_at" } do
      local client, list = playing({
        "[" .. item("PENDING", ',"serviceId":"s"') .. "]",
        "[" .. item("RUNNING", (',"%s":"then"'):format(start)) .. "]",
        "[" .. item("FAILED", (',"%s":null,"endedAt":"now"'):format(start)) .. "]",
      }, { b = "SUCCEEDED" })
      local seen = {}
      assert(client:wait_all({ list[1], list[2] }, {
        interval = QUICK,
        on_status = function(run)
          if run.id == "a" then
            seen[run.status] = { run.service_id, run.started_at, run.ended_at }
          end
        end,
      }))
      local ended = { "s", "then", "now" }
      assert.same({ PENDING = {}, RUNNING = { "s", "then" }, FAILED = ended }, seen)
    end
  end)

  it("uses the first of several items with the same id", function()
    local first = '{"id":"a","status":"FAILED"},{"id":"a","status":"SUCCEEDED"}'
    local client, list = playing { "[" .. first .. "," .. ALL:sub(2) }
    assert(client:wait_all(list))
    assert.equal("FAILED", list[1].status)
  end)

  it("leaves executions without a status or id to single requests", function()
    local client, list, counts = playing(
      { '[{"id":"a"},{"id":"b","status":"SUCCEEDED"},{"id":"c","status":"SUCCEEDED"},{}]' },
      { a = "SUCCEEDED" }
    )
    assert(client:wait_all(list, { interval = QUICK }))
    assert.equal(1, counts.status)
  end)

  it("ends the wait with 401", function()
    local client, list, counts = playing { { status_code = 401 } }
    local _, err = client:wait_all(list)
    assert.equal(401, err.status_code)
    assert.equal(list[1], err.execution)
    assert.equal(0, counts.status)
  end)
end)

describe("the rules of wait_all", function()
  local SOME, NONE = items("RUNNING", "RUNNING"), { status_code = 403 } -- SOME names no c

  it("1: the list is requested while more than one is pending, then the status", function()
    local client, list, counts = playing({
      items("RUNNING", "RUNNING", "SUCCEEDED"),
      items("RUNNING", "SUCCEEDED", "SUCCEEDED"),
    }, { a = "SUCCEEDED" })
    assert(client:wait_all(list, { interval = QUICK, timeout = 2 }))
    assert.equal(2, counts.list)
    assert.equal(1, counts.status)
  end)

  it("2: an execution is requested singly when two lists in a row do not name it", function()
    local client, list, counts = playing { SOME, items("RUNNING", "RUNNING", "RUNNING"), SOME, ALL }
    assert(client:wait_all(list, { interval = QUICK }))
    assert.equal(0, counts.status)
    client, list, counts = playing({ SOME, SOME, SOME, ALL }, { c = "RUNNING" })
    assert(client:wait_all(list, { interval = QUICK }))
    assert.equal(4, counts.list)
    assert.equal(2, counts.c)
    assert.equal(2, counts.status)
  end)

  it("2: an execution that the gateway does not know either ends the wait with 404", function()
    local time <close> = virtual_time()
    local client, list = playing { items("RUNNING", "RUNNING", "RUNNING"), SOME }
    local started = time.now()
    local _, err = client:wait_all(list)
    assert.equal(404, err.status_code)
    assert.equal(list[3], err.execution)
    assert.same(list, err.pending)
    assert.near(4, time.now() - started, 1) -- after the seconds of grace
  end)

  it("3: the error of a single request names the line of the call #process", function()
    local output = require("spec.support.process").run_program [[
      local client = require("qhub").HubServiceClient {
        base_url = "https://gateway.example/a/v1",
        token = "t0ken",
        transport = function()
          return { status_code = 403 }
        end,
      }
      local list = { client:execution "e1", client:execution "e2" }
      local _, err = client:wait_all(list)
      print(err.status_code, err.where:match ":(%d+)$")]]
    assert.equal("403\t9\n", output)
  end)

  it("3: all are requested singly when the list is refused, for a minute", function()
    local time <close> = virtual_time()
    local client, list, counts = playing(
      { NONE, ALL },
      { a = "RUNNING", b = "RUNNING", c = "RUNNING" }
    )
    local started = time.now()
    assert(client:wait_all(list))
    assert.near(61, time.now() - started, 1.1)
    assert.equal(2, counts.list)
    assert.equal(3 * #time.slept, counts.status)
  end)

  it("3: all are requested singly when the list fails twice in a row", function()
    local client, list, counts = playing { BUSY, ALL }
    assert(client:wait_all(list, { interval = QUICK }))
    assert.equal(0, counts.status)
    client, list, counts = playing({ BUSY }, { a = "FAILED", b = "SUCCEEDED", c = "CANCELLED" })
    assert(client:wait_all(list, { interval = QUICK }))
    assert.equal(2, counts.list)
    assert.equal(3, counts.status)
  end)

  it("3: a list that asks for a pause is not replaced", function()
    local time <close> = virtual_time()
    local throttled = { status_code = 429, headers = { ["Retry-After"] = "100" } }
    local client, list, counts = playing { throttled, throttled, throttled, ALL }
    assert(client:wait_all(list, { interval = 1 }))
    assert.equal(0, counts.status)
    assert.equal(3, #time.slept)
    for _, seconds in ipairs(time.slept) do
      assert.is_true(seconds >= 100)
    end
  end)
end)

describe("the cost of wait_all", function()
  -- Waits for `count` executions through three looks; returns the Lua and C calls that took.
  local function calls_for(count)
    local bodies = {}
    for look, status in ipairs { "PENDING", "RUNNING", "SUCCEEDED" } do
      local parts = {}
      for index = 1, count do
        parts[index] = ('{"id":"r%d","status":"%s","createdAt":"then","type":"MANAGED"}'):format(
          index,
          status
        )
      end
      bodies[look] = { status_code = 200, body = "[" .. table.concat(parts, ",") .. "]" }
    end
    local client = FakeTransport(bodies):client { max_retries = 0 }
    local list = {}
    for index = 1, count do
      list[index] = client:execution("r" .. index)
    end
    local calls = 0
    local before = { debug.gethook() }
    debug.sethook(function()
      calls = calls + 1
    end, "c")
    client:wait_all(list, { interval = 0.001 })
    debug.sethook(table.unpack(before))
    assert.equal("SUCCEEDED", list[count].status)
    return calls
  end

  it("is at most 25 Lua and C calls per execution for three polls", function()
    local thousand = calls_for(1000)
    assert.is_true(thousand <= 25000, thousand .. " calls")
    assert.is_true(calls_for(4000) < 4.1 * thousand)
  end)
end)

describe("the report of wait_all", function()
  it("calls a function given as progress at each change, with the execution", function()
    local client, list = playing { items("RUNNING", "RUNNING", "SUCCEEDED"), ALL }
    local told = {}
    assert(client:wait_all(list, {
      interval = QUICK,
      progress = function(execution)
        told[#told + 1] = execution.id .. " " .. execution.status
      end,
    }))
    assert.same({
      "a PENDING",
      "b PENDING",
      "c PENDING",
      "a RUNNING",
      "b RUNNING",
      "c SUCCEEDED",
      "a SUCCEEDED",
      "b FAILED",
    }, told)
  end)

  it("names max_response_bytes when the list exceeds it, and polls singly", function()
    local events = {}
    local status = { status_code = 200, body = '{"id":"a","status":"SUCCEEDED"}' }
    local client = FakeTransport({
      function(request)
        if request.url:find "/v1/$" then
          return { status_code = 200, body = "[" .. (" "):rep(2000) .. "]" }
        end
        local body = status.body:gsub("a", request.url:match "/v1/(.)$", 1)
        return { status_code = 200, body = body }
      end,
    }):client {
      max_response_bytes = 1000,
      logging = {
        logger = function(_, _, fields)
          events[#events + 1] = fields.error
        end,
      },
    }
    local list = { client:execution "a", client:execution "b" }
    assert(client:wait_all(list))
    assert.matches("max_response_bytes", table.concat(events, "\n"))
    assert.equal("SUCCEEDED", list[2].status)
  end)
end)

describe("single requests in wait_all", function()
  local NONE = { status_code = 403 }

  it("are repeated when they fail for a while, without requesting all executions", function()
    local time <close> = virtual_time()
    local down = true
    local function answer(count)
      down = down and count < 4
      return down and BUSY or "SUCCEEDED"
    end
    local client, list, counts = playing({ NONE }, { a = answer, b = answer, c = answer })
    assert(client:wait_all(list))
    assert.is_true(#time.slept >= 2)
    assert.is_true(counts.status <= 15)
  end)

  it("stop at the first one that gets a Retry-After", function()
    local time <close> = virtual_time()
    local throttled = { status_code = 429, headers = { ["Retry-After"] = "100" } }
    local client, list, counts = playing({ NONE }, {
      a = function(count)
        return count == 1 and throttled or "SUCCEEDED"
      end,
      b = "SUCCEEDED",
      c = "SUCCEEDED",
    })
    local coroutine_of_ours = coroutine.wrap(function()
      assert(client:wait_all(list))
    end)
    coroutine_of_ours()
    assert.equal(1, #time.slept)
    assert.is_true(time.slept[1] >= 100)
    assert.equal(4, counts.status)
  end)

  it("that return 404 for a run that was just started are repeated for a moment", function()
    local client, list = playing({ NONE }, {
      a = function(count)
        return count < 3 and { status_code = 404 } or "SUCCEEDED"
      end,
      b = "SUCCEEDED",
      c = "SUCCEEDED",
    })
    assert(client:wait_all(list, { interval = QUICK }))
    assert.equal("SUCCEEDED", list[1].status)
  end)
end)
