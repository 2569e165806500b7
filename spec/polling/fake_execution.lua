-- An execution of a client without retries over a fake transport with the responses `answers`, the
-- fake and the client. `known` is the status that the execution is known to have, if any.

local FakeTransport = require "spec.support.fake_transport"
local executions = require "qhub.execution"

return function(answers, known, options)
  local fake = FakeTransport(answers)
  options = options or {}
  options.max_retries = options.max_retries or 0
  local client = fake:client(options)
  local execution = client:execution "e1"
  if known then
    executions.merge(execution, { id = "e1", status = known, createdAt = "2026-02-27 10:04:50" })
  end
  return execution, fake, client
end
