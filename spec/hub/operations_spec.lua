-- The table of operations: what each of them sends, over a fake transport.

local FakeTransport = require "spec.support.fake_transport"
local sent = require "spec.support.sent"
local operations = require("qhub.hub.operations").public
local qhub = require "qhub"
local usage_error = require "spec.support.usage_error"

local BASE = "https://gateway.example/acme/vqe/v1"

-- Method, path and what a call of each operation is given, as in the wire contract. Dots are
-- unreserved (RFC 3986 2.3); only whole dot segments are dangerous.
local CONTRACT = {
  get_service_executions = { "GET", "/" },
  start_execution = { "POST", "/", {} },
  get_status = { "GET", "/a%2Fb%20%C3%A4", "a/b ä" },
  get_result = { "GET", "/7/result", "7" },
  get_result_file = { "GET", "/7/result/..%2Fx", "7", "../x" },
  get_logs = { "GET", "/7/log", "7" },
  cancel_execution = { "PUT", "/7/cancel", "7" },
}

-- The requests of one call of the operation with `options`.
local function requests_of(name, options)
  local fake = FakeTransport { { status_code = 200, body = "[]" } }
  local client, arguments = fake:client(), { table.unpack(CONTRACT[name], 3) }
  arguments[#arguments + 1] = options
  client[name](client, table.unpack(arguments))
  return fake.requests
end

describe("an operation", function()
  it("goes to the path and method of the wire contract", function()
    for name in pairs(operations) do
      local case, requests = assert(CONTRACT[name], name), requests_of(name)
      assert.equal(1, #requests)
      assert.equal(case[1], requests[1].method)
      assert.equal(BASE .. case[2], requests[1].url)
      assert.equal(name == "start_execution" and "{}" or nil, requests[1].body)
    end
  end)

  it("takes the options of every request after its own arguments", function()
    for name in pairs(operations) do
      local options = { query = { a = 1 }, headers = { ["X-Mine"] = "x" } }
      local request = requests_of(name, options)[1]
      assert.equal(BASE .. CONTRACT[name][2] .. "?a=1", request.url)
      assert.equal("x", request.headers["x-mine"])
    end
  end)

  it("takes options of its own, which others refuse", function()
    local own = { chunk_size = "get_result_file", tags = "start_execution" }
    local values = { chunk_size = 10, tags = { "x" } }
    for option, owner in pairs(own) do
      for name in pairs(operations) do
        local ok, message = pcall(requests_of, name, { [option] = values[option] })
        assert.equal(name == owner, ok)
        if not ok then assert.matches("unknown option '" .. option .. "'", message) end
      end
    end
  end)
end)

describe("a request", function()
  it("works with a base_url that ends in slashes", function()
    local request = sent(function(c)
      c:get_status "1"
    end, { base_url = BASE .. "//" })
    assert.equal(BASE .. "/1", request.url)
  end)

  it("refuses ids and names that are not a path segment", function()
    local client = FakeTransport({}):client()
    for _, id in ipairs { "", ".", "..", 5, true } do
      usage_error(client.get_status, client, id)
      usage_error(client.get_result_file, client, "1", id)
      usage_error(client.execution, client, id)
    end
    usage_error(client.get_status, client)
  end)

  it("encodes any character of a name", function()
    local fake = FakeTransport { { status_code = 200, body = "bytes" } }
    assert(fake:client():get_result_file("a\0b", "line\nbreak %.txt"))
    assert.equal(BASE .. "/a%00b/result/line%0Abreak%20%25.txt", fake.requests[1].url)
  end)

  it("sends the given body, with options.body merged over it", function()
    local function body(b, o)
      return sent(function(c)
        c:start_execution(b, o)
      end).body
    end
    assert.equal("{}", body {})
    assert.equal('{"a":[]}', body { a = qhub.json.array {} })
    assert.equal('{"a":{}}', body { a = {} })
    assert.equal('{"a":2}', body({ a = 1 }, { body = { a = 2 } }))
    local given = { a = 1 }
    body(given, { body = { b = 2 } })
    assert.same({ a = 1 }, given)
    local guarded = setmetatable({ a = 1 }, { __newindex = error, __metatable = false })
    assert.equal('{"a":2}', body(guarded, { body = { a = 2 } }))
  end)

  it("refuses a body that is not a JSON object, and names the place", function()
    local client = FakeTransport({}):client()
    for _, body in ipairs { { 1, 2 }, "x", qhub.json.array {} } do
      assert.matches("JSON object", usage_error(client.start_execution, client, body))
    end
    local message = usage_error(client.start_execution, client, { input = { x = { 1, 2, 0 / 0 } } })
    assert.matches("input.x[3]", message, 1, true)
    usage_error(client.start_execution, client)
  end)
end)
