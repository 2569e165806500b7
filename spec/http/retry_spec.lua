-- Retries: what is transient, how long to wait, what is never repeated.

local retry = require "qhub.http.retry"

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
    assert.near(5, retry.delay(1, 2, status(429), true, 5, 5.1, MIDDLE), 0.05)
  end)

  it("waits as long as the gateway asks, or up to a fifth longer within the time left", function()
    assert.equal(10, retry.delay(1, 2, status(429), true, 10, nil, 0))
    assert.equal(11, retry.delay(1, 2, status(429), true, 10, nil, MIDDLE))
    assert.is_true(retry.delay(1, 2, status(429), true, 10, 10.2, 0.999) < 10.2)
    assert.equal(60, retry.delay(1, 2, status(429), true, 59.999, nil, 1))
    assert.equal(0, retry.delay(1, 2, status(429), true, 0, nil, MIDDLE))
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
