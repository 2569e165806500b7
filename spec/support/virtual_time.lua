-- Hours in no time, for specs of waits: sleeping moves a clock instead of waiting.
--
--   local time <close> = virtual_time()
--   ... time.slept is the list of the sleeps in seconds, time.now() the clock ...
--
-- Only for the transport double outside of tasks: what has descriptors or other tasks to wait for
-- needs real time. Closing it puts the real clock back.

local loop = require "qhub.tasks.loop"

return function()
  local now, sleep_until = loop.now, loop.sleep_until
  local offset = 0
  local time = { slept = {} }

  function time.now()
    return now() + offset
  end

  loop.now = time.now
  function loop.sleep_until(due)
    local seconds = due - time.now()
    if seconds > 0 then
      time.slept[#time.slept + 1] = seconds
      offset = offset + seconds
    end
    return true
  end

  return setmetatable(time, {
    __close = function()
      loop.now, loop.sleep_until = now, sleep_until
    end,
  })
end
