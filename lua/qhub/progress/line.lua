-- The text of a progress line: pure functions of a state and a width, without terminal or clock.
--
-- A line never takes more columns than asked for: parts at its end are left out, then names are
-- cut. They come from the network: nothing of them can move the cursor or control the terminal.

local text = require "qhub.error.text"

local line = {}

local GAP = "  "
local LEAST_NAME = 8

-- ── parts ───────────────────────────────────────────────────────────────────────────────────────

local UNITS = { "kB", "MB", "GB", "TB", "PB", "EB" }

--- `count` bytes for people, in powers of 1000: "999 B", "1.0 kB", "12.3 MB".
function line.bytes(count)
  if count < 1000 then return ("%d B"):format(count) end
  local unit = 0
  repeat
    count = count / 1000
    unit = unit + 1
  until count < 999.95 or unit == #UNITS
  return ("%.1f %s"):format(count, UNITS[unit])
end

--- `seconds` as "0:07", "12:34" or "1:02:03".
function line.duration(seconds)
  seconds = math.floor(math.min(math.max(seconds, 0), 359999))
  local minutes = seconds // 60
  if minutes < 60 then return ("%d:%02d"):format(minutes, seconds % 60) end
  return ("%d:%02d:%02d"):format(minutes // 60, minutes % 60, seconds % 60)
end

-- Columns of a text. From U+1100 on, where wide characters begin, two are reckoned with, but for
-- punctuation and symbols: too many for some, which only makes a line shorter.
local function columns_of(shown)
  local count = 0
  for _, code in utf8.codes(shown) do
    count = count + (code >= 0x1100 and (code < 0x2000 or code >= 0x2E80) and 2 or 1)
  end
  return count
end

-- Foreign text as it may be shown.
local function printable(said, is_utf8)
  said = text.line(said)
  return is_utf8 and said or (said:gsub("…$", "..."):gsub("[\x80-\xFF]", "?"))
end

-- `head`, then of `parts` as many as there is room for in `width` columns when `least` of them are
-- kept for the head. What is cut off it is its beginning, since file names differ at their ends.
local function fitted(head, least, parts, width, is_utf8)
  local columns, count = columns_of(head), #parts
  local room, rest = width - math.min(columns, least), table.concat(parts)
  while columns_of(rest) > room do
    count = count - 1
    rest = table.concat(parts, "", 1, count)
  end
  room = width - columns_of(rest)
  if columns > room then
    local dots, from = is_utf8 and "…" or "...", 1
    columns = columns + columns_of(dots)
    while columns > room do
      local before = from
      from = utf8.offset(head, 2, from)
      columns = columns - columns_of(head:sub(before, from - 1))
    end
    head = dots .. head:sub(from)
  end
  return ((head .. rest):gsub("^" .. GAP, ""))
end

-- ── lines ───────────────────────────────────────────────────────────────────────────────────────

--- The line of a transfer in at most `width` (9 or more) columns. `state`: name, received, size (or
--- nil), rate (bytes per second, or nil), elapsed (s), ended.
function line.file(state, width, is_utf8)
  local size, received, rate = state.size, state.received, state.rate
  local percent, amount = "", GAP .. line.bytes(received)
  local clock = GAP .. line.duration(state.elapsed)
  if size and not state.ended then
    local share = size > 0 and math.min(received / size, 1) or 1
    percent = ("%s%d %%"):format(GAP, math.floor(share * 100))
    local whole = line.bytes(size)
    -- "12.3/45.6 MB" where the units are the same
    amount = amount:gsub(whole:match " %a+$" .. "$", "") .. "/" .. whole
    local is_moving = rate and rate >= 1
    clock = is_moving and GAP .. line.duration((size - received) / rate) .. " left" or ""
  end
  local speed = rate and GAP .. line.bytes(math.floor(rate)) .. "/s" or ""
  local parts = { percent, amount, speed, clock }
  return fitted(printable(state.name, is_utf8), LEAST_NAME, parts, width, is_utf8)
end

--- The line of a wait, likewise. `state`: name, execution, elapsed.
function line.wait(state, width, is_utf8)
  local status = printable(tostring(state.execution.status or "UNKNOWN"), is_utf8)
  local parts = { GAP .. status, GAP .. line.duration(state.elapsed) }
  return fitted(printable(state.name, is_utf8), LEAST_NAME, parts, width, is_utf8)
end

-- The line of counts. `state`: done, total, failed, running (or nil), elapsed.
local function counts(word)
  return function(state, width, is_utf8)
    local function part(count, of)
      return count and count > 0 and ("%s%d %s"):format(is_utf8 and " · " or " - ", count, of)
        or ""
    end
    local parts = {
      part(state.running, "running"),
      part(state.failed, "failed"),
      GAP .. line.duration(state.elapsed),
    }
    return fitted(("%d/%d %s"):format(state.done, state.total, word), width, parts, width, is_utf8)
  end
end

--- The lines of a wait for many, and of the work on a list.
line.batch, line.map = counts "ended", counts "done"

return line
