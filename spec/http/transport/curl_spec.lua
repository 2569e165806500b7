-- HTTP as programs trust it: what goes over the wire, over which connections, and by which proxy.
-- TLS is in curl_tls_spec.lua, what hostile servers send in spec/promises/faults.

local calls = require "spec.support.calls"
local client_of = require "spec.support.client_of"
local gateway = require "spec.support.gateway"
local libcurl = require "spec.support.libcurl"
local process = require "spec.support.process"
local qhub = require "qhub"
local scripted = require "spec.support.scripted"
local shared = require "spec.support.shared"
local trial = require "spec.support.trial"

describe("connections", function()
  local server = shared(gateway.start)
  local id

  setup(function()
    id = server:create(1)[1]
  end)

  before_each(function()
    collectgarbage() -- clients of other specs, with their connections
    server:clear()
  end)

  local function connections()
    return server:requests().connections.total
  end

  it("that a start waits for have not been sent anything when its client is closed", function()
    local client = client_of(server, { http = { max_connections = 1 } })
    server:fault { fault = { hang = "headers" } }
    local err = qhub.tasks.run(function()
      qhub.tasks.spawn(client.get_status, client, id)
      local start = qhub.tasks.spawn(client.start_execution, client, {})
      repeat
        qhub.tasks.sleep(0.005)
      until server:requests().total == 1
      client:close()
      return select(2, start:join())
    end)
    assert.equal("cancelled", err.kind)
    assert.is_false(err.sent)
    assert.is_nil(err.message:find("may have started", 1, true))
    assert.equal(1, server:requests().total)
  end)

  it("are reused by their client after any status below 500", function()
    local one <close> = client_of(server)
    local other <close> = client_of(server, { timeout = 5, max_retries = 0 })
    for _ = 1, 10 do
      assert(one:get_status(id))
      assert(other:get_logs(id))
      assert.equal(404, select(2, other:get_result "none").status_code)
      assert(one:start_execution {})
    end
    assert.equal(40, server:requests().total)
    assert.equal(libcurl.starts_use_kept and 2 or 12, connections())
  end)

  it("are reused after a file was read to its end", function()
    local simulate = { pending_ms = 0, running_ms = 0, files = { ["result.bin"] = 100000 } }
    local run = server:create(1, { simulate = simulate })[1]
    local client <close> = client_of(server)
    for _ = 1, 3 do
      assert.equal(100000, #assert(client:get_result_file(run, "result.bin")):read_all())
      assert(client:get_status(run))
    end
    assert.equal(1, connections())
  end)

  it("are closed when the server asks for it, and with the last client", function()
    do
      local client <close> = client_of(server)
      server:fault { fault = { close = true } }
      assert(client:get_status(id))
      assert(client:get_status(id))
      assert.equal(2, connections())
      assert.equal(1, server:requests().connections.open)
    end
    repeat
    until server:requests().connections.open == 0
  end)

  it("are never more than max_connections at a time", function()
    server:settings { latency_ms = 10 }
    for _, most in ipairs { 1, 3 } do
      server:call("DELETE", "requests")
      local client <close> = client_of(server, { http = { max_connections = most } })
      qhub.tasks.run(function()
        for _ = 1, 12 do
          qhub.tasks.spawn(client.get_status, client, id)
        end
      end)
      local seen = server:requests()
      assert.equal(12, seen.total)
      assert.equal(most, seen.peak)
      assert.equal(most, seen.connections.peak)
    end
  end)
end)

describe("a request on the wire", function()
  local server = shared(scripted.start)

  -- The heads of the requests that `fn(client)` leads to, each a table of lines by lower-case name;
  -- a name that comes twice is an error.
  local function heads(call, options, request_options)
    server:play(trial.good(call))
    local client <close> = client_of(server, options)
    assert(call.invoke(client, request_options))
    local request = server:requests()[1]
    local fields = {}
    for line in request.head:gmatch "\r?\n([^\r\n]+)" do
      local name, value = line:match "^([^:]+): ?(.*)$"
      name = name:lower()
      assert.is_nil(fields[name], "twice: " .. line)
      fields[name] = value
    end
    return fields, request
  end

  -- Responses that are never worth compressing.
  local IS_SMALL = { get_status = true, start_execution = true, cancel_execution = true }

  it("has each header once, and no unexpected ones", function()
    for _, call in ipairs(calls) do
      local fields, request = heads(call)
      assert.matches("^" .. call.method .. " [^ ]+ HTTP/1%.1\r\n", request.head)
      local expected = {
        host = server.origin:match "//(.*)",
        authorization = "Bearer tok-en",
        accept = call.is_file and "*/*" or "application/json, */*;q=0.5",
        ["user-agent"] = "qhub-lua/" .. qhub._VERSION:match "[%d.]+",
        ["accept-encoding"] = call.is_file and "identity"
          or not IS_SMALL[call.name] and fields["accept-encoding"]
          or nil,
      }
      if call.method ~= "GET" then expected["content-length"] = tostring(request.body_size) end
      if call.name == "start_execution" then expected["content-type"] = "application/json" end
      assert.same(expected, fields, call.name)
      if not IS_SMALL[call.name] then
        assert.matches(call.is_file and "identity" or "gzip", fields["accept-encoding"])
      end
    end
  end)

  it("keeps no cookies", function()
    local client <close> = client_of(server)
    local body = calls.get_status.body
    local bytes = scripted.response("200 OK", body, { "Set-Cookie: session=1; Path=/" })
    server:play { bytes, { keep = true } }
    assert(client:get_status "0190cf2e")
    assert(client:get_status "0190cf2e")
    assert.is_nil(server:requests()[2].head:lower():find("cookie", 1, true))
  end)

  it("encodes each id and name as one segment, byte for byte", function()
    local client <close> = client_of(server)
    for text, encoded in pairs {
      ["a/b"] = "a%2Fb",
      ["a b+c"] = "a%20b%2Bc",
      ["a?b=c#d"] = "a%3Fb%3Dc%23d",
      ["%2e%2E"] = "%252e%252E",
      ["...a"] = "...a",
      ["a;b=c,d"] = "a%3Bb%3Dc%2Cd",
      ["\u{e9}\u{20ac}\u{1f600}"] = "%C3%A9%E2%82%AC%F0%9F%98%80",
      ["\xff\xfe"] = "%FF%FE",
      ["a:b@c"] = "a%3Ab%40c",
      ["AZaz09-._~"] = "AZaz09-._~",
      ["a\\b\"c'd"] = "a%5Cb%22c%27d",
      ["a\r\nX-Evil: 1\0"] = "a%0D%0AX-Evil%3A%201%00",
      ["[a]{b}|c^`<d>"] = "%5Ba%5D%7Bb%7D%7Cc%5E%60%3Cd%3E",
    } do
      server:play { scripted.response("200 OK", '{"status":"RUNNING"}') }
      assert(client:get_status(text))
      assert.equal("/svc/v1/" .. encoded, server:requests()[1].target)
      server:play(trial.good(calls.get_result_file))
      client:get_result_file("id", text):close()
      assert.equal("/svc/v1/id/result/" .. encoded, server:requests()[1].target)
    end
  end)

  it("encodes queries", function()
    local client <close> = client_of(server)
    server:play(trial.good(calls.get_status))
    assert(
      client:get_status(
        "0190cf2e",
        { query = { ["a b&c"] = "d=e/f?g#h\r\ni", n = { 1, 2.5, true } } }
      )
    )
    local target = server:requests()[1].target
    local query = {}
    for pair in target:match("%?(.*)"):gmatch "[^&]+" do
      query[#query + 1] = pair
    end
    table.sort(query)
    assert.same({ "a%20b%26c=d%3De%2Ff%3Fg%23h%0D%0Ai", "n=1", "n=2.5", "n=true" }, query)
  end)

  it("cannot be split into a second header or request by any input of the program", function()
    server:play(trial.good(calls.get_status))
    local client <close> = client_of(server)
    local evil = "a\r\nX-Evil: 1"
    for _, bad in ipairs { evil, "a\nb", "a\rb", "a\0b" } do
      for _, attempt in ipairs {
        function()
          client_of(server, { token = bad })
        end,
        function()
          client_of(server, { headers = { ["X-Field"] = bad } })
        end,
        function()
          client_of(server, { headers = { [bad] = "x" } })
        end,
        function()
          client_of(server, { base_url = server.url .. "/" .. bad })
        end,
        function()
          client:get_status("x", { headers = { ["X-Field"] = bad } })
        end,
        function()
          client:get_status("x", { headers = { [bad] = "x" } })
        end,
      } do
        local ok, message = pcall(attempt)
        assert.is_false(ok)
        assert.is_nil(tostring(message):find("\n", 1, true))
      end
    end
    for _, name in ipairs { "", "a b", "a:", "a(b)", "\u{e9}" } do
      assert.is_false(pcall(client.get_status, client, "x", { headers = { [name] = "x" } }))
    end
    local _, err = client_of(server, {
      token = function()
        return evil
      end,
    }):get_status "x"
    assert.equal("token", err.kind)
    assert.same({}, server:requests())
  end)

  it("carries bodies of any size, both ways", function()
    local simulator <close> = gateway.start()
    local client <close> = client_of(simulator)
    local blob = {}
    for index = 1, 200000 do
      blob[index] = index * 0.1
    end
    local simulate = { pending_ms = 0, running_ms = 0, echo = true }
    local body = { blob = blob, text = ("\u{20ac}\0\n"):rep(100000), simulate = simulate }
    local execution = assert(client:start_execution(body))
    local echo = assert(client:get_result(execution.id)).echo
    body.simulate.pending_ms, body.simulate.running_ms = 0, 0
    assert.same(body.text, echo.text)
    assert.equal(#blob, #echo.blob)
    for index = 1, #blob do
      assert(blob[index] == echo.blob[index], index)
    end
  end)

  it("accepts gzip, except for files", function()
    local simulator <close> = gateway.start()
    local client <close> = client_of(simulator)
    simulator:fault { times = -1, fault = { content_encoding = "gzip" } }
    local execution = assert(client:start_execution {})
    assert.equal(execution.id, assert(client:get_status(execution.id)).id)
    assert.equal(1, #assert(client:get_service_executions()))
    local _, err = client:get_status "none"
    assert.equal(404, err.status_code)
    assert.is_table(err.body)
  end)
end)

describe("a proxy", function()
  local server = shared(gateway.start)
  local proxy = shared(gateway.start)

  -- Asks for an execution list in a program of its own; returns how many requests each saw.
  local function with_environment(environment, http)
    local output, ok = process.run_program(
      ([[
        local qhub = require "qhub"
        local client <close> = qhub.HubServiceClient {
          base_url = %q, token = %q, max_retries = 0, http = %s,
        }
        assert(client:get_service_executions())
      ]]):format(server.url, server.token, http or "nil"),
      environment
    )
    assert(ok, output)
    return server:requests().total, proxy:requests().total
  end

  it("that is configured is used for every request", function()
    local client <close> = client_of(server, { http = { proxy = proxy.origin } })
    local execution = assert(client:start_execution {})
    assert(client:get_status(execution.id))
    assert.equal(0, server:requests().total)
    local seen = proxy:requests()
    assert.equal(2, seen.total)
    assert.equal(server.url .. "/", seen.requests[1].target)
    assert.equal(1, seen.connections.total)
  end)

  it("that does not accept connections leaves the request not sent", function()
    local gone = scripted.start()
    gone:stop()
    local _ <close> = trial.at_once()
    local client <close> = client_of(server, { http = { proxy = gone.origin } })
    local _, err = client:start_execution {}
    assert.equal("network", err.kind)
    assert.is_false(err.sent)
    assert.equal(3, err.attempts)
  end)

  it("comes from the environment by default #process", function()
    local environment = "http_proxy=" .. proxy.origin
    local direct, by_proxy = with_environment(environment)
    assert.same({ 0, 1 }, { direct, by_proxy })
    direct, by_proxy = with_environment(environment, "{ proxy = false }")
    assert.same({ 1, 1 }, { direct, by_proxy })
    direct, by_proxy = with_environment(environment .. " no_proxy=127.0.0.1")
    assert.same({ 2, 1 }, { direct, by_proxy })
    local seen = server:requests().requests
    assert.equal(server.url, server.origin .. seen[#seen].target:match "(.*)/$") -- as from others
    direct, by_proxy = with_environment("all_proxy=" .. proxy.origin)
    assert.same({ 2, 2 }, { direct, by_proxy })
    direct, by_proxy = with_environment("https_proxy=" .. proxy.origin)
    assert.same({ 3, 2 }, { direct, by_proxy })
  end)

  it("never shows its password", function()
    local with_password = proxy.origin:gsub("//", "//user:p4ss@")
    local client <close> = client_of(server, { http = { proxy = with_password } })
    assert(client:get_service_executions())
    local authorization = proxy:requests().requests[1].headers["proxy-authorization"]
    assert.equal("Basic dXNlcjpwNHNz", authorization)
    local gone = scripted.start()
    gone:stop()
    with_password = gone.origin:gsub("//", "//user:p4ss@")
    local broken <close> = client_of(server, { max_retries = 0, http = { proxy = with_password } })
    local _, err = broken:get_status "x"
    assert.equal("network", err.kind)
    assert.is_nil(tostring(err):find("p4ss", 1, true))
  end)
end)
