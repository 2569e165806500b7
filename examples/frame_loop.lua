-- qhub in a program that draws frames: `tasks.step(0)` once a frame, which never waits.
--
--   scripts/with_gateway.sh lua5.4 examples/frame_loop.lua
--
-- A game or an instrument's panel works like this: it must be back at its drawing 30 times a second
-- whatever the network does.

local qhub = require "qhub"

local tasks = qhub.tasks
local service <close> = qhub.HubServiceClient {
  base_url = assert(os.getenv "QHUB_BASE_URL", "set QHUB_BASE_URL and QHUB_TOKEN"),
  token = assert(os.getenv "QHUB_TOKEN", "set QHUB_BASE_URL and QHUB_TOKEN"),
}

local energy
local task = tasks.spawn(function()
  energy = assert(service:run({ input = { molecule = "H2" } }, { interval = 0.5 })).energy
end)

-- Stands for whatever keeps the pace in a real program (a display, an instrument).
local function wait_for_next_frame()
  require("cqueues").sleep(1 / 30)
end

local frames = 0
repeat
  frames = frames + 1
  local live = tasks.step(0)
  wait_for_next_frame()
until live == 0

task:join() -- raises what went wrong in the task, if anything did
print(("energy %s after %d frames"):format(tostring(energy), frames))
