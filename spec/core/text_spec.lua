-- URLs, dates and control characters: qhub.core.text.
local parse_timestamp = require("qhub.hub.timestamp")
local text = require("qhub.core").text

describe("parse_url", function()
  local function parts(url)
    return { text.parse_url(url) }
  end

  it("returns scheme and host in lower case, and the port of the scheme", function()
    local url = parts "HTTPS://user:pa%20ss@Gateway.Example.COM/a/b?c=d&e=?#f/g"
    assert.same({ "https", "gateway.example.com", 443 }, url)
    assert.equal("integer", math.type(url[3]))
    assert.same({ "http", "h", 80 }, parts "http://h")
    assert.same({ "http", "h", 80 }, parts "http://h:/?#")
    assert.same({ "http", "h", 8080 }, parts "http://h:8080")
  end)

  it("knows no port for a scheme that libcurl does not know", function()
    assert.same({ "x", "h" }, parts "x://h/x")
    assert.same({ "ftp", "h", 21 }, parts "ftp://h:21/x")
  end)

  it("reads IPv6 addresses in brackets", function()
    assert.same({ "http", "[2001:db8::1]", 8080 }, parts "http://[2001:DB8::1]:8080/x")
    assert.same({ "http", "[::ffff:1.2.3.4]", 80 }, parts "http://[::ffff:1.2.3.4]")
  end)

  it("describes what is wrong with a URL", function()
    local faults = {
      { "", "empty" },
      { "gateway.example.com/a", "no scheme" },
      { "//gateway.example.com", "no scheme" },
      { "1http://h/", "no scheme" },
      { "http:/h/", "no //" },
      { "https:", "no //" },
      { "http://", "no host" },
      { "http:///x", "no host" },
      { "http://:80/", "no host" },
      { "http://u@/", "no host" },
      { "http://h:0/", "port" },
      { "http://h:65536/", "port" },
      { "http://h:99999999999999999999/", "port" },
      { "http://h:8a/", "port" },
      { "http://h:-1/", "port" },
      { "http://h:+80/", "port" },
      { "http://h:80:80/", "port" },
      { "http://[::1/", "IPv6" },
      { "http://[::1]80/", "port" },
      { "http://[]/", "IPv6" },
      { "http://[1.2.3.4]/", "IPv6" },
      { "http://[::1%25eth0]/", "IPv6" },
      { "http://[v1.x]/", "IPv6" },
      { "http://[" .. ("0:"):rep(60) .. ":]/", "IPv6" },
      { "http://a b/", "host" },
      { "http://h/a b", "space" },
      { " http://h/", "no scheme" },
      { "http://h/ ", "space" },
      { "http://h/\n", "control" },
      { "http://h/\0", "control" },
      { "http://h/\127", "control" },
      { "http://h\\@evil/", "backslash" },
      { "http://h/%", "%" },
      { "http://h/%4", "%" },
      { "http://h/%g0", "%" },
      { "http://h%41/", "host" },
      { "http://h,i/", "host" },
      { "http://a@b@c/", "@" },
      { "http://\u{e4}/", "host" },
      { "http://h/\u{e4}", "ASCII" },
      { "http://h/<id>/", "percent-encoded" },
      { "http://h/?a=[1]", "percent-encoded" },
      { "http://h/#a#b", "percent-encoded" },
      { "http://u<@h/", "percent-encoded" },
      { "http://" .. ("h"):rep(256) .. "/", "host" },
      { "http://h/" .. ("x"):rep(1024 * 1024), "long" },
    }
    for _, fault in ipairs(faults) do
      local url, reason = text.parse_url(fault[1])
      assert.is_nil(url, fault[1])
      assert.matches(fault[2], reason, 1, true)
    end
  end)

  it("raises for anything but a string", function()
    assert.error_matches(function()
      text.parse_url({})
    end, "bad argument #1")
  end)
end)

describe("resolve_url", function()
  local base = "http://a/b/c/d;p?q"

  -- RFC 3986, sections 5.4.1 and 5.4.2, but for those that name no host; fragments are dropped.
  local examples = {
    { "g", "http://a/b/c/g" },
    { "./g", "http://a/b/c/g" },
    { "g/", "http://a/b/c/g/" },
    { "/g", "http://a/g" },
    { "//g", "http://g/" },
    { "?y", "http://a/b/c/d;p?y" },
    { "g?y", "http://a/b/c/g?y" },
    { "#s", "http://a/b/c/d;p?q" },
    { "g#s", "http://a/b/c/g" },
    { "g?y#s", "http://a/b/c/g?y" },
    { ";x", "http://a/b/c/;x" },
    { "g;x", "http://a/b/c/g;x" },
    { "g;x?y#s", "http://a/b/c/g;x?y" },
    { "", "http://a/b/c/d;p?q" },
    { ".", "http://a/b/c/" },
    { "./", "http://a/b/c/" },
    { "..", "http://a/b/" },
    { "../", "http://a/b/" },
    { "../g", "http://a/b/g" },
    { "../..", "http://a/" },
    { "../../", "http://a/" },
    { "../../g", "http://a/g" },
    { "../../../g", "http://a/g" },
    { "../../../../g", "http://a/g" },
    { "/./g", "http://a/g" },
    { "/../g", "http://a/g" },
    { "g.", "http://a/b/c/g." },
    { ".g", "http://a/b/c/.g" },
    { "g..", "http://a/b/c/g.." },
    { "..g", "http://a/b/c/..g" },
    { "./../g", "http://a/b/g" },
    { "./g/.", "http://a/b/c/g/" },
    { "g/./h", "http://a/b/c/g/h" },
    { "g/../h", "http://a/b/c/h" },
    { "g;x=1/./y", "http://a/b/c/g;x=1/y" },
    { "g;x=1/../y", "http://a/b/c/y" },
    { "g?y/./x", "http://a/b/c/g?y/./x" },
    { "g?y/../x", "http://a/b/c/g?y/../x" },
    { "g#s/./x", "http://a/b/c/g" },
    { "g#s/../x", "http://a/b/c/g" },
  }
  for _, example in ipairs(examples) do
    it("resolves RFC 3986's '" .. example[1] .. "'", function()
      assert.equal(example[2], text.resolve_url(base, example[1]))
    end)
  end

  it("keeps an absolute reference, except for dot segments", function()
    assert.equal(
      "https://Other.example:8443/x?y",
      text.resolve_url(base, "https://Other.example:8443/a/../x?y")
    )
  end)

  it("adds a slash to a base without a path", function()
    assert.equal("http://h/g", text.resolve_url("http://h", "g"))
    assert.equal("http://h/g", text.resolve_url("http://h?x", "../g"))
    assert.equal("http://h/?y", text.resolve_url("http://h?x", "?y"))
  end)

  it("does not inherit the base's fragment", function()
    assert.equal("http://h/a?q", text.resolve_url("http://h/a?q#f", ""))
  end)

  it("encodes characters that servers forget to encode", function()
    assert.equal(
      "http://a/%C3%A4%20b?x=%7B1%7D%5B%5D",
      text.resolve_url(base, "/\u{e4} b?x={1}[]#<")
    )
    assert.equal("http://a/b/c/%41%2f", (text.resolve_url(base, "%41%2f"):gsub("%%2F$", "%%2f")))
  end)

  it("refuses references that it does not repair", function()
    local faults = {
      { base, "/\r\nSet-Cookie: x", "control" },
      { base, "/\\evil", "backslash" },
      { base, "/%zz", "%" },
      { base, "//h:x/", "port" },
      { base, "//a b/", "malformed" },
      { base, "//", "no host" },
      { base, "///x", "no host" },
      { base, "http:///x", "no host" },
      { base, "g:h", "no // after its scheme" },
      { base, "http:g", "no // after its scheme" },
      { base, "http:/h/x", "no // after its scheme" },
      { "a/b", "c", "no scheme" },
      { base, ("x"):rep(1024 * 1024 + 1), "long" },
    }
    for _, fault in ipairs(faults) do
      local url, reason = text.resolve_url(fault[1], fault[2])
      assert.is_nil(url, fault[2])
      assert.matches(fault[3], reason, 1, true)
    end
  end)
end)

describe("encode_segment", function()
  it("keeps unreserved characters and encodes all others", function()
    local all = {}
    for byte = 0, 255 do
      all[#all + 1] = string.char(byte)
    end
    local expected = table.concat(all):gsub("[^%w%-%._~]", function(c)
      return ("%%%02X"):format(c:byte())
    end)
    assert.equal(expected, text.encode_segment(table.concat(all)))
    assert.equal("", text.encode_segment(""))
    assert.equal("a%2Fb%20%C3%A4.txt", text.encode_segment("a/b \u{e4}.txt"))
  end)

  it("accepts texts longer than any buffer on the stack", function()
    assert.equal(("%20"):rep(100000), text.encode_segment((" "):rep(100000)))
  end)
end)

-- Seconds of year-month-day, counted day by day: slow, and nothing like what is tested.
local function calendar(first, last, visit)
  local lengths = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 }
  local days = 0
  for year = first, last do
    for month = 1, 12 do
      local leap = year % 4 == 0 and (year % 100 ~= 0 or year % 400 == 0)
      local length = month == 2 and leap and 29 or lengths[month]
      visit(year, month, length, days * 86400)
      days = days + length
    end
  end
end

describe("parse_http_date", function()
  it("reads the three forms of RFC 9110", function()
    assert.equal(784111777, text.parse_http_date("Sun, 06 Nov 1994 08:49:37 GMT"))
    assert.equal(784111777, text.parse_http_date("Sunday, 06-Nov-94 08:49:37 GMT"))
    assert.equal(784111777, text.parse_http_date("Sun Nov  6 08:49:37 1994"))
    assert.equal("integer", math.type(text.parse_http_date("Sun Nov 16 08:49:37 1994")))
  end)

  it("accepts a leap second and the last second of the year 9999", function()
    assert.equal(1483228800, text.parse_http_date("Sat, 31 Dec 2016 23:59:60 GMT"))
    assert.equal(253402300799, text.parse_http_date("Fri, 31 Dec 9999 23:59:59 GMT"))
  end)

  it("refuses everything else", function()
    local faults = {
      "",
      "Sun",
      "0",
      "20261107",
      "06 Nov 1994 08:49:37 GMT",
      " Sun, 06 Nov 1994 08:49:37 GMT",
      "Son, 06 Nov 1994 08:49:37 GMT",
      "n M, 06 Nov 1994 08:49:37 GMT",
      "Sun, 06 Nov 1994 24:00:00 GMT",
      "Sun, 06 Nov 1994 08:60:37 GMT",
      "Sun, 06 Nov 1994 08:49:61 GMT",
      "Sun, 06 Nov 1994 08:49:37 GMT\0",
      "Sun, 40 Nov 1994 08:49:37 GMT",
    }
    for _, fault in ipairs(faults) do
      assert.is_nil(text.parse_http_date(fault), fault)
    end
  end)
end)

describe("parse_timestamp", function()
  it("reads the gateway's form as UTC", function()
    assert.equal(1772186690, parse_timestamp("2026-02-27 10:04:50"))
    assert.equal("integer", math.type(parse_timestamp("2026-02-27 10:04:50")))
  end)

  it("agrees with the calendar for each month from 1970 to 2110", function()
    calendar(1970, 2110, function(year, month, length, seconds)
      local form = "%04d-%02d-%02d 00:00:00"
      assert.equal(seconds, parse_timestamp(form:format(year, month, 1)))
      local last = seconds + (length - 1) * 86400
      assert.equal(last, parse_timestamp(form:format(year, month, length)))
      assert.is_nil((parse_timestamp(form:format(year, month, length + 1))))
    end)
  end)

  it("reads ISO 8601 with T, fraction and zone", function()
    local cases = {
      ["2026-02-27T10:04:50Z"] = 1772186690,
      ["2026-02-27t10:04:50z"] = 1772186690,
      ["2026-02-27T10:04:50"] = 1772186690,
      ["2026-02-27T10:04:50+01:00"] = 1772183090,
      ["2026-02-27T10:04:50+0100"] = 1772183090,
      ["2026-02-27T10:04:50+01"] = 1772183090,
      ["2026-02-27T10:04:50-05:30"] = 1772206490,
      ["2026-02-27 10:04:50-00:00"] = 1772186690,
      ["2016-12-31T23:59:60Z"] = 1483228800,
      ["2024-02-29T00:00:00Z"] = 1709164800,
      ["2400-02-29T00:00:00Z"] = 13574563200,
      ["1969-12-31T23:59:59Z"] = -1,
      ["0001-01-01T00:00:00Z"] = -62135596800,
      ["9999-12-31T23:59:59Z"] = 253402300799,
    }
    for form, seconds in pairs(cases) do
      assert.equal(seconds, parse_timestamp(form), form)
    end
  end)

  it("rounds fractions of any length to the nearest float", function()
    assert.equal(1772186699.123, parse_timestamp("2026-02-27T10:04:59.123Z"))
    assert.equal(1772186699.123456, parse_timestamp("2026-02-27T10:04:59.123456+00:00"))
    assert.equal(1772186699.1, parse_timestamp("2026-02-27 10:04:59.100000"))
    assert.equal(1772186699.5, parse_timestamp("2026-02-27 10:04:59,5"))
    assert.equal(-0.25, parse_timestamp("1969-12-31T23:59:59.75Z"))
    assert.equal(1772186699.123456789, parse_timestamp("2026-02-27T10:04:59.123456789Z"))
    local long = parse_timestamp("2026-02-27T10:04:59." .. ("3"):rep(1000) .. "Z")
    assert.near(1772186699 + 1 / 3, long, 1e-6)
    local whole = parse_timestamp("2026-02-27T10:04:50.000Z")
    assert.equal(1772186690, whole)
    assert.equal("float", math.type(whole))
  end)

  it("names the text and the reason when the moment does not exist", function()
    local faults = {
      { "", "form" },
      { "2026-02-27", "form" },
      { "2026-02-27 10:04", "form" },
      { "2026-2-27 10:04:50", "form" },
      { "2026-02-27X10:04:50", "form" },
      { "2026-02-27  10:04:50", "form" },
      { "2026-02-27T10:04:50.Z", "zone" },
      { "2026-02-27T10:04:50+1", "zone" },
      { "2026-02-27T10:04:50+01:0", "zone" },
      { "2026-02-27T10:04:50+24:00", "zone" },
      { "2026-02-27T10:04:50 UTC", "zone" },
      { "2026-02-27T10:04:50Z ", "zone" },
      { "2026-02-27T10:04:50+01:00x", "zone" },
      { "2026-00-27 10:04:50", "does not exist" },
      { "2026-13-27 10:04:50", "does not exist" },
      { "2026-02-30 10:04:50", "does not exist" },
      { "2025-02-29 10:04:50", "does not exist" },
      { "2026-04-31 10:04:50", "does not exist" },
      { "2026-02-00 10:04:50", "does not exist" },
      { "2026-02-27 24:00:00", "does not exist" },
      { "2026-02-27 10:60:00", "does not exist" },
      { "2026-02-27 10:04:61", "does not exist" },
    }
    for _, fault in ipairs(faults) do
      local seconds, message = parse_timestamp(fault[1])
      assert.is_nil(seconds, fault[1])
      assert.truthy(message:find('"' .. fault[1] .. '"', 1, true), message)
      assert.matches(fault[2], message)
    end
  end)

  it("keeps its message short and free of control characters", function()
    local _, message = parse_timestamp("\27[2J" .. ("x"):rep(100000))
    assert.truthy(#message < 300)
    assert.is_nil(message:find("%c"))
    assert.truthy(message:find("\\x1b[2Jx", 1, true))
  end)
end)

describe("has_control", function()
  it("finds control characters", function()
    assert.is_false(text.has_control(""))
    assert.is_false(text.has_control("a \u{e4}"))
    for _, value in ipairs({ "\t", "a\n", "\0", "\127", "\31" }) do
      assert.is_true(text.has_control(value))
    end
  end)
end)
