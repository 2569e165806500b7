-- What a 2xx response means: one decoder for each kind of response in the table of operations.
--
-- A decoder takes the client, the response and the call's first argument, and returns the value; or
-- nil, a message, and where the JSON broke (line and column), from which the caller makes an error
-- of kind "decode".
-- Liberal in what is inferred of the wire, strict in what a program counts on.

local core = require "qhub.core"
local executions = require "qhub.execution"
local show = require "qhub.error.text"

local decode, is_array, null = core.json.decode, core.json.is_array, core.json.null
local new_execution, members = executions.new, core.json.members

local decoders = {}

local function is_blank(body)
  return body == "" or not body:find "%S"
end

local function json(body)
  -- the vendor's runtime writes NaN and infinities
  local value, message, line, column = decode(body, true)
  if value == nil then
    if is_blank(body) then return nil, "the response has no body" end
    return nil,
      ("the response is not valid JSON (line %d, column %d: %s)"):format(line, column, message),
      line,
      column
  end
  return value
end

-- Remote: a value as a message shows it.
local function shown(value)
  return type(value) == "table" and (is_array(value) and "an array" or "an object")
    or value == null and "null"
    or show.value(value)
end

local function is_object(value)
  return type(value) == "table" and not is_array(value)
end

local function what(value)
  if value == null then
    return "null"
  elseif type(value) == "table" then
    return is_array(value) and "an array" or "an object"
  end
  return "a " .. type(value)
end

-- The id that a program can ask by: a string that is one segment of a path, or an integer as its
-- decimal text, for a gateway could count. Nil for anything else.
local function usable_id(id)
  if math.type(id) == "integer" then
    return tostring(id)
  elseif type(id) ~= "string" or id == "" or id == "." or id == ".." then
    return nil
  end
  return not core.text.has_control(id) and id or nil
end

local function is_absent(value)
  return value == nil or value == null
end

-- Checks that `value`, an object, is a status: of the execution `id`, or of any when `id` is nil.
-- Returns it, with the id that was asked for where it has none; or nil and what is wrong.
local function status_of(value, id)
  if not is_absent(value.status) and type(value.status) ~= "string" then
    return nil, "the status of an execution is a string, the response has " .. what(value.status)
  elseif is_absent(value.id) then
    value.id = id
    return value
  end
  local own = value.id == id and id or usable_id(value.id)
  if not own then
    return nil, "the id of the execution is " .. shown(value.id) .. ", which cannot be an id"
  elseif id and own ~= id then
    local form = "the response is about execution %s, not %s"
    return nil, form:format(show.value(own), show.value(id))
  end
  value.id = own
  return value
end

-- The execution in `body` that keeps the text undecoded. Nil when there is anything to find fault
-- with or to mend but a missing id (of the execution `id`); the decoders do that.
local function undecoded(client, body, id)
  local is_plain, own, status = members(body, true, "id", "status")
  if not is_plain then
    return nil
  elseif status == null then
    status = nil
  elseif status ~= nil and type(status) ~= "string" then
    return nil
  end
  if is_absent(own) then own = id end
  if own ~= nil and (own == id or not id and type(own) == "string" and usable_id(own)) then
    return executions.of_text(body, own, status, client)
  end
end

--- The response to a request for `id`, which it may leave out.
function decoders.execution(client, response, id)
  local execution = undecoded(client, response.body, id)
  if execution then return execution end
  local value, message, line, column = json(response.body)
  if value == nil then
    return nil, message, line, column
  elseif not is_object(value) then
    return nil, "an execution is a JSON object, the response is " .. what(value)
  end
  value, message = status_of(value, id)
  return value and new_execution(value, client), message
end

local function path_of(url)
  return (url:gsub("^%a[%w+.-]*://[^/]*", ""))
end

-- The last segment of the path in `Location`, decoded, unless it is that of the list at `base_url`.
local function id_in(location, base_url)
  local path = location and location:match "^[^?#]*"
  if path and path_of(path):gsub("/+$", "") == path_of(base_url) then return nil end
  local segment = path and path:match "([^/]+)/*$"
  if not segment or (location:find "^%a[%w+.-]*://[^/]*/?$") then return nil end
  local id = segment:gsub("%%(%x%x)", function(hex)
    return string.char(tonumber(hex, 16))
  end)
  return usable_id(id)
end

--- The response to a start: an execution from the body, else one known by the id in `Location`,
--- since the run exists and must not be lost for a body that cannot be read.
function decoders.started(client, response)
  local execution = undecoded(client, response.body, nil)
  if execution then return execution end
  local value, message, line, column = json(response.body)
  local status
  if is_object(value) then
    status, message = status_of(value, nil)
    if status and is_absent(status.id) then
      status, message = nil, "the response names no execution (an object without an id)"
    end
  elseif value ~= nil then
    message = "the response names no execution (" .. what(value) .. ")"
  end
  if not status then
    local id = id_in(response.headers.location, client.session.base_url)
    if not id then return nil, message .. "; the run may have started", line, column end
    status = is_object(value) and value or {}
    status.id = id
    if type(status.status) ~= "string" then status.status = nil end
  end
  return new_execution(status, client)
end

--- The list as it came: items are plain tables.
function decoders.list_raw(_, response)
  local value, message, line, column = json(response.body)
  if value == nil then
    return nil, message, line, column
  elseif not is_array(value) then
    return nil, "a list of executions is a JSON array, the response is " .. what(value)
  end
  for index = 1, #value do
    local item = value[index]
    if type(item) ~= "table" then
      return nil, ("item %d of the list is %s, not an execution"):format(index, what(item))
    end
  end
  return value
end

function decoders.executions(client, response)
  local value, message, line, column = decoders.list_raw(client, response)
  if value == nil then return nil, message, line, column end
  for index, item in ipairs(value) do
    if is_array(item) then
      return nil, ("item %d of the list is an array, not an execution"):format(index)
    end
    local status, wrong = status_of(item, nil)
    if not status then return nil, ("item %d of the list: %s"):format(index, wrong) end
    value[index] = new_execution(status, client)
  end
  return value
end

--- The result of the execution `id`. Its embedded status must be that of the same execution.
function decoders.result(client, response, id)
  local value, message, line, column = json(response.body)
  if value == nil then return nil, message, line, column end
  local embedded = is_object(value) and value._embedded
  local status = is_object(embedded) and embedded.status
  if is_object(status) then
    local checked
    checked, message = status_of(status, id)
    if not checked then return nil, message end
  end
  return require("qhub.hub.result").of(value, client)
end

local function log_entry(item)
  if type(item) == "string" then
    return { message = item }
  elseif not is_object(item) then
    return nil
  end
  for _, name in ipairs { "message", "severity", "timestamp" } do
    if item[name] == null then item[name] = nil end
  end
  return item
end

function decoders.logs(_, response)
  if response.status_code == 204 or is_blank(response.body) then return core.json.array {} end
  local value, message, line, column = json(response.body)
  if value == nil then
    return nil, message, line, column
  elseif value == null then
    return core.json.array {}
  elseif not is_array(value) then
    return nil, "log entries come as a JSON array, the response is " .. what(value)
  end
  for index, item in ipairs(value) do
    local entry = log_entry(item)
    if not entry then
      return nil, ("item %d of the log is %s: %s"):format(index, what(item), show.value(item))
    end
    value[index] = entry
  end
  return value
end

--- Any 2xx is a success, with any body.
function decoders.nothing()
  return true
end

return decoders
