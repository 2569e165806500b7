-- The path of a call: tokens, retries, redirects, logging, on_response, and what happens when the
-- program's own functions raise, yield or call back. Over a fake transport; delays are those that
-- the fake asks for.

local FakeTransport = require "spec.support.fake_transport"
local tasks = require("qhub").tasks
local virtual_time = require "spec.support.virtual_time"

local SOON = { ["Retry-After"] = "0.001" }
local OK = { status_code = 200, body = '{"id":"1","status":"RUNNING"}' }
local BUSY = { status_code = 503, headers = SOON }
local DENIED = { status_code = 401 }

local function broken()
  return nil, "reset"
end

describe("a response that breaks off", function()
  it("is requested again, whatever its rate limit headers say", function()
    local cut = {
      status_code = 200,
      headers = { ["X-RateLimit-Reset"] = tostring(os.time() + 3600) },
      body = function()
        return nil, "reset"
      end,
    }
    local time <close> = virtual_time()
    local fake = FakeTransport { cut, OK }
    assert(fake:client():get_status "1")
    assert.equal(2, #fake.requests)
    assert.is_true(time.slept[1] <= 1.25)
  end)
end)

describe("total_timeout over a transport function", function()
  it("ends the call even when the function is slow, and passes it the time left", function()
    local told
    local function slow(request)
      told = request.timeout
      tasks.sleep(0.05)
      return OK
    end
    local function slow_body()
      return {
        status_code = 200,
        body = function()
          tasks.sleep(0.05)
          return "{"
        end,
      }
    end
    local function slow_rest()
      local pieces = { '{"id"', ':"1"}' }
      return {
        status_code = 200,
        body = function()
          tasks.sleep(#pieces < 2 and 0.05 or 0)
          return table.remove(pieces, 1)
        end,
      }
    end
    for _, answer in ipairs { slow, slow_body, slow_rest } do
      local client = FakeTransport({ answer }):client { total_timeout = 0.02 }
      local _, err = client:get_status "1"
      assert.equal("timeout", err.kind)
      assert.equal("total", err.phase)
    end
    assert.is_true(told <= 0.02)
    -- A response to a start is taken all the same: it names a run.
    assert.equal(
      "1",
      assert(FakeTransport({ slow }):client({ total_timeout = 0.02 }):start_execution {}).id
    )
    -- Of an error about a file the text is cut off.
    local function not_found()
      return {
        status_code = 404,
        body = function()
          tasks.sleep(0.01)
          return "x"
        end,
      }
    end
    local client = FakeTransport({ not_found }):client { total_timeout = 0.05 }
    local _, err = client:get_result_file("1", "a")
    assert.equal(404, err.status_code)
    assert.matches("^x+$", err.body)
    assert(FakeTransport({ slow }):client({ timeout = 3, total_timeout = 600 }):get_status "1")
    assert.equal(3, told)
  end)
end)

describe("a token function", function()
  it("is called for every attempt, without arguments", function()
    local calls = {}
    local fake = FakeTransport { BUSY, BUSY, OK }
    local client = fake:client {
      token = function(...)
        calls[#calls + 1] = { n = select("#", ...), ... }
        return "t" .. #calls
      end,
    }
    assert(client:get_status "1")
    assert.equal(3, #calls)
    assert.is_nil(calls[1][1])
    assert.equal("Bearer t3", fake.requests[3].headers.authorization)
  end)

  it("is called once more with the rejected token after a 401, beside max_retries", function()
    local rejected
    local fake = FakeTransport { DENIED, OK }
    local client = fake:client {
      max_retries = 0,
      token = function(old)
        rejected = old or rejected
        return old and "new" or "old"
      end,
    }
    assert(client:get_status "1")
    assert.equal("old", rejected)
    assert.equal(2, #fake.requests)
    assert.equal("Bearer new", fake.requests[2].headers.authorization)
  end)

  it("leads to one repetition, and to none with the same token", function()
    local fake = FakeTransport { DENIED }
    local count = 0
    local client = fake:client {
      token = function()
        count = count + 1
        return "t" .. count
      end,
    }
    local value, err = client:get_status "1"
    assert.is_nil(value)
    assert.equal(401, err.status_code)
    assert.equal(2, err.attempts)
    assert.equal(2, #fake.requests)
    fake = FakeTransport { DENIED }
    client = fake:client {
      token = function()
        return "same"
      end,
    }
    value, err = client:get_status "1"
    assert.is_nil(value)
    assert.equal(401, err.status_code)
    assert.equal(1, #fake.requests)
  end)

  it("repeats a start too, because a 401 starts nothing", function()
    local fake = FakeTransport { DENIED, { status_code = 201, body = '{"id":"9"}' } }
    local client = fake:client {
      token = function(old)
        return old and "b" or "a"
      end,
    }
    assert.equal("9", assert(client:start_execution {}).id)
    assert.equal(2, #fake.requests)
  end)

  it("that returns no usable token ends the call with kind token and sends nothing", function()
    for _, values in ipairs { {}, { nil, "vault sealed" }, { "" }, { "a\nb" }, { 5 }, { {} } } do
      local fake = FakeTransport { OK }
      local client = fake:client {
        token = function()
          return table.unpack(values, 1, 2)
        end,
      }
      local value, err = client:get_status "1"
      assert.is_nil(value)
      assert.equal("token", err.kind)
      assert.is_nil(err.message:find("a\nb", 1, true))
      if values[2] then assert.matches("vault sealed", err.message) end
      assert.equal(0, #fake.requests)
    end
  end)

  it("may raise any value, which propagates unchanged", function()
    local thrown = setmetatable({}, { __name = "mine" })
    local client = FakeTransport({ OK }):client {
      token = function()
        error(thrown)
      end,
    }
    local ok, err = pcall(client.get_status, client, "1")
    assert.is_false(ok)
    assert.equal(thrown, err)
  end)

  it("may yield in the program's own coroutine", function()
    local client = FakeTransport({ OK }):client {
      token = function()
        return (coroutine.yield "please")
      end,
    }
    local thread = coroutine.create(function()
      return client:get_status "1"
    end)
    local _, asked = coroutine.resume(thread)
    assert.equal("please", asked)
    local ok, execution = coroutine.resume(thread, "tok")
    assert.is_true(ok)
    assert.equal("1", execution.id)
  end)

  it("is not called when the request sets or removes Authorization itself", function()
    local asked = false
    local fake = FakeTransport { OK }
    local client = fake:client {
      token = function()
        asked = true
        return "t"
      end,
    }
    client:get_status("1", { headers = { Authorization = "Basic x" } })
    client:get_status("1", { headers = { authorization = false } })
    assert.is_false(asked)
    assert.equal("Basic x", fake.requests[1].headers.authorization)
    assert.is_nil(fake.requests[2].headers.authorization)
  end)
end)

describe("retries", function()
  it("repeat every operation after transient responses, including a start", function()
    for _, call in ipairs {
      function(c)
        return c:get_status "1"
      end,
      function(c)
        return c:start_execution {}
      end,
      function(c)
        return c:cancel_execution "1"
      end,
      function(c)
        return c:get_result_file("1", "f")
      end,
    } do
      local fake = FakeTransport { BUSY, { status_code = 429, headers = SOON }, OK }
      assert(call(fake:client()))
      assert.equal(3, #fake.requests)
    end
  end)

  it("end with the last error and the number of attempts", function()
    local fake = FakeTransport { BUSY }
    local value, err = fake:client({ max_retries = 4 }):get_status "1"
    assert.is_nil(value)
    assert.equal(503, err.status_code)
    assert.equal(5, err.attempts)
    assert.equal(5, #fake.requests)
    assert.equal(0.001, err.retry_after)
  end)

  it("can be set per request", function()
    local fake = FakeTransport { BUSY }
    fake:client():get_status("1", { max_retries = 0 })
    assert.equal(1, #fake.requests)
  end)

  it("never repeat a start that may have been sent, unless it is declared idempotent", function()
    local fake = FakeTransport { broken }
    local client = fake:client()
    client:start_execution {}
    assert.equal(1, #fake.requests)
    fake = FakeTransport { broken, { status_code = 201, body = '{"id":"1"}' } }
    fake.responses[1] = function()
      return nil, "reset"
    end
    assert(fake:client():start_execution({}, { idempotent = true }))
    assert.equal(2, #fake.requests)
  end)

  it("never repeat a start after its 303, only the request for its target", function()
    local location = "https://gateway.example/acme/vqe/v1/5"
    local fake = FakeTransport {
      { status_code = 303, headers = { Location = location } },
      BUSY,
      { status_code = 200, body = '{"id":"5"}' },
    }
    assert.equal("5", assert(fake:client():start_execution {}).id)
    local methods = {}
    for index, request in ipairs(fake.requests) do
      methods[index] = request.method
    end
    assert.same({ "POST", "GET", "GET" }, methods)
  end)

  it("of the target of a 303 carry the token of their attempt", function()
    local fake = FakeTransport {
      { status_code = 303, headers = { Location = "/acme/vqe/v1/5" } },
      DENIED,
      BUSY,
      { status_code = 200, body = '{"id":"5"}' },
    }
    local count = 0
    local function token()
      count = count + 1
      return "t" .. count
    end
    assert(fake:client({ token = token }):start_execution {})
    local tokens = {}
    for index, request in ipairs(fake.requests) do
      tokens[index] = request.headers.authorization:match "t%d$"
    end
    assert.same({ "t1", "t1", "t2", "t3" }, tokens)
  end)

  it("are given up when the wait exceeds 60 s or total_timeout", function()
    for _, case in ipairs { { "30", 5 }, { "61" } } do
      local fake = FakeTransport { { status_code = 503, headers = { ["retry-after"] = case[1] } } }
      local value, err = fake:client():get_status("1", { total_timeout = case[2] })
      assert.is_nil(value)
      assert.equal("api", err.kind)
      assert.equal(tonumber(case[1]), err.retry_after)
      assert.equal(1, #fake.requests)
    end
  end)

  it("do not repeat a response that does not decode", function()
    local fake = FakeTransport { { status_code = 200, body = "<html>" } }
    local value, err = fake:client():get_status "1"
    assert.is_nil(value)
    assert.equal("decode", err.kind)
    assert.equal(1, #fake.requests)
  end)

  it("reach max_retries for every call, however many calls have failed", function()
    local _ <close> = virtual_time()
    local fake = FakeTransport {
      function()
        return { status_code = 503 }
      end,
    }
    local client = fake:client { max_retries = 2 }
    for _ = 1, 200 do
      client:get_status "1"
    end
    assert.equal(600, #fake.requests)
  end)

  it("always reach max_retries for the first call that fails", function()
    local fake = FakeTransport { BUSY }
    fake:client({ max_retries = 150 }):get_status "1"
    assert.equal(151, #fake.requests)
  end)
end)

describe("redirects", function()
  it("are followed without sending credentials to another origin", function()
    local fake = FakeTransport {
      { status_code = 302, headers = { location = "https://storage.example/f?sig=1" } },
      { status_code = 200, body = "bytes" },
    }
    local file = assert(fake:client():get_result_file("1", "f"))
    assert.equal("bytes", file:read_all())
    assert.is_nil(fake.requests[2].headers.authorization)
    assert.equal("https://storage.example/f?sig=1", fake.requests[2].url)
  end)

  it("that are not followed are errors of kind api with their status", function()
    for _, case in ipairs {
      { { follow_redirects = false }, "/x" },
      { {}, "http://gateway.example/x" },
      { {}, "file:///etc/passwd" },
    } do
      local fake = FakeTransport { { status_code = 302, headers = { location = case[2] } } }
      local value, err = fake:client(case[1]):get_status "1"
      assert.is_nil(value)
      assert.equal("api", err.kind)
      assert.equal(302, err.status_code)
      assert.matches("not followed", err.message)
      assert.equal(1, #fake.requests)
    end
  end)

  it("end after 20 hops", function()
    local fake = FakeTransport { { status_code = 302, headers = { location = "/x" } } }
    local value, err = fake:client():get_status "1"
    assert.is_nil(value)
    assert.equal(302, err.status_code)
    assert.equal(21, #fake.requests)
  end)

  it("start again at the gateway when the other origin fails", function()
    local away = { status_code = 302, headers = { location = "https://storage.example/f" } }
    local fake = FakeTransport { away, BUSY, away, { status_code = 200, body = "x" } }
    assert(fake:client():get_result_file("1", "f"))
    assert.matches("^https://gateway", fake.requests[3].url)
    assert.equal("Bearer t0ken", fake.requests[3].headers.authorization)
  end)

  it("send no token to another origin after its 401, and request no new one", function()
    local asked = {}
    local fake = FakeTransport {
      { status_code = 302, headers = { location = "https://storage.example/f" } },
      DENIED,
    }
    local client = fake:client {
      token = function(rejected)
        asked[#asked + 1] = rejected or "fresh"
        return "t"
      end,
    }
    local value, err = client:get_status "1"
    assert.is_nil(value)
    assert.equal(401, err.status_code)
    assert.same({ "fresh" }, asked)
  end)
end)

describe("on_response", function()
  it("is called once per call that got a response of any status", function()
    for _, last in ipairs { OK, { status_code = 404 } } do
      local seen = {}
      local client = FakeTransport({ BUSY, last }):client {
        on_response = function(response)
          seen[#seen + 1] = response
        end,
      }
      client:get_status "1"
      assert.equal(1, #seen)
      assert.equal(last.status_code, seen[1].status_code)
      assert.equal(2, seen[1].attempts)
      assert.equal("GET", seen[1].method)
      assert.is_number(seen[1].seconds)
      assert.is_table(seen[1].headers)
      assert.matches("/1$", seen[1].url)
    end
  end)

  it("of a request replaces the client's, and is not called without a response", function()
    local who = {}
    local function note(name)
      return function()
        who[#who + 1] = name
      end
    end
    local client =
      FakeTransport({ OK, broken }):client { on_response = note "client", max_retries = 0 }
    client:get_status("1", { on_response = note "request" })
    client:get_status "1"
    assert.same({ "request" }, who)
  end)

  it("may raise, after the response has been released", function()
    local client = FakeTransport({ OK }):client {
      on_response = function()
        error("mine", 0)
      end,
    }
    local ok, err = pcall(client.get_status, client, "1")
    assert.is_false(ok)
    assert.equal("mine", err)
    client:close()
  end)

  it("may use the client", function()
    local client, nested
    local fake = FakeTransport { OK }
    client = fake:client {
      on_response = function()
        if not nested then
          nested = true
          assert(client:get_logs("1"))
        end
      end,
    }
    fake.responses[2] = { status_code = 200, body = "[]" }
    assert(client:get_status "1")
    assert.equal(2, #fake.requests)
  end)
end)

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

describe("a transport function", function()
  it("receives method, url, headers, body and timeout", function()
    local fake = FakeTransport { { status_code = 201, body = '{"id":"1"}' } }
    fake:client({ timeout = 7 }):start_execution { a = 1 }
    local request = fake.requests[1]
    assert.equal("POST", request.method)
    assert.equal('{"a":1}', request.body)
    assert.equal(7, request.timeout)
    assert.is_nil(getmetatable(request.headers))
  end)

  it("may return headers in any case and a body in chunks", function()
    local chunks = { '{"id"', "", ':"1"}' }
    local client = FakeTransport({
      function()
        return {
          status_code = 200,
          headers = { ["X-REQUEST-ID"] = "r" },
          body = function()
            return table.remove(chunks, 1)
          end,
        }
      end,
    }):client {
      on_response = function(response)
        assert.equal("r", response.headers["x-request-id"])
      end,
    }
    assert.equal("1", assert(client:get_status "1").id)
  end)

  it("may raise any value, which propagates unchanged", function()
    local client = FakeTransport({
      function()
        error("mine", 0)
      end,
    }):client()
    local ok, err = pcall(client.get_status, client, "1")
    assert.is_false(ok)
    assert.equal("mine", err)
  end)

  it("that returns wrong values gets an error that says so", function()
    for _, answer in ipairs {
      {},
      { status_code = "200" },
      { status_code = 99 },
      { status_code = 200, body = 5 },
      { status_code = 200, headers = "x" },
    } do
      local client = FakeTransport({ answer }):client()
      local ok, message = pcall(client.get_status, client, "1")
      assert.is_false(ok)
      assert.matches("transport function must return", message)
    end
  end)

  it("may yield", function()
    local client = FakeTransport({
      function()
        coroutine.yield "waiting"
        return OK
      end,
    }):client()
    local thread = coroutine.wrap(function()
      return client:get_status "1"
    end)
    assert.equal("waiting", thread())
    assert.equal("1", thread().id)
  end)
end)
