-- What a start sends beside its body: tags, secrets, data pools.

local FakeTransport = require "spec.support.fake_transport"
local qhub = require "qhub"

local SECRET = "s3cretMARKER"

local function started(body, options, answer)
  local fake = FakeTransport { answer or { status_code = 201, body = '{"id":"1"}' } }
  local client = fake:client { max_retries = 0 }
  local execution, err = client:start_execution(body, options)
  local sent = fake.requests[1]
  return sent and qhub.json.decode(sent.body), execution, err, client
end

local function refused(body, options)
  local ok, message = pcall(started, body, options)
  assert.is_false(ok)
  assert.is_nil(message:find("MARKER", 1, true), message)
  return message
end

describe("the options tags and secrets", function()
  it("are sent as $tags and $secrets beside the body, which is not changed", function()
    local body = { values = { 2 }, tags = "a parameter" }
    local sent = started(body, { tags = { "demo", "x" }, secrets = { KEY = SECRET } })
    assert.same({ "demo", "x" }, sent["$tags"])
    assert.equal(SECRET, sent["$secrets"].KEY)
    assert.equal("a parameter", sent.tags)
    assert.is_nil(body["$tags"])
  end)

  it("are sent as an array and an object also when they are empty", function()
    local fake = FakeTransport { { status_code = 201, body = '{"id":"1"}' } }
    assert(fake:client():start_execution({}, { tags = {}, secrets = {} }))
    assert.matches('"$tags":[]', fake.requests[1].body, 1, true)
    assert.matches('"$secrets":{}', fake.requests[1].body, 1, true)
  end)

  it("are taken by run for its start", function()
    local fake = FakeTransport {
      { status_code = 201, body = '{"id":"1","status":"SUCCEEDED"}' },
      { status_code = 200, body = '{"id":"1","status":"SUCCEEDED"}' },
    }
    fake:client():run({}, { start = { tags = { "t" } } })
    assert.matches('"$tags":["t"]', fake.requests[1].body, 1, true)
  end)

  it("are refused when they have the wrong type, without showing a value", function()
    assert.matches("tags must be", refused({}, { tags = "x" }))
    assert.matches("tags%[2%]", refused({}, { tags = { "x", 7 } }))
    assert.matches("list of strings", refused({}, { tags = { x = "y" } }))
    assert.matches("secrets must be", refused({}, { secrets = SECRET }))
    assert.matches("secrets.KEY must be a string", refused({}, { secrets = { KEY = { SECRET } } }))
    assert.matches("not a name", refused({}, { secrets = { SECRET } }))
  end)

  it("are refused when the body already has such a member", function()
    assert.matches("$tags", refused({ ["$tags"] = { "a" } }, { tags = { "b" } }), 1, true)
    assert.matches(
      "$secrets",
      refused({}, { body = { ["$secrets"] = {} }, secrets = { K = SECRET } }),
      1,
      true
    )
  end)

  it("keep the secrets out of errors of the start and of later calls", function()
    local answer = { status_code = 400, body = '{"message":"not ' .. SECRET:upper() .. '"}' }
    local _, _, err, client = started({}, { secrets = { KEY = SECRET } }, answer)
    assert.matches("not REDACTED", err.message)
    _, err = client:get_status "1"
    assert.matches("not REDACTED", err.message)
    assert.is_nil(tostring(err):upper():find("MARKER", 1, true))
  end)
end)

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
