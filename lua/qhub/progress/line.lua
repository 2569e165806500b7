-- The text of a progress line: pure functions of a state and a width, without terminal or clock.
--
-- A line is returned in three parts (before, accent, after), so that whoever draws may colour the
-- accent: the percentage of a file, the status of a wait, what failed of many. The parts together
-- never take more columns than asked for. Names come from the network: nothing of them can move the
-- cursor or control the terminal.

local core = require "qhub.core"
local show = require "qhub.error.text"

local line = {}

local GAP = "  "
local LEAST_NAME, MOST_NAME = 10, 40

-- ── units ───────────────────────────────────────────────────────────────────────────────────────

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

-- ── names ───────────────────────────────────────────────────────────────────────────────────────

-- Code points that a terminal obeys instead of showing: C1 controls, directions, zero widths.
local function is_command(code)
  return code < 0x20
    or (code >= 0x7F and code < 0xA0)
    or code == 0xAD
    or code == 0x61C
    or (code >= 0x200B and code <= 0x200F)
    or (code >= 0x2028 and code <= 0x202E)
    or (code >= 0x2060 and code <= 0x206F)
    or code == 0xFEFF
    or (code >= 0xFFF9 and code <= 0xFFFB)
    or code >= 0xE0000
end

-- Columns of a code point. From U+1100 on, where wide characters begin, two are reckoned with: too
-- many for some, which only makes a line shorter.
local function columns_of(code)
  return code >= 0x1100 and 2 or 1
end

--- `name` as it may be shown in at most `width` columns, and the columns that it takes. What is cut
--- away is in the middle, since file names differ at their ends.
function line.name(name, width, utf8_terminal)
  name = show.line(name, 4 * 255)
  local characters, total = {}, 0
  if utf8_terminal and core.text.is_utf8(name) then
    for _, code in utf8.codes(name) do
      if is_command(code) then
        code = 63 -- "?"
      end
      characters[#characters + 1] = { utf8.char(code), columns_of(code) }
      total = total + columns_of(code)
    end
  else
    for character in name:gsub("…$", "..."):gmatch "." do
      characters[#characters + 1] = { character:find "[\32-\126]" and character or "?", 1 }
    end
    total = #characters
  end
  local function joined(first, last)
    local pieces = {}
    for index = first, last do
      pieces[#pieces + 1] = characters[index][1]
    end
    return table.concat(pieces)
  end
  if total <= width then return joined(1, #characters), total end
  local dots = utf8_terminal and "…" or width >= 6 and "..." or "."
  local dots_width = utf8_terminal and 1 or #dots
  local first, last, used = 0, #characters + 1, dots_width
  local at_the_end = true
  while true do
    local index = at_the_end and last - 1 or first + 1
    local taken = characters[index][2]
    if used + taken > width then break end
    used = used + taken
    if at_the_end then
      last = index
    else
      first = index
    end
    at_the_end = not at_the_end
  end
  return joined(1, first) .. dots .. joined(last, #characters), used
end

-- ── files ───────────────────────────────────────────────────────────────────────────────────────

-- Takes of `fields` (text, or false, in the order of their worth) as many as fit into `width`.
-- Returns the texts by their place in the list, with a gap before each, and the columns left.
local function fitting(fields, width)
  local taken = {}
  for index, text in ipairs(fields) do
    if text and #text + #GAP <= width then
      taken[index] = GAP .. text
      width = width - #text - #GAP
    end
  end
  return taken, width
end

--- The line of a transfer in at most `width` columns, as three parts.
--- `state`: name, received, size (or nil), rate (bytes per second, or nil), elapsed (s), ended.
function line.file(state, width, utf8_terminal)
  local size, received, rate = state.size, state.received, state.rate
  local share = size and (size > 0 and math.min(received / size, 1) or 1)
  local percent = share and ("%d %%"):format(math.floor(share * 100))
  local amount = line.bytes(received)
  if size and not state.ended then
    local whole = line.bytes(size)
    -- "12.3/45.6 MB" where the units are the same
    amount = amount:sub(-3) == whole:sub(-3) and amount:sub(1, -4) or amount
    amount = amount .. "/" .. whole
  end
  local clock
  if state.ended then
    clock = line.duration(state.elapsed)
  elseif size and rate and rate >= 1 then
    clock = line.duration((size - received) / rate) .. " left"
  elseif not size then
    clock = line.duration(state.elapsed)
  end
  local speed = rate and line.bytes(math.floor(rate)) .. "/s"
  if state.ended then percent = nil end

  local _, name_width = line.name(state.name, math.min(MOST_NAME, width), utf8_terminal)
  local least_name = math.min(name_width, LEAST_NAME)
  local worth = { percent or false, amount, clock or false, speed or false }
  local taken, left = fitting(worth, width - least_name)
  local name = line.name(state.name, math.min(least_name + left, name_width), utf8_terminal)
  local rest = (taken[2] or "") .. (taken[4] or "") .. (taken[3] or "")
  return name, taken[1] or "", rest
end

-- ── waits ───────────────────────────────────────────────────────────────────────────────────────

--- The line of a wait in at most `width` columns, as three parts. `state`: name, status, elapsed.
function line.wait(state, width, utf8_terminal)
  local clock = GAP .. line.duration(state.elapsed)
  local status, used = line.name(state.status, math.min(20, width - #clock), utf8_terminal)
  local left = width - used - #clock - #GAP
  if left < LEAST_NAME then return "", status, clock end
  local name = line.name(state.name, math.min(left, MOST_NAME), utf8_terminal)
  return name .. GAP, status, clock
end

-- ── batches ─────────────────────────────────────────────────────────────────────────────────────

-- The line of counts: `state` has done, total, failed, running (nil for none), elapsed.
local function counts(state, width, utf8_terminal, word)
  local dot = utf8_terminal and " · " or " - "
  local before = ("%d/%d %s"):format(state.done, state.total, word)
  local running = state.running
    and state.running > 0
    and ("%s%d running"):format(dot, state.running)
  local failed = state.failed > 0 and ("%s%d failed"):format(dot, state.failed) or ""
  local clock = GAP .. line.duration(state.elapsed)
  local left = width - #before
  local function take(text) -- the dot is one column wide, and two bytes in UTF-8
    local columns = text ~= "" and utf8.len(text) or 0
    if columns > left then return "" end
    left = left - columns
    return text
  end
  failed = take(failed)
  clock = take(clock)
  return before:sub(1, width) .. take(running or ""), failed, clock
end

--- The line of a wait for many in at most `width` columns, as three parts.
function line.batch(state, width, utf8_terminal)
  return counts(state, width, utf8_terminal, "ended")
end

--- The line of the work on a list, likewise.
function line.map(state, width, utf8_terminal)
  return counts(state, width, utf8_terminal, "done")
end

return line
