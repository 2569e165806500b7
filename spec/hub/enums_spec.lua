-- The enumerations: each name maps to its own string.

local executions = require "qhub.execution"
local qhub = require "qhub"

describe("an enumeration", function()
  it("maps each name to itself", function()
    local names = { "ServiceExecutionStatus", "ServiceExecutionType", "LogEntrySeverity" }
    for _, name in ipairs(names) do
      assert.is_truthy(next(qhub[name]))
      for key, value in pairs(qhub[name]) do
        assert.equal(key, value)
      end
    end
  end)

  it("of statuses has every status of an execution", function()
    for _, status in ipairs(executions.STATUSES) do
      assert.equal(status, qhub.ServiceExecutionStatus[status])
    end
    assert.equal(6, #executions.STATUSES)
  end)
end)
