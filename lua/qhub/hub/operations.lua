-- The operations, each a row: where it goes, what it sends, what its response means.
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
-- own_options       function returning the checkers of its own options
--
-- A row also gets its name, the number of `arguments` before the options, and the pieces of its
-- path before and after the id.

local decode = require "qhub.hub.decode"
local options = require "qhub.options"

local FILE = "/{id}/result/{file}"
-- Larger strings cost more: their memory goes back to the system, and is collected more often.
local CHUNK_SIZE = 64 * 1024

local function file_options()
  return { chunk_size = options.check.integer(1, 1 << 30) }
end

-- The methods of a client.
local public = {
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
    own_options = function()
      return require("qhub.options.start").checkers
    end,
  },
  get_status = { method = "GET", path = "/{id}", decode = decode.execution, small = true },
  get_result = { method = "GET", path = "/{id}/result", decode = decode.result },
  get_result_file = {
    method = "GET",
    path = FILE,
    stream = CHUNK_SIZE,
    own_options = file_options,
  },
  get_logs = { method = "GET", path = "/{id}/log", decode = decode.logs },
  cancel_execution = {
    method = "PUT",
    path = "/{id}/cancel",
    decode = decode.nothing,
    small = true,
    accept_truncated = decode.nothing, -- true
  },
}

local operations = {
  public = public,
  -- `execution:download` asks as `get_result_file` does.
  download = {
    method = "GET",
    path = FILE,
    stream = CHUNK_SIZE,
    own_options = function()
      return options.extended(file_options(), require("qhub.files.download").checkers)
    end,
  },
  -- `wait_all` asks for a list whose items stay plain tables.
  plain_list = { method = "GET", path = "/", decode = decode.list_raw },
}

--- The checkers of all options of `row`, made when options are given for the first time.
function operations.checkers(row)
  local checkers = require("qhub.options.request").checkers
  row.options = row.options or options.extended(checkers, row.own_options and row.own_options())
  return row.options
end

local function complete(name, row)
  row.name = name
  row.body, row.stream = row.body or false, row.stream or false -- each call reads them
  -- "/{id}/result/{file}" is cut once into "/" and "/result/".
  row.before_id, row.after_id = row.path:match "^([^{]*){id}([^{]*)"
  row.arguments = row.stream and 2 or (row.body or row.before_id) and 1 or 0
end

for name, row in pairs(public) do
  complete(name, row)
end
complete("download", operations.download)
complete("get_service_executions", operations.plain_list)

return operations
