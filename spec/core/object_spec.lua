-- core.object: userdata with a state and a class that Lua gives it.

local core = require "qhub.core"

local null = core.json.null

describe("an object", function()
  local object = core.object
  local class = { __name = "qhub.Thing" }
  class.__index = {
    get = function(self)
      local state = object.state(self, class)
      return state.value
    end,
  }

  it("has the metatable and the state it was given", function()
    local thing = object.new(class, { value = 5 })
    assert.equal("userdata", type(thing))
    assert.equal(class, getmetatable(thing))
    assert.equal(5, thing:get())
  end)

  it("has a state of its own", function()
    local one, two = object.new(class, { value = 1 }), object.new(class, { value = 2 })
    assert.equal(1, one:get())
    assert.equal(2, two:get())
  end)

  it("looks up methods, then members of its state, then the class's index function", function()
    local asked = {}
    local shown = { __name = "qhub.Shown" }
    local function otherwise(self, name)
      asked[#asked + 1] = name
      return object.state(self, shown)[name] == nil and "absent" or "hidden"
    end
    shown.__index = object.index(shown, { size = 1 }, { size = true, value = true }, otherwise)
    local thing = object.new(shown, { size = 2, value = 5, secret = 7 })
    assert.equal(1, thing.size)
    assert.equal(5, thing.value)
    assert.equal("hidden", thing.secret)
    assert.equal("absent", object.new(shown, {}).value)
    assert.same({ "secret", "value" }, asked)
    for _, other in ipairs({ io.stdout, object.new({}, { value = 5 }), 5 }) do
      assert.error_matches(function()
        shown.__index(other, "value")
      end, "qhub.Shown expected")
    end
    assert.error_matches(function()
      object.index(shown, {}, {})
    end, "bad argument #4")
  end)

  it("runs the __gc of its class", function()
    local collected
    local mortal = {
      __gc = function(self)
        collected = object.state(self, getmetatable(self)).value
      end,
    }
    object.new(mortal, { value = "gone" })
    collectgarbage()
    collectgarbage()
    assert.equal("gone", collected)
  end)

  it("names the method and the caller's line when it is called on another type", function()
    local thing = object.new(class, { value = 5 })
    local others = {
      { 5, "number" },
      { "text", "string" },
      { io.stdout, "FILE%*" },
      { setmetatable({}, class), "qhub.Thing" },
      { object.new({ __name = "qhub.Other" }, {}), "qhub.Other" },
      { null, "%a+" },
    }
    for _, other in ipairs(others) do
      local ok, message = pcall(function()
        local value = thing.get(other[1])
        return value
      end)
      assert.is_false(ok)
      assert.matches(
        "object_spec.lua:%d+: bad argument #1 to 'get' %(qhub.Thing expected, got "
          .. other[2]
          .. "%)$",
        message
      )
    end
  end)

  it("can only be made of two tables", function()
    assert.error_matches(function()
      object.new(class)
    end, "bad argument #2")
    assert.error_matches(function()
      object.new(nil, {})
    end, "bad argument #1")
    assert.error_matches(function()
      object.state(object.new(class, {}))
    end, "bad argument #2")
  end)
end)
