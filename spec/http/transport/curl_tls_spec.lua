-- TLS as programs trust it: who is believed, what is shown, which protocol is spoken, and that
-- connections made under other terms are not shared.

local gateway = require "spec.support.gateway"
local libcurl = require "spec.support.libcurl"
local nginx = require "spec.support.nginx"
local qhub = require "qhub"
local shared = require "spec.support.shared"

local function client_of(server, http)
  return qhub.HubServiceClient {
    base_url = server.url,
    token = server.token or "demo-token",
    max_retries = 0,
    http = http,
  }
end

-- Whether a call gets through; else its error.
local function try(server, http)
  local client <close> = client_of(server, http)
  local list, err = client:get_service_executions()
  return list ~= nil, err
end

describe("TLS", function()
  local server = shared(gateway.start, { "--tls" })

  it("trusts an authority from ca_file", function()
    assert.is_true(try(server, { ca_file = server.ca_file }))
    assert.is_false(try(server, {}))
  end)

  it("trusts an authority from ca_path", function()
    local folder = os.tmpname()
    os.remove(folder)
    local command = "mkdir %s && cp %s %s/ca.pem && openssl rehash %s >/dev/null 2>&1"
    assert(os.execute(command:format(folder, server.ca_file, folder, folder)))
    local ok, err = try(server, { ca_path = folder })
    os.execute("rm -r " .. folder)
    assert.is_true(ok, err)
  end)

  it("accepts any certificate with verify = false, and only then", function()
    assert.is_true(try(server, { verify = false }))
    assert.is_false(try(server, { verify = true }))
  end)

  it("does not reuse a connection that was made without verification", function()
    local careless <close> = client_of(server, { verify = false })
    assert(careless:get_service_executions())
    local strict <close> = client_of(server, {})
    local _, err = strict:get_service_executions()
    assert.equal("network", err.kind)
    assert.is_false(err.sent)
    assert(careless:get_service_executions())
    local trusting <close> = client_of(server, { ca_file = server.ca_file })
    assert(trusting:get_service_executions())
    assert.equal(3, server:requests().total)
    assert.equal(2, server:requests().connections.total)
  end)

  it("shares no connection with another client", function()
    local one <close> = client_of(server, { ca_file = server.ca_file })
    local other <close> = client_of(server, { ca_file = server.ca_file })
    for _ = 1, 3 do
      assert(one:get_service_executions())
      assert(other:get_service_executions())
    end
    assert.equal(2, server:requests().connections.total)
  end)

  it("goes through a proxy by CONNECT, which sees neither token nor path", function()
    local proxy <close> = gateway.start()
    local client <close> = client_of(server, { ca_file = server.ca_file, proxy = proxy.origin })
    assert(client:get_service_executions())
    assert(client:start_execution {})
    local seen = proxy:requests().requests
    assert.equal(libcurl.starts_use_kept and 1 or 2, #seen)
    for _, request in ipairs(seen) do
      assert.equal("CONNECT", request.method)
      assert.equal("127.0.0.1:" .. server.port, request.target)
      assert.is_false(request.authorized)
    end
    assert.equal(2, server:requests().total)
  end)

  it("fails with nothing sent when the proxy refuses CONNECT", function()
    local proxy <close> = gateway.start()
    proxy:fault { times = -1, fault = { status = 403, body = '{"message":"no"}' } }
    local client <close> = client_of(server, { ca_file = server.ca_file, proxy = proxy.origin })
    local _, err = client:start_execution {}
    assert.equal("network", err.kind)
    assert.is_false(err.sent)
    assert.is_nil(err.status_code)
    assert.equal(0, server:requests().total)
  end)
end)

describe("a client's certificate", function()
  local server = shared(gateway.start, { "--tls", "--client-cert" })

  it("is presented when the server asks for it", function()
    assert.is_true(try(server, {
      ca_file = server.ca_file,
      client_cert = server.client_cert,
      client_key = server.client_key,
    }))
    local ok, err = try(server, { ca_file = server.ca_file })
    assert.is_false(ok)
    assert.equal("network", err.kind)
  end)

  it("does not share its connection with clients without it", function()
    local known <close> = client_of(server, {
      ca_file = server.ca_file,
      client_cert = server.client_cert,
      client_key = server.client_key,
    })
    assert(known:get_service_executions())
    assert.is_false(try(server, { ca_file = server.ca_file }))
    assert(known:get_service_executions())
  end)
end)

describe("HTTP/2", function()
  local server = shared(gateway.start)
  local front = shared(nginx.start, server)

  -- The protocol that a call goes over, as the server sees it.
  local function protocol(http)
    local seen
    local client <close> = qhub.HubServiceClient {
      base_url = front.url,
      token = server.token,
      http = http,
      on_response = function(response)
        seen = response.headers["x-protocol"]
      end,
    }
    assert(client:get_service_executions())
    return seen
  end

  it("is used where TLS offers it, and HTTP/1.1 when configured", function()
    assert.equal("HTTP/2.0", protocol { ca_file = front.ca_file })
    assert.equal("HTTP/2.0", protocol { ca_file = front.ca_file, http_version = "2" })
    assert.equal("HTTP/1.1", protocol { ca_file = front.ca_file, http_version = "1.1" })
  end)

  it("is optional: a server without it gets HTTP/1.1", function()
    local plain <close> = gateway.start { "--tls" }
    assert.is_true(try(plain, { ca_file = plain.ca_file, http_version = "2" }))
    assert.is_true(try(server, { http_version = "2" }))
  end)

  it("has the same headers, bodies and errors", function()
    server:clear()
    local client <close> = qhub.HubServiceClient {
      base_url = front.url,
      token = server.token,
      http = { ca_file = front.ca_file },
      headers = { ["X-Mixed-Case"] = "yes" },
    }
    local simulate = { pending_ms = 0, running_ms = 0, files = { ["a b.bin"] = 300000 } }
    local execution = assert(client:start_execution { simulate = simulate })
    assert.equal("SUCCEEDED", assert(client:get_status(execution.id)).status)
    assert.equal(300000, #assert(client:get_result_file(execution.id, "a b.bin")):read_all())
    local _, err = client:get_status "none"
    assert.equal(404, err.status_code)
    assert.matches("json", err.headers["Content-Type"])
    for _, request in ipairs(server:requests().requests) do
      assert.equal("yes", request.headers["x-mixed-case"])
      assert.is_true(request.authorized)
    end
  end)
end)
