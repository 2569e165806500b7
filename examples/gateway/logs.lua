-- The log of a run: which entries there will be, and when.
--
-- Responsible for: planning entries over the life of a run. Entries are plain tables
-- { at = seconds after the start of the run, severity, message }, oldest first. It must not know
-- HTTP, JSON or the clock.

local chemistry = require "chemistry"

local logs = {}

local function add(plan, at, severity, form, ...)
  plan[#plan + 1] = { at = at, severity = severity, message = form:format(...) }
end

-- The ordinary log of a run that waits `pending` seconds and works `running` seconds.
local function story(problem, pending, running, outcome)
  local plan = {}
  local c = problem.constants
  add(plan, 0, "INFO", "execution accepted")
  add(plan, pending * 0.3, "DEBUG", "2 jobs ahead in the queue of backend simulator_statevector")
  add(plan, pending, "INFO", "backend simulator_statevector reserved")
  local gates = c.qubits * 14
  add(
    plan,
    pending + running * 0.05,
    "INFO",
    "circuit transpiled: depth %d, %d gates",
    gates // 2,
    gates
  )
  add(
    plan,
    pending + running * 0.10,
    "INFO",
    "%d shots per evaluation, optimizer SLSQP",
    problem.shots
  )
  local share = outcome == "SUCCEEDED" and 1 or 0.5
  for iteration = 1, math.floor(problem.iterations * share) do
    local at = pending + running * (0.15 + 0.7 * iteration / problem.iterations)
    local energy = chemistry.energy_at(problem, iteration)
    add(plan, at, "INFO", "iteration %d: energy = %.6f Ha", iteration, energy)
  end
  if outcome == "SUCCEEDED" then
    add(
      plan,
      pending + running * 0.9,
      "NOTICE",
      "converged after %d iterations",
      problem.iterations
    )
    add(plan, pending + running * 0.95, "INFO", "result written")
  elseif outcome == "FAILED" then
    add(plan, pending + running * 0.6, "WARNING", "backend queue is not answering, trying again")
    add(plan, pending + running, "ERROR", "backend rejected the job: calibration in progress")
  end
  return plan
end

-- Exactly `count` entries spread evenly, for tests that want many.
local function even(count, pending, running)
  local severities = { "DEBUG", "INFO", "INFO", "NOTICE", "WARNING" }
  local plan = {}
  for index = 1, count do
    local at = (pending + running) * (index - 1) / count
    add(plan, at, severities[index % 5 + 1], "entry %d of %d", index, count)
  end
  return plan
end

-- Entries for a run; `count` is nil for the ordinary ones.
function logs.plan(problem, pending, running, outcome, count)
  if count then return even(count, pending, running) end
  return story(problem, pending, running, outcome)
end

return logs
