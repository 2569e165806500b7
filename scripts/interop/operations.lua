-- Each operation once, in the order of low_level() in clients.py, so that the requests of the two
-- clients can be laid side by side.
--
--   lua5.4 scripts/interop/operations.lua BASE_URL

local qhub = require "qhub"
local json = qhub.json

local FILE, ID = "a b ü.txt", "run 1"

local function body()
  return {
    values = json.array { 1, 2.5, json.null },
    deep = { list = json.array {}, text = "a\127ü" },
    simulate = { pending_ms = 0, running_ms = 0, id = ID, files = { [FILE] = "content" } },
  }
end

local service <close> =
  qhub.HubServiceClient { base_url = arg[1], token = "demo-token", max_retries = 0 }

assert(assert(service:start_execution(body())).id == ID)
local execution = assert(service:start_execution(body(), {
  tags = { "demo", "ü" },
  secrets = { API_KEY = "interop-secret" },
}))
assert(execution.status == "SUCCEEDED" and execution.tags[2] == "ü")
assert(assert(service:get_status(ID)).id == ID)
local result = assert(service:get_result(ID))
assert(result.embedded.status.status == "SUCCEEDED" and result.energy < 0)
assert(assert(service:get_result_file(ID, FILE)):read_all() == "content")
assert(assert(service:get_logs(ID))[1].message)
assert(service:cancel_execution(ID))
assert(assert(service:get_service_executions())[1].id == ID)
