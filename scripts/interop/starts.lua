-- Starts after a kept connection has gone bad; counts those that fail.
--
--   lua5.4 scripts/interop/starts.lua BASE_URL COUNT
--
-- uvicorn closes a connection without a word after an unhandled exception (a 500), and after five
-- seconds without a request. Prints two lines, `after-500 FAILED` and `after-idle FAILED`; the
-- server's log tells how many POSTs arrived. Retries are off: a start that is lost shows.

local qhub = require "qhub"
local tasks = qhub.tasks
local base_url, count = arg[1], math.tointeger(arg[2])
local BODY = { mode = "nothing" }

local function client()
  return qhub.HubServiceClient { base_url = base_url, token = "any", max_retries = 0 }
end

local function after_500()
  local service <close> = client()
  local broken = assert(service:start_execution { mode = "list" })
  assert(broken:wait { interval = 0.05, timeout = 10 })
  local failed = 0
  for _ = 1, count do
    local none, err = service:get_result(broken.id)
    assert(none == nil and err.status_code == 500, err)
    if not service:start_execution(BODY) then failed = failed + 1 end
  end
  return failed
end

-- One client for each start, so that they idle together: 4.9 to 5.1 s, around the moment at which
-- the server closes.
local function after_idle()
  local failed = 0
  tasks.run(function()
    for index = 1, count do
      tasks.spawn(function()
        local service <close> = client()
        assert(service:get_service_executions())
        tasks.sleep(4.9 + 0.2 * index / count)
        if not service:start_execution(BODY) then failed = failed + 1 end
      end)
    end
  end)
  return failed
end

print("after-500", after_500())
print("after-idle", after_idle())
