-- A busted helper that keeps the collector at work throughout a run, so that an object which is
-- referenced from C only, or closed twice, shows itself. `--helper=spec/support/gc_stress.lua
-- -Xhelper MODE`:
--
--   step          incremental, a step at nearly every allocation, a new cycle as soon as one ends
--   generational  minor collections after one per cent of growth
--   full          a full collection every few thousand instructions, in every coroutine (slow)
local mode = arg and arg[1] or "step"

local FULL_PERIOD = 5000 -- instructions

if mode == "step" then
  collectgarbage("incremental", 1, 100, 4)
elseif mode == "generational" then
  collectgarbage("generational", 1, 10)
elseif mode == "full" then
  require("spec.support.hook")(function()
    collectgarbage()
  end, "", FULL_PERIOD)
else
  error("gc_stress: no mode " .. tostring(mode), 0)
end
