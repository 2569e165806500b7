-- core.json: what must survive a way through JSON, in both directions.
local json = require("qhub.core").json
local comma_locale = require "spec.support.comma_locale"
local values = require "spec.support.json_values"

local function bits(number)
  return ("%016x"):format(string.unpack("j", string.pack("n", number)))
end

-- n/10 * 2^-shift with all its decimals, for n from 10 to 99.
local function tenths(n, shift)
  local digits = { n // 10, n % 10 }
  for _ = 1, shift do
    local rest = 0
    for i = 1, #digits do
      local value = rest * 10 + digits[i]
      digits[i] = value // 2
      rest = value % 2
    end
    if rest > 0 then digits[#digits + 1] = 5 end
  end
  return digits[1] .. "." .. table.concat(digits, "", 2)
end

local function assert_returns(value)
  local text = json.encode(value)
  local back = json.decode(text)
  assert.is_true(values.same(value, back), text)
end

describe("json numbers", function()
  it("keep integers of 64 bits", function()
    for _, text in ipairs {
      "0",
      "-1",
      "10",
      "9007199254740993",
      "9223372036854775807",
      "-9223372036854775808",
    } do
      local value = json.decode(text)
      assert.equal("integer", math.type(value), text)
      assert.equal(text, json.encode(value))
    end
    local random = values.new(1)
    for _ = 1, 20000 do
      local value = random:integer()
      local text = json.encode(value)
      assert.equal(("%d"):format(value), text)
      local back = json.decode(text)
      assert.is_true(back == value and math.type(back) == "integer", text)
    end
  end)

  it("keep 1 and 1.0 apart", function()
    assert.equal("1", json.encode(1))
    assert.equal("1.0", json.encode(1.0))
    assert.equal("integer", math.type(json.decode "1"))
    for _, text in ipairs { "1.0", "1e0", "1E2", "100e-2", "0.0", "-0.0", "1e+2" } do
      assert.equal("float", math.type(json.decode(text)), text)
    end
  end)

  it("become floats beyond 64 bits", function()
    for _, text in ipairs {
      "9223372036854775808",
      "-9223372036854775809",
      "18446744073709551616",
      "100000000000000000000",
      ("7"):rep(100),
      "-" .. ("9"):rep(308),
      "1" .. ("0"):rep(308),
    } do
      local value = json.decode(text)
      assert.equal("float", math.type(value), text)
      assert.equal(bits(tonumber(text .. ".0")), bits(value), text)
    end
  end)

  it("keep the sign of zero", function()
    assert.equal("-0.0", json.encode(-0.0))
    assert.equal("0.0", json.encode(0.0))
    assert.equal("0", json.encode(0))
    for _, text in ipairs { "-0", "-0.0", "-0e5", "-1e-400", "-0.000" } do
      assert.equal(bits(-0.0), bits(json.decode(text)), text)
    end
    assert.equal("integer", math.type(json.decode "0"))
  end)

  it("keep every bit of doubles of every magnitude #large", function()
    for exponent = 0, 2046 do
      for _, fraction in ipairs { 0, 1, 0xFFFFFFFFFFFFF, 0x8000000000001, 0x123456789ABCD } do
        local value = string.unpack("n", string.pack("j", exponent << 52 | fraction))
        for _, number in ipairs { value, -value } do
          local text = json.encode(number)
          local back = json.decode(text)
          if bits(back) ~= bits(number) or bits(tonumber(text)) ~= bits(number) then
            assert.equal(("%a"):format(number), text)
          end
        end
      end
    end
    local random = values.new(2)
    for _ = 1, 50000 do
      local number = random:double()
      local text = json.encode(number)
      if bits(json.decode(text)) ~= bits(number) or bits(tonumber(text)) ~= bits(number) then
        assert.equal(("%a"):format(number), text)
      end
    end
  end)

  -- printf and strtod are exact in the C library: the fewest digits of printf that read back as
  -- the same number are what is expected here.
  it("are written with the fewest digits that read back to the same double #large", function()
    local random = values.new(3)
    local function digits_of(text)
      local digits = text:gsub("[eE].*", ""):gsub("[-.]", ""):gsub("^0+", ""):gsub("0+$", "")
      return digits
    end
    local function check(number)
      local written = digits_of(json.encode(number))
      for count = math.max(#written, 1), 17 do
        local text = ("%." .. (count - 1) .. "e"):format(number)
        if tonumber(text) == number then
          -- printf may need a digit more at a power of two, where doubles lie closer below
          if #written == count then assert.equal(digits_of(text), written) end
          break
        end
      end
      if #written > 1 then
        local shorter = ("%." .. (#written - 2) .. "e"):format(number)
        assert.is_false(tonumber(shorter) == number, shorter)
      end
    end
    for exponent = -323, 308 do
      check(tonumber("1e" .. exponent))
      check(tonumber("1.7976931348623157e" .. (exponent < 308 and exponent or 307)))
    end
    for _ = 1, 10000 do
      local number = random:double()
      if number ~= 0 then check(number) end
    end
  end)

  it("are written in plain or exponent notation, as people write them", function()
    for text, number in pairs {
      ["0.1"] = 0.1,
      ["100.0"] = 1e2,
      ["1000000000000000.0"] = 1e15,
      ["1e+16"] = 1e16,
      ["1.5e+300"] = 1.5e300,
      ["0.0001"] = 1e-4,
      ["1e-5"] = 1e-5,
      ["1.25e-7"] = 1.25e-7,
      ["5e-324"] = 5e-324,
      ["1.7976931348623157e+308"] = 1.7976931348623157e308,
      ["-123.456"] = -123.456,
    } do
      assert.equal(text, json.encode(number))
    end
  end)

  it("are read to the nearest double in every notation #large", function()
    local random = values.new(4)
    local function check(literal)
      local value, message = json.decode(literal)
      if math.abs(tonumber(literal)) == math.huge then
        assert.is_nil(value, literal)
        assert.equal("the number is too large for a double", message)
      elseif bits(value) ~= bits(tonumber(literal)) then
        assert.equal(literal, ("%a"):format(value))
      end
    end
    for _ = 1, 30000 do
      local digits = {}
      for i = 1, random:between(1, random:between(0, 20) == 0 and 900 or 30) do
        digits[i] = random:between(0, 9)
      end
      local literal = ("%d.%s"):format(random:between(0, 99), table.concat(digits))
      if random:between(0, 2) > 0 then
        literal = ("%se%d"):format(literal, random:between(-345, 320))
      end
      check(literal)
    end
    -- The middle between two doubles goes to the even one, and a digit far behind decides.
    for _, shift in ipairs { 1, 10, 53, 300, 1074, 1075, 1076 } do
      for _, n in ipairs { 10, 15, 25, 35 } do
        local middle = tenths(n, shift)
        check(middle)
        check(middle .. "1")
        check(middle .. ("0"):rep(1000) .. "1")
      end
    end
    check "1.00000000000000011102230246251565404236316680908203125"
    check "1.000000000000000111022302462515654042363166809082031250000000000000000000001"
    check "1.00000000000000011102230246251565404236316680908203124999999999999999999999"
    check "1.00000000000000033306690738754696212708950042724609375"
    check "9007199254740993.0"
    check "9007199254740993.00000000000000000000000000000000000000000001"
    check "2.4703282292062327e-324"
    check "2.4703282292062328e-324"
    check "1.7976931348623158e308"
    check "1.7976931348623159e308"
    check("0." .. ("0"):rep(500) .. "1e501")
    check(("1"):rep(400) .. ".0e-399")
    check "0e999999999999999999999"
    check "1e-999999999999999999999"
    check "1e18446744073709551617"
  end)

  it("do not depend on the locale of the program #process", function()
    local output = comma_locale.run [[
      local json = require("qhub.core").json
      local long = "0." .. ("123456789"):rep(12)
      local text = '[1.5,-0.25,1e+100,123456.789,5e-324,-0.0,7,"1,5"]'
      assert(json.encode(json.decode(text)) == text, json.encode(json.decode(text)))
      assert(json.decode(long) == 0.12345678912345678, "long")
      assert(json.decode("1e400") == nil and json.decode("1,5") == nil and json.decode("1.") == nil)
      local numbers = {}
      for i = 1, 20000 do numbers[i] = i / 7 end
      local back = json.decode(json.encode(numbers))
      for i = 1, 20000 do assert(back[i] == numbers[i], i) end
      io.write("as ever")
    ]]
    assert.equal("as ever", output)
  end)
end)

describe("json strings", function()
  it("survive with every Unicode character", function()
    local characters = {}
    for code = 0, 0x10FFFF do
      if code < 0xD800 or code > 0xDFFF then characters[#characters + 1] = utf8.char(code) end
    end
    assert_returns(table.concat(characters))
  end)

  it("survive as values and as names, NUL included", function()
    local random = values.new(5)
    for _ = 1, 5000 do
      local text = random:string()
      assert_returns(text)
      assert_returns { [text] = text }
    end
    assert.equal("a\0b", json.decode '"a\\u0000b"')
    assert.equal('{"\\u0000":"\\u0000"}', json.encode { ["\0"] = "\0" })
    assert.equal(1, json.decode('{"a\\u0000b":1}')["a\0b"])
  end)

  it("are read from every kind of escape", function()
    assert.equal('"\\/\b\f\n\r\t', json.decode [["\"\\\/\b\f\n\r\t"]])
    assert.equal("äÄ😀", json.decode [["\u00e4\u00C4\uD83D\uDE00"]])
    assert.equal("\\u0041", json.decode [["\\u0041"]])
    assert.equal('"', json.decode [["\u0022"]])
    assert.equal("\u{10FFFF}\u{FFFF}\u{E000}", json.decode [["\uDBFF\uDFFF\uffff\ue000"]])
  end)

  it("are escaped no more than necessary", function()
    assert.equal([["\"\\\b\f\n\r\t\u0000\u001f"]], json.encode '"\\\b\f\n\r\t\0\x1f')
    assert.equal('"a/b\x7Fü😀\u{2028}"', json.encode "a/b\x7Fü😀\u{2028}")
  end)
end)

describe("json tables", function()
  it("stay arrays and objects, empty or not", function()
    for _, text in ipairs {
      "[]",
      "{}",
      "[[],{}]",
      '{"a":[]}',
      '{"a":{}}',
      "[1,[2,[3]]]",
      '{"1":"one"}',
      "[null]",
      '{"a":null}',
    } do
      assert.equal(text, json.encode(json.decode(text)))
    end
    assert.is_true(json.is_array(json.decode "[]"))
    assert.is_false(json.is_array(json.decode "{}"))
    assert.is_nil(getmetatable(json.decode "{}"))
    assert.equal("one", json.decode('{"1":"one"}')["1"])
  end)

  it("take the last of several members of one name", function()
    assert.same({ a = 3, b = 2 }, json.decode '{"a":1,"b":2,"a":3}')
    assert.same({ a = 2 }, json.decode '{"a":1,"\\u0061":2}')
    local many = ('{"a":0%s,"a":"last"}'):format((',"b":[1,2,3]'):rep(10000))
    assert.equal("last", json.decode(many).a)
  end)

  it("can be marked, in place", function()
    local list, map = {}, {}
    assert.equal(list, json.array(list))
    assert.equal(map, json.object(map))
    assert.equal("[]", json.encode(list))
    assert.equal("{}", json.encode(map))
    assert.is_true(json.is_array(list))
    assert.is_false(json.is_array(map))
    assert.is_false(json.is_array {})
    assert.is_false(json.is_array "x")
    assert.equal("{}", json.encode {})
    assert.equal("{}", json.encode(json.object(json.array {})))
    assert.equal('["a"]', json.encode(json.array { "a" }))
  end)

  it("cannot be marked when they have another metatable", function()
    local foreign = setmetatable({}, { __name = "Other" })
    for _, mark in ipairs { json.array, json.object } do
      assert.error_matches(function()
        mark(foreign)
      end, "has a metatable already")
      assert.error_matches(function()
        mark "x"
      end, "table expected, got string")
    end
    assert.equal("Other", getmetatable(foreign).__name)
  end)

  it("survive a round trip with random contents", function()
    for seed = 1, 300 do
      local random = values.new(seed)
      local value = random:value(6, 6)
      assert_returns(value)
      local text = random:text(value)
      assert.is_true(values.same(value, (json.decode(text))), text)
    end
  end)

  it("survive a round trip when they are long and nested", function()
    for seed = 1, 25 do
      local random = values.new(1000 + seed)
      local value = json.array {}
      for i = 1, random:between(1, 40) do
        value[i] = random:container(random:between(1, 4), random:between(1, 25))
      end
      assert_returns(value)
      assert.is_true(values.same(value, (json.decode(random:text(value)))), "seed " .. seed)
    end
    -- Long strings, numbers and blanks around the length at which texts are cut.
    for _, length in ipairs { 16370, 16380, 16383, 16384, 16385, 16390, 33000 } do
      local inner = { a = { ("x"):rep(length), 1.5, { b = json.array {}, c = ("y"):rep(length) } } }
      assert_returns(json.array { inner, inner, ("\n"):rep(length), 7 })
      local text = ('[%s1,%s[2,[3%s],{"a":%s4}]%s,5]'):gsub("%%s", (" "):rep(length))
      assert.equal('[1,[2,[3],{"a":4}],5]', json.encode(json.decode(text)))
      assert.equal(3, #json.decode(("[0,0.%s1,0]"):format(("0"):rep(length))))
    end
  end)

  it("have a null that is the NULL light userdata", function()
    assert.equal("userdata", type(json.null))
    assert.is_nil(getmetatable(json.null))
    assert.equal(json.null, json.decode "null")
    assert.equal(json.null, json.decode("[null]")[1])
    assert.equal('{"a":null}', json.encode { a = json.null })
  end)

  it("nest up to 1000 times, and no deeper", function()
    local function text(depth, open, inner, close)
      return open:rep(depth) .. inner .. close:rep(depth)
    end
    for _, form in ipairs { { "[", "", "]" }, { '{"a":', "1", "}" }, { "[0,", "2.5", "]" } } do
      local value = assert(json.decode(text(1000, table.unpack(form))))
      local again = json.encode(value)
      assert.equal(text(1000, table.unpack(form)), again)
      local none, message = json.decode(text(1001, table.unpack(form)))
      assert.is_nil(none)
      assert.matches("more than 1000 deep", message)
      assert.error_matches(function()
        json.encode { value }
      end, "more than 1000 deep")
    end
    -- The same when the text is long enough to be cut, at every depth.
    local padding = ("0,"):rep(10000)
    local deep = assert(json.decode(text(1000, "[" .. ("0,"):rep(20), padding .. "0", "]")))
    assert.error_matches(function()
      json.encode { deep }
    end, "more than 1000 deep")
    assert.is_nil((json.decode(text(1001, "[" .. ("0,"):rep(20), padding .. "0", "]"))))
  end)
end)

describe("qhub.json", function()
  local public = require "qhub.json"

  it("decodes NaN and infinities with { nan = true } only", function()
    local value = assert(public.decode('{"x":NaN,"y":-Infinity}', { nan = true }))
    assert.is_true(value.x ~= value.x)
    assert.equal(-1 / 0, value.y)
    for _, options in ipairs { false, {}, { nan = false } } do
      local none, err = public.decode("[NaN]", options or nil)
      assert.is_nil(none)
      assert.equal("decode", err.kind)
      assert.same({ 1, 2 }, { err.line, err.column })
    end
  end)

  it("encodes with an indent", function()
    assert.equal('{\n  "a": 1\n}', public.encode({ a = 1 }, { indent = 2 }))
    assert.equal('{"a":1}', public.encode({ a = 1 }, {}))
  end)

  it("raises for options that it does not know, or of the wrong type", function()
    for message, call in pairs {
      ["unknown option 'nam'; known are nan"] = { public.decode, "1", { nam = true } },
      ["nan must be true or false"] = { public.decode, "1", { nan = 1 } },
      ["options must be a table, got boolean"] = { public.decode, "1", true },
      ["unknown option 'nan'"] = { public.encode, 1, { nan = true } },
      ["indent must be a whole number"] = { public.encode, 1, { indent = "2" } },
      ["indent must be a whole number from 0 to 16"] = { public.encode, 1, { indent = 17 } },
    } do
      local ok, err = pcall(table.unpack(call))
      assert.is_false(ok)
      assert.is_truthy(tostring(err):find(message, 1, true), tostring(err))
    end
    assert.error_matches(function()
      public.encode(1, { indent = 1.5 })
    end, "number from 0 to 16")
  end)
end)
