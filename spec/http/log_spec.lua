-- The `logging` option over a fake transport: which events come, and what is in them.

local FakeTransport = require "spec.support.fake_transport"

local SOON = { ["Retry-After"] = "0.001" }
local OK = { status_code = 200, body = '{"id":"1","status":"RUNNING"}' }
local BUSY = { status_code = 503, headers = SOON }

describe("logging", function()
  local function logged(answers, options, call)
    local events = {}
    options.logging = {
      level = "debug",
      logger = function(level, message, fields)
        events[#events + 1] = { level = level, message = message, fields = fields }
      end,
    }
    call(FakeTransport(answers):client(options))
    return events
  end

  it("emits one event per attempt, retry and result", function()
    local events = logged({ BUSY, OK }, {}, function(client)
      client:get_status "1"
    end)
    local messages = {}
    for index, event in ipairs(events) do
      messages[index] = event.level .. " " .. event.message
    end
    assert.same({ "debug attempt", "warn retry", "debug attempt", "info done" }, messages)
    assert.equal("GET", events[1].fields.method)
    assert.equal(503, events[1].fields.status)
    assert.equal(1, events[1].fields.attempt)
    for _, event in ipairs(events) do
      assert.is_number(event.fields.seconds)
    end
  end)

  it("reports a response that does not decode like any other failure", function()
    local events = logged({ { status_code = 200, body = "<html>" } }, {}, function(client)
      client:get_status "1"
    end)
    assert.equal(2, #events)
    assert.equal("error failed", events[2].level .. " " .. events[2].message)
    assert.equal(200, events[2].fields.status)
    assert.matches("^decode: ", events[2].fields.error)
  end)

  it("never shows token, cookies or secret headers and parameters", function()
    local seen = {}
    local function collect(value)
      if type(value) == "table" then
        for name, item in pairs(value) do
          collect(name)
          collect(item)
        end
      else
        seen[#seen + 1] = tostring(value)
      end
    end
    local events = logged({
      {
        status_code = 500,
        headers = {
          ["Retry-After"] = "0.001",
          ["Set-Cookie"] = "a=S3CRET",
          ["X-Api-Key"] = "S3CRET",
          ["X-Echo"] = "your token is T0KEN/+!",
          ["X-Session-Id"] = "S3CRET",
          ["Location"] = "ftp://h/o?a=1&access%5Ftoken=S3CRET",
          ["Link"] = '<http://h/?api_key=S3CRET>; rel="next", <http://h/?Signature=S3CRET#x>',
          ["X-Encoded"] = "T0KEN%2F%2B, T0KEN%2f%2b",
          ["Content-Location"] = "https://user:S3CRET@h/a#access_token=S3CRET&x=1",
          ["Refresh"] = '0; url=http://h/a;jsessionid=S3CRET?token=%22S3CRET"S3CRET',
        },
        body = '{"message":"T0KEN/+"}',
      },
    }, { token = "T0KEN/+", max_retries = 1 }, function(client)
      client:get_status("1", { query = { access_token = "S3CRET", plain = "T0KEN/+" } })
      client:get_status "T0KEN/+"
    end)
    collect(events)
    local text = table.concat(seen, "\n")
    assert.is_truthy(#events > 0)
    assert.is_nil(text:find("S3CRET", 1, true), text)
    assert.is_nil(text:find("T0KEN", 1, true), text)
    assert.matches("REDACTED", text)
  end)

  it("is silent by default, below its level, and when it is switched off", function()
    local count = 0
    local function logger()
      count = count + 1
    end
    FakeTransport({ OK }):client({ logging = { logger = logger, level = "warn" } }):get_status "1"
    FakeTransport({ OK }):client({ logging = { logger = logger, silent = true } }):get_status "1"
    assert.equal(0, count)
    FakeTransport({ OK }):client({ logging = { logger = logger } }):get_status "1"
    assert.equal(1, count)
  end)

  it("propagates an error of the logger", function()
    local client = FakeTransport({ OK }):client {
      logging = {
        level = "debug",
        logger = function()
          error("mine", 0)
        end,
      },
    }
    local ok, err = pcall(client.get_status, client, "1")
    assert.is_false(ok)
    assert.equal("mine", err)
  end)
end)
