-- The first request that `call(client)` sends; `options` of the client as in fake_transport.lua.

local FakeTransport = require "spec.support.fake_transport"

return function(call, options)
  local fake = FakeTransport { { status_code = 200, body = "[]" } }
  call(fake:client(options))
  return fake.requests[1]
end
