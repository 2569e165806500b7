-- The options that every operation takes.

local FakeTransport = require "spec.support.fake_transport"
local sent = require "spec.support.sent"
local usage_error = require "spec.support.usage_error"

local BASE = "https://gateway.example/acme/vqe/v1"

describe("the options of a request", function()
  it("encodes queries", function()
    local request = sent(function(c)
      c:get_service_executions { query = { b = { 1, "x y", true }, a = 1.5, ["ü&"] = "=" } }
    end)
    assert.equal(BASE .. "/?a=1.5&b=1&b=x%20y&b=true&%C3%BC%26=%3D", request.url)
    local exact = sent(function(c)
      c:get_service_executions { query = { a = 2.0 ^ 53, b = 0.1 + 0.2 } }
    end)
    assert.equal(BASE .. "/?a=9007199254740992.0&b=0.30000000000000004", exact.url)
    for _, value in ipairs { { {} }, 0 / 0, math.huge } do
      usage_error(sent, function(c)
        c:get_service_executions { query = { a = value } }
      end)
    end
  end)

  it("checks its options", function()
    local client = FakeTransport({}):client()
    assert.matches(
      "'time_out'; known are .*timeout",
      usage_error(client.get_status, client, "1", { time_out = 1 })
    )
    usage_error(client.get_status, client, "1", { chunk_size = 1 })
    usage_error(client.get_result_file, client, "1", "x", { chunk_size = 0 })
    usage_error(client.get_status, client, "1", "options")
    usage_error(client.start_execution, client, {}, { idempotent = 1 })
  end)
end)
