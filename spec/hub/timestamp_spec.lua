-- `qhub.parse_timestamp`: the gateway's dates as seconds since the epoch.

local qhub = require "qhub"

describe("parse_timestamp", function()
  it("reads both forms of the gateway, and reports other texts", function()
    assert.equal(1772186690, qhub.parse_timestamp "2026-02-27 10:04:50")
    assert.equal(1772186699.123, qhub.parse_timestamp "2026-02-27T10:04:59.123Z")
    local value, message = qhub.parse_timestamp "yesterday"
    assert.is_nil(value)
    assert.is_string(message)
  end)

  it("raises for anything but a string", function()
    local ok, message = pcall(qhub.parse_timestamp, 5)
    assert.is_false(ok)
    assert.matches("timestamp_spec.lua:%d+: parse_timestamp: .*must be a string, got 5", message)
  end)
end)
