-- Data pools by reference, as the values of parameters.

local FakeTransport = require "spec.support.fake_transport"
local qhub = require "qhub"

local SECRET = "s3cretMARKER"

describe("a data pool", function()
  it("is sent as a reference, with a grant if one is given", function()
    assert.same({ id = "p", ref = "DATAPOOL" }, qhub.data_pool "p")
    local pool = qhub.data_pool("p", { grant = SECRET })
    assert.same({ id = "p", ref = "DATAPOOL", grant = SECRET }, pool)
    local answer = { status_code = 400, body = '{"message":"not ' .. SECRET .. '"}' }
    local fake = FakeTransport { answer }
    local _, err = fake:client({ max_retries = 0 }):start_execution { data = pool }
    assert.equal(SECRET, qhub.json.decode(fake.requests[1].body).data.grant)
    assert.matches("not REDACTED", err.message)
  end)

  it("is refused without an id or with an invalid grant", function()
    for _, arguments in ipairs { {}, { "" }, { 7 }, { "a\n" }, { "p", { grant = "MARKER\n" } } } do
      local ok, message = pcall(qhub.data_pool, table.unpack(arguments))
      assert.is_false(ok)
      assert.is_nil(message:find("MARKER", 1, true))
    end
  end)
end)
