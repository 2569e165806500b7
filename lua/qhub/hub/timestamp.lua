-- `qhub.parse_timestamp`: the gateway's dates as seconds since the epoch.

local core = require "qhub.core"
local options = require "qhub.options"

local FORM = "^(%d%d%d%d)%-(%d%d)%-(%d%d)[Tt ](%d%d):(%d%d):(%d%d)(.*)$"

local MALFORMED = "is not of the form 2026-02-27 10:04:50 or 2026-02-27T10:04:50Z"
local MOST_DIGITS = 9 -- of a fraction; more are read and not counted

-- Days from 1970-01-01 in the Gregorian calendar. Years are counted from March, which puts the leap
-- day at the end and makes the lengths of months a linear formula, also for a month 13.
local function days_from_civil(year, month, day)
  if month <= 2 then
    year, month = year - 1, month + 12
  end
  local leap_days = year // 4 - year // 100 + year // 400
  return 365 * year + leap_days + (153 * (month - 3) + 2) // 5 + day - 719469
end

local function days_of_month(year, month)
  return days_from_civil(year, month + 1, 1) - days_from_civil(year, month, 1)
end

-- Seconds east of UTC of "Z", "+hh", "+hhmm", "+hh:mm" or nothing; or nil.
local function offset_of(zone)
  if zone == "" or zone == "Z" or zone == "z" then return 0 end
  if #zone == 3 then zone = zone .. "00" end
  local sign, hours, minutes = zone:match "^([+-])(%d%d):?(%d%d)$"
  hours, minutes = tonumber(hours), tonumber(minutes)
  if not sign or hours > 23 or minutes > 59 then return nil end
  return (hours * 3600 + minutes * 60) * (sign == "-" and -1 or 1)
end

-- A leap second is counted as the first second of the next minute, as POSIX time does.
local function seconds_of(text)
  local year, month, day, hour, minute, second, rest = text:match(FORM)
  if not year then return nil, MALFORMED end
  year, month, day = tonumber(year), tonumber(month), tonumber(day)
  hour, minute, second = tonumber(hour), tonumber(minute), tonumber(second)
  local fraction, zone = rest:match "^[.,](%d+)(.*)$"
  local offset = offset_of(zone or rest)
  if not offset then return nil, "has a zone that is neither Z nor of the form +01:00" end
  local is_date = month >= 1 and month <= 12 and day >= 1 and day <= days_of_month(year, month)
  if not is_date or hour > 23 or minute > 59 or second > 60 then
    return nil, "names a day or a time of day that does not exist"
  end
  local days = days_from_civil(year, month, day)
  local seconds = days * 86400 + hour * 3600 + minute * 60 + second - offset
  if not fraction then return seconds end
  fraction = fraction:sub(1, MOST_DIGITS)
  if seconds < 0 then return seconds + tonumber("0." .. fraction) end
  return tonumber(seconds .. "." .. fraction) -- rounds once
end

--- Seconds since the epoch (a float when `text` has a fraction; UTC where it names no zone), or nil
--- and a message.
local function parse_timestamp(text)
  if type(text) ~= "string" then
    options.refuse("parse_timestamp", "the timestamp", "a string", text)
  end
  local seconds, reason = seconds_of(text)
  if seconds then return seconds end
  return nil, ('timestamp "%s" %s'):format(core.text.printable(text), reason)
end

return parse_timestamp
