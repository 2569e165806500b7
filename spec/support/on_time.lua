-- Asserts that `seconds` have passed since `started` (by loop.now), and little more: what a machine
-- that is busy elsewhere may add is allowed for, waiting for the next poll or forever is not.

local loop = require "qhub.tasks.loop"

local EARLY, LATE = 0.01, 0.5

return function(seconds, started)
  local spent = loop.now() - started
  if spent < seconds - EARLY or spent > seconds + LATE then
    error(("%g s were to pass, it was %g s"):format(seconds, spent), 2)
  end
end
