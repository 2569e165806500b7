-- qhub in a program that draws frames: `tasks.step(0)` once a frame, which never waits.
--
--   scripts/with_gateway.sh lua5.4 examples/frame_loop.lua
--
-- A game or an instrument's panel works like this: it must be back at its drawing 30 times a second
-- whatever the network does.

local qhub = require "qhub"

local tasks = qhub.tasks

local base_url, token = os.getenv "QHUB_BASE_URL", os.getenv "QHUB_TOKEN"
if not base_url or not token then
  io.stderr:write "set QHUB_BASE_URL and QHUB_TOKEN, or use scripts/with_gateway.sh\n"
  return os.exit(2)
end
local service <close> = qhub.HubServiceClient { base_url = base_url, token = token }

local energy
local task = tasks.spawn(function()
  energy = assert(service:run({ input = { molecule = "H2" } }, { interval = 0.5 })).energy
end)

-- Stands for what keeps the pace in a real program (a display, an instrument).
local function wait_for_next_frame()
  require("cqueues").sleep(1 / 30)
end

local is_terminal = os.execute "test -t 1" and os.getenv "TERM" ~= "dumb"
local frames = 0
repeat
  frames = frames + 1
  if is_terminal then
    local at = math.floor(20 + 19.5 * math.sin(frames / 10))
    io.write("\r", (" "):rep(at), "o", (" "):rep(40 - at))
    io.flush()
  end
  local live = tasks.step(0)
  wait_for_next_frame()
until live == 0

task:join() -- raises what went wrong in the task, if anything did
io.write(is_terminal and "\r\27[K" or "")
print(("energy %s after %d frames"):format(tostring(energy), frames))
