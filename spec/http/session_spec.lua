-- What the calls of a client share: the pace of their retries, and the secrets of many starts at
-- once: a gateway that repeats one of them puts it into no text, however many others the client has
-- sent since.

local FakeTransport = require "spec.support.fake_transport"
local loop = require "qhub.tasks.loop"
local sessions = require "qhub.http.session"
local tasks = require("qhub").tasks
local virtual_time = require "spec.support.virtual_time"

-- More than a session remembers.
local MANY = 150

local function secret(index)
  return ("s3cr3t-%04d"):format(index)
end

-- Runs `call(secret)` in as many tasks. Fails when one returns no error, or an error that tells.
local function assert_silent(call)
  tasks.run(function()
    for index = 1, MANY do
      tasks.spawn(function()
        local value, err = call(secret(index))
        assert.is_nil(value)
        assert.matches("REDACTED", err.message)
        assert.is_nil(tostring(err):find("s3cr3t", 1, true))
      end)
    end
  end)
end

describe("the secrets of many starts", function()
  it("are in no error of the start", function()
    local client = FakeTransport({
      function(request)
        tasks.sleep(0.01)
        return {
          status_code = 400,
          body = '{"title":"bad ' .. request.body:match "s3cr3t%-%d+" .. '"}',
        }
      end,
    }):client()
    assert_silent(function(own)
      return client:start_execution({}, { secrets = { key = own } })
    end)
  end)

  it("are in no error of a run that FAILED", function()
    local said = {}
    local client = FakeTransport({
      function(request)
        tasks.sleep(0.01)
        if request.method == "POST" then
          local own = request.body:match "s3cr3t%-%d+"
          said[own:match "%d+$"] = own
          return { status_code = 200, body = ('{"id":"%s"}'):format(own:match "%d+$") }
        end
        local id = request.url:match "/(%d+)"
        local is_status = request.url:find(id .. "$")
        local form = is_status and '{"id":"%s","status":"FAILED"}' or '{"detail":"bad %s"}'
        return { status_code = 200, body = form:format(is_status and id or said[id]) }
      end,
    }):client()
    assert_silent(function(own)
      return client:run({}, { interval = 0.001, start = { secrets = { key = own } } })
    end)
  end)

  it("are in no error of their own call when there are more than a session remembers", function()
    local secrets = {}
    for index = 1, MANY do
      secrets["key" .. index] = secret(index)
    end
    for _, index in ipairs { 1, 70, MANY } do
      local body = '{"title":"bad ' .. secret(index) .. '"}'
      local client = FakeTransport({ { status_code = 400, body = body } }):client()
      local _, err = client:start_execution({}, { secrets = secrets })
      assert.matches("bad REDACTED", err.message)
    end
  end)
end)

describe("the retries of a client's calls", function()
  local session, now, real

  before_each(function()
    real, now = loop.now, 1000
    function loop.now()
      return now
    end
    session = sessions.new({ transport = print }, {})
  end)

  after_each(function()
    loop.now = real
  end)

  -- How many of `count` go at once.
  local function at_once(count)
    local going = 0
    for _ = 1, count do
      if session:pace() == 0 then going = going + 1 end
    end
    return going
  end

  it("go at once a hundred times and then fifty times a second", function()
    assert.equal(101, at_once(150))
    assert.near(1, session:pace(), 1e-6)
    now = now + 2
    assert.equal(50, at_once(80))
    now = now + 1000
    assert.equal(101, at_once(150))
  end)

  it("go at once twice more for each success", function()
    at_once(200)
    local before = session:pace()
    session:succeeded()
    assert.near(before - 0.02, session:pace(), 1e-6)
  end)
end)

describe("the retries of a call", function()
  it("are not held back for calls whose time was over before their turn", function()
    local time <close> = virtual_time()
    local client = FakeTransport({ { status_code = 503 } }):client { total_timeout = 3 }
    for _ = 1, 500 do
      local _, err = client:get_status "1"
      assert.equal(503, err.status_code)
    end
    local wait = client.session:pace()
    assert.is_true(wait < 3, wait)
    assert.is_true(#time.slept > 0)
  end)

  it("go sooner than they were held back for when other calls succeed", function()
    local until_then = loop.now() + 0.1
    local function respond()
      if loop.now() < until_then then return nil end
      return { status_code = 200, body = '{"id":"1"}' }
    end
    local client = FakeTransport({ respond }):client()
    local started, list = loop.now(), {}
    for index = 1, 500 do
      list[index] = index
    end
    local _, failures = tasks.map(list, function()
      return client:get_status "1"
    end, { limit = 500 })
    assert.is_nil(failures)
    assert.is_true(loop.now() - started < 4, loop.now() - started) -- held back for 8 s
  end)

  it("are spaced even when Retry-After is 0", function()
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
