-- Retries of many calls at once, at a gateway in a process of its own: every call is tried as often
-- as its max_retries says, and what is bounded is how many retries a second go out.

local core = require "qhub.core"
local FakeTransport = require "spec.support.fake_transport"
local qhub = require "qhub"
local retry = require "qhub.http.retry"
local scripted = require "spec.support.scripted"
local virtual_time = require "spec.support.virtual_time"

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
  it("that takes fewer a second, and names the wait, all succeed", function()
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

  it("that is down for good are all tried, the retries spread over time", function()
    local server <close> = scripted.start()
    server:play(BUSY)
    local good, seconds, failed = calls(server, 200, { max_retries = 1 }, start)
    assert.equal(0, good)
    assert.equal(2, failed.attempts)
    assert.equal(400, #server:requests())
    assert.is_true(seconds > 2) -- 100 retries at once, 100 at 50 a second
  end)

  it("end with their total_timeout while their retries are held back", function()
    local server <close> = scripted.start()
    server:play(BUSY)
    local options = { max_retries = 9, total_timeout = 1.6 }
    local good, seconds, failed = calls(server, 300, options, look)
    assert.equal(0, good)
    assert.is_true(failed.kind == "api" or failed.phase == "total")
    assert.is_true(seconds < 2.5)
  end)
end)

describe("the pacer", function()
  it("lets a hundred retries go at once and then fifty a second #timing", function()
    local time <close> = virtual_time()
    local pacer = retry.pacer()
    for _ = 1, 100 do
      assert.is_nil(pacer:take())
    end
    assert.is_true(pacer:take() > 0)
    assert.is_true(pacer:backlog() > 0)
    require("qhub.tasks.loop").sleep_until(time.now() + 1)
    local taken = 0
    while not pacer:take() do
      taken = taken + 1
    end
    assert.is_true(taken >= 49 and taken <= 51)
  end)

  it("lets a success pay for two more", function()
    local pacer = retry.pacer()
    repeat
    until pacer:take()
    pacer:succeeded()
    assert.is_nil(pacer:take())
    assert.is_nil(pacer:take())
    assert.is_number(pacer:take())
  end)

  it("spreads named waits, but not beyond 60 s nor out of the time left", function()
    local pacer = retry.pacer()
    assert.equal(10, pacer:spread(10))
    local _ <close> = pacer:place "patient"
    local spread = false
    for _ = 1, 100 do
      local seconds = pacer:spread(10)
      assert.is_true(seconds >= 10 and seconds <= 12)
      spread = spread or seconds > 10.1
      assert.is_true(pacer:spread(59.5) <= 60)
      local short = pacer:spread(10, 10.2)
      assert.is_true(short >= 10 and short < 10.2)
    end
    assert.is_true(spread)
  end)

  it("holds back the retries of a gateway that asks for no patience", function()
    local time <close> = virtual_time()
    local fake = FakeTransport { { status_code = 429, headers = { ["Retry-After"] = "0" } } }
    fake:client({ max_retries = 150 }):get_status "1"
    assert.equal(151, #fake.requests)
    local slept = 0
    for _, seconds in ipairs(time.slept) do
      slept = slept + seconds
    end
    assert.is_true(slept > 0.5)
  end)
end)
