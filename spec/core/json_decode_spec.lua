-- core.json.decode: which texts it takes, which ones it refuses, and where it says they go wrong.
local json = require("qhub.core").json

-- Valid by RFC 8259, each with what it becomes when it is written again.
local valid = {
  { "null", "null" },
  { "true", "true" },
  { "false", "false" },
  { " \t\r\n1 \t\r\n", "1" },
  { '""', '""' },
  { "[]", "[]" },
  { "[ ]", "[]" },
  { "{ }", "{}" },
  { "[\n1\t,\r2 ]", "[1,2]" },
  { '{"":0}', '{"":0}' },
  { '{ "a" : [ { } ] }', '{"a":[{}]}' },
  { "[-1,-0.5,0.5e-1]", "[-1,-0.5,0.05]" },
  { "1E5", "100000.0" },
  { "1e+05", "100000.0" },
  { "0e1", "0.0" },
  { "1e-999", "0.0" },
  { "1.7976931348623157e308", "1.7976931348623157e+308" },
  { "1.79769313486231580793e308", "1.7976931348623157e+308" },
  { '"\\u002F\\/"', '"//"' },
  { '"\\uFFFE"', '"\u{FFFE}"' },
  { '"\u{7F}\u{2028}\u{FFFF}"', '"\u{7F}\u{2028}\u{FFFF}"' },
  { '"[1,{"', '"[1,{"' },
  { '["\\\\","\\""]', '["\\\\","\\""]' },
  { '"// no comment"', '"// no comment"' },
}

-- Not valid: the text, line and column of the fault, and a part of the message.
local invalid = {
  { "", 1, 1, "empty" },
  { " \n ", 2, 2, "empty or blank" },
  { "\u{FEFF}{}", 1, 1, "byte order mark" },
  { "nul", 1, 1, "expected a value, found 'n'" },
  { "nulll", 1, 5, "unexpected text after" },
  { "True", 1, 1, "expected a value" },
  { "NaN", 1, 1, "expected a value" },
  { "-Infinity", 1, 2, "expected a digit, found 'I'" },
  { "undefined", 1, 1, "expected a value" },
  { "'a'", 1, 1, "expected a value" },
  { "// c\n1", 1, 1, "expected a value, found '/'" },
  { "[1] 2", 1, 5, "unexpected text after the value" },
  { "1 2", 1, 3, "unexpected text after" },
  { "[1]\0", 1, 4, "unexpected text after" },
  { "[1]]", 1, 4, "unexpected text after" },
  { "\0", 1, 1, "byte 0x00" },
  { "1\v", 1, 2, "unexpected text after" },
  { "\u{A0}1", 1, 1, "expected a value" },
  -- arrays and objects
  { "[", 1, 2, "expected a value, found the end of the text" },
  { "]", 1, 1, "expected a value, found ']'" },
  { "[1", 1, 3, "expected ',' or ']', found the end" },
  { "[1,", 1, 4, "expected a value" },
  { "[1,]", 1, 4, "expected a value, found ']'" },
  { "[,1]", 1, 2, "expected a value" },
  { "[1,,2]", 1, 4, "expected a value" },
  { "[1 2]", 1, 4, "expected ',' or ']'" },
  { "[1}", 1, 3, "expected ',' or ']', found '}'" },
  { "[1:2]", 1, 3, "expected ',' or ']'" },
  { "{", 1, 2, "member's name" },
  { "{]", 1, 2, "member's name" },
  { '{"a"', 1, 5, "':'" },
  { '{"a":', 1, 6, "expected a value" },
  { '{"a":1', 1, 7, "',' or '}'" },
  { '{"a":1,', 1, 8, "member's name" },
  { '{"a":1,}', 1, 8, "member's name" },
  { '{"a":1]', 1, 7, "',' or '}'" },
  { '{"a" 1}', 1, 6, "':'" },
  { '{"a",1}', 1, 5, "':'" },
  { '{"a"::1}', 1, 6, "expected a value" },
  { "{a:1}", 1, 2, "name in double quotes, found 'a'" },
  { "{1:1}", 1, 2, "member's name" },
  { "{null:1}", 1, 2, "member's name" },
  { "{,}", 1, 2, "member's name" },
  -- numbers
  { "01", 1, 1, "leading zeros" },
  { "-01", 1, 2, "leading zeros" },
  { "00", 1, 1, "leading zeros" },
  { "1.", 1, 3, "after the decimal point" },
  { "1.e1", 1, 3, "after the decimal point" },
  { ".5", 1, 1, "expected a value" },
  { "+1", 1, 1, "expected a value" },
  { "-", 1, 2, "expected a digit" },
  { "--1", 1, 2, "expected a digit" },
  { "-a", 1, 2, "expected a digit" },
  { "1e", 1, 3, "digit of the exponent" },
  { "1e+", 1, 4, "digit of the exponent" },
  { "1e1.5", 1, 4, "unexpected text after" },
  { "1.2.3", 1, 4, "unexpected text after" },
  { "0x10", 1, 2, "unexpected text after" },
  { "1,5", 1, 2, "unexpected text after" },
  { "1_000", 1, 2, "unexpected text after" },
  { "[1e999]", 1, 2, "too large for a double" },
  { "-1e309", 1, 1, "too large" },
  { "1.7976931348623159e308", 1, 1, "too large" },
  { ("9"):rep(309), 1, 1, "too large" },
  { ("9"):rep(290) .. "e20", 1, 1, "too large" },
  { "1e99999999999999999999", 1, 1, "too large" },
  -- strings
  { '"', 1, 2, "ends inside a string" },
  { '"abc', 1, 5, "ends inside a string" },
  { '"\\"', 1, 4, "ends inside a string" },
  { '["\n"]', 1, 3, "control character" },
  { '"\t"', 1, 2, "control character" },
  { '"a\0b"', 1, 3, "control character" },
  { '"\\x41"', 1, 2, "escape sequence" },
  { '"\\a"', 1, 2, "escape sequence" },
  { '"\\', 1, 2, "escape sequence" },
  { '"\\\0"', 1, 2, "escape sequence" },
  { '"\\u12"', 1, 2, "four hexadecimal digits" },
  { '"\\u12G4"', 1, 2, "four hexadecimal digits" },
  { '"\\U0041"', 1, 2, "escape sequence" },
  { '"\\u"', 1, 2, "four hexadecimal digits" },
  { '"\\uD800"', 1, 2, "surrogate" },
  { '"\\uDC00"', 1, 2, "surrogate" },
  { '"\\uD800\\n"', 1, 2, "surrogate" },
  { '"\\uD800\\uD800"', 1, 2, "surrogate" },
  { '"\\uD800\\u0041"', 1, 2, "surrogate" },
  { '"\\uDFFF\\uDBFF"', 1, 2, "surrogate" },
  { '"\\uD834\\uDd', 1, 2, "surrogate" },
  { '{"\\uD800":1}', 1, 3, "surrogate" },
  -- UTF-8
  { '"\x80"', 1, 2, "UTF-8" },
  { '"\xC3"', 1, 2, "UTF-8" },
  { '"\xC0\xAF"', 1, 2, "UTF-8" },
  { '"\xC1\xBF"', 1, 2, "UTF-8" },
  { '"\xE0\x80\xAF"', 1, 2, "UTF-8" },
  { '"\xED\xA0\x80"', 1, 2, "UTF-8" },
  { '"\xF0\x80\x80\xAF"', 1, 2, "UTF-8" },
  { '"\xF4\x90\x80\x80"', 1, 2, "UTF-8" },
  { '"\xF5\x80\x80\x80"', 1, 2, "UTF-8" },
  { '"\xE2\x82"', 1, 2, "UTF-8" },
  { '"\xFF"', 1, 2, "UTF-8" },
  { '{"\xFE":1}', 1, 3, "UTF-8" },
  { "[\xFF]", 1, 2, "expected a value, found byte 0xFF" },
  -- places
  { "[\n  1,\n  2\n  3]", 4, 3, "expected ',' or ']'" },
  { "{\r\n  \"a\": 1,\r\n  'b': 2\r\n}", 3, 3, "member's name" },
  { '["äöü😀", x]', 1, 10, "expected a value, found 'x'" },
  { "[ü]", 1, 2, "expected a value, found 'ü'" },
}

describe("json.decode", function()
  it("accepts what RFC 8259 allows", function()
    for _, case in ipairs(valid) do
      local value, message = json.decode(case[1])
      assert.is_nil(message, case[1])
      assert.equal(case[2], json.encode(value))
    end
  end)

  it("refuses everything else, and says what is wrong in which line and column", function()
    for _, case in ipairs(invalid) do
      local results = table.pack(json.decode(case[1]))
      local shown = ("%q"):format(case[1])
      assert.equal(4, results.n, shown)
      assert.is_nil(results[1], shown)
      assert.is_truthy(results[2]:find(case[4], 1, true), shown .. ": " .. results[2])
      assert.equal(case[2], results[3], shown)
      assert.equal(case[3], results[4], shown)
    end
  end)

  it("refuses the same in a long text", function()
    local before = "[" .. ('[1,2.5,"three"],\n'):rep(5000)
    for _, case in ipairs(invalid) do
      -- What is wrong about a text as a whole is another matter in the midst of one.
      local whole = case[4]:find "unexpected text after"
        or case[4]:find "empty"
        or case[4]:find "mark"
      local ended = case[4]:find "end of the text" or case[4]:find "ends within"
      if not whole and not ended and case[2] == 1 and case[1] ~= "]" then
        local value, message, line = json.decode(before .. case[1] .. "]")
        local shown = ("%q: %s"):format(case[1], message)
        assert.is_nil(value, shown)
        assert.equal(5001, line, shown)
      end
    end
  end)

  it("refuses every truncated text", function()
    local text =
      '{"a": [1.5e3, -20, "x\\u00e4\\ud83d\\ude00y\\n", true], "b": {"c": null, "ä": []}}'
    assert.is_table(json.decode(text))
    for length = 0, #text - 1 do
      assert.is_nil((json.decode(text:sub(1, length))), text:sub(1, length))
    end
  end)

  it("refuses every text with one byte too many", function()
    local text = '{"a":[1,"x",true]}'
    for place = 0, #text do
      for _, byte in ipairs { "\0", "\x01", "\x80", "\xFF", "'" } do
        local broken = text:sub(1, place) .. byte .. text:sub(place + 1)
        local value = json.decode(broken)
        local in_string = byte == "'" and value ~= nil
        assert.is_true(value == nil or in_string, ("%q"):format(broken))
      end
    end
  end)

  it("refuses a NUL after the value", function()
    assert.is_nil((json.decode "1\0"))
    assert.is_nil((json.decode '{"a":1}\0{"b":2}'))
  end)

  it("raises for anything but a string", function()
    for _, value in ipairs { 12, true, {}, print } do
      assert.error_matches(function()
        json.decode(value)
      end, "string expected, got")
    end
    assert.error_matches(function()
      json.decode()
    end, "string expected, got no value")
  end)

  it("accepts NaN and infinities only on request", function()
    local text = "[NaN, Infinity, -Infinity, 1]"
    assert.is_nil((json.decode(text)))
    local list = json.decode(text, true)
    assert.is_true(list[1] ~= list[1])
    assert.same({ 1 / 0, -1 / 0, 1 }, { list[2], list[3], list[4] })
    for _, wrong in ipairs { "nan", "inf", "-NaN", "+Infinity", "NaN1", "-", "- 1", "-Inf" } do
      assert.is_nil((json.decode(wrong, true)), wrong)
    end
    assert.is_nil((json.decode("[1e999]", true)))
  end)

  it(
    "refuses a text with more values than the limit, and accepts one at the limit #large",
    function()
      local most = 1 << 24
      local function ones(count)
        return "[" .. ("1,"):rep(count - 1) .. "1]"
      end
      assert.equal(most - 4, #json.decode(ones(most - 4)))
      for _, text in ipairs { ones(most - 3), "[" .. ("[],"):rep(most // 4 - 1) .. "0]" } do
        local value, message, line, column = json.decode(text)
        assert.is_nil(value)
        assert.matches("more than 16777216 values", message)
        assert.same({ 1, #text - 1 }, { line, column })
      end
    end
  )
end)

describe("json.document", function()
  it("reads objects, arrays, strings, numbers, booleans and null", function()
    local text = '\n{"a":"x\\u00e4","b":[1,{"c":null}],"d":true,"e":false,"f":3600,"f":-2.5}'
    local value = json.document(text)
    assert.same({ a = "xä", b = { 1, { c = json.null } }, d = true, e = false, f = -2.5 }, value)
    assert.equal("text", json.document '"text"')
    assert.equal(1000, #json.encode(json.document(("["):rep(500) .. ("]"):rep(500))))
  end)

  it("returns nil with line and column for anything else", function()
    for _, case in ipairs {
      { "", 1 },
      { "nul", 1 },
      { "{} 2", 1 },
      { '{"a":1,\n "b":1,}', 2 },
      { "[1,\n2", 2 },
      { ("["):rep(1001), 1 },
    } do
      local value, line, column = json.document(case[1])
      assert.is_nil(value, case[1])
      assert.equal(case[2], line, case[1])
      assert.is_true(math.type(column) == "integer" and column > 0)
    end
  end)
end)

describe("json.members", function()
  it("returns the members of an object by name", function()
    local text = '{"a":"x\\u00e4","b":[{"c":1}],"c":-2.5,"d":true,"e":null,"f":false}'
    assert.same(
      { true, "xä", -2.5, json.null, n = 4 },
      table.pack(json.members(text, false, "a", "c", "e"))
    )
    assert.same({ true, true, false, n = 3 }, table.pack(json.members(text, false, "d", "f")))
    assert.same({ true, nil, nil, n = 3 }, table.pack(json.members(text, false, "g", "")))
  end)

  it("returns the last of several, and none of a nested object", function()
    local text = '{"id":1,"x":{"id":2},"y":[{"id":3}],"id":4,"z":{"id":5}}'
    assert.same({ true, 4, n = 2 }, table.pack(json.members(text, false, "id")))
  end)

  it("returns false for anything but a valid object", function()
    for _, case in ipairs(invalid) do
      assert.is_false((json.members(case[1], false, "a")), case[1])
      local within = '{"id":1,"more":' .. case[1] .. "}"
      if not json.decode(within) then
        assert.is_false((json.members(within, false, "id")), within)
      end
    end
    for _, text in ipairs { "[]", '"id"', "null", "1", '[{"id":1}]' } do
      assert.is_false((json.members(text, false, "id")))
    end
    assert.is_false((json.members('{"id":1,"x":NaN}', false, "id")))
    assert.is_true((json.members('{"id":1,"x":NaN}', true, "id")))
  end)

  it("compares names by what they stand for, and returns arrays and objects, too", function()
    assert.same({ true, 1, n = 2 }, table.pack(json.members('{"\\u0069d":1}', false, "id")))
    assert.same({ true, { 1 }, n = 2 }, table.pack(json.members('{"id":[1]}', false, "id")))
    assert.same({ true, nil, n = 2 }, table.pack(json.members('{"x":{"id":1}}', false, "id")))
  end)

  it("raises for anything but a string", function()
    assert.error_matches(function()
      json.members({}, false, "id")
    end, "string expected")
  end)
end)
