-- A server that all specs of a describe block, or of a file, share.
--
--   local server = shared(gateway.start, { tls = true })
--
-- Responsible for: starting it before the first of them, with the given argument, clearing it
-- before each if it can be cleared, and stopping it after the last.

local busted = require "busted"

return function(start, argument)
  local server
  local shared = setmetatable({}, {
    __index = function(_, name)
      return server[name]
    end,
  })
  busted.setup(function()
    server = start(argument)
  end)
  busted.before_each(function()
    if server.clear then server:clear() end
  end)
  busted.teardown(function()
    server:stop()
  end)
  return shared
end
