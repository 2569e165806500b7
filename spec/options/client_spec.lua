-- The constructor's options: what is refused, and that a refusal shows no secret.

local FakeTransport = require "spec.support.fake_transport"
local qhub = require "qhub"

local function build(options)
  options.token = options.token or "t0ken-of-mine"
  options.base_url = options.base_url or "https://gateway.example/acme/vqe/v1"
  return qhub.HubServiceClient(options)
end

local function refused(options)
  local ok, message = pcall(build, options)
  assert.is_false(ok)
  return message
end

describe("a URL with credentials", function()
  it("is refused without being shown", function()
    for _, url in ipairs {
      "https://user:MARKER@host/x",
      "https://MARKER@host/x",
      "https://user:MARKER/x@host/x",
      "https://user:12/MARKER@host/x",
      "https://user:MAR KER@host/x MARKER@",
      "https://user:MARKER#x@host",
      "https://user:MARKER?x@host",
      "https://user:MARKER@host:port/x",
      "https://user:MARKER@host:99999/x",
      "https://user:MARKER@[::1/x",
      "https://user:MARKER@",
      "https://user:MARKER@x@host/x",
      "user:MARKER@host/x",
      "ftp://user:MARKER@host/x",
      "//user:MARKER@host/x",
      "https://user:MARKER@host/<context>",
      "https://host/x?access_token=MARKER",
      "https://host/x?sig=MARKER&a=1",
      "https://host:port/x?access_token=MARKER",
      "ftp://host/x?code=MARKER",
      "https://host/<context>?api_key=MARKER",
      "https://host/x#access_token=MARKER",
    } do
      for _, name in ipairs { "base_url", "environment" } do
        local options = { token = "t0ken-of-mine", [name] = url }
        local ok, message = pcall(qhub.HubServiceClient, options)
        assert.is_false(ok, url)
        assert.is_nil(message:find("MARKER", 1, true), message)
      end
      local ok, message = pcall(qhub.credentials.client_credentials, {
        access_key_id = "key",
        secret_access_key = "secret",
        token_endpoint = url,
      })
      assert.is_true(not ok or url:find("?", 1, true) ~= nil, url) -- an endpoint may have a query
      assert.is_nil(tostring(message):find("MARKER", 1, true))
    end
  end)
end)

describe("a token that begins with Bearer", function()
  it("is a usage error when it is given", function()
    for _, word in ipairs { "Bearer ", "bearer ", "BEARER ", " Bearer " } do
      local message = refused { token = word .. "s3cret" }
      assert.matches("leave it out", message)
      assert.is_nil(message:find("s3cret", 1, true))
    end
    build { token = "BearerOfNews" }
  end)

  it("is an error of kind token when a function returns it", function()
    local fake = FakeTransport { { status_code = 200, body = "[]" } }
    local client = fake:client {
      token = function()
        return "Bearer s3cret"
      end,
    }
    local _, err = client:get_service_executions()
    assert.equal("token", err.kind)
    assert.matches("leave it out", err.message)
    assert.is_nil(err.message:find("s3cret", 1, true))
    assert.equal(0, #fake.requests)
  end)
end)

describe("an option of a client for Python", function()
  it("is refused with the name that it has in qhub", function()
    for name, ours in pairs {
      service_endpoint = "base_url",
      access_key_id = "client_credentials",
      secret_access_key = "client_credentials",
      httpx_client = "transport",
      timeout_in_seconds = "timeout",
      wait_for_final_state = "execution:wait",
    } do
      local message = refused { [name] = "x" }
      assert.matches("unknown option '" .. name .. "'", message, 1, true)
      assert.matches(ours, message, 1, true)
    end
  end)
end)

describe("a transport function that returns `status`", function()
  it("gets an error that names status_code", function()
    local client = FakeTransport({ { status = 200, body = "[]" } }):client()
    local ok, message = pcall(client.get_service_executions, client)
    assert.is_false(ok)
    assert.matches("a table with a status_code", message, 1, true)
  end)
end)

describe("the time to connect", function()
  it("is 15 seconds, or the timeout if that is less", function()
    for _, case in ipairs {
      { {}, {}, 15 },
      { { timeout = 300 }, {}, 15 },
      { { timeout = 5 }, {}, 5 },
      { {}, { timeout = 4 }, 4 },
      { { http = { connect_timeout = 40 } }, {}, 40 },
    } do
      local seen
      local client = build(case[1])
      client.session.send = function(request)
        seen = request.connect_timeout
        return nil, { kind = "network", message = "none", sent = true, lasting = true }
      end
      client:get_status("x", case[2])
      assert.equal(case[3], seen)
      client:close()
    end
  end)
end)

describe("parent_execution_token", function()
  local NAME = "x-parent-execution-token"
  local fake, client

  local function sent(options, request)
    fake = FakeTransport { { status_code = 400, body = '{"message":"no Par3ntMARKER"}' } }
    client = fake:client(options)
    local _, err = client:get_status("x", request)
    return fake.requests[1].headers[NAME], err
  end

  it("is sent with every request and redacted", function()
    local value, err = sent { parent_execution_token = "Par3ntMARKER", max_retries = 0 }
    assert.equal("Par3ntMARKER", value)
    assert.matches("no REDACTED", err.message)
  end)

  it("is not sent when it is false", function()
    assert.is_nil((sent { parent_execution_token = false }))
  end)

  it("is refused with control characters, without being shown", function()
    local message = refused { parent_execution_token = "MARKER\n" }
    assert.matches("parent_execution_token has control characters", message)
    assert.is_nil(message:find("MARKER", 1, true))
    assert.matches("must be a string", refused { parent_execution_token = true })
  end)

  it("does not leave the origin", function()
    local hop = { status_code = 302, headers = { Location = "https://elsewhere.example/" } }
    fake = FakeTransport { hop, { status_code = 200, body = '{"status":"RUNNING"}' } }
    client = fake:client { parent_execution_token = "Par3ntMARKER" }
    assert(client:get_status "x")
    assert.equal("Par3ntMARKER", fake.requests[1].headers[NAME])
    assert.is_nil(fake.requests[2].headers[NAME])
  end)
end)
