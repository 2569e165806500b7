-- Many executions at once: the energy of H2 over the distance of its atoms, one run per distance.
--
--   scripts/with_gateway.sh lua5.4 examples/batch.lua       against the bundled simulator
--   QHUB_BASE_URL=… QHUB_TOKEN=… lua5.4 examples/batch.lua         against the real gateway
--
-- Arguments: [RUNS [PLOT.svg]], 60 runs by default; at the real gateway each of them may cost
-- money. Starts are sent eight at a time; waiting for all takes one request per poll, not per run.
-- The curve is drawn in blocks; with gnuplot installed, PLOT.svg is written, too.

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

local rows, columns = 24, 80
if is_terminal then
  local stty <close> = io.popen "stty size </dev/tty 2>/dev/null"
  local found_rows, found_columns = stty:read("n", "n")
  if (found_rows or 0) > 0 and (found_columns or 0) > 0 then
    rows, columns = found_rows, found_columns
  end
end

-- ── the runs ────────────────────────────────────────────────────────────────────────────────────

local distances = {}
for index = 1, runs do
  distances[index] = 0.35 + (2.5 - 0.35) * (index - 1) / math.max(1, runs - 1)
end

local service <close> = qhub.HubServiceClient { base_url = base_url, token = token }

local started = os.time()
print(style("1", ("H2 at %d distances"):format(runs)))
local points = tasks.run(function()
  -- An error in one start loses none of the other runs: they are in `executions` all the same.
  local executions, errors = tasks.map(distances, function(distance)
    return service:start_execution(
      { input = { molecule = "H2", basis = "sto-3g", bond_length = distance, shots = 2048 } },
      { tags = { "sweep" } }
    )
  end, { limit = 8 })
  for index, err in pairs(errors or {}) do
    io.stderr:write(("%.3f Å was not started: %s\n"):format(distances[index], tostring(err)))
  end

  local list, distance_of = {}, {}
  for index, distance in ipairs(distances) do
    local execution = executions[index]
    if execution then
      list[#list + 1] = execution
      distance_of[execution.id] = distance
    end
  end
  assert(service:wait_all(list, { progress = qhub.progress }))

  local results = tasks.map(list, function(execution)
    return execution.status == "SUCCEEDED" and execution:result() or nil
  end, { limit = 8 })
  local points = {}
  for index, execution in ipairs(list) do
    local energy = results[index] and tonumber(results[index].energy)
    if energy then
      points[#points + 1] = { distance = distance_of[execution.id], energy = energy }
    end
  end
  return points
end)

print(("  %d of %d runs succeeded, %d s in all\n"):format(#points, runs, os.time() - started))
if not points[1] then return end

-- ── the curve ───────────────────────────────────────────────────────────────────────────────────

local lowest, highest = points[1], points[1]
for _, point in ipairs(points) do
  lowest = point.energy < lowest.energy and point or lowest
  highest = point.energy > highest.energy and point or highest
end

-- The points as columns of blocks, each as high as its energy lies above the lowest one. Of more
-- points than columns some are left out.
local height = math.max(3, math.min(12, rows - 8))
local width = math.min(#points, columns - 14)
local span = math.max(highest.energy - lowest.energy, 1e-9)
for row = height, 1, -1 do
  local line = {}
  for column = 1, width do
    local point = points[1 + (column - 1) * (#points - 1) // math.max(1, width - 1)]
    local level = (point.energy - lowest.energy) / span * (height - 1) + 1
    line[column] = level >= row and "█" or " "
  end
  local energy = lowest.energy + span * (row - 1) / math.max(1, height - 1)
  local axis = (row == height or row == 1) and ("%9.4f"):format(energy) or (" "):rep(9)
  print(("  %s │%s"):format(axis, style("34", table.concat(line))))
end
print(("  %9s  %.2f … %.2f Å"):format("hartree", points[1].distance, points[#points].distance))
print(
  ("\n  lowest energy %s at %s"):format(
    style("1;32", ("%.6f hartree"):format(lowest.energy)),
    style("1;32", ("%.3f Å"):format(lowest.distance))
  )
)

if not plot or not os.execute "command -v gnuplot >/dev/null 2>&1" then return end
io.flush()
local gnuplot <close> = assert(io.popen("gnuplot", "w"))
gnuplot:write("set terminal svg size 720,440 background 'white' font 'sans-serif,13'\n")
gnuplot:write(("set output '%s'\n"):format((plot:gsub("'", "''"))))
gnuplot:write [[
set xlabel 'H-H distance / angstrom'
set ylabel 'E / hartree'
set key off
set format y '%.2f'
plot '-' with linespoints linewidth 2 pointtype 7 pointsize 0.5
]]
for _, point in ipairs(points) do
  gnuplot:write(point.distance, " ", point.energy, "\n")
end
gnuplot:write "e\n"
print("  the curve is in " .. plot)
