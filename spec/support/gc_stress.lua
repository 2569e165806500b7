-- A busted helper that keeps the collector at work throughout a run, so that an object which is
-- referenced from C only, or closed twice, shows itself. `--helper=spec/support/gc_stress.lua
-- -Xhelper MODE`:
--
--   step          incremental, a step at nearly every allocation, a new cycle as soon as one ends
--   generational  minor collections after one per cent of growth
--   full          a full collection every thousand instructions, in every coroutine (slow)
local mode = arg and arg[1] or "step"

-- How often the hook of "full" strikes. A hook belongs to one coroutine, hence the wrapping below.
local FULL_PERIOD = 1000

local function hooked(thread)
  debug.sethook(thread, function()
    collectgarbage()
  end, "", FULL_PERIOD)
  return thread
end

if mode == "step" then
  collectgarbage("incremental", 1, 1000, 4)
elseif mode == "generational" then
  collectgarbage("generational", 1, 10)
elseif mode == "full" then
  local create = coroutine.create
  function coroutine.create(fn) -- luacheck: ignore 122
    return hooked(create(fn))
  end
  function coroutine.wrap(fn) -- luacheck: ignore 122
    local thread = hooked(create(fn))
    return function(...)
      local results = table.pack(coroutine.resume(thread, ...))
      if not results[1] then
        coroutine.close(thread)
        error(results[2], 0)
      end
      return table.unpack(results, 2, results.n)
    end
  end
  hooked(coroutine.running())
else
  error("gc_stress: no mode " .. tostring(mode), 0)
end
