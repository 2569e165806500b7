-- The client as programs see it: construction, usage errors, requests, responses. Over a fake
-- transport.

local FakeTransport = require "spec.support.fake_transport"
local executions = require "qhub.execution"
local qhub = require "qhub"
local usage_error = require "spec.support.usage_error"

local BASE = "https://gateway.example/acme/vqe/v1"

local function build(changes)
  local o = { token = "t", base_url = BASE, transport = function() end }
  for name, value in pairs(changes) do
    o[name] = value ~= "nil" and value or nil
  end
  return qhub.HubServiceClient(o)
end

describe("building a client", function()
  it("needs a token and a base_url", function()
    assert.matches("provide 'token'", usage_error(build, { token = "nil" }))
    assert.matches("provide 'base_url'", usage_error(build, { base_url = "nil" }))
    assert.matches("table of options", usage_error(qhub.HubServiceClient))
  end)

  it("names the caller's line in a usage error", function()
    local line
    local message = usage_error(function()
      line = debug.getinfo(1, "l").currentline + 1
      qhub.HubServiceClient { base_url = BASE }
    end)
    assert.matches("client_spec.lua:" .. line .. ":", message, 1, true)
  end)

  it("refuses a template, user info, queries, fragments and other schemes", function()
    for _, url in ipairs {
      qhub.HubServiceClientEnvironment.DEFAULT,
      "https://gateway.example/%3Ccontext%3E/x/v1",
      "https://user:pass@gateway.example/",
      "https://gateway.example/?a=1",
      "https://gateway.example/#x",
      "ftp://gateway.example/",
      "file:///etc/passwd",
      "gateway.example/acme",
      "https://",
      "https://gate way.example/",
      "https://gateway.example/\r\nX: 1",
      "https://gateway.example:99999/",
      "",
      42,
    } do
      usage_error(build, { base_url = url })
    end
    assert.matches("acme/vqe/v1", usage_error(build, { base_url = "https://g/<a>/b" }))
  end)

  it("accepts environment instead of base_url, which takes precedence", function()
    local fake = FakeTransport { { status_code = 200, body = "[]" } }
    local client = fake:client { environment = qhub.HubServiceClientEnvironment.DEFAULT }
    assert(client:get_service_executions())
    assert.equal(BASE .. "/", fake.requests[1].url)
    usage_error(build, { base_url = "nil", environment = qhub.HubServiceClientEnvironment.DEFAULT })
    assert.truthy(build { base_url = "nil", environment = "http://127.0.0.1:1/x" })
    usage_error(build, { environment = 1 })
  end)

  it("refuses tokens that are empty or have control characters, without showing them", function()
    for _, token in ipairs { "", "s3cret\n", "s3cret\r\nX: y", "s3\0cret", 12, true } do
      local message = usage_error(build, { token = token })
      assert.is_nil(message:find("cret", 1, true))
    end
  end)

  it("shows its address, not its token", function()
    local client = build { token = "s3cret" }
    assert.equal("qhub.HubServiceClient " .. BASE, tostring(client))
    client:close()
    assert.matches("closed", tostring(client))
  end)

  it("is its own service_api, as in the reference SDK", function()
    local client = build {}
    assert.equal(client, client.service_api)
  end)
end)

describe("a response", function()
  local function asked(answer, call)
    local client = FakeTransport({ answer }):client { max_retries = 0 }
    return call(client)
  end
  local function status(body)
    return asked({ status_code = 200, body = body }, function(c)
      return c:get_status "1"
    end)
  end
  local function logs(answer)
    return asked(answer, function(c)
      return c:get_logs "1"
    end)
  end

  it("is exactly one value", function()
    assert.equal(1, select("#", status '{"id":"1"}'))
  end)

  it("accepts any 2xx", function()
    for _, code in ipairs { 200, 201, 202, 203, 206, 226 } do
      assert.truthy(asked({ status_code = code, body = '{"id":"1"}' }, function(c)
        return c:get_status "1"
      end))
    end
  end)

  it("gives an execution fields in both spellings, null as nil, unknown values kept", function()
    local e = status [[{"id":"1","created_at":"2026-02-27 10:04:50","startedAt":null,
      "status":"PAUSED","serviceId":"s","tags":["a"],"novel":{"x":[]}}]]
    assert.equal("2026-02-27 10:04:50", e.created_at)
    assert.is_nil(e.started_at)
    assert.equal("PAUSED", e.status)
    assert.equal("s", e.service_id)
    assert.equal("a", e.tags[1])
    assert.is_nil(e.novel)
    assert.truthy(e.raw.novel)
    assert.is_false(e:is_terminal())
    assert.matches('"novel":{"x":[]}', qhub.json.encode(e), 1, true)
  end)

  it("without an id belongs to the requested execution", function()
    for _, id in ipairs { "", '"id":null,' } do
      local body = "{" .. id .. '"status":"RUNNING"}'
      local known = asked({ status_code = 200, body = body }, function(c)
        return c:execution("1"):refresh()
      end)
      assert.equal("1", known.id)
      local e = status(body)
      assert.equal("1", e.id)
      assert.equal("RUNNING", e.status)
    end
  end)

  it("takes the id from Location when a start has no usable body", function()
    local bodies =
      { "", "null", "<html>", '{"status":"PENDING"}', "[]", '"x"', '{"id":""}', '{"id":{}}' }
    for _, body in ipairs(bodies) do
      local e = assert(asked({
        status_code = 201,
        body = body,
        headers = { LOCATION = BASE .. "/a%2Fb?x=1" },
      }, function(c)
        return c:start_execution {}
      end))
      assert.equal("a/b", e.id)
    end
  end)

  it("without any id fails and says that a run may have started", function()
    local nameless = { "https://gateway.example/", "https://gateway.example", "", "/.." }
    table.insert(nameless, BASE .. "/")
    for _, location in ipairs(nameless) do
      local e, err = asked(
        { status_code = 201, body = "", headers = { location = location } },
        function(c)
          return c:start_execution {}
        end
      )
      assert.is_nil(e)
      assert.equal("decode", err.kind)
      assert.matches("may have started", err.message)
      assert.equal(201, err.status_code)
    end
  end)

  it("with a list becomes executions, and an old health object is recognised", function()
    local list = assert(asked({ status_code = 200, body = '[{"id":"1"},{"id":"2"}]' }, function(c)
      return c:get_service_executions()
    end))
    assert.equal(2, #list)
    assert.equal("2", list[2].id)
    local nothing, err = asked({ status_code = 200, body = '{"status":"up"}' }, function(c)
      return c:get_service_executions()
    end)
    assert.is_nil(nothing)
    assert.equal("decode", err.kind)
  end)

  it("with a result keeps the whole envelope, with aliases that are never encoded", function()
    local text = '{"_embedded":{"status":{"id":"1","status":"FAILED"}},"energy":-1.0,"links":7}'
    local result = assert(asked({ status_code = 200, body = text }, function(c)
      return c:get_result "1"
    end))
    assert.equal(-1.0, result.energy)
    assert.equal("FAILED", result.embedded.status.status)
    assert.equal(7, result.links)
    assert.is_nil(rawget(result, "embedded"))
    assert.same(qhub.json.decode(text), qhub.json.decode(qhub.json.encode(result)))
  end)

  it("with a result that is not an object is returned as decoded", function()
    assert.equal(
      3,
      asked({ status_code = 200, body = "3" }, function(c)
        return c:get_result "1"
      end)
    )
    assert.equal(
      qhub.json.null,
      asked({ status_code = 200, body = "null" }, function(c)
        return c:get_result "1"
      end)
    )
  end)

  it("has no log entries for 204, blank and null, and turns bare strings into entries", function()
    assert.same({}, logs { status_code = 204 })
    assert.same({}, logs { status_code = 200, body = " \n" })
    assert.same({}, logs { status_code = 200, body = "null" })
    local entries = logs {
      status_code = 200,
      body = '["old",{"message":"m","severity":null,"timestamp":"t"}]',
    }
    assert.same({ message = "old" }, entries[1])
    assert.same({ message = "m", timestamp = "t" }, entries[2])
  end)

  it("with an error status is never taken for missing logs", function()
    for _, code in ipairs { 401, 404, 500 } do
      local entries, err = logs { status_code = code, body = "" }
      assert.is_nil(entries)
      assert.equal("api", err.kind)
      assert.equal(code, err.status_code)
    end
  end)

  it("to a cancel may have any body", function()
    for _, body in ipairs { "", "null", "<html>", '{"id":"1"}' } do
      assert.is_true(asked({ status_code = 202, body = body }, function(c)
        return c:cancel_execution "1"
      end))
    end
  end)

  it("that is not the expected JSON is a decode error with the whole body", function()
    for _, body in ipairs { "<html>Welcome</html>", "", '{"id":', "[]", "null", "7" } do
      local e, err = asked({
        status_code = 200,
        body = body,
        headers = { ["content-type"] = "text/html", ["x-request-id"] = "r" },
      }, function(c)
        return c:get_status "1"
      end)
      assert.is_nil(e)
      assert.equal("decode", err.kind)
      assert.equal(200, err.status_code)
      assert.equal(body ~= "" and body or nil, err.body)
      assert.equal("text/html", err.headers["Content-Type"])
      assert.equal("r", err.request_id)
    end
    local _, err = asked({ status_code = 200, body = '{\n"id":}' }, function(c)
      return c:get_status "1"
    end)
    assert.equal(2, err.line)
    assert.equal(6, err.column)
  end)
end)

describe("an error", function()
  local function err_of(answer, options)
    local client = FakeTransport({ answer }):client(options or { max_retries = 0 })
    local value, err = client:get_status "1"
    assert.is_nil(value)
    return err
  end

  it("keeps status, headers, body, request id and attempts", function()
    local err = err_of {
      status_code = 404,
      headers = { ["X-Correlation-Id"] = "c1" },
      body = '{"code":"x","message":"no such execution","description":"d"}',
    }
    assert.is_true(qhub.is_error(err))
    assert.equal("api", err.kind)
    assert.equal(404, err.status_code)
    assert.equal("c1", err.request_id)
    assert.equal("c1", err.headers["x-correlation-ID"])
    assert.equal("no such execution", err.body.message)
    assert.equal("GET", err.method)
    assert.equal(BASE .. "/1", err.url)
    assert.equal(1, err.attempts)
    assert.matches("404 Not Found: no such execution: d", tostring(err))
    assert.matches("404", "it said " .. err)
  end)

  it("keeps its status for any body", function()
    assert.equal("<html>", err_of({ status_code = 502, body = "<html>" }).body)
    assert.is_nil(err_of({ status_code = 502, body = "" }).body)
    assert.equal(502, err_of({ status_code = 502 }).status_code)
    assert.equal(300, err_of({ status_code = 300 }).status_code)
  end)

  it("is one line without the token, even when the gateway echoes it", function()
    local err = err_of {
      status_code = 403,
      body = '{"message":"token t0ken\\nis\\u0007 bad"}',
    }
    assert.is_nil(tostring(err):find "[%c]")
    assert.is_nil(tostring(err):find("t0ken", 1, true))
  end)

  it("contains no part of the token, wherever its text is cut or its spaces are joined", function()
    local token = "s3cret  of  mine"
    for _, value in ipairs { "Bearer s3cret-of-mine ", 'Digest a="s3cret-of-mine", b=x' } do
      local answer = { status_code = 403, body = '{"message":"no s3cret-of-mine"}' }
      local client = FakeTransport({ answer }):client { max_retries = 0 }
      local _, err = client:get_status("1", { headers = { authorization = value } })
      assert.is_nil(tostring(err):find("s3c", 1, true), err)
    end
    for length = 180, 400, 7 do
      local said = ("x"):rep(length) .. token
      for _, answer in ipairs {
        { status_code = 403, body = qhub.json.encode { message = said } },
        { status_code = 200, body = "<html>", headers = { ["content-type"] = said } },
        function()
          return nil, said
        end,
      } do
        local client = FakeTransport({ answer }):client { max_retries = 0, token = token }
        local _, err = client:get_status "1"
        assert.is_nil(tostring(err):find("s3c", 1, true), err)
      end
    end
  end)

  it("raised by assert keeps its fields", function()
    local client = FakeTransport({ { status_code = 404 } }):client()
    local ok, err = pcall(function()
      return _G.assert(client:get_status "1")
    end)
    assert.is_false(ok)
    assert.equal(404, err.status_code)
  end)

  it("of the transport counts as possibly sent, and a start is not repeated", function()
    local fake = FakeTransport {
      function()
        return nil, "cable cut"
      end,
    }
    local client = fake:client()
    local value, err = client:start_execution {}
    assert.is_nil(value)
    assert.equal("network", err.kind)
    assert.is_true(err.sent)
    assert.equal(1, #fake.requests)
    assert.matches("cable cut.*may have started", err.message)
  end)

  it("keeps only the beginning of a long body", function()
    local body = ("x"):rep(100)
    local err = err_of({ status_code = 500, body = body }, {
      max_response_bytes = 10,
      max_retries = 0,
    })
    assert.equal(("x"):rep(10), err.body)
    local pieces = 0
    err = err_of({
      status_code = 200,
      body = function()
        pieces = pieces + 1
        return body
      end,
    }, { max_response_bytes = 250 })
    assert.equal("decode", err.kind)
    assert.equal(3, pieces)
    assert.equal(250, #err.body)
  end)
end)

describe("a closed client", function()
  it("raises at every call, and can be closed twice", function()
    local client = build {}
    local execution = client:execution "1"
    local ended = client:execution "1"
    executions.merge(ended, { id = "1", status = "SUCCEEDED" })
    assert.is_true(client:close())
    assert.is_true(client:close())
    assert.matches("closed", usage_error(ended.wait, ended))
    assert.matches("closed", usage_error(client.get_status, client, "1"))
    assert.matches("closed", usage_error(client.execution, client, "1"))
    assert.matches("closed", usage_error(execution.refresh, execution))
    assert.matches("closed", usage_error(client.wait_all, client, {}))
  end)

  it("is closed by a to-be-closed variable", function()
    local kept
    do
      local client <close> = build {}
      kept = client
    end
    assert.matches("closed", usage_error(kept.get_status, kept, "1"))
  end)

  it("ends its running calls with kind cancelled", function()
    local client
    client = FakeTransport({
      function()
        client:close()
        return { status_code = 200, body = "{}" }
      end,
    }):client()
    local value, err = client:get_status "1"
    assert.is_nil(value)
    assert.equal("cancelled", err.kind)
  end)
end)
