-- The gateway simulator keeps the wire contract, and breaks it exactly as it is told to.
--
-- The requests here are written byte by byte, so that neither qhub nor libcurl can gloss over
-- anything.

local cqueues_socket = require "cqueues.socket"
local digest = require "openssl.digest"
local gateway = require "spec.support.gateway"
local json = dofile "examples/gateway/json.lua"
local nginx = require "spec.support.nginx"

local done = { pending_ms = 0, running_ms = 0 }

describe("the gateway simulator", function()
  local g

  setup(function()
    g = gateway.start { set = { "pending_ms=0", "running_ms=0" } }
  end)
  teardown(function()
    g:stop()
  end)
  before_each(function()
    g:clear()
  end)

  local function connect(port)
    port = port or g.port
    local socket = cqueues_socket.connect { host = "127.0.0.1", port = port, nodelay = true }
    socket:setmode("b", "bn")
    socket:settimeout(10)
    -- Errors are values here.
    socket:onerror(function(_, _, why)
      return why
    end)
    return socket
  end

  -- Reads one answer: { status, headers, body, broken }.
  local function receive(socket)
    local answer = { headers = {} }
    answer.status = tonumber((socket:read("*L") or ""):match("^HTTP/1.1 (%d+)"))
    for line in socket:lines("*L") do
      local name, value = line:match("^([^:]+): ([^\r\n]*)")
      if not name then
        break
      end
      answer.headers[name:lower()] = value
    end
    local length = tonumber(answer.headers["content-length"])
    answer.body = length == 0 and "" or length and socket:read(length) or ""
    answer.broken = length and #answer.body < length
    return answer
  end

  local function request(method, path, options)
    options = options or {}
    local lines = { method .. " " .. path .. " HTTP/1.1", "Host: localhost" }
    if options.token ~= false then
      lines[#lines + 1] = "Authorization: Bearer " .. (options.token or "demo-token")
    end
    for name, value in pairs(options.headers or {}) do
      lines[#lines + 1] = name .. ": " .. value
    end
    if options.body then
      lines[#lines + 1] = "Content-Length: " .. #options.body
    end
    return table.concat(lines, "\r\n") .. "\r\n\r\n" .. (options.body or "")
  end

  local function ask(method, path, options)
    local socket = connect()
    if not path:find("^/token") then
      path = "/acme/vqe/v1" .. path
    end
    socket:write(request(method, path, options))
    local answer = receive(socket)
    socket:close()
    return answer
  end

  local function start(body)
    local answer = ask("POST", "/", { body = json.encode(body or {}) })
    assert.equal(201, answer.status)
    return json.decode(answer.body).id, answer
  end

  local function sha256(text)
    return (
      digest.new("sha256"):final(text):gsub(".", function(byte)
        return string.format("%02x", byte:byte())
      end)
    )
  end

  describe("as the contract has it", function()
    it("answers a start with 201, the execution and its Location", function()
      local id, answer = start { simulate = { pending_ms = 60000 }, tags = json.array { "a" } }
      assert.equal(g.url .. "/" .. id, answer.headers.location)
      local execution = json.decode(answer.body)
      assert.equal("PENDING", execution.status)
      assert.same({ "a" }, execution.tags)
      assert.truthy(execution.createdAt:match("^%d%d%d%d%-%d%d%-%d%d %d%d:%d%d:%d%d$"))
      assert.truthy(id:match("^%x+%-%x+%-4%x%x%x%-[89ab]%x%x%x%-%x+$"))
    end)

    it("goes through PENDING, RUNNING and SUCCEEDED as time goes by", function()
      local id = start { simulate = { pending_ms = 100000, running_ms = 100000 } }
      local function status()
        return json.decode(ask("GET", "/" .. id).body).status
      end
      assert.equal("PENDING", status())
      g:advance(101)
      assert.equal("RUNNING", status())
      g:advance(100)
      assert.equal("SUCCEEDED", status())
    end)

    it("lists executions, the newest first", function()
      g:forget()
      local first, second = start(), start()
      local list = json.decode(ask("GET", "/").body)
      assert.same({ second, first }, { list[1].id, list[2].id })
    end)

    it("wraps a result in an envelope with the service's own members on top", function()
      local id = start { input = { molecule = "H2", bond_length = 0.735 } }
      local result = json.decode(ask("GET", "/" .. id .. "/result").body)
      assert.equal(-1.13727, result.energy)
      assert.equal("SUCCEEDED", result._embedded.status.status)
      local href = g.url .. "/" .. id .. "/result/hello.txt"
      assert.equal(href, result._links["hello.txt"].href)
      assert.equal(g.url .. "/" .. id, result._links.status.href)
    end)

    it("draws a curve with its minimum at the molecule's bond length", function()
      local lowest, best = math.huge, nil
      for _, length in ipairs { 0.4, 0.6, 0.735, 0.9, 1.4 } do
        local id = start { input = { molecule = "H2", bond_length = length } }
        local energy = json.decode(ask("GET", "/" .. id .. "/result").body).energy
        if energy < lowest then
          lowest, best = energy, length
        end
      end
      assert.equal(0.735, best)
    end)

    it("keeps the result back for a while after SUCCEEDED", function()
      local id = start { simulate = { pending_ms = 0, running_ms = 0, result_delay_ms = 50000 } }
      assert.equal("SUCCEEDED", json.decode(ask("GET", "/" .. id).body).status)
      assert.equal(404, ask("GET", "/" .. id .. "/result").status)
      g:advance(51)
      assert.equal(200, ask("GET", "/" .. id .. "/result").status)
    end)

    it("answers a result for FAILED too, without output", function()
      local id = start { simulate = { outcome = "FAILED", pending_ms = 0, running_ms = 0 } }
      local result = json.decode(ask("GET", "/" .. id .. "/result").body)
      assert.equal("FAILED", result._embedded.status.status)
      assert.is_nil(result.energy)
    end)

    it("lets logs grow, and ends them with the run", function()
      local id = start { simulate = { pending_ms = 0, running_ms = 100000, logs = 10 } }
      assert.equal(1, #json.decode(ask("GET", "/" .. id .. "/log").body))
      g:advance(51)
      local logs = json.decode(ask("GET", "/" .. id .. "/log").body)
      assert.equal(6, #logs)
      assert.truthy(logs[6].timestamp:match("^%d+%-%d%d%-%d%dT%d%d:%d%d:%d%d%.%d%d%dZ$"))
      g:advance(1000)
      assert.equal(10, #json.decode(ask("GET", "/" .. id .. "/log").body))
    end)

    it("cancels what has not ended, and nothing else", function()
      local id = start { simulate = { running_ms = 100000 } }
      assert.equal(204, ask("PUT", "/" .. id .. "/cancel").status)
      assert.equal("CANCELLED", json.decode(ask("GET", "/" .. id).body).status)
      id = start { simulate = done }
      assert.equal(204, ask("PUT", "/" .. id .. "/cancel").status)
      assert.equal("SUCCEEDED", json.decode(ask("GET", "/" .. id).body).status)
    end)

    it("answers 404, 401, 405 and 400 in JSON", function()
      local id = start()
      assert.equal(404, ask("GET", "/nothing").status)
      assert.equal(404, ask("GET", "/" .. id .. "/result/nothing").status)
      assert.equal(401, ask("GET", "/" .. id, { token = false }).status)
      assert.equal(401, ask("GET", "/" .. id, { token = "wrong" }).status)
      assert.equal(405, ask("DELETE", "/" .. id).status)
      for _, body in ipairs { "", "{", "[]", "7", '{"a":01}', '{"a":1}x' } do
        local answer = ask("POST", "/", { body = body })
        assert.equal(400, answer.status)
        assert.equal("Bad Request", json.decode(answer.body).message)
      end
    end)

    it("echoes a request body byte for byte when asked to", function()
      local body = '{ "simulate": {"echo":true},"n":[1.0,1e2, 9007199254740993]}'
      local id = json.decode(ask("POST", "/", { body = body }).body).id
      local result = ask("GET", "/" .. id .. "/result").body
      assert.truthy(result:find('"echo":' .. body, 1, true))
    end)

    it("takes ids and file names as encoded segments", function()
      local name = "a b/ü%.txt"
      local id = start { simulate = { id = "run 1/ä", files = { [name] = "content" } } }
      assert.equal("run 1/ä", id)
      local path = "/run%201%2F%C3%A4/result/a%20b%2F%C3%BC%25.txt"
      assert.equal("content", ask("GET", path).body)
      local result = json.decode(ask("GET", "/run%201%2f%c3%a4/result").body)
      assert.truthy(result._links[name].href:find("/result/a%20b%2F%C3%BC%25.txt", 1, true))
    end)
  end)

  describe("serving files", function()
    local id, path, whole

    setup(function()
      id = start { simulate = { files = { data = 200000 } } }
      path = "/" .. id .. "/result/data"
      whole = ask("GET", path).body
    end)

    local function part(range, extra)
      local headers = { Range = range }
      for name, value in pairs(extra or {}) do
        headers[name] = value
      end
      return ask("GET", path, { headers = headers })
    end

    it("makes the same bytes every time, with their checksum", function()
      local answer = ask("GET", path)
      assert.equal(200000, #answer.body)
      assert.equal(whole, answer.body)
      assert.equal(sha256(whole), answer.headers["x-checksum-sha256"])
      assert.equal(sha256(whole), g:file(id, "data").sha256)
    end)

    it("answers any range with exactly its bytes", function()
      for _, case in ipairs {
        { "bytes=0-0", 0, 0 },
        { "bytes=65530-65545", 65530, 65545 },
        { "bytes=131072-", 131072, 199999 },
        { "bytes=-7", 199993, 199999 },
        { "bytes=199999-300000", 199999, 199999 },
      } do
        local answer = part(case[1])
        assert.equal(206, answer.status)
        local field = string.format("bytes %d-%d/200000", case[2], case[3])
        assert.equal(field, answer.headers["content-range"])
        assert.is_true(whole:sub(case[2] + 1, case[3] + 1) == answer.body)
      end
    end)

    it("answers 416 beyond the end, and everything for what is no single range", function()
      local answer = part("bytes=200000-")
      assert.equal(416, answer.status)
      assert.equal("bytes */200000", answer.headers["content-range"])
      assert.equal(200, part("bytes=0-1,5-6").status)
      assert.equal(200, part("lines=1-2").status)
    end)

    it("heeds If-Range", function()
      local etag = ask("GET", path).headers.etag
      local modified = ask("GET", path).headers["last-modified"]
      assert.equal(206, part("bytes=5-", { ["If-Range"] = etag }).status)
      assert.equal(206, part("bytes=5-", { ["If-Range"] = modified }).status)
      assert.equal(200, part("bytes=5-", { ["If-Range"] = '"other"' }).status)
    end)

    it("changes a file's bytes and validator on demand", function()
      local before = ask("GET", path)
      g:fault { fault = { change_etag = true } }
      local after = ask("GET", path)
      assert.not_equal(before.headers.etag, after.headers.etag)
      assert.not_equal(before.body, after.body)
      assert.equal(after.body, ask("GET", path).body)
      whole = after.body
    end)

    it("lists the checksums of the other files in SHA256SUMS", function()
      local demo = start()
      local sums = ask("GET", "/" .. demo .. "/result/SHA256SUMS").body
      local hello = ask("GET", "/" .. demo .. "/result/hello.txt").body
      assert.truthy(sums:find(sha256(hello) .. "  hello.txt\n", 1, true))
      assert.truthy(sums:find("  result.bin\n", 1, true))
    end)
  end)

  describe("issuing tokens", function()
    local function grant(pair, body)
      local encoded = { ["demo-key:demo-secret"] = "ZGVtby1rZXk6ZGVtby1zZWNyZXQ=", wrong = "eDp5" }
      local headers = { ["Content-Type"] = "application/x-www-form-urlencoded" }
      headers.Authorization = "Basic " .. encoded[pair]
      local options = { token = false, headers = headers }
      options.body = body or "grant_type=client_credentials"
      return ask("POST", "/token", options)
    end

    it("grants a token that lets its bearer in until it expires", function()
      local answer = json.decode(grant("demo-key:demo-secret").body)
      assert.equal("Bearer", answer.token_type)
      assert.equal(3600, answer.expires_in)
      assert.equal(200, ask("GET", "/", { token = answer.access_token }).status)
      g:advance(3601)
      assert.equal(401, ask("GET", "/", { token = answer.access_token }).status)
      assert.equal(1, g:tokens().granted)
    end)

    it("refuses wrong credentials and other grants", function()
      assert.equal(401, grant("wrong").status)
      assert.equal(400, grant("demo-key:demo-secret", "grant_type=password").status)
      assert.equal(2, g:tokens().refused)
    end)

    it("revokes and restores tokens on demand", function()
      g:tokens { revoke = true }
      assert.equal(401, ask("GET", "/").status)
      g:tokens { restore = true }
      assert.equal(200, ask("GET", "/").status)
    end)
  end)

  describe("in the odd shapes of other gateways", function()
    it("answers in snake_case, with nulls, unknown members and values", function()
      local shape = { snake_case = true, nulls = true, extra = true, status_value = "PAUSED" }
      local id = start { simulate = { shape = shape } }
      local execution = json.decode(ask("GET", "/" .. id).body)
      assert.equal(json.null, execution.created_at)
      assert.equal("PAUSED", execution.status)
      assert.equal(5, execution.priority)
    end)

    it("answers the health check of old gateways in place of the list", function()
      g:settings { health = true }
      assert.same({ status = "Service is up and running" }, json.decode(ask("GET", "/").body))
    end)

    it("answers logs as strings, as nothing, or not at all", function()
      local expected = {
        strings = { 200, '^%["execution accepted"' },
        blank = { 200, "^$" },
        null = { 200, "^null$" },
        ["204"] = { 204, "^$" },
        ["404"] = { 404, "no log" },
      }
      for form, answer in pairs(expected) do
        local id = start { simulate = { shape = { logs = form } } }
        local got = ask("GET", "/" .. id .. "/log")
        assert.equal(answer[1], got.status)
        assert.truthy(got.body:find(answer[2]))
      end
    end)

    it("answers a start with a Location only", function()
      g:settings { start = "location", start_status = 202 }
      local answer = ask("POST", "/", { body = "{}" })
      assert.equal(202, answer.status)
      assert.equal("", answer.body)
      local id = answer.headers.location:match("[^/]+$")
      assert.equal(200, ask("GET", "/" .. id).status)
    end)

    it("lists some executions only, without order, or forbids the list", function()
      g:forget()
      g:create(10)
      g:settings { list_limit = 4, list_unordered = true }
      assert.equal(4, #json.decode(ask("GET", "/").body))
      g:settings { list_status = 403 }
      assert.equal(403, ask("GET", "/").status)
    end)

    it("leaves out _links, or makes relations arrays", function()
      local id = start { simulate = { shape = { links = "missing", embedded = "missing" } } }
      local result = json.decode(ask("GET", "/" .. id .. "/result").body)
      assert.is_nil(result._links)
      assert.is_nil(result._embedded)
      id = start { simulate = { shape = { links = "array" } } }
      result = json.decode(ask("GET", "/" .. id .. "/result").body)
      assert.truthy(result._links["hello.txt"][1].href)
    end)
  end)

  describe("breaking things", function()
    local id

    before_each(function()
      id = g:create(1, { simulate = done })[1]
    end)

    local function broken(fault, options)
      g:fault { fault = fault }
      return ask("GET", "/" .. id, options)
    end

    it(
      "answers with any status, headers and body, as often as told, after skipping some",
      function()
        local fault = { status = 503, headers = { ["Retry-After"] = "1" }, body = "busy" }
        g:fault { match = { operation = "get_status" }, skip = 1, times = 2, fault = fault }
        local statuses = {}
        for index = 1, 4 do
          statuses[index] = ask("GET", "/" .. id).status
        end
        assert.same({ 200, 503, 503, 200 }, statuses)
      end
    )

    it("announces all and closes early", function()
      local answer = broken { truncate = 10 }
      assert.is_true(answer.broken)
      assert.equal(10, #answer.body)
    end)

    it("resets the connection before the answer", function()
      g:fault { fault = { reset = "headers" } }
      local socket = connect()
      socket:write(request("GET", "/acme/vqe/v1/" .. id))
      local _, why = socket:read("*a")
      assert.equal(require("cqueues.errno").ECONNRESET, why)
      socket:close()
    end)

    it("resets a connection that was in use before", function()
      local socket = connect()
      socket:write(request("GET", "/acme/vqe/v1/" .. id))
      assert.equal(200, receive(socket).status)
      g:fault { match = { reused = true }, fault = { reset = "headers" } }
      socket:write(request("GET", "/acme/vqe/v1/" .. id))
      local _, why = socket:read("*a")
      assert.equal(require("cqueues.errno").ECONNRESET, why)
      socket:close()
    end)

    it("carries out a start even if its answer is lost", function()
      g:forget()
      g:fault { fault = { close_after_request = true } }
      assert.is_nil(ask("POST", "/", { body = "{}" }).status)
      g:fault { fault = { reset = "headers" } }
      assert.is_nil(ask("POST", "/", { body = '{"a":1}' }).status)
      assert.equal(2, #json.decode(ask("GET", "/").body))
      g:fault { fault = { status = 500 } }
      assert.equal(500, ask("POST", "/", { body = "{}" }).status)
      assert.equal(2, #json.decode(ask("GET", "/").body))
    end)

    it("falls silent in the middle of a body until the peer goes", function()
      local socket = connect()
      g:fault { fault = { hang = "body", after = 5 } }
      socket:write(request("GET", "/acme/vqe/v1/" .. id))
      socket:read("*l")
      repeat
        local line = socket:read("*L")
      until line == "\r\n"
      assert.equal('{"id"', socket:read(5))
      socket:settimeout(0.05)
      assert.is_nil((socket:read(1)))
      socket:close()
    end)

    it("wraps a body in gzip", function()
      local answer = broken { content_encoding = "gzip" }
      assert.equal("gzip", answer.headers["content-encoding"])
      assert.equal("\31\139\8", answer.body:sub(1, 3))
      assert.truthy(answer.body:find(id, 1, true))
    end)

    it("redirects, drips, and says what is no HTTP", function()
      local answer = broken { redirect = "https://elsewhere.invalid/", status = 307 }
      assert.equal(307, answer.status)
      assert.equal("https://elsewhere.invalid/", answer.headers.location)
      answer = broken { drip = { bytes = 50, ms = 1, head = true } }
      assert.equal(200, answer.status)
      assert.is_false(answer.broken)
      assert.is_nil(broken({ garbage = true }).status)
    end)

    it("breaks every connection at a place of its own", function()
      local path = "/" .. id .. "/result/result.bin"
      g:fault { times = -1, fault = { random_break = 1000 } }
      local sizes, different = {}, 0
      for _ = 1, 8 do
        local answer = ask("GET", path)
        assert.is_true(answer.broken)
        different = different + (sizes[#answer.body] and 0 or 1)
        sizes[#answer.body] = true
      end
      assert.is_true(different > 4)
    end)

    it("refuses a fault that it does not know", function()
      assert.has_error(function()
        g:fault { fault = { explode = true } }
      end)
    end)
  end)

  describe("on a connection", function()
    it("keeps it, pipelines, and counts requests and connections", function()
      local socket = connect()
      local one = request("GET", "/acme/vqe/v1/")
      socket:write(one .. one)
      assert.equal(200, receive(socket).status)
      assert.equal(200, receive(socket).status)
      socket:close()
      ask("GET", "/nothing", { headers = { ["X-Extra"] = "1" } })
      local seen = g:requests()
      assert.equal(3, seen.total)
      assert.same({ get_service_executions = 2, get_status = 1 }, seen.operations)
      assert.equal(seen.requests[1].connection, seen.requests[2].connection)
      assert.equal(2, seen.requests[2].on_connection)
      assert.equal(2, seen.connections.total)
      assert.equal("1", seen.requests[3].headers["x-extra"])
      assert.is_true(seen.requests[3].authorized)
      assert.equal(404, seen.requests[3].status)
      assert.equal(2, g:count("GET", "/v1/$"))
    end)

    it("closes without a word when told to", function()
      g:fault { fault = { drop = true } }
      local socket = connect()
      socket:write(request("GET", "/acme/vqe/v1/"))
      local answer = receive(socket)
      assert.equal(200, answer.status)
      assert.is_nil(answer.headers.connection)
      assert.is_nil((socket:read(1)))
      socket:close()
    end)

    it("is a proxy for absolute targets and for CONNECT", function()
      local socket = connect()
      socket:write(request("GET", "http://gateway.invalid/acme/vqe/v1/?a=b"))
      assert.equal(200, receive(socket).status)
      socket:close()
      local seen = g:requests().requests[1]
      assert.equal("http://gateway.invalid/acme/vqe/v1/?a=b", seen.target)
      assert.equal("a=b", seen.query)
      local other <close> = gateway.start()
      socket = connect()
      socket:write("CONNECT localhost:" .. other.port .. " HTTP/1.1\r\n\r\n")
      assert.equal(200, receive(socket).status)
      socket:write(request("GET", "/acme/vqe/v1/"))
      assert.equal(200, receive(socket).status)
      socket:close()
      assert.equal(1, other:count())
      assert.equal(1, g:requests().operations.connect)
      socket = connect()
      socket:write "CONNECT gateway.invalid:443 HTTP/1.1\r\n\r\n"
      assert.equal(502, receive(socket).status)
      socket:close()
    end)

    it("closes when asked to", function()
      local socket = connect()
      socket:write(request("GET", "/acme/vqe/v1/", { headers = { Connection = "close" } }))
      assert.equal("close", receive(socket).headers.connection)
      assert.is_nil((socket:read(1)))
      socket:close()
    end)

    it("takes chunked bodies, large bodies and Expect: 100-continue", function()
      local socket = connect()
      local head = "POST /acme/vqe/v1/ HTTP/1.1\r\nAuthorization: Bearer demo-token\r\n"
      socket:write(head .. "Transfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n")
      assert.equal(100, receive(socket).status)
      socket:write('5\r\n{"a":\r\n2;x=y\r\n1}\r\n0\r\nX-Trailer: 1\r\n\r\n')
      assert.equal(201, receive(socket).status)
      socket:close()
      local large = '{"a":"' .. ("x"):rep(3000000) .. '"}'
      assert.equal(201, ask("POST", "/", { body = large }).status)
      assert.equal(#large, g:requests().requests[2].body_size)
    end)

    it("survives what is no request", function()
      for _, junk in ipairs {
        "\0\1\2\3\r\n\r\n",
        "GET\r\n\r\n",
        "GET / HTTP/2.0\r\n\r\n",
        "POST /acme/vqe/v1/ HTTP/1.1\r\nContent-Length: -5\r\n\r\n",
        "POST /acme/vqe/v1/ HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        ("x"):rep(100000),
        "GET /acme/vqe/v1/%zz%/result HTTP/1.1\r\n:\r\n\r\n",
        "GET /_control/file?id=&name= HTTP/1.1\r\n\r\n",
        "POST /_control/faults HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}",
        "POST /_control/executions HTTP/1.1\r\nContent-Length: 2\r\n\r\n[]",
      } do
        local socket = connect()
        socket:write(junk)
        local status = receive(socket).status
        assert.is_true(status == nil or status >= 400 and status < 500)
        socket:close()
      end
      assert.is_true(g:call("GET", "health").ok)
    end)
  end)

  it("ends when its standard input does", function()
    local other = gateway.start()
    local socket = connect(other.port)
    assert(socket:connect())
    other:stop()
    assert.is_nil((socket:read(1)))
    socket:close()
  end)

  -- A TLS connection that trusts that certificate alone, and the protocol agreed on; or nil.
  local function connect_securely(port, ca_file, cert, key)
    local context = require "openssl.ssl.context"
    local trust = require("openssl.x509.store").new()
    trust:add(ca_file)
    local ssl = context.new "TLS"
    ssl:setVerify(context.VERIFY_PEER)
    ssl:setStore(trust)
    if cert then
      local function read(path)
        local file <close> = assert(io.open(path))
        return file:read "a"
      end
      ssl:setCertificate(require("openssl.x509").new(read(cert)))
      ssl:setPrivateKey(require("openssl.pkey").new(read(key)))
    end
    ssl:setAlpnProtos { "h2", "http/1.1" }
    local socket = connect(port)
    if socket:starttls(ssl) ~= socket then
      socket:close()
      return nil
    end
    return socket, socket:checktls():getAlpnSelected()
  end

  it("speaks TLS with a certificate of its own, and plain HTTP for control", function()
    local secure <close> = gateway.start { tls = true }
    local socket = assert(connect_securely(secure.port, secure.ca_file))
    socket:write(request("GET", "/acme/vqe/v1/"))
    assert.equal("[]", receive(socket).body)
    socket:close()
    assert.equal(1, secure:count("GET", "/v1/"))
  end)

  it("has certificates that a client must not accept", function()
    local expired <close> = gateway.start { tls = true, expired = true }
    assert.is_nil(connect_securely(expired.port, expired.ca_file))
    local one <close> = gateway.start { tls = true }
    local other <close> = gateway.start { tls = true }
    assert.is_nil(connect_securely(one.port, other.ca_file))
  end)

  it("asks for a client's certificate when told to", function()
    local strict <close> = gateway.start { tls = true, client_cert = true }
    local function status(cert, key)
      local socket = connect_securely(strict.port, strict.ca_file, cert, key)
      local sent = socket and socket:write(request("GET", "/acme/vqe/v1/"))
      local result = sent and receive(socket).status
      return result, socket and socket:close()
    end
    assert.is_nil((status()))
    assert.equal(200, (status(strict.client_cert, strict.client_key)))
  end)

  if nginx.available() then
    it("has nginx in front that offers HTTP/2 over TLS", function()
      local front <close> = nginx.start(g)
      local socket, protocol = connect_securely(front.port, front.ca_file)
      assert.truthy(socket)
      assert.equal("h2", protocol)
      socket:close()
    end)
  end
end)
