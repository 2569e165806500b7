-- Following a log: each entry once, for any changes of the log and failures of the network, until
-- the run has ended.

local follow = require "qhub.polling.follow_logs"
local loop = require "qhub.tasks.loop"
local qhub = require "qhub"
local fake_gateway = require "spec.support.fake_gateway"
local gateway = require "spec.support.gateway"
local on_time = require "spec.support.on_time"
local shared = require "spec.support.shared"
local virtual_time = require "spec.support.virtual_time"

-- What follow.unseen finds in `new` after `old`, as text; entries are single characters.
local function unseen(old, new)
  local function entries(text)
    local list = {}
    for character in text:gmatch "." do
      list[#list + 1] = { message = character }
    end
    return list
  end
  local _, known = follow.unseen({}, entries(old))
  local found = ""
  for _, entry in ipairs((follow.unseen(known, entries(new)))) do
    found = found .. entry.message
  end
  return found
end

describe("the new entries of a log", function()
  it("are those after the known ones when the log grows at its end", function()
    assert.equal("abc", unseen("", "abc"))
    assert.equal("", unseen("abc", "abc"))
    assert.equal("de", unseen("abc", "abcde"))
    assert.equal("aa", unseen("aa", "aaaa")) -- equal lines are as many entries
  end)

  it("are those after the known ones when the log also loses entries at its front", function()
    assert.equal("ef", unseen("abcd", "bcdef"))
    assert.equal("e", unseen("abcd", "cde"))
    assert.equal("xyz", unseen("abc", "xyz")) -- so many came that nothing is left of it
  end)

  it("are none in an older or emptied log", function()
    assert.equal("", unseen("abcd", "ab"))
    assert.equal("", unseen("abcd", ""))
    assert.equal("", unseen("abcd", "cd"))
  end)

  it("are those inserted in the middle and those changed, and no others", function()
    assert.equal("xe", unseen("abcd", "abxcde"))
    assert.equal("xe", unseen("abcd", "axcde"))
    assert.equal("e", unseen("abcd", "acde"))
    assert.equal("e", unseen("abcd", "acbde"))
    assert.equal("x", unseen("abcd", "abcx"))
    assert.equal("xc", unseen("aba", "axbac"))
  end)

  it("are each entry once in any log of distinct entries that grows and rotates", function()
    local seed = math.random(1 << 30)
    math.randomseed(seed)
    for _ = 1, 200 do
      local log, first, last, delivered, known = {}, 1, 0, {}, {}
      for _ = 1, 30 do
        for _ = 1, math.random(0, 4) do
          last = last + 1
          log[last] = { message = "entry " .. last }
        end
        -- Never beyond what has been looked at.
        first = math.max(first, #delivered - math.random(0, 6))
        local new, counts = follow.unseen(known, table.move(log, first, last, 1, {}))
        table.move(new, 1, #new, #delivered + 1, delivered)
        if new[1] then known = counts end
      end
      assert.same(log, delivered, "seed " .. seed)
    end
  end)

  it("are found in time proportional to the length of the log #timing", function()
    local old, new = {}, {}
    for index = 1, 200000 do
      old[index] = { message = "same" }
      new[index] = { message = index < 200000 and "same" or "other" }
    end
    local started = loop.now()
    local _, known = follow.unseen({}, old)
    assert.equal(1, #follow.unseen(known, new))
    assert.is_true(loop.now() - started < 5)
  end)
end)

-- ── over a fake ───────────────────────────────────────────────────────────────────────────────

local function log_of(...)
  local parts = {}
  for index, message in ipairs { ... } do
    parts[index] = ('{"message":"%s"}'):format(message)
  end
  return { status_code = 200, body = "[" .. table.concat(parts, ",") .. "]" }
end

local BUSY, MISSING = { status_code = 503 }, { status_code = 404 }

-- An execution whose log answers with `logs` in turn (the last stays), and which has SUCCEEDED when
-- the last of them is due, or as `statuses` say. Also counts of what was asked, and the client.
local function playing(logs, statuses, known)
  local client, counts
  client, counts = fake_gateway {
    logs = logs,
    status = function(count)
      local status = statuses and statuses[math.min(count, #statuses)]
        or (counts.logs + 1 < #logs and "RUNNING" or "SUCCEEDED")
      return type(status) == "table" and status or ('{"id":"e1","status":"%s"}'):format(status)
    end,
  }
  local execution = client:execution "e1"
  if known then require("qhub.execution").merge(execution, { id = "e1", status = known }) end
  return execution, counts, client
end

local function collect(execution, options)
  options = options or { interval = 0.004 }
  local messages = {}
  for entry in assert(execution:follow_logs(options)) do
    messages[#messages + 1] = entry.message
  end
  return table.concat(messages, " ")
end

describe("follow_logs at the end of a run", function()
  it("reads an emptied log again, and hands out what arrives", function()
    for _, gone in ipairs { MISSING, { status_code = 204 }, { status_code = 200, body = "[]" } } do
      local execution = playing({ log_of "a", gone, log_of("a", "b") }, { "RUNNING", "SUCCEEDED" })
      assert.equal("a b", collect(execution))
    end
  end)

  it("raises when the log stays empty", function()
    local empty = { status_code = 200, body = "[]" }
    local execution = playing({ log_of "a", empty }, { "RUNNING", "SUCCEEDED" })
    local ok, err = pcall(collect, execution)
    assert.is_false(ok)
    assert.equal("decode", err.kind)
    assert.equal(execution, err.execution)
    assert.matches("had 1 entries and is empty", err.message)
  end)
end)

describe("follow_logs", function()
  it("returns the four values of a generic for, and the first can be asserted", function()
    local execution = playing { log_of "a" }
    local values = table.pack(execution:follow_logs())
    assert.equal(4, values.n)
    assert.is_function(values[1])
    assert.is_function(getmetatable(values[4]).__close)
    assert.equal("a", values[1]().message)
    assert.is_nil(values[1]())
    assert.is_nil(values[1]())
  end)

  it("hands out each entry once while the log grows, including equal ones", function()
    local execution, counts = playing {
      log_of "a",
      log_of("a", "b", "b"),
      log_of("a", "b", "b"),
      log_of("a", "b", "b", "b", "c"),
    }
    assert.equal("a b b b c", collect(execution))
    assert.equal("SUCCEEDED", execution.status)
    assert.equal(4, counts.logs)
    assert.equal(4, counts.status)
  end)

  it("reads the log once more after it has seen the end, and then no more", function()
    local execution, counts = playing({ log_of "a", log_of("a", "z"), log_of("a", "z", "!") }, {
      "RUNNING",
      "FAILED",
    })
    assert.equal("a z", collect(execution))
    assert.equal(2, counts.logs)
  end)

  it("reads the log of a run that has ended once and asks for no status", function()
    local execution, counts = playing({ log_of("a", "b") }, nil, "FAILED")
    assert.equal("a b", collect(execution))
    assert.equal(1, counts.logs)
    assert.equal(0, counts.status)
  end)

  it("treats 404, 204, an empty body and null as a log that does not exist yet", function()
    local execution = playing {
      MISSING,
      { status_code = 204 },
      { status_code = 200, body = "" },
      { status_code = 200, body = "null" },
      log_of "a",
      MISSING, -- as an old replica may say
      log_of("a", "b"),
    }
    assert.equal("a b", collect(execution))
    assert.equal("", collect((playing { MISSING })))
  end)

  it("repeats nothing and loses nothing when an older response comes in between", function()
    local execution =
      playing { log_of("a", "b", "c"), log_of "a", log_of("a", "b"), log_of("a", "b", "c", "d") }
    assert.equal("a b c d", collect(execution))
  end)

  it("distinguishes entries by time and severity as well", function()
    local first = '{"message":"m","timestamp":"1","severity":"INFO"}'
    local second = '{"message":"m","timestamp":"2","severity":"INFO"}'
    local third = '{"message":"m","timestamp":"2","severity":"ERROR"}'
    local execution = playing {
      { status_code = 200, body = "[" .. first .. "]" },
      { status_code = 200, body = "[" .. second .. "," .. third .. "]" },
    }
    assert.equal("m m m", collect(execution))
  end)

  it("accepts bare strings, and entries without a message", function()
    local body = '["old style",{"severity":"INFO"},{"message":{"code":7}},{"message":null}]'
    local execution = playing { { status_code = 200, body = body } }
    local entries = {}
    for entry in assert(execution:follow_logs()) do
      entries[#entries + 1] = entry
    end
    assert.equal(4, #entries)
    assert.equal("old style", entries[1].message)
    assert.equal(7, entries[3].message.code)
  end)

  it("hands out each entry once whose message is, or holds, NaN or an infinity", function()
    local odd = '{"message":NaN},{"message":{"losses":[1,Infinity]}}'
    local execution = playing {
      { status_code = 200, body = "[" .. odd .. "]" },
      { status_code = 200, body = "[" .. odd .. ',{"message":-Infinity}]' },
    }
    local messages = {}
    for entry in assert(execution:follow_logs { interval = 0.004 }) do
      messages[#messages + 1] = entry.message
    end
    assert.equal(3, #messages)
    assert.equal(math.huge, messages[2].losses[2])
    assert.equal(-math.huge, messages[3])
  end)

  it("hands out the right entries when the program changes those it was given", function()
    local execution = playing { log_of "a", log_of("a", "b"), log_of("a", "b", "c") }
    local count = 0
    for entry in assert(execution:follow_logs { interval = 0.004 }) do
      count = count + 1
      entry.message, entry.timestamp = "changed", {}
    end
    assert.equal(3, count)
  end)

  it("continues through transient failures of the status and of the log", function()
    local execution = playing({ log_of "a", BUSY, log_of("a", "b"), BUSY, log_of("a", "b", "c") }, {
      "RUNNING",
      BUSY,
      "RUNNING",
      "RUNNING",
      BUSY,
      "SUCCEEDED",
    })
    assert.equal("a b c", collect(execution))
  end)

  it("returns nil and an error when the first request fails", function()
    local html = { status_code = 200, body = "<html>" }
    for _, answer in ipairs { { status_code = 403 }, BUSY, html } do
      local execution = playing { answer }
      local iterator, err = execution:follow_logs()
      assert.is_nil(iterator)
      assert.equal(answer.status_code, err.status_code)
      assert.equal(execution, err.execution)
    end
    local unknown, counts = playing({ log_of "a" }, { MISSING })
    local iterator, err = unknown:follow_logs()
    assert.is_nil(iterator)
    assert.equal(404, err.status_code)
    assert.equal(0, counts.logs)
  end)

  it("raises the error object when a later request fails, and at every call after that", function()
    local execution = playing { log_of("a", "b"), { status_code = 403 }, log_of "never" }
    local iterator = assert(execution:follow_logs { interval = 0.004 })
    assert.equal("a", iterator().message)
    assert.equal("b", iterator().message)
    for _ = 1, 2 do
      local ok, err = pcall(iterator)
      assert.is_false(ok)
      assert.is_true(qhub.is_error(err))
      assert.equal(403, err.status_code)
      assert.equal(execution, err.execution)
    end
  end)

  it("raises kind timeout, phase wait, after the known entries were handed out", function()
    local execution = playing({ log_of("a", "b") }, { "RUNNING" })
    local messages = {}
    local started = loop.now()
    local ok, err = pcall(function()
      for entry in assert(execution:follow_logs { interval = 0.02, timeout = 0.2 }) do
        messages[#messages + 1] = entry.message
      end
    end)
    on_time(0.2, started)
    assert.is_false(ok)
    assert.equal("timeout", err.kind)
    assert.equal("wait", err.phase)
    assert.equal(execution, err.execution)
    assert.same({ "a", "b" }, messages)
  end)

  it("waits for the log of a run that was just started", function()
    local execution = playing({ MISSING, log_of "a" }, { MISSING, "SUCCEEDED" }, "PENDING")
    assert.equal("a", collect(execution))
  end)

  it("sends nothing after a break", function()
    local execution, counts = playing({ log_of("a", "b") }, { "RUNNING" })
    local iterator, _, _, closing = execution:follow_logs { interval = 0.004 }
    for entry in iterator, nil, nil, closing do
      if entry then break end
    end
    assert.is_nil(iterator())
    assert.equal(1, counts.logs)
  end)

  it("polls at the interval", function()
    local time <close> = virtual_time()
    local logs = {}
    for index = 1, 20 do
      logs[index] = log_of "a"
    end
    collect((playing(logs)), { interval = 5 })
    assert.equal(19, #time.slept)
    assert.is_true(time.slept[1] <= 0.5)
    assert.is_true(time.slept[19] >= 4.5 and time.slept[19] <= 5)
  end)

  it("checks its options at the caller's line", function()
    local execution, counts = playing { log_of "a" }
    for _, options in ipairs { { interval = -1 }, { on_status = print }, { request = 1 }, 1 } do
      local ok, message = pcall(function()
        execution:follow_logs(options)
      end)
      assert.is_false(ok)
      assert.matches("^spec/polling/follow_logs_spec.lua:%d+: follow_logs", message)
    end
    assert.equal(0, counts.status)
  end)

  it("may be read by several tasks, each entry by one of them", function()
    local execution =
      playing { log_of "a", log_of "a", log_of("a", "b", "c"), log_of("a", "b", "c") }
    local iterator = assert(execution:follow_logs { interval = 0.004 })
    local messages = {}
    local function read()
      for entry in iterator do
        messages[#messages + 1] = entry.message
      end
    end
    qhub.tasks.run(function()
      qhub.tasks.spawn(read)
      qhub.tasks.spawn(read)
    end)
    table.sort(messages)
    assert.same({ "a", "b", "c" }, messages)
  end)

  it("raises kind cancelled when its task is cancelled", function()
    local execution = playing({ log_of "a" }, { "RUNNING" })
    qhub.tasks.run(function()
      local task = qhub.tasks.spawn(function()
        return pcall(collect, execution, { interval = 1000 })
      end)
      qhub.tasks.sleep(0)
      task:cancel()
      local ok, err = task:join()
      assert.is_false(ok)
      assert.equal("cancelled", err.kind)
      assert.equal(execution, err.execution)
    end)
  end)
end)

-- ── over the network ────────────────────────────────────────────────────────────────────────────

describe("follow_logs over the network", function()
  local service = shared(gateway.start)
  local client
  setup(function()
    client =
      qhub.HubServiceClient { base_url = service.url, token = service.token, max_retries = 0 }
  end)
  teardown(function()
    client:close()
  end)

  local function start(simulate)
    return assert(client:start_execution { simulate = simulate })
  end

  local function followed(execution)
    local entries = {}
    for entry in assert(execution:follow_logs { interval = 0.02 }) do
      entries[#entries + 1] = entry
    end
    return entries
  end

  it("returns exactly the entries that the log has at the end", function()
    local execution = start { pending_ms = 40, running_ms = 120 }
    local entries = followed(execution)
    assert.is_true(#entries > 10)
    assert.same(assert(execution:logs()), entries)
    assert.equal("SUCCEEDED", execution.status)
  end)

  it("returns exactly those through resets, truncations and 5xx", function()
    local execution = start { pending_ms = 40, running_ms = 120, logs = 50 }
    for skip, fault in ipairs { { reset = "headers" }, { truncate = 9 }, { status = 502 } } do
      service:fault { match = { operation = "get_logs" }, skip = skip, fault = fault }
      service:fault { match = { operation = "get_status" }, skip = skip, fault = fault }
    end
    local entries = followed(execution)
    assert.equal(50, #entries)
    for index, entry in ipairs(entries) do
      assert.equal(("entry %d of 50"):format(index), entry.message)
    end
  end)

  it("lets other tasks continue", function()
    local counts = qhub.tasks.run(function()
      local list = {}
      for index = 1, 5 do
        local execution = start { pending_ms = 10, running_ms = 60, logs = 10 * index }
        list[index] = qhub.tasks.spawn(function()
          return #followed(execution)
        end)
      end
      return (qhub.tasks.gather(list))
    end)
    assert.same({ 10, 20, 30, 40, 50 }, counts)
  end)
end)
