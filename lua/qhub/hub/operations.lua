-- The seven operations, each a row: where it goes, what it sends, what its response means.
--
-- All take the same path (client.lua makes a request of a row, attempts.lua carries it out), so
-- that a correction of the wire contract is a correction of one row here. Source: the wire contract
-- of the service gateway.
--
-- method, path      as on the wire; `{id}` and `{file}` are percent-encoded as one segment each
-- body              true when the first argument becomes the JSON body
-- decode            of a 2xx response (decode.lua)
-- stream            in place of it, for rows whose response is a file: its default chunk in bytes
-- small             true when a compressed response is not worth asking for
-- once              true for the request that costs money and must not be repeated
-- accept_truncated  when a 2xx response counts although its body broke off; never by default
-- more_options      function returning the checkers of its own options
--
-- A row also has its name, `parameters` (what stands before the options), the pieces of its path
-- before and after the id, and `options` (the checkers of all of its options).

local decode = require "qhub.hub.decode"
local options = require "qhub.options"

-- Larger strings cost more: their memory goes back to the system, and is collected more often.
local CHUNK_SIZE = 64 * 1024

local function file_options()
  return { chunk_size = options.check.integer(1, 1 << 30) }
end

local operations = {
  get_service_executions = { method = "GET", path = "/", decode = decode.executions },
  start_execution = {
    method = "POST",
    path = "/",
    body = true,
    decode = decode.started,
    small = true,
    once = true,
    accept_truncated = function(response)
      return response.headers.location ~= nil
    end,
    more_options = function()
      return require("qhub.options.start").checkers
    end,
  },
  get_status = { method = "GET", path = "/{id}", decode = decode.execution, small = true },
  get_result = { method = "GET", path = "/{id}/result", decode = decode.result },
  get_result_file = {
    method = "GET",
    path = "/{id}/result/{file}",
    stream = CHUNK_SIZE,
    more_options = file_options,
  },
  get_logs = { method = "GET", path = "/{id}/log", decode = decode.logs },
  cancel_execution = {
    method = "PUT",
    path = "/{id}/cancel",
    decode = decode.nothing,
    small = true,
    accept_truncated = function()
      return true
    end,
  },
}

-- The checkers are made when options are given for the first time.
local Row = {}

function Row.__index(row, name)
  if name ~= "options" then return nil end
  local checkers = require("qhub.options.request").checkers
  row.options = row.more_options and options.extended(checkers, row.more_options()) or checkers
  return row.options
end

local function complete(name, row)
  row.body, row.stream = row.body or false, row.stream or false -- each call reads them
  row.name, row.parameters = name, row.body and { "body" } or {}
  for parameter in row.path:gmatch "{(%w+)}" do
    row.parameters[#row.parameters + 1] = parameter
  end
  -- "/{id}/result/{file}" is cut once into "/" and "/result/".
  row.before_id, row.after_id = row.path:match "^([^{]*){id}([^{]*)"
  return setmetatable(row, Row)
end

for name, row in pairs(operations) do
  complete(name, row)
end

-- Rows that are no methods of clients: `execution:download` asks as `get_result_file` does, and
-- `wait_all` for a list whose items stay plain tables.
local others = {
  download = {
    method = "GET",
    path = operations.get_result_file.path,
    stream = CHUNK_SIZE,
    more_options = function()
      return options.extended(file_options(), require("qhub.files.download").checkers)
    end,
  },
  plain_list = { method = "GET", path = "/", decode = decode.list_raw },
}
complete("download", others.download)
complete("get_service_executions", others.plain_list)

return setmetatable(operations, { __index = others })
