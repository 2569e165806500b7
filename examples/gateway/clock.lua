-- The simulator's clock: time that a test can move forward without waiting.
--
-- Responsible for: the time that runs, log entries and tokens live by, and its two spellings on the
-- wire. Assumes nothing; must not know what is timed with it.

local cqueues = require "cqueues"

local Clock = {}
Clock.__index = Clock

-- A clock that starts now.
local function new()
  return setmetatable({ offset = 0, epoch = os.time() - cqueues.monotime(), dates = {} }, Clock)
end

-- Seconds on the simulator's own scale.
function Clock:now()
  return cqueues.monotime() + self.offset
end

-- Moves the clock forward by some seconds.
function Clock:advance(seconds)
  self.offset = self.offset + seconds
end

-- "2026-02-27 10:04:50", as the gateway writes dates.
function Clock:date(time)
  return os.date("!%Y-%m-%d %H:%M:%S", math.floor(self.epoch + time))
end

-- "2026-02-27T10:04:59.123Z", or with another number of fractional digits, 1 to 9.
function Clock:timestamp(time, digits)
  digits = digits or 3
  local wall = self.epoch + time
  local seconds = math.floor(wall)
  local fraction = math.floor((wall - seconds) * 10 ^ digits)
  return os.date("!%Y-%m-%dT%H:%M:%S", seconds) .. (".%0" .. digits .. "dZ"):format(fraction)
end

-- The form of HTTP header fields (RFC 9110, 5.6.7); `wall` is in seconds since 1970.
local function http_date(wall)
  local day = os.date("!*t", wall)
  local days = { "Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat" }
  local months = { "Jan", "Feb", "Mar", "Apr", "May", "Jun" }
  table.move({ "Jul", "Aug", "Sep", "Oct", "Nov", "Dec" }, 1, 6, 7, months)
  local form = "%s, %02d %s %04d %02d:%02d:%02d GMT"
  local name, month = days[day.wday], months[day.month]
  return form:format(name, day.day, month, day.year, day.hour, day.min, day.sec)
end

return { new = new, http_date = http_date }
