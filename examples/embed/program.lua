-- What host.c runs: a program without `os`, `io` and `debug`.

local base_url, token = ...

local qhub = require "qhub"

local service <close> = qhub.HubServiceClient { base_url = base_url, token = token }
local result =
  assert(service:run({ input = { molecule = "H2", shots = 1024 } }, { interval = 0.5 }))
print(("%s: energy %.6f"):format(result.embedded.status.id, result.energy))
