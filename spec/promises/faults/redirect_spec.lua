-- Redirects that lead nowhere, in circles, or where nothing of ours may go, at each of the seven
-- operations and over the network.

local calls = require "spec.support.calls"
local client_of = require "spec.support.client_of"
local qhub = require "qhub"
local scripted = require "spec.support.scripted"
local shared = require "spec.support.shared"
local trial = require "spec.support.trial"

describe("a redirect", function()
  local server = shared(scripted.start)
  local other = shared(scripted.start)
  local secure = shared(scripted.start, { tls = true })

  before_each(function()
    server:play {}
    other:play {}
    secure:play {}
  end)

  local function moved(status, location)
    local fields = location and { "Location: " .. location } or {}
    return scripted.kept(status .. " Moved", "", fields)
  end

  -- Carries out `call` at a server; returns value, error and what the server saw.
  local function try(at, call, options)
    local _ <close> = trial.at_once()
    local client <close> = client_of(at, options)
    local value, err = call.invoke(client)
    return value, err, at:requests()
  end

  -- Expects that the redirect is the end of the call: an error with its status after one request.
  local function refused(at, call, status, location, options)
    at:play(moved(status, location))
    local value, err, asked = try(at, call, options)
    local what = call.name .. " " .. status .. " " .. tostring(location)
    assert.is_nil(value, what)
    assert.equal("api", err.kind, what)
    assert.equal(status, err.status_code, what)
    assert.equal(1, err.attempts, what)
    assert.equal(1, #asked, what)
    return err
  end

  it("without an end fails after 20 hops, and is not retried", function()
    for _, call in ipairs(calls) do
      server:play(moved(307, "/svc/v1/again"))
      local value, err, asked = try(server, call)
      assert.is_nil(value)
      assert.equal("api", err.kind)
      assert.equal(307, err.status_code)
      assert.matches("20 redirects", err.message)
      assert.equal(1, err.attempts)
      assert.equal(21, #asked)
      for _, request in ipairs(asked) do
        assert.equal(call.method, request.method)
      end
    end
  end)

  it("of a start by 303 sends one start, however often its target is requested", function()
    local later = scripted.kept("503 Later", "")
    server:play(moved(303, "/svc/v1/answer"), later)
    local value, err, asked = try(server, calls.start_execution, { max_retries = 2 })
    assert.is_nil(value)
    assert.equal(503, err.status_code)
    assert.equal(3, err.attempts)
    assert.equal(4, #asked)
    for index, request in ipairs(asked) do
      assert.equal(index == 1 and "POST" or "GET", request.method)
    end
  end)

  it("to another scheme than http and https is refused", function()
    for _, call in ipairs(calls) do
      for _, location in ipairs {
        "file:///etc/passwd",
        "ftp://127.0.0.1/x",
        "gopher://127.0.0.1:70/x",
        "dict://127.0.0.1/x",
        "javascript:alert(1)",
        "unix:/tmp/x",
      } do
        refused(server, call, 307, location)
      end
    end
  end)

  it("to an invalid address is refused", function()
    for _, call in ipairs { calls.get_status, calls.get_result_file, calls.start_execution } do
      for _, location in ipairs {
        "http://",
        "http://:80/x",
        "http://127.0.0.1:99999/x",
        "http://127.0.0.1:port/x",
        "http://user:password@127.0.0.1/x",
        "http://user@127.0.0.1/x",
        "http://exa mple/x",
        "http://[::1/x",
        "http:///x",
      } do
        refused(server, call, 307, location)
      end
      refused(server, call, 302)
    end
  end)

  it("from https to http is refused", function()
    for _, call in ipairs(calls) do
      refused(secure, call, 307, other.url .. "/elsewhere")
    end
    assert.same({}, other:requests())
  end)

  it("with a status that is not followed is refused", function()
    for _, call in ipairs(calls) do
      refused(server, call, 307, "/svc/v1/elsewhere", { follow_redirects = false })
      refused(server, call, 300, "/svc/v1/elsewhere")
      refused(server, call, 304, "/svc/v1/elsewhere")
      refused(server, call, 305, "/svc/v1/elsewhere")
      if call.method ~= "GET" then
        refused(server, call, 301, "/svc/v1/elsewhere")
        refused(server, call, 302, "/svc/v1/elsewhere")
      end
    end
  end)

  it("never takes token, headers or a body to another origin", function()
    local headers = { ["X-Secret"] = "s3cret-header", Cookie = "s3cret-cookie" }
    for _, call in ipairs(calls) do
      for _, location in ipairs {
        other.url .. "/elsewhere",
        (other.url:gsub("^http:", "")), -- the same without a scheme
      } do
        server:play(moved(307, location))
        other:play(trial.good(call))
        local value, err = try(server, call, { headers = headers })
        local asked = other:requests()
        if call.name == "start_execution" then
          assert.equal(307, err.status_code)
          assert.same({}, asked)
        else
          assert(value, err)
          assert.equal(1, #asked)
          local head = asked[1].head:lower()
          assert.is_nil(head:find("authorization", 1, true))
          assert.is_nil(head:find("tok-en", 1, true))
          assert.is_nil(head:find("s3cret", 1, true))
          assert.equal(0, asked[1].body_size)
        end
      end
    end
  end)

  it("may have spaces and non-ASCII letters in its address", function()
    server:play(moved(302, "/svc/v1/my r\u{e9}sult"), trial.good(calls.get_result))
    local value, err, asked = try(server, calls.get_result)
    assert(value, err)
    assert.equal("/svc/v1/my%20r%C3%A9sult", asked[2].target)
  end)

  it("to an unreachable server is a network error, and retries start at the gateway", function()
    local gone = scripted.start()
    gone:stop()
    for _, call in ipairs { calls.get_status, calls.get_result_file } do
      server:play(moved(302, gone.url))
      local value, err, asked = try(server, call, { max_retries = 2 })
      assert.is_nil(value)
      assert.equal("network", err.kind)
      assert.equal(3, err.attempts)
      assert.equal(3, #asked)
    end
  end)

  it("leaks no descriptor, and the client works afterwards", function()
    local before
    for _ = 1, 2 do
      for _, call in ipairs(calls) do
        local client <close> = qhub.HubServiceClient { base_url = server.url, token = "tok-en" }
        server:play(moved(307, "/svc/v1/again"))
        assert.is_nil((call.invoke(client)))
        server:play(trial.good(call))
        assert(call.invoke(client))
      end
      before = before or trial.descriptors()
    end
    assert.equal(before, trial.descriptors())
  end)
end)
