-- Responses that are proper HTTP and bad all the same: too much, too deep, or not what was asked
-- for.

local calls = require "spec.support.calls"
local client_of = require "spec.support.client_of"
local gateway = require "spec.support.gateway"
local qhub = require "qhub"
local scripted = require "spec.support.scripted"
local shared = require "spec.support.shared"
local trial = require "spec.support.trial"

describe("a hostile response", function()
  local server = shared(scripted.start)

  -- The answers to one call each, as a client with `options` gets them.
  local function answers(call, body, options)
    local client <close> = client_of(server, options)
    server:play(scripted.kept("200 OK", body))
    return call.invoke(client)
  end

  local JSON_CALLS = {
    calls.get_service_executions,
    calls.start_execution,
    calls.get_status,
    calls.get_result,
    calls.get_logs,
  }

  -- Expects a decode error of every operation that reads JSON, and no second try.
  local function undecodable(body)
    for _, call in ipairs(JSON_CALLS) do
      local value, err = answers(call, body)
      assert.is_nil(value, call.name)
      assert.equal("decode", err.kind, call.name)
      assert.equal(200, err.status_code)
      assert.equal(1, err.attempts)
      assert.equal(1, #server:requests())
    end
  end

  it("that is not JSON is a decode error with the whole body, requested once", function()
    for _, body in ipairs {
      "<!DOCTYPE html><html><body>Sign in</body></html>",
      '{"id":"x"',
      '{"id":"x"} trailing',
      "{'id':'x'}",
      '{"id":"\xff"}',
      '{"id":"\\ud800"}',
      "[01]",
      "[1e999]",
      "[nan]",
      "\xef\xbb\xbf{}",
      "\0",
    } do
      undecodable(body)
      local _, err = answers(calls.get_status, body)
      assert.equal(body, err.body)
    end
  end)

  it("that is nested too deep is a decode error", function()
    undecodable(("["):rep(1001) .. ("]"):rep(1001))
    undecodable(("["):rep(500000))
    undecodable(('{"a":'):rep(500000))
  end)

  it("of the wrong shape is a decode error, not an error in Lua", function()
    for _, body in ipairs { "null", "true", "17", '"text"', '[{"id":1}, 2]' } do
      for _, call in ipairs(JSON_CALLS) do
        local value, err = answers(call, body)
        if call ~= calls.get_result and not (call == calls.get_logs and body == "null") then
          assert.is_nil(value, call.name .. body)
          assert.equal("decode", err.kind)
        end
      end
    end
  end)

  it("with members of unexpected types is accepted unchanged", function()
    local body = '{"status":null,"tags":7,"createdAt":false,"raw":1,"wait":2,"_links":3}'
    local execution = assert(answers(calls.get_status, body))
    assert.is_string(tostring(execution))
    assert.equal(7, execution.tags)
    assert.is_table(execution.raw)
    assert.is_function(execution.wait)
    assert.is_false(execution:is_terminal())
    local result = assert(answers(calls.get_result, '{"_embedded":{"status":1},"_links":[]}'))
    assert.equal(1, result._embedded.status)
    assert(answers(calls.get_result, '{"_embedded":null,"_links":null}'))
    assert(answers(calls.get_result, '{"_embedded":7}'))
    assert(answers(calls.get_logs, '[{"message":null,"severity":7,"timestamp":[]}]'))
  end)

  it("with extreme numbers and unusual keys loses nothing", function()
    local raw = assert(
      answers(
        calls.get_status,
        '{"id":"x","big":9223372036854775807,"beyond":9223372036854775808,"tiny":5e-324,'
          .. '"huge":1.7976931348623157e308,"long":0.'
          .. ("1"):rep(5000)
          .. ',"id":"0190cf2e","":1,"a\\u0000b":2}'
      )
    ).raw
    assert.equal(math.maxinteger, raw.big)
    assert.equal(2.0 ^ 63, raw.beyond)
    assert.equal(5e-324, raw.tiny)
    assert.equal(1.7976931348623157e308, raw.huge)
    assert.equal("0190cf2e", raw.id)
    assert.equal(1, raw[""])
    assert.equal(2, raw["a\0b"])
  end)

  it("that is larger than the limit is cut off there, and not requested again", function()
    for _, call in ipairs(JSON_CALLS) do
      local body = '{"id":"' .. ("x"):rep(100000) .. '"}'
      local value, err = answers(call, body, { max_response_bytes = 1000 })
      assert.is_nil(value)
      assert.equal("decode", err.kind)
      assert.equal(200, err.status_code)
      assert.equal(body:sub(1, 1000), err.body)
      assert.equal(1, #server:requests())
    end
    local body = ("x"):rep(100000)
    local value = answers(calls.get_result_file, body, { max_response_bytes = 1000 })
    assert.equal(body, value)
  end)

  it("with an error status that is too large keeps the status and part of the body", function()
    local _ <close> = trial.at_once()
    for _, call in ipairs(calls) do
      local client <close> = qhub.HubServiceClient {
        base_url = server.url,
        token = "tok-en",
        max_response_bytes = 1000,
      }
      server:play { scripted.response("404 Gone", ("x"):rep(100000)) }
      local _, err = call.invoke(client)
      assert.equal("api", err.kind)
      assert.equal(404, err.status_code)
      assert.equal(("x"):rep(1000), err.body)
    end
  end)

  it("that decompresses endlessly is cut off at the limit", function()
    local simulator <close> = gateway.start()
    local client <close> = qhub.HubServiceClient {
      base_url = simulator.url,
      token = simulator.token,
      max_response_bytes = 1 << 20,
    }
    simulator:fault { times = -1, fault = { bomb = 500 << 20 } }
    collectgarbage()
    local before = collectgarbage "count"
    for _, call in ipairs(JSON_CALLS) do
      local value, err = call.invoke(client)
      assert.is_nil(value)
      assert.equal("decode", err.kind)
      assert.equal(200, err.status_code)
      assert.is_true(#err.body <= 1 << 20)
    end
    assert.is_true(collectgarbage "count" - before < 20 * 1024)
    assert.equal(#JSON_CALLS, simulator:requests().total)
  end)

  it("puts no terminal control sequences into an error", function()
    local text = '{"message":"a\\u001b[2J\\r\\nInjected: b\\u0007' .. ("x"):rep(100000) .. '"}'
    local client <close> = qhub.HubServiceClient { base_url = server.url, token = "tok-en" }
    server:play(scripted.kept("400 B\27[2Jad", text))
    for _, call in ipairs(calls) do
      local _, err = call.invoke(client)
      local line = tostring(err)
      assert.is_nil(line:find "%c")
      assert.is_true(#line < 1000)
    end
  end)
end)
