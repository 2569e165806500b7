-- Retries: what is transient, how long to wait, what is never repeated, how many go at once.

local FakeTransport = require "spec.support.fake_transport"
local loop = require "qhub.tasks.loop"
local retry = require "qhub.http.retry"
local virtual_time = require "spec.support.virtual_time"

local MIDDLE = 0.5 -- a random number for which the jitter is none

local function status(code)
  return { status_code = code }
end

local function failure(fields)
  return { failure = fields }
end

describe("retry", function()
  it("distinguishes transient statuses from final ones", function()
    for _, code in ipairs { 408, 429, 500, 502, 503, 504, 599 } do
      assert.is_true(retry.is_transient_status(code), tostring(code))
    end
    for _, code in ipairs { 300, 400, 401, 403, 404, 405, 409, 410, 422, 499 } do
      assert.is_false(retry.is_transient_status(code), tostring(code))
    end
  end)

  it("doubles the delay from 1 s to 60 s", function()
    local delays = {}
    for attempt = 1, 8 do
      delays[attempt] = retry.backoff(attempt, MIDDLE)
    end
    assert.same({ 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0 }, delays)
  end)

  it("spreads the delay by 25 % and never beyond 60 s", function()
    assert.equal(0.75, retry.backoff(1, 0))
    assert.near(1.25, retry.backoff(1, 1 - 1e-12), 1e-9)
    assert.equal(60, retry.backoff(20, 0.99))
    assert.equal(60, retry.backoff(5000, 0.99))
  end)

  it("reads Retry-After in seconds, fractions and as a date, then X-RateLimit-Reset", function()
    local now = 1772186690 -- 2026-02-27 10:04:50 UTC
    assert.equal(3, retry.requested_wait({ ["retry-after"] = "3" }, now))
    assert.equal(0.25, retry.requested_wait({ ["retry-after"] = " 0.25 " }, now))
    local date = { ["retry-after"] = "Fri, 27 Feb 2026 10:05:00 GMT" }
    assert.equal(10, retry.requested_wait(date, now))
    local past = { ["retry-after"] = "Fri, 27 Feb 2026 10:00:00 GMT" }
    assert.equal(0, retry.requested_wait(past, now))
    assert.equal(7, retry.requested_wait({ ["x-ratelimit-reset"] = tostring(now + 7) }, now))
    local both = { ["retry-after"] = "1", ["x-ratelimit-reset"] = tostring(now + 7) }
    assert.equal(1, retry.requested_wait(both, now))
  end)

  it("ignores an invalid Retry-After", function()
    for _, value in ipairs { "", "soon", "-1", "1e9", "0x10", "nan", "inf", "1,5" } do
      assert.is_nil(retry.requested_wait({ ["retry-after"] = value }, 0), value)
    end
  end)

  it("reads nothing that is too long to be a time", function()
    local long = ("0"):rep(200) .. "5"
    assert.is_nil(retry.requested_wait({ ["retry-after"] = long }, 0))
    assert.is_nil(retry.requested_wait({ ["x-ratelimit-reset"] = long }, 0))
  end)

  it("stops after max_retries", function()
    assert.equal(1.0, retry.delay(1, 2, status(503), true, nil, nil, MIDDLE))
    assert.equal(2.0, retry.delay(2, 2, status(503), true, nil, nil, MIDDLE))
    assert.is_nil(retry.delay(3, 2, status(503), true, nil, nil, MIDDLE))
    assert.is_nil(retry.delay(1, 0, status(503), true, nil, nil, MIDDLE))
  end)

  it("refuses to wait more than 60 s or beyond the time left", function()
    assert.equal(60, retry.delay(1, 2, status(429), true, 60, nil, MIDDLE))
    assert.is_nil(retry.delay(1, 2, status(429), true, 60.5, nil, MIDDLE))
    assert.is_nil(retry.delay(1, 2, status(429), true, 5, 4.9, MIDDLE))
    assert.equal(5, retry.delay(1, 2, status(429), true, 5, 5.1, MIDDLE))
  end)

  it("repeats a start after a transient response", function()
    assert.equal(1.0, retry.delay(1, 2, status(500), false, nil, nil, MIDDLE))
  end)

  it("never repeats a start that may have been sent", function()
    for _, fields in ipairs {
      { kind = "network", sent = true },
      { kind = "network" },
      { kind = "network", sent = true, stale = true },
      { kind = "timeout", phase = "read", sent = true },
    } do
      assert.is_nil(retry.delay(1, 2, failure(fields), false, nil, nil, MIDDLE))
      assert.is_truthy(retry.delay(1, 2, failure(fields), true, nil, nil, MIDDLE))
    end
  end)

  it("repeats a start that was certainly not sent", function()
    local refused = failure { kind = "network", sent = false }
    assert.equal(1.0, retry.delay(1, 2, refused, false, nil, nil, MIDDLE))
    local unconnected = failure { kind = "timeout", phase = "connect", sent = false }
    assert.equal(1.0, retry.delay(1, 2, unconnected, false, nil, nil, MIDDLE))
  end)

  it("repeats at once when a kept connection was dead", function()
    local stale = failure { kind = "network", sent = true, stale = true }
    assert.equal(0, retry.delay(1, 2, stale, true, nil, nil, MIDDLE))
  end)

  it("does not repeat permanent failures", function()
    for _, fields in ipairs {
      { kind = "timeout", phase = "total", sent = true },
      { kind = "too_large" },
      { kind = "cancelled", sent = false },
    } do
      assert.is_nil(retry.delay(1, 2, failure(fields), true, nil, nil, MIDDLE))
    end
    assert.is_nil(retry.delay(1, 2, status(404), true, nil, nil, MIDDLE))
  end)
end)

describe("the pacer", function()
  it("lets a hundred retries go at once and then fifty a second", function()
    local real, now = loop.now, loop.now()
    local _ <close> = setmetatable({}, {
      __close = function()
        loop.now = real
      end,
    })
    function loop.now()
      return now
    end
    local pacer = retry.pacer()
    for _ = 1, 100 do
      assert.is_nil(pacer:take())
    end
    assert.is_true(pacer:take() > 0)
    assert.is_true(pacer:backlog() > 0)
    now = now + 1
    local taken = 0
    while not pacer:take() do
      taken = taken + 1
    end
    assert.is_true(taken >= 49 and taken <= 51)
  end)

  it("lets two more retries go at once for each success", function()
    local pacer = retry.pacer()
    repeat
    until pacer:take()
    pacer:succeeded()
    assert.is_nil(pacer:take())
    assert.is_nil(pacer:take())
    assert.is_number(pacer:take())
  end)

  it("spreads the waits of Retry-After, but not beyond 60 s or the time left", function()
    local pacer = retry.pacer()
    assert.equal(10, pacer:spread(10))
    local _ <close> = pacer:place "patient"
    local spread = false
    for _ = 1, 100 do
      local seconds = pacer:spread(10)
      assert.is_true(seconds >= 10 and seconds <= 12)
      spread = spread or seconds > 10.1
      assert.is_true(pacer:spread(59.5) <= 60)
      local short = pacer:spread(10, 10.2)
      assert.is_true(short >= 10 and short < 10.2)
    end
    assert.is_true(spread)
  end)

  it("spaces retries even when Retry-After is 0", function()
    local time <close> = virtual_time()
    local fake = FakeTransport { { status_code = 429, headers = { ["Retry-After"] = "0" } } }
    fake:client({ max_retries = 150 }):get_status "1"
    assert.equal(151, #fake.requests)
    local slept = 0
    for _, seconds in ipairs(time.slept) do
      slept = slept + seconds
    end
    assert.is_true(slept > 0.5)
  end)
end)
