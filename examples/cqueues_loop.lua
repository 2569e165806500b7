-- qhub inside a cqueues program: cqueues owns the loop, qhub is one more thing that it polls.
--
--   scripts/with_gateway.sh lua5.4 examples/cqueues_loop.lua
--
-- `qhub.tasks` has the methods pollfd, events and timeout that cqueues looks for, so a coroutine of
-- cqueues polls it like a socket and lets the tasks move on when there is something to do.

local cqueues = require "cqueues"
local qhub = require "qhub"

local tasks = qhub.tasks

local base_url, token = os.getenv "QHUB_BASE_URL", os.getenv "QHUB_TOKEN"
if not base_url or not token then
  io.stderr:write "set QHUB_BASE_URL and QHUB_TOKEN, or use scripts/with_gateway.sh\n"
  return os.exit(2)
end
local service <close> = qhub.HubServiceClient { base_url = base_url, token = token }

print "three runs are under way"

-- Each is a task that reads like blocking code.
for _, length in ipairs { 0.6, 0.735, 1.2 } do
  tasks.spawn(function()
    local result = assert(service:run({
      input = { molecule = "H2", bond_length = length },
    }, { interval = 0.5 }))
    print(("bond length %.3f: energy %s"):format(length, tostring(result.energy)))
  end)
end

local loop = cqueues.new()
local running = true

loop:wrap(function()
  while tasks.step(0) > 0 do
    cqueues.poll(tasks)
  end
  running = false
end)

-- The program's own work continues next to it.
loop:wrap(function()
  local ticks = 0
  while running do
    cqueues.sleep(0.25)
    ticks = ticks + 1
  end
  print(("cqueues did its own work %d times meanwhile"):format(ticks))
end)

assert(loop:loop())
