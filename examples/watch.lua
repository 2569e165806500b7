-- Watches many executions: a table in the terminal that is redrawn as they progress.
--
--   scripts/with_gateway.sh lua5.4 examples/watch.lua [RUNS]      against the bundled simulator
--   QHUB_BASE_URL=… QHUB_TOKEN=… lua5.4 examples/watch.lua        against the real gateway: what
--                                                       is there already; nothing is started
--
-- Where there is no terminal it prints a line for each change instead. Waiting for all of them
-- takes one request per look, however many there are.

local qhub = require "qhub"
local tasks = qhub.tasks

local base_url, token = os.getenv "QHUB_BASE_URL", os.getenv "QHUB_TOKEN"
if not base_url or not token then
  io.stderr:write "set QHUB_BASE_URL and QHUB_TOKEN, or use scripts/with_gateway.sh\n"
  return os.exit(2)
end
local service <close> = qhub.HubServiceClient { base_url = base_url, token = token }

local is_terminal = os.execute "test -t 1" and os.getenv "TERM" ~= "dumb"
local is_coloured = is_terminal and not os.getenv "NO_COLOR"
local function style(code, text)
  return is_coloured and "\27[" .. code .. "m" .. text .. "\27[0m" or text
end
local LOOKS = {
  PENDING = { "33", "·" },
  RUNNING = { "34", "▶" },
  SUCCEEDED = { "32", "✓" },
  FAILED = { "31", "✗" },
  CANCELLED = { "35", "–" },
}

-- ── what there is to watch ──────────────────────────────────────────────────────────────────────

-- At the simulator (on this machine) a few runs are started, with ends of all kinds.
local function start_some(count)
  local list = {}
  for index = 1, count do
    list[index] = tasks.spawn(function()
      return assert(service:start_execution {
        input = { molecule = "H2", bond_length = 0.5 + index / 20 },
        simulate = {
          pending_ms = 300 * index,
          running_ms = 900 + 500 * (index * 7 % 5),
          outcome = index % 6 == 4 and "FAILED" or index % 7 == 6 and "CANCELLED" or "SUCCEEDED",
        },
      })
    end)
  end
  return (tasks.gather(list))
end

-- ── drawing ─────────────────────────────────────────────────────────────────────────────────────

local began = os.time()
local seen = {} -- id -> { status, since }
local drawn = 0 -- lines of the table that stand on the terminal

-- Rows and columns of the terminal, asked for again now and then: its window may be resized.
local size = { rows = 24, columns = 80, asked_at = 0 }
local function terminal_size()
  if is_terminal and os.time() ~= size.asked_at then
    local stty = io.popen "stty size </dev/tty 2>/dev/null"
    local rows, columns = stty:read("n", "n")
    stty:close()
    if (rows or 0) > 0 and (columns or 0) > 0 then
      size.rows, size.columns = rows, columns
    end
    size.asked_at = os.time()
  end
  return size
end

local BESIDE_ID = 23 -- columns of a row that are not the id's

local function row(execution)
  local status = execution.status or "UNKNOWN"
  local look = LOOKS[status] or { "0", "?" }
  local now = execution:is_terminal() and seen[execution.id].since or os.time()
  local label = style(look[1], ("%s %-10s"):format(look[2], status))
  -- The last column stays free: some terminals begin a new line there.
  ---@type integer
  local room = is_terminal and math.min(36, terminal_size().columns - BESIDE_ID - 1) or 36
  local id = #execution.id > room and execution.id:sub(1, room - 1) .. "…" or execution.id
  local padding = (" "):rep(room - (utf8.len(id) or #id))
  return ("  %s%s  %s %4d s"):format(id, padding, label, now - began)
end

-- At most `most` rows of the executions that are under way, or of those that are not.
local function rows(executions, is_open, most)
  local lines = {}
  for _, execution in ipairs(executions) do
    if #lines < most and execution:is_terminal() ~= is_open then
      lines[#lines + 1] = row(execution)
    end
  end
  return lines
end

local function draw(executions)
  local open = 0
  local lines = {} ---@type string[]
  for _, execution in ipairs(executions) do
    open = open + (execution:is_terminal() and 0 or 1)
  end
  local most = terminal_size().rows - 2 -- below them a line that counts, and the cursor
  if #executions <= most then
    for index, execution in ipairs(executions) do
      lines[index] = row(execution)
    end
  else -- those under way first
    lines = rows(executions, true, most)
    table.move(rows(executions, false, most), 1, most - #lines, #lines + 1, lines)
  end
  local state = open == 0 and "all have ended"
    or ("%d of %d are under way"):format(open, #executions)
  lines[#lines + 1] = "  " .. style("2", state)
  -- Up to where the table begins, and each line over the one that stood there.
  io.write(drawn > 0 and ("\27[%dA"):format(drawn) or "", "\27[J")
  for _, line in ipairs(lines) do
    io.write("\r", line, "\27[K\n")
  end
  io.flush()
  drawn = #lines
end

local function tell(execution)
  seen[execution.id] = { status = execution.status, since = os.time() }
  if not is_terminal then print((row(execution):gsub("^ +", ""))) end
end

-- ── watching ────────────────────────────────────────────────────────────────────────────────────

tasks.run(function()
  local executions
  if base_url:find "^http://127%.0%.0%.1:" then
    executions = start_some(math.tointeger(tonumber(arg[1])) or 12)
  else
    executions = assert(service:get_service_executions())
  end
  for _, execution in ipairs(executions) do
    seen[execution.id] = { since = began }
  end

  local waiting = tasks.spawn(function()
    return service:wait_all(executions, { interval = 1, on_status = tell })
  end)

  -- The clock advances while nothing happens; the other task waits meanwhile.
  local is_over = false
  local ticking = is_terminal
    and tasks.spawn(function()
      while not is_over do
        draw(executions)
        tasks.sleep(0.2)
      end
    end)
  local ok, err = waiting:join()
  is_over = true
  if ticking then
    ticking:join()
    draw(executions)
  end
  assert(ok, err)
end)
