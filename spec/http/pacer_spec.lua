-- Retries of many calls at once, at a gateway in a process of its own: every call is tried as often
-- as its max_retries says, and what is bounded is how many retries a second go out.

local core = require "qhub.core"
local FakeTransport = require "spec.support.fake_transport"
local process = require "spec.support.process"
local qhub = require "qhub"
local retry = require "qhub.http.retry"
local virtual_time = require "spec.support.virtual_time"
local wire = require "spec.support.wire"

local tasks = qhub.tasks

local function gateway(words)
  local form = "env LD_PRELOAD= %s spec/support/rate_server.lua %s"
  local server = process.start(form:format(process.SERVER_LUA, words))
  server.port = math.tointeger(server.words[1])
  return setmetatable({}, {
    __index = server,
    __close = function()
      server:close()
    end,
  })
end

-- How many requests the gateway saw.
local function seen(server)
  local socket = wire.connect(server.port)
  assert(socket:write(wire.request("GET", "/seen", { token = false })))
  local answer = wire.receive(socket)
  socket:close()
  local sum = 0
  for number in answer.body:gmatch "%d+" do
    sum = sum + number
  end
  return sum
end

-- Makes `count` calls at once. Returns how many succeeded, the seconds that it took, and an error.
local function calls(server, count, options, call)
  options.token, options.base_url = "t0ken", ("http://127.0.0.1:%d/svc/v1"):format(server.port)
  local client <close> = qhub.HubServiceClient(options)
  local started, good, failed = core.system.monotonic(), 0, nil
  tasks.run(function()
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
    local server <close> = gateway "rate=100 retry_after=0.3"
    local good, _, failed = calls(server, 250, { max_retries = 20 }, start)
    assert.is_nil(failed)
    assert.equal(250, good)
    assert.is_true(seen(server) <= 250 * 12)
  end)

  it("that is down for a while all succeed", function()
    local server <close> = gateway "rate=100000 after=0.6"
    local good, _, failed = calls(server, 200, { max_retries = 5 }, look)
    assert.is_nil(failed)
    assert.equal(200, good)
    assert.equal(200, seen(server))
  end)

  it("that is down for good are all tried, the retries spread over time", function()
    local server <close> = gateway "rate=0 refuse=503"
    local good, seconds, failed = calls(server, 200, { max_retries = 1 }, start)
    assert.equal(0, good)
    assert.equal(2, failed.attempts)
    assert.equal(400, seen(server))
    assert.is_true(seconds > 2) -- 100 retries at once, 100 at 50 a second
  end)

  it("end with their total_timeout while their retries are held back", function()
    local server <close> = gateway "rate=0 refuse=503"
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
