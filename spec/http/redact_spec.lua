-- Redaction: secrets by name, in URLs, and as a hostile server echoes them.

local base64 = require("qhub.error.text").base64
local redact = require "qhub.http.redact"

local TOKEN = "t0kenMARKERx7Qz/+9"

describe("the name of a header or query parameter", function()
  it("is secret when its value could be a credential", function()
    for _, name in ipairs {
      "access_token",
      "X-Api-Key",
      "api_key",
      "client_secret",
      "sig",
      "X-Amz-Signature",
      "passwd",
      "password",
      "pwd",
      "pass",
      "auth",
      "x-auth",
      "jwt",
      "code",
      "Cookie",
      "Set-Cookie",
      "Authorization",
      "session-id",
      "Credential",
    } do
      assert.is_true(redact.is_secret_name(name), name)
    end
  end)

  it("is not secret because of a few letters in it", function()
    for _, name in ipairs {
      "decode",
      "design",
      "status_code",
      "author",
      "page",
      "encode",
      "pass_count",
    } do
      assert.is_false(redact.is_secret_name(name), name)
    end
  end)
end)

describe("a URL in a text", function()
  it("loses its user info, well-formed or not", function()
    for text, expected in pairs {
      ["at http://me:hidden@host/x"] = "at http://host/x",
      ["at http://me@host/x"] = "at http://host/x",
      ["at http://me:hid/den@host:1"] = "at http://host:1",
      ["at http://me:hid#den@host"] = "at http://host",
      ["at http://me:hid?den@host"] = "at http://host",
      ["at socks5h://me:hidden@host"] = "at socks5h://host",
    } do
      assert.equal(expected, redact.urls(text))
    end
  end)

  it("loses it in time that grows with the length only", function()
    local started = os.clock()
    local long = ("a"):rep(30000)
    assert.equal("http://h/" .. long .. "@", redact.urls("http://u:p@h/" .. long .. "@"))
    assert.equal("@ " .. ("a://b:"):rep(10000), redact.urls("@ " .. ("a://b:"):rep(10000)))
    assert.is_true(os.clock() - started < 1)
  end)

  it("loses the values of secret parameters and keeps the others", function()
    assert.equal(
      "http://h/x?a=1&sig=REDACTED&decode=2&%63ode=REDACTED",
      redact.urls "http://h/x?a=1&sig=abc&decode=2&%63ode=xyz"
    )
  end)
end)

describe("a known secret", function()
  local function check(echo)
    local clean = redact.without("before " .. echo .. " after", TOKEN)
    assert.equal("before REDACTED after", clean)
  end

  it("is redacted in upper and lower case", function()
    check(TOKEN)
    check(TOKEN:upper())
    check(TOKEN:lower())
  end)

  it("is redacted when it is percent-encoded, even twice", function()
    check "t0kenMARKERx7Qz%2F%2B9"
    check "t0kenMARKERx7Qz%2f%2b9"
    check "t0kenMARKERx7Qz%252F%252B9"
    check(TOKEN:gsub(".", function(byte)
      return ("%%%02X"):format(byte:byte())
    end))
  end)

  it("is not followed by decoded bytes that steer a terminal", function()
    local clean = redact.without("%74%30kenMARKERx7Qz%2F%2B9 %1B[2J%0A%E2%80%AE%C2%9B.", TOKEN)
    assert.equal("REDACTED [2J ??.", clean)
  end)

  it("is redacted when characters that do not print are within it", function()
    for _, junk in ipairs {
      "\u{200B}",
      "\u{200D}",
      "\u{FEFF}",
      "\u{AD}",
      "\u{2060}",
      "\u{202E}",
      "\u{85}",
      "\u{A0}",
      "\u{FE0F}",
      "\u{E0041}",
      "\0",
      "\27",
      "\127",
      " ",
      "\n",
      "\t",
      "\\",
      "%E2%80%8B",
      "%00",
    } do
      check(TOKEN:sub(1, 7) .. junk .. TOKEN:sub(8))
      check((TOKEN:gsub(".", "%0" .. junk:gsub("%%", "%%%%")):sub(1, -1 - #junk)))
    end
  end)

  it("is redacted in these ways when it has few letters, too", function()
    for _, secret in ipairs { "pqrs", "p4$$-!-!-w", "日本語パスワード", "====----!!" } do
      for _, echo in ipairs {
        secret,
        secret:upper(),
        (secret:gsub(utf8.charpattern, "%0\u{200B}", 2)),
        (secret:gsub(utf8.charpattern, "%0 ", 2)),
        (secret:gsub(".", function(byte)
          return ("%%%02X"):format(byte:byte())
        end)),
      } do
        assert.equal("x REDACTED y", redact.without("x " .. echo .. " y", secret))
      end
    end
  end)

  it("is redacted in base64, wherever it stands in what was encoded", function()
    for lead = 0, 5 do
      local echo = base64(("u"):rep(lead) .. TOKEN .. "v")
      assert.is_nil(redact.without(echo, TOKEN):find(echo:sub(12, 18), 1, true))
      assert.matches("REDACTED", redact.without(echo, TOKEN))
    end
  end)

  it("is redacted each time, even when it follows itself", function()
    assert.equal(
      "REDACTEDREDACTED-REDACTED",
      redact.without(TOKEN .. TOKEN:upper() .. "-" .. TOKEN, TOKEN)
    )
  end)

  it("is redacted whole when it contains another secret", function()
    local clean = redact.without("x abcdefgh y abcd z", { "abcd", "abcdefgh" })
    assert.equal("x REDACTED y REDACTED z", clean)
  end)

  it("leaves other text unchanged", function()
    local text = "100% \u{200B}ünï \\ t0ken MARKERx"
    assert.equal(text, redact.without(text, TOKEN))
    assert.equal("many", redact.without("many", "any"))
    assert.equal(text, redact.without(text, nil))
  end)

  it("is not shown in part when a long text is cut", function()
    local long = "ey0MARKER" .. ("abcdefghij"):rep(200)
    local line = redact.remote(long:rep(20), long, 400)
    assert.matches("REDACTED", line)
    assert.is_nil(line:find("MARKER", 1, true), line)
    assert.is_nil(line:find("abcd", 1, true), line)
  end)

  it("is found in a large text in linear time", function()
    local started = os.clock()
    redact.remote((TOKEN:sub(1, -2)):rep(200000), TOKEN)
    redact.remote(("%25"):rep(100000) .. TOKEN, TOKEN)
    assert.is_true(os.clock() - started < 2)
  end)
end)
