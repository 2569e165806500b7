-- The text of a progress line: pure functions of a state and a width, without terminal or clock.
--
-- A line never takes more columns than asked for: what is of least worth is left out, then names
-- are cut. They come from the network: nothing of them can move the cursor or control the terminal.

local text = require "qhub.error.text"

local line = {}

local GAP = "  "
local LEAST_NAME, MOST_NAME = 8, 40

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

local ELLIPSIS = utf8.codepoint "…"

-- Columns of a text. From U+1100 on, where wide characters begin, two are reckoned with: too many
-- for some, which only makes a line shorter.
local function columns_of(shown)
  local count = 0
  for _, code in utf8.codes(shown) do
    count = count + (code >= 0x1100 and code ~= ELLIPSIS and 2 or 1)
  end
  return count
end

--- `name` as it may be shown in at most `width` columns, and the columns that it takes. What is cut
--- off is its beginning, since file names differ at their ends.
function line.name(name, width, utf8_terminal)
  name = text.line(name, 4 * 255)
  if not utf8_terminal then name = name:gsub("…$", "..."):gsub("[\x80-\xFF]", "?") end
  local columns = columns_of(name)
  if columns <= width then return name, columns end
  local dots = utf8_terminal and "…" or "..."
  local from, used = #name + 1, columns_of(dots)
  while used <= width do
    local before = utf8.offset(name, -1, from)
    used = used + columns_of(name:sub(before, from - 1))
    from = used <= width and before or from
  end
  name = dots .. name:sub(from)
  return name, columns_of(name)
end

-- `parts` as one text of at most `width` columns; those at the places `order` are left out first.
local function fitted(parts, order, width)
  for _, place in ipairs(order) do
    if columns_of(table.concat(parts)) <= width then break end
    parts[place] = ""
  end
  return table.concat(parts)
end

-- `name`, and after it the `parts`, as far as there is room for both.
local function named(name, parts, order, width, utf8_terminal)
  local _, needed = line.name(name, math.min(MOST_NAME, width), utf8_terminal)
  local rest = fitted(parts, order, width - math.min(needed, LEAST_NAME))
  local left = math.min(width - columns_of(rest), needed)
  return ((line.name(name, left, utf8_terminal) .. rest):gsub("^" .. GAP, ""))
end

-- ── lines ───────────────────────────────────────────────────────────────────────────────────────

--- The line of a transfer in at most `width` columns. `state`: name, received, size (or nil), rate
--- (bytes per second, or nil), elapsed (s), ended.
function line.file(state, width, utf8_terminal)
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
  return named(state.name, parts, { 3, 4, 2, 1 }, width, utf8_terminal)
end

--- The line of a wait, likewise. `state`: name, status, elapsed.
function line.wait(state, width, utf8_terminal)
  local status = line.name(state.status, 20, utf8_terminal)
  local parts = { GAP .. status, GAP .. line.duration(state.elapsed) }
  return named(state.name, parts, { 2, 1 }, width, utf8_terminal)
end

-- The line of counts. `state`: done, total, failed, running (or nil), elapsed.
local function counts(word)
  return function(state, width, utf8_terminal)
    local dot = utf8_terminal and " · " or " - "
    local function part(count, of)
      return count and count > 0 and ("%s%d %s"):format(dot, count, of) or ""
    end
    local parts = {
      ("%d/%d %s"):format(state.done, state.total, word):sub(1, width),
      part(state.running, "running"),
      part(state.failed, "failed"),
      GAP .. line.duration(state.elapsed),
    }
    return fitted(parts, { 2, 4, 3 }, width)
  end
end

--- The lines of a wait for many, and of the work on a list.
line.batch, line.map = counts "ended", counts "done"

return line
