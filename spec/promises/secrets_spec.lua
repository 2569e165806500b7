-- Secrets stay secret: a token, a client's secret and a secret header are put through every way in
-- which a call can fail, against servers that say them back, and everything that a program or a
-- person gets to see is searched for them.

local calls = require "spec.support.calls"
local client_of = require "spec.support.client_of"
local gateway = require "spec.support.gateway"
local lfs = require "lfs"
local process = require "spec.support.process"
local qhub = require "qhub"
local scripted = require "spec.support.scripted"
local shared = require "spec.support.shared"
local trial = require "spec.support.trial"

local TOKEN = "t0kenMARKERx7Qz"
local SECRET = "s3cretMARKER/+9y"
local BASIC = "a2V5OnMzY3JldE1BUktFUi8rOXk=" -- base64 of "key:" and the secret
local ENCODED = "s3cretMARKER%2F%2B9y"

-- Fails when a text shows a secret, or a good part of one.
local function check_text(text, where)
  for _, secret in ipairs { TOKEN, SECRET, BASIC, ENCODED, "MARKER", "t0ken", "s3cret" } do
    if text:find(secret, 1, true) then error(where .. " shows " .. secret .. ": " .. text, 0) end
  end
end

-- Searches a value and everything in it.
local function check(value, where, seen)
  seen = seen or {}
  if type(value) == "string" then
    check_text(value, where)
  elseif type(value) == "table" and not seen[value] then
    seen[value] = true
    for name, member in next, value do
      check(name, where .. " key", seen)
      check(member, where .. "." .. tostring(name), seen)
    end
  elseif type(value) == "userdata" then
    check_text(tostring(value), where)
  end
end

-- An error object: all of it but the server's own words, which are handed on as they are.
local function check_error(err)
  check_text(tostring(err), "tostring")
  check_text("" .. err, "concatenation")
  for name, value in next, err do
    if name == "cause" and qhub.is_error(value) then
      check_error(value)
    elseif name ~= "headers" and name ~= "body" and name ~= "request_id" then
      check(value, "err." .. name)
    end
  end
  local _, trace = xpcall(error, function(raised)
    return debug.traceback(tostring(raised))
  end, err)
  check_text(trace, "traceback")
end

describe("a secret", function()
  local server = shared(scripted.start)
  local logged, hurry

  before_each(function()
    logged, hurry = {}, trial.at_once()
  end)

  after_each(function()
    getmetatable(hurry).__close()
  end)

  local LOGGING = {
    level = "debug",
    logger = function(level, message, fields)
      logged[#logged + 1] = { level, message, fields }
    end,
  }

  local function new_client(options)
    return client_of(server, { token = TOKEN, max_retries = 1, logging = LOGGING }, options)
  end

  -- Carries out all operations and searches everything that they show. Returns how many failed.
  local function search(client, options)
    local failures = 0
    for _, call in ipairs(calls) do
      local ok, value, err = xpcall(call.invoke, debug.traceback, client, options)
      if not ok then
        error(value, 0)
      elseif err then
        failures = failures + 1
        check_error(err)
      end
    end
    check_text(tostring(client), "tostring(client)")
    assert.is_true(#logged > 0)
    check(logged, "log")
    return failures
  end

  -- Everything that a server could say, with the token in it: it knows it from the request.
  local ECHO = ("bearer %s Bearer %s [%s] %s%s"):format(TOKEN, TOKEN, TOKEN, TOKEN, TOKEN)
  local FIELDS = {
    "Authorization: Bearer " .. TOKEN,
    "X-Echo: " .. ECHO,
    "Set-Cookie: session=" .. TOKEN,
    "X-Api-Key: " .. SECRET,
    "X-Request-Id: " .. TOKEN,
    'WWW-Authenticate: Bearer error="' .. TOKEN .. '"',
    "Content-Type: text/" .. TOKEN,
    "Retry-After: 0",
  }

  local LONG = ("x"):rep(190) .. TOKEN .. ("y"):rep(5000) -- where a message is cut

  local scripts = {
    ["nothing at all"] = {},
    ["half a head"] = { "HTTP/1.1 200 " .. TOKEN .. "\r\nX-Echo: " .. TOKEN },
    ["another protocol"] = { "SSH-2.0-" .. ECHO .. "\r\n" },
    ["an invalid header line"] = { "HTTP/1.1 200 OK\r\n" .. ECHO .. "\r\n\r\n" },
    ["an invalid length"] = { "HTTP/1.1 200 OK\r\nContent-Length: " .. ECHO .. "\r\n\r\n" },
    ["an invalid encoding"] = {
      "HTTP/1.1 200 OK\r\nContent-Encoding: " .. TOKEN .. "\r\n\r\n" .. ECHO,
    },
    ["half a body"] = {
      'HTTP/1.1 200 OK\r\nETag: "' .. TOKEN .. '"\r\nContent-Length: 9999\r\n\r\n' .. ECHO,
    },
    ["an invalid chunk"] = {
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" .. ECHO .. "\r\n",
    },
    ["a body that is not JSON"] = { scripted.response("200 " .. TOKEN, ECHO, FIELDS) },
    ["JSON that breaks off"] = { scripted.response("200 OK", '{"' .. ECHO .. '":', FIELDS) },
    ["JSON of the wrong shape"] = { scripted.response("200 OK", '[{"id":1},"' .. TOKEN .. '"]') },
    ["log entries of the wrong shape"] = { scripted.response("200 OK", '[["' .. TOKEN .. '"]]') },
    ["an error as plain text"] = { scripted.response("400 " .. ECHO, ECHO, FIELDS) },
    ["an error in a message"] = { scripted.response("400 No", '{"message":"' .. ECHO .. '"}') },
    ["an error in a long message"] = scripted.kept("400 No", '{"message":"' .. LONG .. '"}'),
    ["an error in several members"] = {
      scripted.response(
        "422 No",
        '{"error":{"message":"' .. TOKEN .. '"},"detail":"' .. ECHO .. '"}'
      ),
    },
    ["a 401"] = { scripted.response("401 No", '{"error":"' .. ECHO .. '"}', FIELDS) },
    ["a 503"] = { scripted.response("503 No", '{"error":"' .. ECHO .. '"}', FIELDS) },
    ["a redirect to another scheme"] = {
      scripted.response("307 No", ECHO, { "Location: ftp://" .. TOKEN .. "@h/" .. TOKEN }),
    },
    ["a redirect to an invalid address"] = {
      scripted.response("307 No", ECHO, { "Location: http://[" .. TOKEN .. "/" }),
    },
    ["a redirect to itself"] = {
      scripted.response("307 No", "", { "Location: /x?access_token=" .. TOKEN .. "&" .. TOKEN }),
    },
    ["a redirect to an unreachable server"] = {
      scripted.response(
        "302 No",
        "",
        { "Location: http://127.0.0.1:1/" .. TOKEN .. "?a=" .. TOKEN }
      ),
    },
  }

  for what, script in pairs(scripts) do
    it("is not shown when a server sends " .. what, function()
      server:play(script)
      do
        local client <close> = new_client()
        assert.is_true(search(client) > 0)
      end
      local asked = 0
      local client <close> = new_client {
        token = function(rejected)
          asked = asked + 1
          return rejected and TOKEN .. "2" or TOKEN
        end,
      }
      assert.is_true(search(client) > 0)
      assert.is_true(asked >= #calls)
    end)
  end

  it("is not shown when the server goes silent #timing", function()
    server:play { { hang = true } }
    local client <close> = new_client { timeout = 0.05, max_retries = 0 }
    assert.equal(#calls, search(client))
  end)

  it("is not shown when there is no connection", function()
    local gone = scripted.start { tls = true }
    for _, options in ipairs {
      { base_url = "http://no-such-host.invalid/svc" },
      { base_url = "http://127.0.0.1:1/svc" },
      { base_url = gone.url }, -- not trusted
      { http = { proxy = "http://user:" .. SECRET:gsub("/", "%%2F") .. "@127.0.0.1:1" } },
    } do
      local client <close> = new_client(options)
      assert.equal(#calls, search(client))
    end
    gone:stop()
  end)

  it("is not shown when it is in the program's own header or query", function()
    local fields = { "X-Echo: Bearer " .. SECRET, "Cookie: " .. SECRET }
    local body = '{"message":"' .. SECRET .. '"}'
    server:play(scripted.kept("400 No", body, fields))
    local client <close> = new_client {
      headers = { ["X-Api-Key"] = SECRET, Cookie = "session=" .. SECRET },
    }
    assert.equal(
      #calls,
      search(client, {
        query = { api_key = SECRET, ["Session-Id"] = SECRET, ["%61ccess_token"] = SECRET },
        headers = { Authorization = "Bearer " .. SECRET },
      })
    )
  end)

  it("of an earlier attempt is not shown by what ends the call", function()
    local count
    local function token_of(last)
      count = 0
      return function()
        count = count + 1
        if count == last then return nil, "the vault said " .. TOKEN .. 1 end
        return TOKEN .. count
      end
    end
    local unwell = { scripted.response("503 No", "", { "Retry-After: 0" }) }
    local refused = { scripted.response("401 No", "") }
    local said = { scripted.response("400 No", ('{"message":"%s1 %s2"}'):format(TOKEN, TOKEN)) }
    for _, case in ipairs {
      { scripts = { unwell }, last = 2, attempts = 1 },
      { scripts = { unwell, said }, attempts = 2 },
      { scripts = { refused, unwell }, last = 3, attempts = 2 },
      { scripts = { refused, unwell, said }, attempts = 3 },
    } do
      server:play(table.unpack(case.scripts))
      local client <close> = new_client { token = token_of(case.last) }
      local _, err = client:get_status "x"
      assert.equal(case.attempts, err.attempts)
      check_error(err)
    end
  end)

  it("is not shown by a decode error in a part, wherever a long value would be cut", function()
    for _, case in ipairs {
      { "get_status", '"%s"' },
      { "get_status", '{"id":"%s"}' },
      { "get_logs", '"%s"' },
      { "get_service_executions", '["%s"]' },
    } do
      local method, form = table.unpack(case)
      local id = method ~= "get_service_executions" and "x" or nil
      for length = 0, 60 do
        local body = form:format(("p"):rep(length) .. TOKEN)
        server:play { scripted.response("200 OK", body) }
        local client <close> = new_client { token = TOKEN }
        local _, err = client[method](client, id)
        assert.equal("decode", err.kind)
        check_error(err)
      end
    end
  end)

  it("of few letters is not shown by a decode error with what steers a terminal in it", function()
    server:play { scripted.response("200 OK", '"p4$$\u{85}-!-!-w"') }
    local client <close> = new_client { token = "p4$$-!-!-w" }
    local _, err = client:get_status "x"
    assert.equal("decode", err.kind)
    assert.is_nil(err.message:find("-!-!-w", 1, true), err.message)
  end)

  it("is not shown by usage errors", function()
    local client <close> = new_client()
    local line = SECRET .. "\n"
    for index, attempt in ipairs {
      function()
        qhub.HubServiceClient(SECRET)
      end,
      function()
        qhub.credentials.default(SECRET)
      end,
      function()
        qhub.credentials.client_credentials(SECRET)
      end,
      function()
        client:start_execution('{"$secrets":{"KEY":"' .. SECRET .. '"}}')
      end,
      function()
        client:get_status("x", SECRET)
      end,
      function()
        new_client { token = line }
      end,
      function()
        new_client { token = { SECRET } }
      end,
      function()
        new_client { base_url = "https://user:" .. SECRET:gsub("/", "%%2F") .. "@host/x" }
      end,
      function()
        new_client { base_url = "https://host/x?token=" .. SECRET }
      end,
      function()
        new_client { headers = { Authorization = line } }
      end,
      function()
        new_client { headers = { ["X-Secret"] = { SECRET } } }
      end,
      function()
        new_client { http = { client_key = { SECRET } } }
      end,
      function()
        client:get_status("x", { headers = { ["X-Secret"] = line } })
      end,
      function()
        client:get_status("x", { query = { secret = function() end } })
      end,
      function()
        qhub.credentials.client_credentials { access_key_id = "key", secret_access_key = line }
      end,
      function()
        qhub.credentials.client_credentials {
          access_key_id = "key:" .. SECRET,
          secret_access_key = "x",
        }
      end,
      function()
        qhub.credentials.client_credentials {
          access_key_id = "key",
          secret_access_key = SECRET,
          token_endpoint = "https://key:" .. SECRET .. "@host/token",
        }
      end,
    } do
      local ok, trace = xpcall(attempt, debug.traceback)
      assert.is_false(ok, index)
      check_text(trace, "message " .. index)
    end
  end)

  it("of client_credentials is not shown for any response of the token endpoint", function()
    local said = ("%s %s %s Basic %s"):format(SECRET, ENCODED, BASIC, BASIC)
    local token = '{"access_token":"' .. TOKEN .. '"'
    for _, script in ipairs {
      {},
      { "SSH-2.0-" .. said .. "\r\n" },
      { scripted.response("401 " .. said, '{"error_description":"' .. said .. '"}') },
      { scripted.response("400 No", said) },
      { scripted.response("500 No", '{"message":"' .. ("x"):rep(190) .. said .. '"}') },
      { scripted.response("200 OK", said) },
      { scripted.response("200 OK", '{"error":"' .. said .. '"}') },
      { scripted.response("200 OK", '{"access_token":"' .. TOKEN .. '\\n"}') },
      { scripted.response("200 OK", token) }, -- breaks off
      { scripted.response("307 No", "", { "Location: ftp://h/" .. ENCODED }) },
      { scripted.response("307 No", "", { "Location: http://127.0.0.1:1/" .. BASIC }) },
      { scripted.response("302 No", "", { "Location: /token?secret=" .. ENCODED }) },
    } do
      server:play(script)
      local obtain = qhub.credentials.client_credentials {
        access_key_id = "key",
        secret_access_key = SECRET,
        token_endpoint = server.origin .. "/token",
      }
      local none, reason = obtain()
      assert.is_nil(none)
      check_text(reason, "reason")
      check_text(tostring(obtain), "tostring")
      local client <close> = new_client { token = obtain }
      assert.equal(#calls, search(client))
      for _, request in ipairs(server:requests()) do
        assert.matches("/token$", request.target) -- nothing else went out
      end
    end
  end)

  it("of client_credentials is used, and the token it buys is not shown", function()
    local simulator <close> = gateway.start {
      "--set",
      "access_key_id=key",
      "--set",
      "secret_access_key=" .. SECRET,
    }
    local obtain = qhub.credentials.client_credentials {
      access_key_id = "key",
      secret_access_key = SECRET,
      token_endpoint = simulator.origin .. "/token",
    }
    local client <close> = new_client { base_url = simulator.url, token = obtain }
    assert(client:start_execution {})
    local token = obtain()
    simulator:fault {
      times = -1,
      fault = { status = 400, body = { message = "not with " .. token } },
    }
    local _, err = client:get_status "x"
    assert.matches("not with", err.message)
    for _, text in ipairs { tostring(err), err.message, err.url } do
      assert.is_nil(text:find(token, 1, true))
    end
    for _, event in ipairs(logged) do
      for _, value in pairs(event[3]) do
        assert.is_nil(tostring(value):find(token, 1, true))
      end
    end
    check(logged, "log")
  end)

  it("is in no file that a download leaves behind", function()
    local folder = os.tmpname()
    os.remove(folder)
    lfs.mkdir(folder)
    local head = 'HTTP/1.1 200 OK\r\nETag: "1"\r\nContent-Length: 100000\r\n\r\n'
    server:play({ head .. ("x"):rep(50000) }, {})
    local client <close> = new_client { max_retries = 0 }
    local execution = client:execution "0190cf2e"
    local options =
      { resume = true, query = { api_key = SECRET }, headers = { ["X-Key"] = SECRET } }
    local path, err = execution:download("result.bin", folder .. "/saved", options)
    assert.is_nil(path)
    check_error(err)
    local files = 0
    for name in lfs.dir(folder) do
      local file = io.open(folder .. "/" .. name)
      local text = file and file:read "a"
      if text then
        files = files + 1
        check_text(name, "file name")
        check_text(text, "file " .. name)
      end
      if file then file:close() end
    end
    assert.equal(2, files)
    check(logged, "log")
    os.execute("rm -r " .. folder)
  end)

  it("is not in what the default logger writes, nor in an uncaught error #process", function()
    server:play { scripted.response("400 No", '{"message":"' .. ECHO .. '"}', FIELDS) }
    for _, how in ipairs { "print(%s)", "assert(%s)", "error(select(2, %s))" } do
      local output = process.run_program(
        ([[
        local qhub = require "qhub"
        local client = qhub.HubServiceClient {
          base_url = %q, token = %q, logging = { level = "debug" },
        }
      ]]):format(server.url, TOKEN)
          .. how:format "client:get_status('x', { query = { key = 'MARKER' } })"
      )
      assert.matches("qhub debug attempt", output)
      check_text(output, "output")
    end
  end)
end)
