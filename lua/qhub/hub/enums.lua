-- The gateway's enumerations: each name maps to its own string. Values that the gateway may add
-- later pass through unchanged wherever they appear.
-- Source: the reference documentation, section "Enums".

local executions = require "qhub.execution"

local function enumeration(...)
  local names = {}
  for _, name in ipairs { ... } do
    names[name] = name
  end
  return names
end

return {
  ServiceExecutionStatus = enumeration(table.unpack(executions.STATUSES)),
  ServiceExecutionType = enumeration("MANAGED", "WORKFLOW"),
  LogEntrySeverity = enumeration("DEBUG", "NOTICE", "INFO", "WARNING", "ERROR"),
  HubServiceClientEnvironment = {
    DEFAULT = "https://gateway.hub.kipu-quantum.com/<context>/<service>/<version>",
  },
}
