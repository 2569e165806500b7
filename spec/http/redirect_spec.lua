-- Redirects by our own rules, as a pure function of a request and its response.

local redirect = require "qhub.http.redirect"

local function request(fields)
  local result = {
    method = "GET",
    url = "https://gateway.example/acme/vqe/v1/1/result/a.bin",
    headers = {
      accept = "*/*",
      authorization = "Bearer secret",
      ["user-agent"] = "qhub",
      range = "bytes=5-",
      ["if-range"] = '"v1"',
      ["x-own"] = "1",
    },
    hops = 0,
  }
  for name, value in pairs(fields or {}) do
    result[name] = value
  end
  return result
end

describe("redirect", function()
  it("follows within the origin with all headers", function()
    local next_request = redirect.next(request(), 302, "/elsewhere?x=1#part")
    assert.equal("https://gateway.example/elsewhere?x=1", next_request.url)
    assert.equal("Bearer secret", next_request.headers.authorization)
    assert.equal("1", next_request.headers["x-own"])
    assert.equal(1, next_request.hops)
  end)

  it("sends another origin nothing but Accept, User-Agent, Range and If-Range", function()
    for _, location in ipairs {
      "https://storage.example/a.bin?signature=1",
      "https://gateway.example:8443/a.bin",
      "//gateway.example.evil/a.bin",
    } do
      local next_request = assert(redirect.next(request(), 307, location))
      local expected = {
        accept = "*/*",
        ["accept-encoding"] = false, -- not even what is added by default
        ["user-agent"] = "qhub",
        range = "bytes=5-",
        ["if-range"] = '"v1"',
      }
      assert.same(expected, next_request.headers)
      local of_file = request()
      of_file.stream = 1000
      expected["accept-encoding"] = "identity"
      assert.same(expected, assert(redirect.next(of_file, 307, location)).headers)
    end
  end)

  it("recognises other spellings of the same origin", function()
    local next_request = redirect.next(request(), 302, "HTTPS://GATEWAY.example:443/x")
    assert.equal("Bearer secret", next_request.headers.authorization)
  end)

  it("refuses to go from https to http", function()
    assert.is_nil(redirect.next(request(), 302, "http://gateway.example/x"))
    assert.is_nil(redirect.next(request { url = "HTTPS://gateway.example/" }, 302, "http://a/"))
  end)

  it("follows only http and https", function()
    for _, location in ipairs {
      "file:///etc/passwd",
      "ftp://gateway.example/x",
      "javascript:alert(1)",
      "https://user:password@gateway.example/",
      "https://",
      "",
    } do
      assert.is_nil(redirect.next(request(), 302, location), location)
    end
    assert.is_nil(redirect.next(request(), 302, nil))
  end)

  it("stops after 20 hops", function()
    assert.is_truthy(redirect.next(request { hops = 19 }, 302, "/x"))
    assert.is_nil(redirect.next(request { hops = 20 }, 302, "/x"))
  end)

  it("repeats method and body for 307 and 308 within the origin", function()
    for _, code in ipairs { 307, 308 } do
      local start = request { method = "POST", body = "{}" }
      local next_request = redirect.next(start, code, "/other/")
      assert.equal("POST", next_request.method)
      assert.equal("{}", next_request.body)
    end
  end)

  it("never carries a body to another origin", function()
    local start = request { method = "POST", body = "{}" }
    assert.is_nil(redirect.next(start, 307, "https://other.example/"))
  end)

  it("turns a 303 into GET without a body", function()
    local start = request { method = "POST", body = "{}" }
    start.headers["content-type"] = "application/json"
    local next_request = redirect.next(start, 303, "/1")
    assert.equal("GET", next_request.method)
    assert.is_nil(next_request.body)
    assert.is_nil(next_request.headers["content-type"])
  end)

  it("follows 301 and 302 for GET only", function()
    for _, code in ipairs { 301, 302 } do
      assert.is_nil(redirect.next(request { method = "POST", body = "{}" }, code, "/x"))
      assert.is_nil(redirect.next(request { method = "PUT" }, code, "/x"))
      assert.is_truthy(redirect.next(request(), code, "/x"))
    end
  end)

  it("follows no other 3xx", function()
    for _, code in ipairs { 200, 300, 304, 305, 306, 399 } do
      assert.is_false(redirect.is_redirect(code))
    end
  end)
end)
