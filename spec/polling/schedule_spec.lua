-- When the next poll is due: fast at first, then at the interval, spread by jitter.

local core = require "qhub.core"
local schedules = require "qhub.polling.schedule"
local virtual_time = require "spec.support.virtual_time"
local playing = require "spec.polling.fake_execution"

local function status(name)
  return { status_code = 200, body = '{"id":"e1","status":"' .. name .. '"}' }
end

local PENDING, SUCCEEDED = status "PENDING", status "SUCCEEDED"

describe("the polling schedule", function()
  it("starts fast and settles to the interval, which it never exceeds", function()
    for _, interval in ipairs { 0.1, 2, 60 } do
      local first = schedules.delay(interval, 1, 0)
      assert.is_true(first <= interval / 8 and first <= 0.5)
      local last = 0
      for poll = 1, 20 do
        local delay = schedules.delay(interval, poll, 0)
        assert.is_true(delay >= last and delay <= interval)
        last = delay
      end
      assert.equal(interval, last)
    end
  end)

  it("has jitter: half while it is fast, a tenth when it has settled", function()
    assert.is_true(schedules.delay(2, 1, 0.999) < 0.51 * schedules.delay(2, 1, 0))
    local settled = schedules.delay(2, 30, 0.999)
    assert.is_true(settled >= 1.8 and settled < 1.81)
  end)

  it("comes from `interval` when it is a function of the number of the poll", function()
    local time <close> = virtual_time()
    local polls = {}
    local execution = playing { PENDING, PENDING, PENDING, SUCCEEDED }
    assert(execution:wait {
      interval = function(poll)
        polls[#polls + 1] = poll
        return 10 * poll
      end,
    })
    assert.same({ 1, 2, 3 }, polls)
    assert.equal(3, #time.slept)
    for index, seconds in ipairs(time.slept) do
      assert.near(10 * index, seconds, 0.1)
    end
  end)

  it("spreads a thousand waits that start together over an interval", function()
    local buckets = {}
    for _ = 1, 1000 do
      local at = 0
      for poll = 1, 8 do
        at = at + schedules.delay(2, poll, core.system.random())
      end
      local bucket = at // 0.2
      buckets[bucket] = (buckets[bucket] or 0) + 1
    end
    for _, count in pairs(buckets) do
      assert.is_true(count < 300)
    end
  end)
end)
