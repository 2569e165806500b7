-- What the decoders of responses accept beyond RFC 8259. Over a transport double.

local Double = require "spec.support.double"

describe("responses of the gateway", function()
  it("may hold NaN and infinities, which the vendor's runtime writes", function()
    local client = Double({
      { status_code = 200, body = '{"energy":NaN,"bounds":[-Infinity,Infinity]}' },
    }):client()
    local result = assert(client:get_result "1")
    assert.is_true(result.energy ~= result.energy)
    assert.same({ -math.huge, math.huge }, { table.unpack(result.bounds) })
  end)

  it("may hold them in error bodies, too", function()
    local client = Double({ { status_code = 400, body = '{"title":"bad","value":NaN}' } }):client()
    local none, err = client:get_result "1"
    assert.is_nil(none)
    assert.equal("api", err.kind)
    assert.equal("bad", err.body.title)
    assert.is_true(err.body.value ~= err.body.value)
  end)

  it("are still refused for other words that are no JSON", function()
    local client = Double({ { status_code = 200, body = '{"energy":nan}' } }):client()
    local none, err = client:get_result "1"
    assert.is_nil(none)
    assert.equal("decode", err.kind)
    assert.matches("line 1, column 11", err.message)
  end)
end)
