-- Whether a response goes on with the file that is being read: pure functions of headers.

local validators = require "qhub.files.validators"

local DATE, LATER = "Fri, 27 Feb 2026 10:04:50 GMT", "Fri, 27 Feb 2026 10:04:51 GMT"

local function version(changes)
  local fields = { etag = '"v1"', ["last-modified"] = DATE, ["content-length"] = "1000" }
  for name, value in pairs(changes or {}) do
    fields[name] = value or nil
  end
  return validators.version(fields)
end

describe("the validator of a file", function()
  it("is a strong ETag before a date", function()
    assert.equal('"v1"', version().validator)
    assert.equal('"\xE9"', version({ etag = '"\xE9"' }).validator)
  end)

  it("is the date when the ETag is weak, missing or invalid", function()
    assert.equal(DATE, version({ etag = 'W/"v1"' }).validator)
    assert.equal(DATE, version({ etag = false }).validator)
    assert.equal(DATE, version({ etag = "v1" }).validator)
    assert.equal(DATE, version({ etag = '""' }).validator)
    assert.is_nil(version({ etag = '""', ["last-modified"] = false }).validator)
  end)

  it("is a date only when it is valid and not later than the response", function()
    assert.is_nil(version({ etag = false, ["last-modified"] = "yesterday" }).validator)
    assert.is_nil(version({ etag = false, ["last-modified"] = LATER, date = DATE }).validator)
    local young = version { etag = false, date = DATE }
    assert.equal(DATE, young.validator)
    -- The server may say that it is the same; that it looks the same is not enough.
    local rest = { ["last-modified"] = DATE, ["content-range"] = "bytes 400-999/1000" }
    assert.equal("continue", (validators.judge(young, 400, 206, rest)))
    assert.is_nil((validators.judge(young, 400, 200, { ["last-modified"] = DATE })))
    assert.equal(DATE, version({ etag = false, date = LATER }).validator)
    assert.is_nil(version({ etag = false, ["last-modified"] = false }).validator)
  end)
end)

describe("the size of a file", function()
  it("is Content-Length", function()
    assert.equal(1000, version().size)
    assert.equal(0, version({ ["content-length"] = "0" }).size)
  end)

  it("is unknown when Content-Length is missing, invalid, or counts encoded bytes", function()
    for _, changes in ipairs {
      { ["content-length"] = false },
      { ["content-length"] = "12, 12" },
      { ["content-length"] = "-1" },
      { ["content-length"] = "99999999999999999999999" },
      { ["content-encoding"] = "gzip" },
      { ["transfer-encoding"] = "chunked" },
    } do
      assert.is_nil(version(changes).size)
    end
    assert.equal(1000, version({ ["content-encoding"] = "Identity" }).size)
  end)
end)

describe("the request for the rest", function()
  it("names the first byte and the validator", function()
    local fields = validators.request_headers(version(), 400)
    assert.same({ range = "bytes=400-", ["if-range"] = '"v1"' }, fields)
  end)

  it("asks for the whole file when ranges would count encoded bytes", function()
    assert.same({}, validators.request_headers(version { ["content-encoding"] = "gzip" }, 400))
  end)
end)

describe("a partial response", function()
  local function judge(changes, of, position)
    local fields = { etag = '"v1"', ["content-range"] = "bytes 400-999/1000" }
    for name, value in pairs(changes or {}) do
      fields[name] = value or nil
    end
    return validators.judge(of or version(), position or 400, 206, fields)
  end

  it("continues the file when it begins at the right byte", function()
    assert.same({ "continue", 1000, 1000 }, { judge() })
    assert.equal("continue", (judge { etag = false, ["last-modified"] = DATE }))
    assert.equal("continue", (judge { ["content-range"] = "Bytes 400-999/*" }))
    assert.equal("continue", (judge { ["content-length"] = "600" }))
  end)

  it("is refused without a validator, because it may be of another version", function()
    local result, why = judge { etag = false }
    assert.is_nil(result)
    assert.matches("without ETag or Last%-Modified", why)
  end)

  it("may have fewer bytes than requested", function()
    assert.same({ "continue", 1000, 500 }, { judge { ["content-range"] = "bytes 400-499/1000" } })
  end)

  it("gives the size of a file of unknown size", function()
    local unknown = version { ["content-length"] = false }
    assert.same({ "continue", 1000, 1000 }, { judge({}, unknown) })
    assert.is_nil((judge({ ["content-range"] = "bytes 400-999/*" }, unknown)))
  end)

  it("is refused when it begins elsewhere, ends elsewhere or cannot be read", function()
    for _, range in ipairs {
      "bytes 401-999/1000",
      "bytes 0-999/1000",
      "bytes 400-1000/1000",
      "bytes 400-1000/*",
      "bytes 400-999/1001",
      "bytes 999-400/1000",
      "bytes */1000",
      "items 400-999/1000",
      "bytes 400-999",
      "bytes 99999999999999999999-999999999999999999999/*",
      "",
    } do
      assert.is_nil((judge { ["content-range"] = range }))
    end
    assert.is_nil((judge { ["content-range"] = false }))
    assert.is_nil((judge { ["content-length"] = "599" }))
  end)

  it("is judged in time that grows with the length only", function()
    local started = os.clock()
    for _, filler in ipairs { "1", "*", "-", " ", "1-1/" } do
      assert.is_nil((judge { ["content-range"] = "bytes " .. filler:rep(100000) }))
    end
    assert.is_true(os.clock() - started < 1)
  end)

  it("is refused when it is of another version, encoded, or has several parts", function()
    local result, why = judge { etag = '"v2"' }
    assert.is_nil(result)
    assert.matches("changed", why)
    assert.is_nil((judge { etag = 'W/"v1"' }))
    assert.is_nil((judge { etag = false, ["last-modified"] = LATER }))
    assert.is_nil((judge { ["content-encoding"] = "gzip" }))
    assert.is_nil((judge { ["content-type"] = "multipart/byteranges; boundary=x" }))
  end)

  it("is checked by the date as well when the ETag is weak", function()
    local weak = version { etag = 'W/"v1"' }
    assert.equal("continue", (judge({ etag = 'W/"v1"', ["last-modified"] = DATE }, weak)))
    assert.is_nil((judge({ etag = 'W/"v1"', ["last-modified"] = LATER }, weak)))
    assert.is_nil((judge({ etag = 'W/"v2"', ["last-modified"] = DATE }, weak)))
  end)
end)

describe("a complete response", function()
  local function judge(changes, of)
    local fields = { etag = '"v1"', ["content-length"] = "1000" }
    for name, value in pairs(changes or {}) do
      fields[name] = value or nil
    end
    return validators.judge(of or version(), 400, 200, fields)
  end

  it("is read again from the start when its validator is the same", function()
    assert.same({ "skip", 1000 }, { judge() })
    assert.same({ "skip", 1000 }, { judge { ["content-length"] = false } })
    local dated = version { etag = false }
    assert.equal("skip", (judge({ etag = false, ["last-modified"] = DATE }, dated)))
  end)

  it("is refused when its validator is different or missing", function()
    for _, changes in ipairs {
      { etag = '"v2"' },
      { etag = false },
      { etag = false, ["last-modified"] = DATE },
      { etag = false, ["last-modified"] = LATER },
      { ["content-length"] = "999" },
    } do
      assert.is_nil((judge(changes)))
    end
    local unknown = version { ["content-length"] = false }
    assert.is_nil((judge({ ["content-length"] = "399" }, unknown)))
  end)
end)

describe("any other response", function()
  it("with 416 at the end means that the file was complete", function()
    local fields = { ["content-range"] = "bytes */400" }
    local unknown = version { ["content-length"] = false }
    assert.same({ "complete", 400 }, { validators.judge(unknown, 400, 416, fields) })
    assert.is_nil((validators.judge(unknown, 401, 416, fields)))
    assert.is_nil((validators.judge(version(), 400, 416, fields)))
    assert.is_nil((validators.judge(unknown, 400, 416, {})))
    fields.etag = '"v2"'
    assert.is_nil((validators.judge(unknown, 400, 416, fields)))
  end)

  it("is refused", function()
    for _, status_code in ipairs { 201, 203, 204, 205, 226 } do
      local result, why = validators.judge(version(), 400, status_code, {})
      assert.is_nil(result)
      assert.matches(tostring(status_code), why)
    end
  end)
end)
