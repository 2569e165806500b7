-- `require "qhub"`: the public face. Nothing happens here but putting names together.

-- Older versions can read this file, but not those that it requires.
if _VERSION == "Lua 5.1" or _VERSION == "Lua 5.2" or _VERSION == "Lua 5.3" then
  error("qhub needs Lua 5.4, this is " .. _VERSION, 0)
end

local client = require "qhub.hub.client"
local credentials = require "qhub.auth"
local data_pool = require "qhub.hub.data_pool"
local enums = require "qhub.hub.enums"
local errors = require "qhub.error"
local json = require "qhub.json"
local parse_timestamp = require "qhub.hub.timestamp"
local progress = require "qhub.progress"
local result = require "qhub.hub.result"
local tasks = require "qhub.tasks"
local version = require "qhub.version"
require "qhub.hub.execution"

return {
  _VERSION = version,
  HubServiceClient = client.new,
  HubServiceClientEnvironment = enums.HubServiceClientEnvironment,
  ServiceExecutionStatus = enums.ServiceExecutionStatus,
  ServiceExecutionType = enums.ServiceExecutionType,
  LogEntrySeverity = enums.LogEntrySeverity,
  credentials = credentials,
  data_pool = data_pool,
  is_error = errors.is_error,
  json = json,
  parse_timestamp = parse_timestamp,
  progress = progress.display,
  result_files = result.files,
  tasks = tasks,
}
