-- core.json.encode: what it refuses, and how it names the place.
local core = require "qhub.core"

local json = core.json

-- The error message of encode(value), which must be a plain string.
local function refusal(value)
  local ok, message = pcall(json.encode, value)
  assert.is_false(ok)
  assert.equal("string", type(message))
  return message
end

local function assert_refused(value, path, reason)
  local message = refusal(value)
  local shown, rest = message:match "^(.-): (.*)$"
  assert.equal(path, shown, message)
  assert.is_truthy(rest:find(reason, 1, true), message)
end

describe("json.encode", function()
  it("refuses NaN and infinities", function()
    assert_refused(0 / 0, "value", "NaN cannot be written as JSON")
    assert_refused({ input = { coefficients = { 1, 2, 0 / 0 } } }, "input.coefficients[3]", "NaN")
    assert_refused({ x = 1 / 0 }, "x", "infinity")
    assert_refused({ x = -1 / 0 }, "x", "-infinity")
  end)

  it("refuses values that JSON cannot represent, and names their type", function()
    assert_refused(nil, "value", "nil cannot be written as JSON; use qhub.json.null")
    assert_refused(print, "value", "a function cannot be written")
    assert_refused({ a = { b = coroutine.create(print) } }, "a.b", "a thread cannot be written")
    assert_refused({ io.stdout }, "value[1]", "FILE*")
    local address = debug.upvalueid(refusal, 1) -- a light userdata other than NULL
    assert_refused({ address }, "value[1]", "a userdata cannot be written")
    assert.error_matches(function()
      json.encode()
    end, "value expected")
  end)

  it("refuses strings that are not UTF-8, as values and as names", function()
    assert_refused("a\xFFb", "value", "not valid UTF-8 (byte 2)")
    assert_refused({ name = ("x"):rep(100) .. "\xC3" }, "name", "not valid UTF-8 (byte 101)")
    assert_refused({ { ["\xFE"] = 1 } }, 'value[1]["\\xfe"]', "name of the member is not valid")
    for _, text in ipairs {
      "\xC0\xAF",
      "\xED\xA0\x80",
      "\xF4\x90\x80\x80",
      "\xE2\x82",
      "\x80",
    } do
      assert_refused(text, "value", "UTF-8 (byte 1)")
    end
  end)

  it("refuses tables that are neither arrays nor objects", function()
    assert_refused({ a = { 1, 2, x = 3 } }, "a", 'items and named members (key "x") at once')
    assert_refused({ 1, 2, nil, 4 }, "value", "item 3 is missing, but there is an item 4")
    assert_refused({ [2] = "b" }, "value", "item 1 is missing")
    assert_refused({ [0] = "a", "b" }, "value", "key 0")
    assert_refused({ [-1] = "a" }, "value", "key -1")
    assert_refused({ [1.5] = 1 }, "value", "the key 1.5 is not a string")
    assert_refused({ [true] = 1 }, "value", "the key (a boolean) is not a string")
    assert_refused({ a = { [{}] = 1 } }, "a", "the key (a table) is not a string")
    assert_refused({ [1] = 1, [2 ^ 53] = 2 }, "value", "item 2 is missing")
  end)

  it("checks marked tables against their mark", function()
    assert_refused({ a = json.array { x = 1 } }, "a", 'marked as an array but has the key "x"')
    assert_refused(json.array { 1, nil, 3 }, "value", "item 2 is missing")
    assert_refused(json.array { [0] = 1 }, "value", "marked as an array but has the key 0")
    assert_refused(json.object { 1 }, "value", "marked as an object but has the key 1")
    assert_refused(json.object { x = 1, [2] = 2 }, "value", "marked as an object but has the key 2")
  end)

  it("refuses cycles, and names where they close", function()
    local itself = {}
    itself.me = itself
    assert_refused(itself, "me", "contains itself (it is value as well)")
    local outer = { a = { { b = {} } } }
    outer.a[1].b.c = outer.a
    assert_refused(outer, "a[1].b.c", "contains itself (it is a as well)")
    local shared = { 1 }
    assert.equal("[[1],[1]]", json.encode { shared, shared })
  end)

  it("names places in Lua syntax", function()
    assert_refused({ ["a b"] = { ["c"] = print } }, 'value["a b"].c', "function")
    assert_refused({ a = { ["1"] = print } }, 'a["1"]', "function")
    assert_refused({ _x1 = { { print } } }, "_x1[1][1]", "function")
    assert_refused({ ["line\n"] = print }, 'value["line\\x0a"]', "function")
    local deep = { last = print }
    for _ = 1, 500 do
      deep = { deep }
    end
    local message = refusal(deep)
    local shown = "value" .. ("[1]"):rep(8) .. " ... [1][1][1].last: a function"
    assert.equal(shown, message:sub(1, #shown))
  end)

  it("writes a table with the keys 1 to n as an array, however it is stored", function()
    local backwards = {}
    for i = 100, 1, -1 do
      backwards[i] = i
    end
    local expected = {}
    for i = 1, 100 do
      expected[i] = i
    end
    local text = "[" .. table.concat(expected, ",") .. "]"
    assert.equal(text, json.encode(backwards))
    assert.equal(text, json.encode(json.array(backwards)))
    -- Emptied again from either side, and with keys that were there once.
    backwards.x = 1
    backwards.x = nil
    for i = 100, 4, -1 do
      backwards[i] = nil
    end
    assert.equal("[1,2,3]", json.encode(backwards))
    backwards[3], backwards[2], backwards[1] = nil, nil, nil
    assert.equal("[]", json.encode(backwards))
    assert.equal("{}", json.encode(setmetatable(backwards, nil)))
  end)

  it("writes each item once for arrays in Lua's hash part", function()
    -- Names that were there once leave room, in which later items lie in any order.
    local function scattered(first, count)
      local list = { 1, first }
      for i = 1, count do
        list["name" .. i] = i
      end
      for i = 1, count do
        list["name" .. i] = nil
      end
      for i = 3, count do
        list[i] = i
      end
      return list
    end
    local out_of_order = 0
    for count = 3, 40 do
      local list = scattered(2, count)
      local expected = 0
      for key in next, list do
        expected = expected + 1
        if key ~= expected then
          out_of_order = out_of_order + 1
          break
        end
      end
      local back = json.decode(json.encode(list))
      assert.equal(count, #back)
      for i = 1, count do
        assert.equal(i, back[i])
      end
    end
    assert.is_true(out_of_order > 0)
    -- At every depth: if the work doubled with each, this would never end.
    local nested = 2
    for _ = 1, 100 do
      nested = scattered(nested, 8)
    end
    local inner = json.decode(json.encode(nested))
    for _ = 1, 99 do
      assert.equal(8, #inner)
      inner = inner[2]
    end
    assert.equal(2, inner[2])
  end)

  it("runs no metamethods", function()
    local function fail()
      error "a metamethod ran"
    end
    local shy = setmetatable({ 1, 2 }, {
      __index = fail,
      __len = fail,
      __pairs = fail,
      __tostring = fail,
      __name = "Shy",
    })
    assert.equal("[1,2]", json.encode(shy))
    local alias = setmetatable({ a = 1 }, { __index = { b = 2 } })
    assert.equal('{"a":1}', json.encode(alias))
  end)

  it("leaves a refused value unchanged", function()
    local value = { 1, { a = print } }
    refusal(value)
    assert.equal(1, value[1])
    assert.equal(print, value[2].a)
    assert.is_nil(getmetatable(value))
  end)

  it("keeps every bit of 10 MB of doubles #large", function()
    local numbers = {}
    for i = 1, 530000 do
      numbers[i] = (i * 0.6180339887498949) % 1
    end
    local text = json.encode(numbers)
    assert.is_true(#text > 9000000)
    local back = json.decode(text)
    for i = 1, #numbers do
      if back[i] ~= numbers[i] then assert.equal(numbers[i], back[i]) end
    end
    assert.equal(#numbers, #back)
  end)

  it("writes members in the order of their names, byte by byte", function()
    local names =
      { "", "A", "a", "a\0", "aa", "ab", "abcdefgh", "abcdefgh!", "abcdefghi", "b", "é" }
    local expected = {}
    for i, name in ipairs(names) do
      expected[i] = json.encode(name) .. ":" .. i
    end
    for shift = 1, #names do
      local members = {}
      for i = 1, #names do
        local place = (i + shift) % #names + 1
        members[names[place]] = place
      end
      assert.equal("{" .. table.concat(expected, ",") .. "}", json.encode(members))
    end
  end)

  it("orders large objects and nested objects", function()
    local members, expected = {}, {}
    for i = 1000, 1, -1 do
      members[("name%04d"):format(i)] = { y = { d = i, c = 1 }, x = 2 }
    end
    for i = 1, 1000 do
      expected[i] = ('"name%04d":{"x":2,"y":{"c":1,"d":%d}}'):format(i, i)
    end
    assert.equal("{" .. table.concat(expected, ",") .. "}", json.encode(members))
  end)

  it("writes a large object as it was though Lua code empties it meanwhile", function()
    local members = {}
    local function empty()
      for name in pairs(members) do
        members[name] = nil
      end
      collectgarbage()
      local junk = {}
      for i = 1, 1000 do
        junk[i] = ("junk%04d"):format(i) .. ("x"):rep(50)
      end
      return #junk
    end
    members.first = core.object.new({ __encoded = empty }, {})
    local expected = { '"first":1000' }
    for i = 1, 100 do
      local name = ("name%04d"):format(i) .. ("y"):rep(50)
      members[name] = i
      expected[i + 1] = ('"%s":%d'):format(name, i)
    end
    assert.equal("{" .. table.concat(expected, ",") .. "}", json.encode(members))
    assert.is_nil(next(members))
  end)

  it("writes indented lines", function()
    local value = { b = { 1, { c = "x" }, {} }, a = json.array {}, d = {} }
    assert.equal(
      '{\n  "a": [],\n  "b": [\n    1,\n    {\n      "c": "x"\n    },\n    {}\n  ],\n  "d": {}\n}',
      json.encode(value, 2)
    )
    assert.equal("[\n 1,\n 2\n]", json.encode({ 1, 2 }, 1))
    assert.equal("1", json.encode(1, 4))
    assert.equal(json.encode(value), json.encode(value, 0))
  end)
end)
