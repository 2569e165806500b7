-- Redirects by our own rules, as a pure function of a request and its response.

local redirect = require "qhub.http.redirect"
local requests = require "qhub.http.request"

local HEADERS = {
  accept = "*/*",
  ["user-agent"] = "qhub",
  range = "bytes=5-",
  ["if-range"] = '"v1"',
  ["x-own"] = "1",
  ["content-type"] = "application/json",
}

-- What was sent: a request with these `fields`, to the URL of a file or to `url`, with `body`.
local function hop(fields, url, body)
  fields = fields or {}
  fields.method, fields.fields = fields.method or "GET", fields.fields or HEADERS
  fields.authorize, fields.repeatable = true, fields.method == "GET"
  return {
    request = requests.new({ timeout = 60 }, fields),
    url = url or "https://gateway.example/acme/vqe/v1/1/result/a.bin",
    body = body,
  }
end

local function post(body)
  return hop({ method = "POST" }, nil, body)
end

describe("redirect", function()
  it("follows within the origin with all headers and the token", function()
    local following = redirect.next(hop(), 302, "/elsewhere?x=1#part")
    assert.equal("https://gateway.example/elsewhere?x=1", following.url)
    local sent = following.request:prepared("secret").headers
    assert.equal("Bearer secret", sent.authorization)
    assert.equal("1", sent["x-own"])
  end)

  it("sends another origin nothing but Accept, User-Agent, Range and If-Range", function()
    local own = { authorization = "Basic s3cret", ["x-own"] = "1" }
    for name, value in pairs(HEADERS) do
      own[name] = value
    end
    for _, location in ipairs {
      "https://storage.example/a.bin?signature=1",
      "https://gateway.example:8443/a.bin",
      "//gateway.example.evil/a.bin",
    } do
      local expected = {
        accept = "*/*",
        ["accept-encoding"] = false, -- not even what is added by default
        ["user-agent"] = "qhub",
        range = "bytes=5-",
        ["if-range"] = '"v1"',
      }
      for _, fields in ipairs { HEADERS, own } do
        local following = assert(redirect.next(hop { fields = fields }, 307, location))
        assert.same(expected, following.request:prepared("secret").headers)
        -- Nor when the other origin leads back, or on.
        following = assert(redirect.next(following, 307, "/on"))
        assert.same(expected, following.request:prepared("secret").headers)
        following = assert(redirect.next(following, 307, "https://gateway.example/back"))
        assert.same(expected, following.request:prepared("secret").headers)
      end
      expected["accept-encoding"] = "identity"
      local following = assert(redirect.next(hop { stream = 1000 }, 307, location))
      assert.same(expected, following.request:prepared("secret").headers)
    end
  end)

  it("recognises other spellings of the same origin", function()
    local following = redirect.next(hop(), 302, "HTTPS://GATEWAY.example:443/x")
    assert.is_true(following.request.authorize)
  end)

  it("refuses to go from https to http", function()
    assert.is_nil(redirect.next(hop(), 302, "http://gateway.example/x"))
    assert.is_nil(redirect.next(hop({}, "HTTPS://gateway.example/"), 302, "http://a/"))
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
      assert.is_nil(redirect.next(hop(), 302, location), location)
    end
    assert.is_nil(redirect.next(hop(), 302, nil))
  end)

  it("repeats method and body for 307 and 308 within the origin", function()
    for _, code in ipairs { 307, 308 } do
      local following = redirect.next(post "{}", code, "/other/")
      assert.equal("POST", following.request.method)
      assert.equal("{}", following.body)
      assert.is_false(following.request.repeatable)
    end
  end)

  it("never carries a body to another origin", function()
    assert.is_nil(redirect.next(post "{}", 307, "https://other.example/"))
  end)

  it("turns a 303 into GET without a body, which may be repeated", function()
    local following = redirect.next(post "{}", 303, "/1")
    assert.equal("GET", following.request.method)
    assert.is_nil(following.body)
    assert.is_nil(following.request.fields["content-type"])
    assert.is_true(following.request.repeatable)
  end)

  it("follows 301 and 302 for GET only", function()
    for _, code in ipairs { 301, 302 } do
      assert.is_nil(redirect.next(post "{}", code, "/x"))
      assert.is_nil(redirect.next(hop { method = "PUT" }, code, "/x"))
      assert.is_truthy(redirect.next(hop(), code, "/x"))
    end
  end)
end)
