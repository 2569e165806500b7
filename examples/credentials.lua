-- Tokens: client credentials shared by many tasks, else the personal access token of this machine.
--
--   scripts/with_gateway.sh lua5.4 examples/credentials.lua    against the bundled simulator
--   QHUB_BASE_URL=… QHUB_ACCESS_KEY_ID=… QHUB_SECRET_ACCESS_KEY=… lua5.4 examples/credentials.lua
--
-- Starts three runs at once from three tasks. Whatever needs a token gets it from one function,
-- which fetches it once, keeps it, and renews it before it expires or when the gateway refuses it.

local qhub = require "qhub"
local tasks = qhub.tasks

local base_url = os.getenv "QHUB_BASE_URL"
if not base_url then
  io.stderr:write "set QHUB_BASE_URL, or run this by scripts/with_gateway.sh\n"
  return os.exit(2)
end

-- The simulator has its token endpoint beside the services, and knows one pair of credentials.
local simulator = base_url:match "^http://127%.0%.0%.1:%d+"
local key_id = os.getenv "QHUB_ACCESS_KEY_ID" or simulator and "demo-key"
local secret = os.getenv "QHUB_SECRET_ACCESS_KEY" or simulator and "demo-secret"

local token
if key_id and secret then
  token = qhub.credentials.client_credentials {
    access_key_id = key_id,
    secret_access_key = secret,
    token_endpoint = simulator and simulator .. "/token" or nil,
  }
else
  -- A variable, or what `qhubctl login` left; the error names every place searched.
  token = assert(qhub.credentials.default())
end

local service <close> = qhub.HubServiceClient { base_url = base_url, token = token }

local function run(bond_length)
  local execution = assert(service:start_execution {
    input = { molecule = "H2", bond_length = bond_length },
  })
  assert(execution:wait { progress = qhub.progress })
  return assert(execution:result())
end

local lengths = { 0.6, 0.735, 0.9 }
local results, errors = tasks.run(function()
  local list = {}
  for index, length in ipairs(lengths) do
    list[index] = tasks.spawn(run, length)
  end
  return tasks.gather(list)
end)

for index, length in ipairs(lengths) do
  local result = results[index]
  local energy = result and result.energy or "no energy"
  print(("%.3f Å: %s"):format(length, result and energy or tostring(errors[index])))
end
