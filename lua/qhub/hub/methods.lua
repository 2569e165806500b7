-- The methods of executions. The class itself (fields, pairs, ==, tostring) is in qhub.execution;
-- what a method does is decided here, by way of the client that the execution came from.

local client_module = require "qhub.hub.client"
local core = require "qhub.core"
local executions = require "qhub.execution"
local usage_error = require("qhub.error").usage
local operations = require "qhub.hub.operations"
local options = require "qhub.options"
local text = require "qhub.error.text"

local function check_execution(value, method)
  if not executions.is(value) then
    local form = "execution:%s: call it with a colon, on an execution, not on %s"
    usage_error(form, method, text.value(value))
  end
end

-- Methods that ask the gateway. A function gets the execution, the client that it came from, its
-- id, and the arguments of the call.
local requests = {}

--- Fetches the status, updates in place and returns the execution; or nil and an error.
function requests.refresh(self, client, id, given)
  local latest, err = client:get_status(id, given)
  if not latest then return nil, err end
  return executions.adopt(self, latest)
end

-- Those that are operations of the client.
local SAME = { result_file = "get_result_file", logs = "get_logs", cancel = "cancel_execution" }

for name, operation in pairs(SAME) do
  requests[name] = function(_, client, id, ...)
    return client[operation](client, id, ...)
  end
end

--- Polls until the execution is terminal; returns it for any terminal status, or nil and an error.
function requests.wait(self, client, _, given)
  local schedule = require("qhub.polling.schedule").new(client, "wait", given)
  return require("qhub.polling.wait").until_terminal(client, self, schedule)
end

--- The result; that of an execution known to have SUCCEEDED is waited for through a 404, within
--- `total_timeout`.
function requests.result(self, client, id, given)
  if self.status ~= "SUCCEEDED" then return client:get_result(id, given) end
  options.checked(given, operations.checkers(operations.public.get_result), "result")
  local schedule = require("qhub.polling.schedule").new(client, "result", {
    request = given,
    timeout = given and given.total_timeout or client.session.total_timeout or nil,
  })
  schedule.execution, schedule.is_strict = self, true
  local result, err, reason = require("qhub.polling.wait").result(client, self, schedule)
  if result ~= nil then return result end
  if reason == "cancelled" then err = schedule:ended(reason, err) end
  return nil, err
end

-- Relations of `_links` that are no files, and names by which none could be requested.
local NO_FILE = { self = true, status = true, [""] = true, ["."] = true, [".."] = true }

-- The names of the files of a result: the relations of `_links` except `self` and `status`, sorted.
-- Raises a usage error.
local function result_files(result)
  if result == nil or executions.is(result) then
    usage_error("result_files: a result is needed, got %s", text.value(result))
  end
  local names = core.json.array {}
  local links = type(result) == "table" and rawget(result, "_links")
  for name in pairs(type(links) == "table" and links or {}) do
    if type(name) == "string" and not NO_FILE[name] then names[#names + 1] = name end
  end
  table.sort(names)
  return names
end

--- The names of the result files.
function requests.result_files(self, _, _, given)
  local result, err = self:result(given)
  if result == nil then return nil, err end
  return result_files(result)
end

--- Saves the file `name` as `path`; returns the path, or nil and an error. For options see
--- download.lua; those of a request are taken too.
function requests.download(_, client, id, name, path, given)
  local request, url, _, o = client_module.prepared(client, operations.download, id, name, given)
  return require("qhub.files.download").save({
    name = name,
    where = "download",
    resource = url,
    open = function(known)
      return require("qhub.files.stream").open(client.session, request, url, known)
    end,
  }, path, o)
end

--- An iterator over the log entries as they appear, until the execution is terminal; see
--- follow_logs.lua.
function requests.follow_logs(self, client, _, given)
  return require("qhub.polling.follow_logs").logs(client, self, given)
end

for name, request in pairs(requests) do
  executions.methods[name] = function(self, ...)
    check_execution(self, name)
    local id = self.id
    if type(id) ~= "string" then
      usage_error("execution:%s: the gateway gave this execution no id", name)
    end
    return request(self, executions.owner(self), id, ...)
  end
end

--- True for SUCCEEDED, FAILED and CANCELLED.
function executions.methods.is_terminal(self)
  check_execution(self, "is_terminal")
  return executions.is_terminal(self.status)
end

return { result_files = result_files }
