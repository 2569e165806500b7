-- The gateway's enumerations: each name maps to its own string. Values that the gateway may add
-- later pass through unchanged wherever they appear.
-- Source: the reference documentation, section "Enums".

local function enumeration(names)
  local values = {}
  for _, name in ipairs(names) do
    values[name] = name
  end
  return values
end

return {
  ServiceExecutionStatus = enumeration(require("qhub.execution").STATUSES),
  ServiceExecutionType = enumeration { "MANAGED", "WORKFLOW" },
  LogEntrySeverity = enumeration { "DEBUG", "NOTICE", "INFO", "WARNING", "ERROR" },
  HubServiceClientEnvironment = {
    DEFAULT = "https://gateway.hub.kipu-quantum.com/<context>/<service>/<version>",
  },
}
