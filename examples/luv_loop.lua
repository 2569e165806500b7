-- qhub inside a libuv program: luv watches one descriptor and one timer.
--
--   scripts/with_gateway.sh lua5.4 examples/luv_loop.lua
--
-- libuv has no notion of "poll this object", so two handles stand for it: a poll handle on the
-- descriptor, and a timer for what is due without anything happening on it.

local qhub = require "qhub"
local uv = require "luv"

local tasks = qhub.tasks

local base_url, token = os.getenv "QHUB_BASE_URL", os.getenv "QHUB_TOKEN"
if not base_url or not token then
  io.stderr:write "set QHUB_BASE_URL and QHUB_TOKEN, or use scripts/with_gateway.sh\n"
  return os.exit(2)
end
local service <close> = qhub.HubServiceClient { base_url = base_url, token = token }

print "three runs are under way"
for _, length in ipairs { 0.6, 0.735, 1.2 } do
  tasks.spawn(function()
    local result = assert(service:run({
      input = { molecule = "H2", bond_length = length },
    }, { interval = 0.5 }))
    print(("bond length %.3f: energy %s"):format(length, tostring(result.energy)))
  end)
end

local watcher = uv.new_poll(tasks.pollfd())
local timer = uv.new_timer()
local ticker = uv.new_timer()

local ticks = 0
ticker:start(250, 250, function()
  ticks = ticks + 1 -- the program's own work
end)

local function step()
  if tasks.step(0) == 0 then
    watcher:close()
    timer:close()
    ticker:close()
    return
  end
  local seconds = tasks.timeout()
  if seconds then
    timer:start(math.ceil(seconds * 1000), 0, step)
  else
    timer:stop()
  end
end

watcher:start("r", step)
step()
uv.run()
print(("libuv did the program's own work %d times meanwhile"):format(ticks))
