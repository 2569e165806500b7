-- What the decoders of responses accept beyond RFC 8259. Over a fake transport.

local qhub = require "qhub"
local FakeTransport = require "spec.support.fake_transport"

describe("responses of the gateway", function()
  it("may contain NaN and infinities, which the vendor's runtime writes", function()
    local client = FakeTransport({
      { status_code = 200, body = '{"energy":NaN,"bounds":[-Infinity,Infinity]}' },
    }):client()
    local result = assert(client:get_result "1")
    assert.is_true(result.energy ~= result.energy)
    assert.same({ -math.huge, math.huge }, { table.unpack(result.bounds) })
  end)

  it("may contain NaN and infinities in error bodies, too", function()
    local client =
      FakeTransport({ { status_code = 400, body = '{"title":"bad","value":NaN}' } }):client()
    local none, err = client:get_result "1"
    assert.is_nil(none)
    assert.equal("api", err.kind)
    assert.equal("bad", err.body.title)
    assert.is_true(err.body.value ~= err.body.value)
  end)

  it("are refused for other words that are not JSON", function()
    local client = FakeTransport({ { status_code = 200, body = '{"energy":nan}' } }):client()
    local none, err = client:get_result "1"
    assert.is_nil(none)
    assert.equal("decode", err.kind)
    assert.matches("line 1, column 11", err.message)
  end)
end)

describe("a status", function()
  -- What get_status of "x" makes of `body`.
  local function status(body)
    return FakeTransport({ { status_code = 200, body = body } }):client():get_status "x"
  end

  it("names the requested execution or none", function()
    local bodies = { '{"id":"x"}', '{"id":null,"status":null}', '{"status":"RUNNING"}', "{}" }
    for _, body in ipairs(bodies) do
      assert.equal("x", assert(status(body)).id)
    end
  end)

  it("is an error of kind decode when its id is missing or another one", function()
    for _, id in ipairs {
      '"OTHER"',
      '"X"',
      '"x "',
      '""',
      '"."',
      "true",
      "7",
      "1.5",
      "[]",
      "{}",
      '"x\\n"',
    } do
      local execution, err = status('{"id":' .. id .. ',"status":"RUNNING"}')
      assert.is_nil(execution, id)
      assert.equal("decode", err.kind)
      assert.equal(200, err.status_code)
      assert.matches(id, err.body, 1, true)
    end
  end)

  it("is an error of kind decode when the status is not a string", function()
    for _, value in ipairs { "7", "true", "[]", "{}" } do
      local execution, err = status('{"id":"x","status":' .. value .. "}")
      assert.is_nil(execution, value)
      assert.equal("decode", err.kind)
      assert.matches("status", err.message)
    end
  end)

  it("with an integer id has the id as text", function()
    local fake = FakeTransport { { status_code = 200, body = '[{"id":7,"status":"RUNNING"}]' } }
    local client = fake:client()
    assert.equal("7", client:get_service_executions()[1].id)
    fake.responses = { { status_code = 200, body = '{"id":7}' } }
    assert.equal("7", client:get_status("7").id)
  end)

  it("never turns an execution into another one", function()
    local fake = FakeTransport { { status_code = 200, body = '{"id":"x","status":"RUNNING"}' } }
    local client = fake:client { max_retries = 0 }
    local execution = client:get_status "x"
    fake.responses = { { status_code = 200, body = '{"id":"OTHER","status":"SUCCEEDED"}' } }
    local none, err = execution:refresh()
    assert.is_nil(none)
    assert.equal("decode", err.kind)
    assert.equal("x", execution.id)
    assert.equal("RUNNING", execution.status)
    none, err = execution:wait { timeout = 1 }
    assert.is_nil(none)
    assert.equal("decode", err.kind)
    assert.equal("x", execution.id)
  end)

  it("in a list or a result follows the same rule", function()
    local client =
      FakeTransport({ { status_code = 200, body = '[{"id":"1"},{"id":[]}]' } }):client()
    local none, err = client:get_service_executions()
    assert.is_nil(none)
    assert.equal("decode", err.kind)
    assert.matches("item 2 of the list", err.message)
    local body = '{"_embedded":{"status":{"id":"OTHER","status":"FAILED"}}}'
    client = FakeTransport({ { status_code = 200, body = body } }):client()
    none, err = client:get_result "x"
    assert.is_nil(none)
    assert.equal("decode", err.kind)
    body = '{"_embedded":{"status":{"status":"FAILED"}}}'
    client = FakeTransport({ { status_code = 200, body = body } }):client()
    assert.equal("x", client:get_result("x").embedded.status.id)
  end)
end)

describe("the response to a start", function()
  local function started(body, location)
    local headers = { Location = location }
    return FakeTransport({ { status_code = 201, body = body, headers = headers } })
      :client()
      :start_execution {}
  end

  it("whose id cannot be used in a request is a decode error with the raw response", function()
    for _, id in ipairs { '".."', '"."', '""', '"a\\n"', "{}", "null", "true" } do
      local body = '{"id":' .. id .. "}"
      local none, err = started(body, nil)
      assert.is_nil(none, id)
      assert.equal("decode", err.kind)
      assert.equal(body, err.body)
      assert.matches("the run may have started", err.message)
    end
  end)

  it("is the execution that Location names when its own id cannot be used", function()
    for _, body in ipairs { '{"id":".."}', '{"id":""}', '{"id":"a","status":7}', "<html>" } do
      assert.equal("7f", assert(started(body, "/acme/vqe/v1/7f")).id)
    end
    local none, err = started('{"id":".."}', "/acme/vqe/v1/..")
    assert.is_nil(none)
    assert.equal("decode", err.kind)
  end)

  it("is found in a long Location in time that grows with its length only", function()
    local before = os.clock()
    assert.equal("7f", assert(started("", ("/"):rep(60000) .. "7f//")).id)
    assert.equal("7f", assert(started("", "/" .. ("a"):rep(60000) .. "/7f")).id)
    assert.is_true(os.clock() - before < 1)
  end)
end)

describe("the text of a status", function()
  local function status(body)
    local client = FakeTransport({ { status_code = 200, body = body } }):client()
    return assert(client:get_status "a")
  end

  it("is read the same for every spelling of its members", function()
    for _, body in ipairs {
      '{"id":"a","status":"RUNNING","type":"MANAGED"}',
      ' { "type" : "MANAGED" , "status" : "RUNNING" } ',
      '{"status":"\\u0052UNNING","id":"\\u0061","type":"\\u004dANAGED"}',
      '{"\\u0073tatus":"RUNNING","\\u0069d":"a","type":"MANAGED"}',
      '{"status":"FAILED","id":"b","id":"a","status":"RUNNING","type":"MANAGED"}',
      '{"status":[1],"status":"RUNNING","type":"MANAGED"}',
      '{"more":{"id":"b","status":"FAILED"},"status":"RUNNING","id":null,"type":"MANAGED"}',
    } do
      local execution = status(body)
      assert.equal("RUNNING", execution.status)
      assert.equal("a", execution.id)
      assert.equal("MANAGED", execution.type)
      assert.equal("RUNNING", execution.raw.status)
      assert.equal("a", execution.raw.id)
    end
  end)

  it("is nil when it is null, and null in raw", function()
    local execution = status '{"id":"a","status":null}'
    assert.is_nil(execution.status)
    assert.equal(qhub.json.null, execution.raw.status)
  end)

  it("that is not JSON is an error that says where", function()
    for body, column in pairs {
      ['{"id":"a","status":"RUNNING"'] = 29,
      ['{"id":"a","status":"RUNNING","x":01}'] = 34,
      ['{"id":"a","status":"RUNNING"} x'] = 31,
    } do
      local client = FakeTransport({ { status_code = 200, body = body } }):client()
      local none, err = client:get_status "a"
      assert.is_nil(none)
      assert.equal("decode", err.kind)
      assert.matches("line 1, column " .. column .. ":", err.message)
    end
  end)

  it("is read in the same way from the response to a start", function()
    local client =
      FakeTransport({ { status_code = 201, body = '{"id":"n","type":"MANAGED"}' } }):client()
    local execution = assert(client:start_execution {})
    assert.equal("n", execution.id)
    assert.is_nil(execution.status)
    assert.equal("MANAGED", execution.raw.type)
  end)
end)
