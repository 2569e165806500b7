-- Sets a debug hook in this and every later coroutine: in Lua a hook belongs to one coroutine only.
-- Returns `function(hook, mask, count)`, arguments as of debug.sethook.
return function(hook, mask, count)
  local create = coroutine.create
  local function hooked(thread)
    debug.sethook(thread, hook, mask, count)
    return thread
  end

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
end
