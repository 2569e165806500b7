-- The gateway simulator breaks the contract exactly as configured, and keeps HTTP/1.1 otherwise.

local errno = require "cqueues.errno"
local gateway = require "spec.support.gateway"
local json = dofile "examples/gateway/json.lua"
local nginx = require "spec.support.nginx"
local wire = require "spec.support.wire"

local done = { pending_ms = 0, running_ms = 0 }
local receive, request = wire.receive, wire.request

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

  local function connect()
    return wire.connect(g.port)
  end

  local function ask(method, path, options)
    return wire.ask(g.port, method, "/acme/vqe/v1" .. path, options)
  end

  describe("injecting faults", function()
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

    it("announces the full length and closes early", function()
      local answer = broken { truncate = 10 }
      assert.is_true(answer.broken)
      assert.equal(10, #answer.body)
    end)

    it("resets the connection before the response", function()
      g:fault { fault = { reset = "headers" } }
      local socket = connect()
      socket:write(request("GET", "/acme/vqe/v1/" .. id))
      local _, why = socket:read("*a")
      assert.equal(errno.ECONNRESET, why)
      socket:close()
    end)

    it("resets a reused connection", function()
      local socket = connect()
      socket:write(request("GET", "/acme/vqe/v1/" .. id))
      assert.equal(200, receive(socket).status)
      g:fault { match = { reused = true }, fault = { reset = "headers" } }
      socket:write(request("GET", "/acme/vqe/v1/" .. id))
      local _, why = socket:read("*a")
      assert.equal(errno.ECONNRESET, why)
      socket:close()
    end)

    it("performs a start even if its response is lost", function()
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

    it("goes silent in the middle of a body until the peer closes", function()
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

    it("compresses a body with gzip", function()
      local answer = broken { content_encoding = "gzip" }
      assert.equal("gzip", answer.headers["content-encoding"])
      assert.equal("\31\139\8", answer.body:sub(1, 3))
      assert.truthy(answer.body:find(id, 1, true))
    end)

    it("redirects, sends slowly, and sends invalid HTTP", function()
      local answer = broken { redirect = "https://elsewhere.invalid/", status = 307 }
      assert.equal(307, answer.status)
      assert.equal("https://elsewhere.invalid/", answer.headers.location)
      answer = broken { drip = { bytes = 50, ms = 1, head = true } }
      assert.equal(200, answer.status)
      assert.is_false(answer.broken)
      assert.is_nil(broken({ garbage = true }).status)
    end)

    it("breaks every connection at a random place", function()
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
    it("keeps it open, pipelines, and counts requests and connections", function()
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

    it("closes an idle connection without notice when configured", function()
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

    it("accepts chunked bodies, large bodies and Expect: 100-continue", function()
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

    it("survives invalid requests", function()
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
    local socket = wire.connect(other.port)
    assert(socket:connect())
    other:stop()
    assert.is_nil((socket:read(1)))
    socket:close()
  end)

  it("speaks TLS with a certificate of its own, and plain HTTP for control", function()
    local secure <close> = gateway.start { tls = true }
    local told = wire.ask_securely(secure.port, "/acme/vqe/v1/", { ca_file = secure.ca_file })
    assert.truthy(told:find("HTTP/1.1 200 OK", 1, true))
    assert.equal(1, secure:count("GET", "/v1/"))
  end)

  it("offers certificates that a client must not accept", function()
    local function told(server, ca_file)
      return wire.ask_securely(server.port, "/", { ca_file = ca_file })
    end
    local good <close> = gateway.start { tls = true }
    local expired <close> = gateway.start { tls = true, expired = true }
    local renamed <close> = gateway.start { tls = true, host = "gateway.invalid" }
    assert.truthy(told(expired, expired.ca_file):find("certificate has expired", 1, true))
    assert.truthy(told(renamed, renamed.ca_file):find("IP address mismatch", 1, true))
    assert.truthy(told(good, expired.ca_file):find("self.signed certificate"))
  end)

  it("asks for a client certificate when configured", function()
    local strict <close> = gateway.start { tls = true, client_cert = true }
    local options = { ca_file = strict.ca_file }
    assert.is_nil(
      wire.ask_securely(strict.port, "/acme/vqe/v1/", options):find("HTTP/1.1 200", 1, true)
    )
    options.cert, options.key = strict.client_cert, strict.client_key
    assert.truthy(
      wire.ask_securely(strict.port, "/acme/vqe/v1/", options):find("HTTP/1.1 200", 1, true)
    )
  end)

  if nginx.available() then
    it("offers HTTP/2 over TLS through nginx", function()
      local front <close> = nginx.start(g)
      local options = { ca_file = front.ca_file, alpn = "h2" }
      assert.truthy(wire.ask_securely(front.port, "/", options):find("ALPN protocol: h2", 1, true))
      options.alpn = "http/1.1"
      local told = wire.ask_securely(front.port, "/acme/vqe/v1/", options)
      assert.truthy(told:find("HTTP/1.1 200 OK", 1, true))
    end)
  end
end)
