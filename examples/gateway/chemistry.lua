-- Believable numbers for a variational quantum eigensolver, without a quantum computer.
--
-- Responsible for: the output members of a result, and what the optimiser says on its way. Energies
-- follow a Morse potential, so a sweep of the bond length draws the curve everybody expects. It
-- knows nothing of HTTP, time or executions.

local json = require "json"

-- Minimum energy (hartree), well depth (hartree), bond length (angstrom), width (1/angstrom).
local molecules = {
  H2 = { minimum = -1.137270, depth = 0.1745, length = 0.735, width = 1.95, qubits = 4 },
  ["HeH+"] = { minimum = -2.862690, depth = 0.0750, length = 0.772, width = 1.80, qubits = 4 },
  LiH = { minimum = -7.882324, depth = 0.0924, length = 1.596, width = 1.13, qubits = 12 },
  HF = { minimum = -98.603300, depth = 0.2250, length = 0.917, width = 2.22, qubits = 12 },
}

local chemistry = {}

local function number(value, default)
  return type(value) == "number" and value or default
end

-- What a request body asks for: { molecule, length, shots, basis, constants }.
function chemistry.problem(input)
  input = type(input) == "table" and input or {}
  local name = type(input.molecule) == "string" and input.molecule or "H2"
  local constants = molecules[name] or molecules.H2
  return {
    molecule = name,
    basis = type(input.basis) == "string" and input.basis or "sto-3g",
    length = number(input.bond_length, number(input.bondLength, constants.length)),
    shots = math.tointeger(number(input.shots, 1024)) or 1024,
    constants = constants,
    iterations = 12,
  }
end

local function round(value)
  return tonumber(string.format("%.6f", value)) + 0.0
end

-- Ground state energy in hartree at the problem's bond length.
function chemistry.energy(problem)
  local c = problem.constants
  local stretch = 1 - math.exp(-c.width * (problem.length - c.length))
  return round(c.minimum + c.depth * stretch * stretch)
end

-- The energy after some iterations of the optimiser, which starts too high and settles.
function chemistry.energy_at(problem, iteration)
  local share = iteration / problem.iterations
  return round(
    chemistry.energy(problem) + 0.35 * math.exp(-7 * share) * (1 + 0.2 * (iteration % 2))
  )
end

-- Counts of measured bit strings; the farther the bond is stretched, the less one dominates.
local function counts(problem)
  local stretch = math.max(0, problem.length - problem.constants.length)
  local main = math.floor(problem.shots * (0.5 + 0.48 * math.exp(-stretch)))
  local second = math.floor((problem.shots - main) * 0.8)
  local rest = problem.shots - main - second
  local half = problem.constants.qubits // 2
  local zero, one = ("0"):rep(half), ("1"):rep(half)
  local result = { [zero .. one] = main, [one .. zero] = second }
  result[zero .. zero] = rest // 2
  result[one .. one] = rest - rest // 2
  return result
end

-- The members of a result that the service itself writes.
function chemistry.output(problem)
  local history = json.array {}
  for iteration = 1, problem.iterations do
    history[iteration] = chemistry.energy_at(problem, iteration)
  end
  return {
    energy = chemistry.energy(problem),
    unit = "hartree",
    molecule = problem.molecule,
    basis = problem.basis,
    bond_length = problem.length,
    ansatz = "UCCSD",
    optimizer = "SLSQP",
    converged = true,
    iterations = problem.iterations,
    history = history,
    shots = problem.shots,
    counts = counts(problem),
  }
end

-- A small picture of the energies over the iterations, as SVG text.
function chemistry.plot(problem)
  local points = {}
  local low = chemistry.energy(problem)
  for iteration = 1, problem.iterations do
    local x = 30 + 340 * (iteration - 1) / (problem.iterations - 1)
    local y = 180 - 150 * math.min(1, (chemistry.energy_at(problem, iteration) - low) / 0.35)
    points[iteration] = string.format("%.1f,%.1f", x, y)
  end
  local lines = {
    '<svg xmlns="http://www.w3.org/2000/svg" width="400" height="210" font-family="sans-serif">',
    '<rect width="400" height="210" fill="white"/>',
    '<polyline points="' .. table.concat(points, " ") .. '" fill="none" stroke="#0a5"/>',
    string.format('<text x="30" y="20">E = %.6f hartree</text>', low),
    "</svg>",
  }
  return table.concat(lines, "\n") .. "\n"
end

return chemistry
