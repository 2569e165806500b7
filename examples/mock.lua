-- Testing code that uses qhub, without a gateway: the client is given a `transport` function, and
-- nothing leaves the process.
--
--   scripts/with_build.sh build lua5.4 examples/mock.lua
--
-- Retries, decoding, errors and polling are the real ones; only the wire is played. docs/testing.md
-- has the same as a busted spec.

local qhub = require "qhub"

-- ── the code to be tested ───────────────────────────────────────────────────────────────────────

-- The ground state energy of a molecule, or nil and why there is none.
local function ground_state_energy(service, molecule)
  local result, err = service:run({ input = { molecule = molecule } }, { interval = 0.01 })
  if not result then
    return nil, err.kind == "execution" and "the run ended as " .. err.execution.status or err
  end
  return result.energy
end

-- ── the double ──────────────────────────────────────────────────────────────────────────────────

-- A service that plays the responses of a script: "METHOD /path" -> a list of responses, of which
-- the last is given again and again. Returns the client and the list of what was asked.
local function played(script)
  local asked = {}
  local base_url = "https://gateway.example/acme/vqe/v1"
  local client = qhub.HubServiceClient {
    base_url = base_url,
    token = "not needed",
    transport = function(request)
      local what = request.method .. " " .. request.url:sub(#base_url + 1)
      asked[#asked + 1] = what
      local answers = assert(script[what], "nothing is planned for " .. what)
      local answer = #answers > 1 and table.remove(answers, 1) or answers[1]
      return {
        status_code = answer.status_code or 200,
        headers = answer.headers,
        body = qhub.json.encode(answer.body or {}),
      }
    end,
  }
  return client, asked
end

local function status(name)
  return { body = { id = "1", status = name } }
end

-- ── the tests ───────────────────────────────────────────────────────────────────────────────────

local function test(name, fn)
  fn()
  print("ok   " .. name)
end

test("the energy is that of the result", function()
  local service, asked = played {
    ["POST /"] = { { status_code = 201, body = { id = "1", status = "PENDING" } } },
    ["GET /1"] = { status "PENDING", status "RUNNING", status "SUCCEEDED" },
    ["GET /1/result"] = { { body = { energy = -1.137 } } },
  }
  assert(ground_state_energy(service, "H2") == -1.137)
  assert(table.concat(asked, ", ") == "POST /, GET /1, GET /1, GET /1, GET /1/result")
end)

test("a run that fails is told as such", function()
  local service = played {
    ["POST /"] = { { status_code = 201, body = { id = "1", status = "PENDING" } } },
    ["GET /1"] = { status "FAILED" },
    ["GET /1/result"] = { { status_code = 404 } },
    ["GET /1/log"] = { { body = qhub.json.array {} } },
  }
  local energy, why = ground_state_energy(service, "H2")
  assert(energy == nil and why == "the run ended as FAILED")
end)

test("a gateway in trouble is asked again", function()
  local service, asked = played {
    ["POST /"] = {
      { status_code = 503, headers = { ["Retry-After"] = "0.01" } },
      { status_code = 201, body = { id = "1", status = "SUCCEEDED" } },
    },
    ["GET /1/result"] = { { body = { energy = 1.5 } } },
  }
  assert(ground_state_energy(service, "LiH") == 1.5)
  assert(asked[1] == "POST /" and asked[2] == "POST /")
end)

test("a token that was refused is an error with its status", function()
  local service = played { ["POST /"] = { { status_code = 401 } } }
  local energy, err = ground_state_energy(service, "H2")
  assert(energy == nil and err.kind == "api" and err.status_code == 401)
end)
