-- The methods of executions. The class itself (fields, pairs, ==, tostring) is in qhub.execution;
-- what a method does is decided here, by way of the client that the execution came from.

local client_module = require "qhub.hub.client"
local executions = require "qhub.execution"
local usage_error = require("qhub.error").usage
local operations = require "qhub.hub.operations"
local options = require "qhub.options"
local text = require "qhub.error.text"

local methods = executions.methods

local function check_execution(value, method)
  if not executions.is(value) then
    local form = "execution:%s: call it with a colon, on an execution, not on %s"
    usage_error(form, method, text.value(value))
  end
end

-- The client and the id of `self`; raises when it is not an execution or has no id to ask by.
local function target(self, method)
  check_execution(self, method)
  local id = self.id
  if type(id) ~= "string" then
    usage_error("execution:%s: the gateway gave this execution no id", method)
  end
  return executions.owner(self), id
end

--- Fetches the status, updates in place and returns the execution; or nil and an error.
function methods:refresh(given)
  local client, id = target(self, "refresh")
  local latest, err = client:get_status(id, given)
  if not latest then return nil, err end
  return executions.adopt(self, latest)
end

--- True for SUCCEEDED, FAILED and CANCELLED.
function methods:is_terminal()
  check_execution(self, "is_terminal")
  return executions.is_terminal(self.status)
end

--- Polls until the execution is terminal; returns it for any terminal status, or nil and an error.
function methods:wait(given)
  local client = target(self, "wait")
  local schedules = require "qhub.polling.schedule"
  local o = schedules.checked(given, "wait")
  return require("qhub.polling.wait").until_terminal(client, self, o, schedules.new(client, o))
end

--- The result; that of an execution known to have SUCCEEDED is waited for through a 404, within
--- `total_timeout`.
function methods:result(given)
  local client, id = target(self, "result")
  if self.status ~= "SUCCEEDED" then return client:get_result(id, given) end
  options.checked(given, operations.get_result.options, "result")
  local schedule = require("qhub.polling.schedule").new(client, {
    where = "result",
    request = given,
    timeout = given and given.total_timeout or client.session.total_timeout or nil,
    is_strict = true,
  })
  local result, err, reason = require("qhub.polling.wait").result(client, self, schedule)
  if result ~= nil then return result end
  if reason == "cancelled" then err = schedule:failed(nil, reason, self, nil, err) end
  return nil, err
end

--- The names of the result files.
function methods:result_files(given)
  target(self, "result_files")
  local answer, err = self:result(given)
  if answer == nil then return nil, err end
  return require("qhub.hub.result").file_names(answer)
end

--- Saves the file `name` as `path`; returns the path, or nil and an error. For options see
--- download.lua; those of a request are taken too.
function methods:download(name, path, given)
  local client, id = target(self, "download")
  local row = operations.download
  local download = require "qhub.files.download"
  local checked = download.checked(path, given, row.name, row.options)
  local request, url = client_module.prepared(client, row, id, name, given)
  return download.save({
    name = name,
    where = row.name,
    resource = url,
    open = function(known)
      return require("qhub.files.stream").open(client.session, request, url, known)
    end,
  }, path, checked)
end

--- An iterator over the log entries as they appear, until the execution is terminal; see
-- follow_logs.lua.
function methods:follow_logs(given)
  local client = target(self, "follow_logs")
  return require("qhub.polling.follow_logs").logs(client, self, given)
end

-- Methods that are operations of the client.
local SAME = { result_file = "get_result_file", logs = "get_logs", cancel = "cancel_execution" }

for name, operation in pairs(SAME) do
  methods[name] = function(self, ...)
    local client, id = target(self, name)
    return client[operation](client, id, ...)
  end
end

return methods
