-- What a session remembers of the secrets of many starts at once: a gateway that repeats one of
-- them puts it into no text, however many others the client has sent since.

local FakeTransport = require "spec.support.fake_transport"
local tasks = require("qhub").tasks

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
