-- Calls all seven operations, so that a validating proxy can look at what qhub sends.
--
--   lua5.4 scripts/openapi_client.lua BASE_URL
--
-- Part of scripts/check_openapi.sh; raises when the proxy, or the simulator behind it, objects.

local qhub = require "qhub"

local service <close> = qhub.HubServiceClient {
  base_url = arg[1],
  token = "demo-token",
  max_retries = 0,
}
local calls = 0
local function check(...)
  calls = calls + 1
  return assert(...)
end

local bodies = {
  { input = { molecule = "H2" }, tags = qhub.json.array { "demo" } },
  { data = { values = qhub.json.array { 100, 50 } }, params = qhub.json.object {} },
  { pool = { id = "b1d8a3c0-0000-4000-8000-000000000001", ref = "DATAPOOL" }, shots = 100 },
}
for _, body in ipairs(bodies) do
  local execution = check(service:start_execution(body))
  check(execution:wait())
  check(service:get_service_executions())
  check(service:get_status(execution.id))
  check(service:get_result(execution.id))
  check(service:get_logs(execution.id))
  local file = check(service:get_result_file(execution.id, "hello.txt"))
  check(file:read_all())
  check(service:cancel_execution(execution.id))
end

local missing, problem = service:get_status "a b/c"
assert(missing == nil and problem.status_code == 404, problem)
print(("openapi_client: %d calls of qhub keep to the OpenAPI description"):format(calls + 1))
