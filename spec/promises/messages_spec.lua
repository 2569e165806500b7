-- Messages, as a person reads them: each says what was wrong, where, what was expected, and what to
-- do about it. Programs look at the fields of an error; the texts may change, these parts may not.

local FakeTransport = require "spec.support.fake_transport"
local gateway = require "spec.support.gateway"
local has_parts = require "spec.support.has_parts"
local qhub = require "qhub"

local plain_assert = _G.assert
local BASE = "https://gateway.example/acme/vqe/v1"

local function build(options)
  options = options or {}
  if options.token == nil then
    options.token = "t0ken-of-mine"
  elseif options.token == false then
    options.token = nil
  end
  if options.base_url == nil and not options.environment then options.base_url = BASE end
  return qhub.HubServiceClient(options)
end

describe("a usage error", function()
  local client = FakeTransport({ { status_code = 200, body = "{}" } }):client()
  local execution = client:execution "1"

  -- What a program does wrong, and what it is told.
  local causes = {
    {
      "no options at all",
      function()
        qhub.HubServiceClient()
      end,
      { "HubServiceClient", "a table of options", "got nil" },
    },
    {
      "a token from a variable that is not set",
      function()
        build { token = false }
      end,
      { "'token'", "a string, or a function", "os.getenv" },
    },
    {
      "an empty token",
      function()
        build { token = "" }
      end,
      { "token is an empty string", "variable" },
    },
    {
      "a token with its line break",
      function()
        build { token = "s3cret-token\n" }
      end,
      { "token has control characters", "a line break at its end?" },
    },
    {
      "no address",
      function()
        qhub.HubServiceClient { token = "x" }
      end,
      { "'base_url'", "https://gateway.hub.kipu-quantum.com/acme/vqe/v1" },
    },
    {
      "the template of the reference SDK",
      function()
        build { environment = qhub.HubServiceClientEnvironment.DEFAULT }
      end,
      {
        "environment",
        "<context>",
        "still has placeholders",
        "like https://gateway.hub.kipu-quantum.com/acme/vqe/v1",
      },
    },
    {
      "an address without a scheme",
      function()
        build { base_url = "gateway.example/acme" }
      end,
      { 'base_url "gateway.example/acme"', "no scheme", "should look like https://" },
    },
    {
      "an address with a password",
      function()
        build { base_url = "https://me:hidden@gateway.example/" }
      end,
      { "base_url", "user name or password", "give a token instead" },
    },
    {
      "an address with a query",
      function()
        build { base_url = BASE .. "?a=1" }
      end,
      { "base_url", "query", "per request" },
    },
    {
      "an option with a slip of the pen",
      function()
        client:get_status("1", { timout = 1 })
      end,
      { "get_status", "unknown option 'timout'", "known are headers, max_retries", "timeout" },
    },
    {
      "an option of a table within",
      function()
        build { http = { cafile = "x" } }
      end,
      { "HubServiceClient.http", "'cafile'", "known are ca_file" },
    },
    {
      "an option of the start within a run",
      function()
        client:run({}, { start = { idempotant = true } })
      end,
      { "run.start", "'idempotant'", "known are", "idempotent" },
    },
    {
      "a time that is none",
      function()
        build { timeout = "60" }
      end,
      { "timeout must be a number of seconds above 0", 'got "60"' },
    },
    {
      "a count that is none",
      function()
        build { max_retries = 1.5 }
      end,
      { "max_retries must be a whole number from 0", "got 1.5" },
    },
    {
      "a choice that is none",
      function()
        build { http = { http_version = "3" } }
      end,
      { 'http_version must be one of "1.1", "2"', 'got "3"' },
    },
    {
      "a header's name",
      function()
        build { headers = { ["a b"] = "x" } }
      end,
      { '"a b" is not a header name', "X-Request-Id" },
    },
    {
      "a header's value",
      function()
        build { headers = { ["X-Api-Key"] = "hidden\r\nX-Evil: 1" } }
      end,
      { "header X-Api-Key has control characters" },
    },
    {
      "an id that is missing",
      function()
        client:get_status(nil)
      end,
      { "get_status", "id must be a string that is not empty", "got nil" },
    },
    {
      "an id that would lead elsewhere",
      function()
        client:get_status ".."
      end,
      { 'id must not be ".."', "another address" },
    },
    {
      "a dot for a colon, as in Python",
      function()
        client.service_api.get_status "1"
      end,
      { "get_status", "with a colon", "service:get_status(" },
    },
    {
      "a dot for a colon at an execution",
      function()
        execution.wait()
      end,
      { "execution:wait", "with a colon", "not on nil" },
    },
    {
      "a dot for a colon at what needs no request",
      function()
        execution.is_terminal()
      end,
      { "execution:is_terminal", "with a colon", "not on nil" },
    },
    {
      "a dot for a colon at close",
      function()
        client.close()
      end,
      { "close", "with a colon", "service:close(" },
    },
    {
      "a body that is no table",
      function()
        client:start_execution "H2"
      end,
      { "start_execution", "a table that encodes to a JSON object", "got string" },
    },
    {
      "a body that is a list",
      function()
        client:start_execution { 1, 2 }
      end,
      { "must encode to a JSON object, not to an array" },
    },
    {
      "a body that JSON cannot hold",
      function()
        client:start_execution { input = { coefficients = { 1, 2, 0 / 0 } } }
      end,
      { "input.coefficients[3]: NaN cannot be written", "use qhub.json.null or a string" },
    },
    {
      "waiting for no execution",
      function()
        client:wait_all { "1" }
      end,
      { 'item 1 is "1", not an execution' },
    },
    {
      "waiting for one execution as if it were many",
      function()
        client:wait_all(execution)
      end,
      { "wait_all: a list of executions is needed, got a qhub.Execution" },
    },
    {
      "a download to nowhere",
      function()
        execution:download "result.bin"
      end,
      { "download: path must be", "a file or a folder to save to", "got nil" },
    },
    {
      "a task that is none",
      function()
        qhub.tasks.gather { 5 }
      end,
      { "tasks.gather: a task is needed, got 5" },
    },
    {
      "credentials in one piece",
      function()
        qhub.credentials.client_credentials { access_key_id = "a:b", secret_access_key = "hidden" }
      end,
      { "access_key_id must not contain ':'", "is the secret in it, too?" },
    },
    {
      "a client that is closed",
      function()
        local closed = FakeTransport({}):client()
        closed:close()
        closed:get_status "1"
      end,
      { "get_status: the client is closed" },
    },
  }

  for _, cause in ipairs(causes) do
    local name, act, parts = table.unpack(cause)
    it("names the caller's line: " .. name, function()
      local ok, message = pcall(act)
      assert.is_false(ok)
      assert.is_string(message)
      local place = debug.getinfo(act, "S")
      local line = tonumber(message:match "messages_spec%.lua:(%d+): ")
      plain_assert(line, message)
      local is_inside = line >= place.linedefined and line <= place.lastlinedefined
      -- What `build` does is done at its line.
      local of_build = debug.getinfo(build, "S")
      is_inside = is_inside or line >= of_build.linedefined and line <= of_build.lastlinedefined
      assert.is_true(is_inside, message)
      has_parts(message, parts)
      for _, secret in ipairs { "hidden", "s3cret" } do
        assert.is_nil(message:find(secret, 1, true), message)
      end
    end)
  end
end)

describe("an error", function()
  local function answered(answer, options, call)
    local client = FakeTransport({ answer }):client { max_retries = 0, token = "t0ken-of-mine" }
    local value, err
    if call then
      value, err = call(client)
    else
      value, err = client:get_status("1", options)
    end
    assert.is_nil(value)
    return tostring(err)
  end

  local WHERE = "(GET https://gateway.example/acme/vqe/v1/1)"

  it("of a 401 says how tokens are given", function()
    local text = answered { status_code = 401, body = '{"message":"expired"}' }
    has_parts(text, { "get_status", "401 Unauthorized: expired", "token", WHERE })
    has_parts(text, { "a function that returns one", "qhub.credentials.client_credentials" })
  end)

  it("of a 401 does not blame a token that was not sent", function()
    local own = { headers = { Authorization = "Bearer another" } }
    local text = answered({ status_code = 401 }, own)
    has_parts(text, { "the client's token was not sent", "Authorization of its own" })
    assert.is_nil(text:find("fresh", 1, true))
    text = answered({ status_code = 401 }, { headers = { Authorization = false } })
    has_parts(text, { "the client's token was not sent" })
  end)

  it("of a 404 that explains nothing says what to look at", function()
    has_parts(answered { status_code = 404 }, { "404 Not Found", "base_url", "id", WHERE })
    local text = answered { status_code = 404, body = '{"message":"no such execution"}' }
    has_parts(text, { "404 Not Found: no such execution " })
  end)

  it("of any status shows the gateway's own message", function()
    local body = '{"code":900802,"message":"Throttled Out","description":"Quota exceeded"}'
    local text = answered { status_code = 429, body = body }
    has_parts(text, { "429 Too Many Requests: Throttled Out: Quota exceeded" })
  end)

  it("does not repeat the words of the status", function()
    local body = '{"error":"Not Found","message":"no such file"}'
    has_parts(answered { status_code = 404, body = body }, { "404 Not Found: no such file (" })
    assert.matches("404 Not Found;", answered { status_code = 404, body = '{"error":"Not Found"}' })
  end)

  it("of a web page in place of JSON says what it is and where to look", function()
    local headers = { ["Content-Type"] = "text/html" }
    local text = answered { status_code = 200, headers = headers, body = "<html>" }
    has_parts(text, { "line 1, column 1", "'<'", "text/html", "base_url", "proxy", WHERE })
  end)

  it("of a truncated response says where it ends", function()
    local text = answered { status_code = 200, body = '{"id":' }
    has_parts(text, { "line 1, column 7", "the end of the text" })
  end)

  it("of a response of the wrong type names both types", function()
    local text = answered { status_code = 200, body = "[]" }
    has_parts(text, { "an execution is a JSON object", "an array" })
  end)

  it("of a redirect that is not followed says why", function()
    has_parts(answered { status_code = 302 }, { "302: not followed", "Location" })
  end)

  it("of a start that may have happened points to the list of executions", function()
    local client = qhub.HubServiceClient {
      token = "t0ken-of-mine",
      base_url = BASE,
      transport = function()
        return nil, "cable cut"
      end,
    }
    local _, err = client:start_execution {}
    has_parts(tostring(err), {
      "start_execution: cable cut",
      "may have started a run",
      "list of executions",
      "(POST https://gateway.example/acme/vqe/v1/)",
    })
  end)

  it("of a token function shows its reason on one line", function()
    local client = build {
      token = function()
        return nil, "the vault\nis sealed"
      end,
    }
    local _, err = client:get_status "1"
    has_parts(tostring(err), { "token error", "the token function", "the vault is sealed" })
  end)

  it("of a missing token names each place that was searched", function()
    local _, err = qhub.credentials.default()
    if err then
      has_parts(tostring(err), { "access_token", "KQH_PERSONAL_ACCESS_TOKEN", "config.json" })
    end
  end)

  it("of a failed connection names the address and the system's error", function()
    local client <close> = build { base_url = "http://127.0.0.1:1/x", max_retries = 0 }
    local _, err = client:get_status "1"
    has_parts(tostring(err), { "cannot connect to 127.0.0.1:1", "Connection refused" })
  end)

  it("of an untrusted certificate names the option for it", function()
    local server <close> = gateway.start { tls = true }
    local client <close> = build { base_url = server.url, max_retries = 0 }
    local _, err = client:get_status "1"
    has_parts(tostring(err), { "certificate", "http.ca_file" })
  end)

  it("of a certificate for another name does not suggest the option", function()
    local server <close> = gateway.start { tls = true, host = "another.example" }
    local http = { ca_file = server.ca_file }
    local client <close> = build { base_url = server.url, max_retries = 0, http = http }
    local _, err = client:get_status "1"
    has_parts(tostring(err), { "certificate" })
    assert.is_nil(tostring(err):find("ca_file", 1, true), tostring(err))
  end)

  it("of a CA file that cannot be read names the option", function()
    local server <close> = gateway.start { tls = true }
    local http = { ca_file = "/nonexistent.pem" }
    local client <close> = build { base_url = server.url, max_retries = 0, http = http }
    local _, err = client:get_status "1"
    has_parts(tostring(err), { "http.ca_file" })
  end)

  it("of a file names the path and the system's error", function()
    local client = FakeTransport({ { status_code = 200, body = "x" } }):client()
    local _, err = client:execution("1"):download("result.bin", "/nonexistent/result.bin")
    has_parts(tostring(err), { "download: /nonexistent/result.bin: No such file or directory" })
  end)

  it("of JSON names line and column", function()
    local _, err = qhub.json.decode '{\n  "a": 01}'
    has_parts(tostring(err), { "line 2, column 8", "leading zeros" })
  end)
end)
