-- Every operation of qhub, and what is built on them, against the vendor's qhub-serve.
--
--   lua5.4 scripts/interop/emulation.lua BASE_URL FOLDER
--
-- The service is program.py beside this. The emulation keeps no logs, no tags and no reasons of
-- failures, and its results lack `_embedded.status`, so these are looked at elsewhere.

local qhub = require "qhub"
local json, tasks = qhub.json, qhub.tasks
local base_url, folder = arg[1], arg[2]

local service <close> = qhub.HubServiceClient { base_url = base_url, token = "any" }
local POLL = { interval = 0.05, timeout = 20 }

local function sha(text) -- enough to tell whether bytes were lost or moved
  local sum = 0
  for at = 1, #text, 7 do
    sum = (sum * 31 + text:byte(at)) % 2147483647
  end
  return sum
end

local block = {}
for byte = 0, 255 do
  block[byte + 1] = string.char(byte)
end
local BYTES = table.concat(block):rep(4096)

local function each_operation()
  local execution = assert(service:start_execution({
    values = json.array { 1, 2, 3 },
    shots = 100,
    mode = "file",
  }, { tags = { "interop" }, secrets = { API_KEY = "interop-secret" } }))
  assert(not execution:is_terminal() and #execution.created_at == 19)
  assert(execution:wait(POLL).status == "SUCCEEDED")
  assert(assert(service:get_status(execution.id)) == execution)
  local result = assert(execution:result())
  assert(result.sum == 6 and result.shots == 100)
  local names = assert(execution:result_files())
  table.sort(names)
  assert(table.concat(names, " ") == "bytes.bin output.json")
  local file = assert(service:get_result_file(execution.id, "bytes.bin", { chunk_size = 10000 }))
  assert(sha(assert(file:read_all())) == sha(BYTES))
  local path = assert(execution:download("bytes.bin", folder))
  local saved <close> = assert(io.open(path, "rb"))
  assert(saved:read "a" == BYTES)
  assert(#assert(execution:logs()) == 0)
  for _ in execution:follow_logs { interval = 0.05 } do
    error "the emulation has no logs"
  end
  assert(execution:cancel() == true)
  local found
  for _, other in ipairs(assert(service:get_service_executions())) do
    found = found or other == execution
  end
  assert(found, "the run is not in the list")
end

local function runs()
  local result = assert(service:run({ values = json.array { 4, 5 } }, POLL))
  assert(result.sum == 9)
  -- NaN stands in output.json as it was written; in the result the emulation makes it null.
  result = assert(service:run({ mode = "nan" }, POLL))
  assert(result.energy == json.null and result.bounds[1] == json.null)
  local nan =
    assert(service:get_result_file(result.links.status.href:match "[^/]+$", "output.json"))
  assert(assert(nan:read_all()):find("-Infinity", 1, true))
  result = assert(service:run({ mode = "text" }, POLL))
  assert(result.sum == nil and result.links["output.txt"].href)
  local none, err = service:run({ mode = "fail" }, POLL)
  assert(none == nil and err.kind == "execution" and err.execution.status == "FAILED", err)
  none, err = service:get_status "nothing"
  assert(none == nil and err.status_code == 404 and tostring(err):find "Not found", err)
end

local function many()
  local list = tasks.run(function()
    local started = {}
    for index = 1, 12 do
      started[index] = tasks.spawn(function()
        return assert(service:start_execution { values = json.array { index } })
      end)
    end
    local executions = tasks.gather(started)
    return assert(service:wait_all(executions, POLL))
  end)
  assert(#list == 12)
  for index, execution in ipairs(list) do
    assert(assert(execution:result()).sum == index)
  end
end

-- Cancelling works on what is still queued; the emulation runs three at once.
local function cancelling()
  local busy = {}
  for index = 1, 4 do
    busy[index] = assert(service:start_execution { mode = "nothing", seconds = 0.5 })
  end
  assert(busy[4]:cancel() == true)
  assert(busy[4]:wait(POLL).status == "CANCELLED")
  assert(service:wait_all(busy, POLL))
end

each_operation()
runs()
many()
cancelling()
