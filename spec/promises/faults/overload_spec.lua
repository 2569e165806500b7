-- Retries of many calls at once, at a gateway in a process of its own: every call is tried as often
-- as its max_retries says, and what is bounded is how many retries a second go out.

local core = require "qhub.core"
local qhub = require "qhub"
local scripted = require "spec.support.scripted"

local tasks = qhub.tasks
local GOOD = scripted.kept("200 OK", '{"id":"1","status":"PENDING"}')
local BUSY = scripted.kept("503 Busy", "")

-- Makes `count` calls at once and does something beside them. Returns how many succeeded, the
-- seconds that it took, and an error.
local function calls(server, count, options, call, meanwhile)
  options.token, options.base_url = "t0ken", server.url
  local client <close> = qhub.HubServiceClient(options)
  local started, good, failed = core.system.monotonic(), 0, nil
  tasks.run(function()
    if meanwhile then tasks.spawn(meanwhile) end
    for _ = 1, count do
      tasks.spawn(function()
        local value, err = call(client)
        good = good + (value and 1 or 0)
        failed = failed or err
      end)
    end
  end)
  return good, core.system.monotonic() - started, failed
end

local function start(client)
  return client:start_execution { molecule = "H2" }
end

local function look(client)
  return client:get_status "1"
end

describe("calls at a gateway", function()
  it("that refuses some of them with Retry-After all succeed", function()
    local server <close> = scripted.start()
    local refusal = scripted.kept("429 Refused", "", { "Retry-After: 0.3" })
    server:play { { per_second = 100, otherwise = refusal }, table.unpack(GOOD) }
    local good, _, failed = calls(server, 250, { max_retries = 20 }, start)
    assert.is_nil(failed)
    assert.equal(250, good)
    local seen = #server:requests()
    assert.is_true(seen > 250 and seen <= 250 * 12, seen)
  end)

  it("that is down for a while all succeed", function()
    local gone = scripted.start()
    gone:stop()
    local server
    local good, _, failed = calls(gone, 200, { max_retries = 5 }, look, function()
      tasks.sleep(0.6)
      server = scripted.start { port = gone.port }
      server:play(GOOD)
    end)
    assert.is_nil(failed)
    assert.equal(200, good)
    assert.equal(200, #server:requests())
    server:stop()
  end)

  it("that stays down are each tried max_retries times more, spread over time", function()
    local server <close> = scripted.start()
    server:play(BUSY)
    local good, seconds, failed = calls(server, 200, { max_retries = 1 }, start)
    assert.equal(0, good)
    assert.equal(2, failed.attempts)
    assert.equal(400, #server:requests())
    assert.is_true(seconds > 2) -- 100 retries at once, 100 at 50 a second
  end)

  it("end with their total_timeout while their retries are held back #timing", function()
    local server <close> = scripted.start()
    server:play(BUSY)
    local options = { max_retries = 9, total_timeout = 1.6 }
    local good, seconds, failed = calls(server, 300, options, look)
    assert.equal(0, good)
    assert.is_true(failed.kind == "api" or failed.phase == "total")
    assert.is_true(seconds < 2.5)
  end)
end)
