-- The seven operations, each a row: where it goes, what it sends, what its answer means.
--
-- All take the same path (client.lua makes a plan of a row, call.lua carries it out), so that a
-- correction of the wire contract is a correction of one row here.
-- Source: the wire contract of the service gateway.
--
-- method, path    as on the wire; `{id}` and `{file}` are percent-encoded as one segment each
-- parameters      what stands before the options; `body` becomes the JSON body
-- answer          decoder of a 2xx answer (answer.lua); `stream` rows are answered by a file
-- repeatable      false for the request that costs money
-- suffices        when a 2xx answer whose body broke off is an answer all the same
-- options         checkers of its options

local answer = require "qhub.hub.decode"
local options = require "qhub.options"
local request_options = require "qhub.options.request"
local start_options = require "qhub.options.start"

local check = options.check

local function never()
  return false
end

local function always()
  return true
end

local function has_location(response)
  return response.headers.location ~= nil
end

local operations = {
  get_service_executions = {
    method = "GET",
    path = "/",
    parameters = {},
    answer = answer.executions,
    plain_answer = answer.list_raw, -- for wait_all: items stay plain tables
    repeatable = true,
    suffices = never,
    options = request_options.checkers,
  },
  start_execution = {
    method = "POST",
    path = "/",
    parameters = { "body" },
    answer = answer.started,
    repeatable = false,
    suffices = has_location,
    options = options.extended(request_options.checkers, start_options.checkers),
  },
  get_status = {
    method = "GET",
    path = "/{id}",
    parameters = { "id" },
    answer = answer.execution,
    repeatable = true,
    suffices = never,
    options = request_options.checkers,
  },
  get_result = {
    method = "GET",
    path = "/{id}/result",
    parameters = { "id" },
    answer = answer.result,
    repeatable = true,
    suffices = never,
    options = request_options.checkers,
  },
  get_result_file = {
    method = "GET",
    path = "/{id}/result/{file}",
    parameters = { "id", "file" },
    stream = true, -- answered by a file, see file.lua
    repeatable = true,
    suffices = never,
    options = options.extended(
      request_options.checkers,
      { chunk_size = check.integer(1, 1 << 30) }
    ),
  },
  get_logs = {
    method = "GET",
    path = "/{id}/log",
    parameters = { "id" },
    answer = answer.logs,
    repeatable = true,
    suffices = never,
    options = request_options.checkers,
  },
  cancel_execution = {
    method = "PUT",
    path = "/{id}/cancel",
    parameters = { "id" },
    answer = answer.nothing,
    repeatable = true,
    suffices = always,
    options = request_options.checkers,
  },
}

for name, row in pairs(operations) do
  row.name = name
end

-- "/{id}/result" is cut once into what stands before and after its first parameter.
for _, row in pairs(operations) do
  local before, after = row.path:match "^(.-){%w+}(.*)$"
  if before then
    row.id_path_before, row.id_path_after = before, (after:gsub("{%w+}$", ""))
  end
end

return operations
