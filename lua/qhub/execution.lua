-- The methods of executions. The userdata itself (fields, pairs, ==, tostring) is C; what a method
-- does is decided here, by way of the client that the execution came from.

local client_module = require "qhub.client"
local core = require "qhub.core"
local download = require "qhub.download"
local loop = require "qhub.loop"
local misuse = require "qhub.misuse"
local operations = require "qhub.operations"
local options = require "qhub.options"
local polling = require "qhub.polling"
local reader = require "qhub.reader"
local result = require "qhub.result"
local show = require "qhub.show"

local owner_of = core.execution.owner

local methods = core.execution.methods

local TERMINAL = { SUCCEEDED = true, FAILED = true, CANCELLED = true }

-- The client and the id of `self`; raises when it is no execution or has no id to ask by.
local function target(self, method)
  if not core.execution.is(self) then
    misuse(
      "execution:%s: call it with a colon, on an execution, not on %s",
      method,
      show.value(self)
    )
  end
  local id = self.id
  if type(id) ~= "string" then
    misuse("execution:%s: the gateway gave this execution no id", method)
  end
  return owner_of(self), id
end

--- Fetches the status, updates in place and returns the execution; or nil and an error.
function methods:refresh(given)
  local client, id = target(self, "refresh")
  local latest, err = client:get_status(id, given)
  if not latest then
    return nil, err
  end
  local raw = latest.raw
  if raw.id == nil then
    raw.id = id
  end
  core.execution.update(self, raw)
  return self
end

--- True for SUCCEEDED, FAILED and CANCELLED.
function methods:is_terminal()
  return TERMINAL[self.status] == true
end

--- Polls until the execution is terminal; returns it whatever its end, or nil and an error.
function methods:wait(given)
  local client = target(self, "wait")
  return polling.wait(client, self, polling.checked(given, "wait"))
end

-- The result can trail SUCCEEDED: seconds between looks, as the reference client waits.
local RESULT_DELAYS = { 1, 2, 4, 8 }

--- The result; that of an execution known to have SUCCEEDED is waited for through a 404.
function methods:result(given)
  local client, id = target(self, "result")
  local answer, err = client:get_result(id, given)
  if self.status ~= "SUCCEEDED" then
    return answer, err
  end
  local total_timeout = type(given) == "table" and given.total_timeout or client.total_timeout_
  local deadline = total_timeout and loop.now() + total_timeout
  for _, delay in ipairs(RESULT_DELAYS) do
    if answer ~= nil or err.kind ~= "api" or err.status_code ~= 404 then
      break
    end
    local due = loop.now() + delay
    if (deadline and due >= deadline) or not loop.sleep_until(due, client) then
      break
    end
    answer, err = client:get_result(id, given)
  end
  if answer == nil then
    return nil, err
  end
  return answer
end

--- The names of the result files.
function methods:result_files(given)
  target(self, "result_files")
  local answer, err = self:result(given)
  if answer == nil then
    return nil, err
  end
  return core.json.array(result.file_names(answer))
end

--- The file `name` as an iterator over chunks; or nil and an error.
function methods:result_file(name, given)
  local client, id = target(self, "result_file")
  return client:get_result_file(id, name, given)
end

-- A download asks as `get_result_file` does, and takes its own options beside those.
local DOWNLOAD = {}
for name, value in pairs(operations.get_result_file) do
  DOWNLOAD[name] = value
end
DOWNLOAD.name = "download"
DOWNLOAD.options = options.extended(DOWNLOAD.options, download.checkers)

--- Saves the file `name` as `path`; returns the path, or nil and an error. For options see
--- download.lua; those of a request are taken too.
function methods:download(name, path, given)
  local client, id = target(self, "download")
  local checked = download.checked(path, given, DOWNLOAD.name, DOWNLOAD.options)
  local plan = client_module.plan(client, DOWNLOAD, id, name, given)
  return download.save({
    name = name,
    where = DOWNLOAD.name,
    resource = plan.url,
    open = function(known)
      return reader.new(client, plan, known)
    end,
  }, path, checked)
end

--- The log entries so far, oldest first; or nil and an error.
function methods:logs(given)
  local client, id = target(self, "logs")
  return client:get_logs(id, given)
end

--- Asks for the cancellation of the run; true, or nil and an error.
function methods:cancel(given)
  local client, id = target(self, "cancel")
  return client:cancel_execution(id, given)
end

return methods
