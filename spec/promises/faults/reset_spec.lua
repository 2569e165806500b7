-- Connections that are reset (RST) or cut by the simulator while it carries the operation out: what
-- happened on the server is what the errors say may have happened.

local calls = require "spec.support.calls"
local gateway = require "spec.support.gateway"
local libcurl = require "spec.support.libcurl"
local qhub = require "qhub"
local shared = require "spec.support.shared"
local trial = require "spec.support.trial"

describe("a reset", function()
  local simulator = shared(gateway.start)
  local server

  setup(function()
    -- A server as trial.lua wants it: a script is a fault, or the bytes of a good response.
    server = {
      url = simulator.url,
      play = function(_, script)
        simulator:clear()
        local body = script[1] and script[1]:match "\r\n\r\n(.*)$"
        local fault = script.fault or { status = 200, body = body }
        simulator:fault { times = -1, fault = fault }
      end,
      requests = function()
        return simulator:requests().requests
      end,
    }
  end)

  local OPTIONS = { token = "demo-token" }

  it("before the response is a network error, and a start is not sent again", function()
    local script = { fault = { reset = "headers" } }
    trial.all(server, { script }, trial.unanswered "network", OPTIONS)
  end)

  it("in the body is a network error, and a start is not sent again", function()
    local script = { fault = { reset = 5, status = 200, body = '{"id":"0190cf2e"}' } }
    trial.all(server, { script }, trial.broken("network", 5), OPTIONS)
  end)

  it("of a kept connection repeats anything but a start at once", function()
    for _, call in ipairs(calls) do
      local _ <close> = trial.at_once()
      local client <close> = qhub.HubServiceClient { base_url = server.url, token = OPTIONS.token }
      simulator:clear()
      simulator:fault { match = { reused = true }, fault = { reset = "headers" } }
      simulator:fault { times = -1, fault = { status = 200, body = call.body } }
      assert(client:cancel_execution "x")
      local value, err = call.invoke(client)
      if call.repeatable or not libcurl.starts_use_kept then
        assert(value, err)
      else
        assert.equal("network", err.kind)
        assert.is_true(err.sent)
      end
      assert.equal(call.repeatable and 3 or 2, simulator:requests().total)
    end
  end)

  it("after the run was started is reported, and no second run is started", function()
    for _, fault in ipairs {
      { reset = "headers" },
      { reset = 5 },
      { close_after_request = true },
      { truncate = 5 },
      { garbage = true },
    } do
      simulator:clear()
      simulator:forget()
      fault.perform = true
      simulator:fault { times = -1, match = { method = "POST" }, fault = fault }
      local client <close> = qhub.HubServiceClient { base_url = server.url, token = OPTIONS.token }
      local execution, err = client:start_execution {}
      if execution then
        assert.equal(execution.id, assert(client:get_status(execution.id)).id) -- by its Location
      else
        assert.equal("network", err.kind)
        assert.is_true(err.sent)
        assert.matches("list of executions", err.message)
      end
      assert.equal(1, #assert(client:get_service_executions()))
    end
  end)
end)
