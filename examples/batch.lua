-- Many executions at once: the energy of H2 over the distance of its atoms, one run per distance.
--
--   scripts/with_gateway.sh lua5.4 examples/batch.lua       against the bundled simulator
--   QHUB_BASE_URL=… QHUB_TOKEN=… lua5.4 examples/batch.lua         against the real gateway
--
-- Arguments: [RUNS [PLOT.svg]], 60 runs by default; at the real gateway each of them may cost
-- money. Starts are sent eight at a time; waiting for all takes one request per look, not per run.

local qhub = require "qhub"
local tasks = qhub.tasks

local base_url, token = os.getenv "QHUB_BASE_URL", os.getenv "QHUB_TOKEN"
if not base_url or not token then
  io.stderr:write "set QHUB_BASE_URL and QHUB_TOKEN, or use scripts/with_gateway.sh\n"
  return os.exit(2)
end
local runs = math.tointeger(tonumber(arg[1])) or 60
local plot = arg[2]

local is_terminal = os.execute "test -t 1" and os.getenv "TERM" ~= "dumb"
local function style(code, text)
  return is_terminal and not os.getenv "NO_COLOR" and "\27[" .. code .. "m" .. text .. "\27[0m"
    or text
end

-- Calls work(item, index) for each item, at most `limit` at a time. Returns the results by index.
local function map(limit, items, work)
  local results, taken, workers = {}, 0, {}
  for number = 1, math.min(limit, #items) do
    workers[number] = tasks.spawn(function()
      while taken < #items do
        taken = taken + 1
        local index = taken
        results[index] = work(items[index], index)
      end
    end)
  end
  for _, worker in ipairs(workers) do
    worker:join()
  end
  return results
end

-- A line with a cell for each run (how many have ended, when there are too many for that), drawn
-- anew at each change; without a terminal only the last one.
local CELLS = { PENDING = "·", RUNNING = style("34", "▒"), SUCCEEDED = style("32", "█") }
local cells, ended = {}, 0
local function draw(is_last)
  if is_last or is_terminal then
    local strip = runs <= 70 and table.concat(cells) or ("%d of %d have ended"):format(ended, runs)
    io.write(is_terminal and "\r  " or "  ", strip, is_last and "\n" or "")
    io.flush()
  end
end
local function show(index, execution)
  cells[index] = CELLS[execution.status] or style("31", "x")
  ended = ended + (execution:is_terminal() and 1 or 0)
  draw(false)
end

local distances = {}
for index = 1, runs do
  distances[index] = 0.35 + (2.5 - 0.35) * (index - 1) / math.max(1, runs - 1)
  cells[index] = " "
end

local service <close> = qhub.HubServiceClient { base_url = base_url, token = token }

local started = os.time()
print(style("1", ("H2 at %d distances"):format(runs)))
local results = tasks.run(function()
  local index_of = {}
  local executions = map(8, distances, function(distance, index)
    local execution = assert(
      service:start_execution(
        { input = { molecule = "H2", basis = "sto-3g", bond_length = distance, shots = 2048 } },
        { tags = { "sweep" } }
      )
    )
    index_of[execution.id] = index
    if not execution:is_terminal() then
      show(index, execution)
    end
    return execution
  end)

  assert(service:wait_all(executions, {
    on_status = function(execution)
      show(index_of[execution.id], execution)
    end,
  }))
  draw(true)

  return map(8, executions, function(execution)
    return execution.status == "SUCCEEDED" and assert(execution:result()) or false
  end)
end)

-- ── the energies ────────────────────────────────────────────────────────────────────────────────

local points, lowest = {}, nil
for index, distance in ipairs(distances) do
  local energy = results[index] and tonumber(results[index].energy)
  if energy then
    local point = { distance = distance, energy = energy }
    points[#points + 1] = point
    lowest = (lowest and lowest.energy <= energy) and lowest or point
  end
end
print(("  %d of %d runs succeeded, %d s in all\n"):format(#points, runs, os.time() - started))
if not lowest then
  return
end

local columns = 4
local rows = (#points + columns - 1) // columns
print(style("2", ("  H-H / Å    E / Ha   "):rep(math.min(columns, #points))))
for row = 1, rows do
  local line = {}
  for column = 0, columns - 1 do
    local point = points[row + column * rows]
    if point then
      local text = ("  %7.3f %9.6f   "):format(point.distance, point.energy)
      line[#line + 1] = point == lowest and style("1;32", text) or text
    end
  end
  print(table.concat(line))
end
local form = "\n  lowest energy %s at %s\n"
print(
  form:format(
    style("1;32", ("%.6f hartree"):format(lowest.energy)),
    style("1;32", ("%.3f Å"):format(lowest.distance))
  )
)

-- ── the curve ───────────────────────────────────────────────────────────────────────────────────

if #points < 2 or not os.execute "command -v gnuplot >/dev/null 2>&1" then
  print "  (with gnuplot installed there would be a curve here)"
  return
end
io.flush()
local gnuplot <close> = assert(io.popen("gnuplot", "w"))
if plot then
  gnuplot:write("set terminal svg size 720,440 background 'white' font 'sans-serif,13'\n")
  gnuplot:write(("set output '%s'\n"):format((plot:gsub("'", "''"))))
else
  gnuplot:write "set terminal dumb noenhanced 78 22\n"
end
gnuplot:write [[
set xlabel 'H-H distance / angstrom'
set ylabel 'E / hartree'
set key off
set format y '%.2f'
]]
local look = plot and "linespoints linewidth 2 pointtype 7 pointsize 0.5" or "points pointtype 'o'"
gnuplot:write("plot '-' with ", look, "\n")
for _, point in ipairs(points) do
  gnuplot:write(point.distance, " ", point.energy, "\n")
end
gnuplot:write "e\n"
if plot then
  print("  the curve is in " .. plot)
end
