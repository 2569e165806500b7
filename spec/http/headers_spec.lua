-- The header fields of a request: whose value is sent, and under which name.

local FakeTransport = require "spec.support.fake_transport"
local headers = require "qhub.http.headers"
local sent = require "spec.support.sent"
local qhub = require "qhub"

describe("the headers of a request", function()
  it("have the names and values that RFC 9110 allows, and no others", function()
    local function check(name, value)
      return pcall(headers.checked, { [name] = value }, "headers", "spec")
    end
    assert.is_true(check("!#$%&'*+-.^_`|~09azAZ", "a b\tc\u{e4}\255"))
    assert.is_true(check("X-Request-Id", ""))
    assert.is_false(check("", "x"))
    for character in (' \n\0\127\u{e4}\255()<>@,;:\\"/[]?={}'):gmatch "." do
      assert.is_false(check("a" .. character, "x"), character)
    end
    for _, value in ipairs { "a\r\nb", "a\n", "\0", "\127", "\27" } do
      assert.is_false(check("a", value))
    end
  end)

  it("carries token, Accept, User-Agent and, with a body, Content-Type", function()
    local request = sent(function(c)
      c:start_execution { input = {} }
    end)
    assert.equal("Bearer t0ken", request.headers.authorization)
    assert.equal("application/json", request.headers["content-type"])
    assert.matches("^application/json", request.headers.accept)
    assert.equal("qhub-lua/" .. qhub._VERSION, request.headers["user-agent"])
    request = sent(function(c)
      c:get_result_file("1", "x")
    end)
    assert.equal("*/*", request.headers.accept)
    assert.is_nil(request.headers["content-type"])
    assert.is_nil(request.body)
  end)

  it("merges headers by precedence, in any case", function()
    local client_headers = { ["X-A"] = "client", ["X-B"] = "client", AUTHORIZATION = "client" }
    local request = sent(function(c)
      c:get_status("1", { headers = { ["x-a"] = "request", ["ACCEPT"] = false } })
    end, { headers = client_headers })
    assert.equal("request", request.headers["x-a"])
    assert.equal("client", request.headers["x-b"])
    assert.equal("Bearer t0ken", request.headers.authorization)
    assert.is_nil(request.headers.accept)
    request = sent(function(c)
      c:get_status("1", { headers = { authorization = "Basic x", ["x-b"] = false } })
    end, { headers = client_headers })
    assert.equal("Basic x", request.headers.authorization)
    assert.is_nil(request.headers["x-b"])
  end)

  it("does not keep per-request headers for later requests", function()
    local fake = FakeTransport { { status_code = 200, body = "[]" } }
    local client = fake:client()
    client:get_logs("1", { headers = { ["x-once"] = "1" } })
    client:get_logs("1")
    assert.equal("1", fake.requests[1].headers["x-once"])
    assert.is_nil(fake.requests[2].headers["x-once"])
  end)
end)
