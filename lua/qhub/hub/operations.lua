-- The seven operations, each a row: where it goes, what it sends, what its response means.
--
-- All take the same path (client.lua makes a request of a row, attempts.lua carries it out), so
-- that a correction of the wire contract is a correction of one row here. Source: the wire contract
-- of the service gateway.
--
-- method, path      as on the wire; `{id}` and `{file}` are percent-encoded as one segment each
-- parameters        what stands before the options; `body` becomes the JSON body
-- decode            of a 2xx response (decode.lua)
-- stream            in place of it, for rows whose response is a file: its default chunk in bytes
-- small             true when a compressed response is not worth asking for
-- repeatable        false for the request that costs money
-- accept_truncated  when a 2xx response counts although its body broke off; never by default
-- options           checkers of its options

local decode = require "qhub.hub.decode"
local options = require "qhub.options"
local request_options = require "qhub.options.request"

local check = options.check

local CHUNK_SIZE = 256 * 1024

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
    decode = decode.executions,
    plain_decode = decode.list_raw, -- for wait_all: items stay plain tables
    repeatable = true,
    options = request_options.checkers,
  },
  start_execution = {
    method = "POST",
    path = "/",
    parameters = { "body" },
    decode = decode.started,
    small = true,
    repeatable = false,
    accept_truncated = has_location,
  },
  get_status = {
    method = "GET",
    path = "/{id}",
    parameters = { "id" },
    decode = decode.execution,
    small = true,
    repeatable = true,
    options = request_options.checkers,
  },
  get_result = {
    method = "GET",
    path = "/{id}/result",
    parameters = { "id" },
    decode = decode.result,
    repeatable = true,
    options = request_options.checkers,
  },
  get_result_file = {
    method = "GET",
    path = "/{id}/result/{file}",
    parameters = { "id", "file" },
    stream = CHUNK_SIZE,
    repeatable = true,
    options = options.extended(
      request_options.checkers,
      { chunk_size = check.integer(1, 1 << 30) }
    ),
  },
  get_logs = {
    method = "GET",
    path = "/{id}/log",
    parameters = { "id" },
    decode = decode.logs,
    repeatable = true,
    options = request_options.checkers,
  },
  cancel_execution = {
    method = "PUT",
    path = "/{id}/cancel",
    parameters = { "id" },
    decode = decode.nothing,
    small = true,
    repeatable = true,
    accept_truncated = always,
    options = request_options.checkers,
  },
}

-- The options of a start are loaded when some are given.
setmetatable(operations.start_execution, {
  __index = function(row, name)
    if name == "options" then
      local more = require("qhub.options.start").checkers
      row.options = options.extended(request_options.checkers, more)
      return row.options
    end
  end,
})

for name, row in pairs(operations) do
  row.name = name
  -- "/{id}/result" is cut once into what stands before and after its first parameter.
  local before, after = row.path:match "^(.-){%w+}(.*)$"
  if before then
    row.path_before_id, row.path_after_id = before, (after:gsub("{%w+}$", ""))
  end
end

local download -- made when it is first used

--- The row of `execution:download`: it asks as `get_result_file` does, and takes the options of a
--- download, too.
local function download_row()
  if not download then
    local row = {}
    for name, value in pairs(operations.get_result_file) do
      row[name] = value
    end
    row.name = "download"
    row.options = options.extended(row.options, require("qhub.files.download").checkers)
    download = row
  end
  return download
end

-- The methods of a client are the rows alone.
return setmetatable(operations, { __index = { download_row = download_row } })
