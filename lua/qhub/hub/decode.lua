-- What a 2xx response means: one decoder for each kind of response in the table of operations.
--
-- A decoder takes the client, the response and the call's first argument, and returns the value; or
-- nil, a message, and where the JSON broke (line and column), from which the caller makes an error
-- of kind "decode".
-- Liberal in what is inferred of the wire, strict in what a program counts on.

local core = require "qhub.core"
local executions = require "qhub.execution"
local text = require "qhub.error.text"

local decode, is_array, null = core.json.decode, core.json.is_array, core.json.null
local new_execution, members = executions.new, core.json.members

local decoders = {}

local function is_blank(body)
  return not body:find "%S"
end

local function json(body)
  -- The vendor's runtime writes NaN and infinities.
  local value, message, line, column = decode(body, true)
  if value ~= nil then
    return value
  elseif is_blank(body) then
    return nil, "the response has no body"
  end
  local form = "the response is not valid JSON (line %d, column %d: %s)"
  return nil, form:format(line, column, message), line, column
end

local function is_object(value)
  return type(value) == "table" and not is_array(value)
end

-- A remote value as a message names it.
local function what(value)
  if value == null then return "null" end
  return type(value) ~= "table" and "a " .. type(value)
    or is_array(value) and "an array"
    or "an object"
end

-- The same, with the value itself where it is a scalar.
local function shown(value)
  return (type(value) == "table" or value == null) and what(value) or text.value(value)
end

-- The array in `body`, which is to be `expected`.
local function array(body, expected)
  local value, message, line, column = json(body)
  if value == nil or is_array(value) then return value, message, line, column end
  return nil, expected .. " a JSON array, the response is " .. what(value)
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
  local given = value.id
  local own = given == id and id or usable_id(given)
  if not own then
    return nil, "the id of the execution is " .. shown(given) .. ", which cannot be an id"
  elseif id and own ~= id then
    local form = "the response is about execution %s, not %s"
    return nil, form:format(text.value(own), text.value(id))
  end
  value.id = own
  return value
end

-- The execution in `body` that keeps the text undecoded. Nil when there is anything to find fault
-- with or to mend but a missing id (of the execution `id`); the decoders do that.
local function undecoded(client, body, id)
  local is_plain, own, status = members(body, true, "id", "status")
  if status == null then status = nil end
  if not is_plain or status ~= nil and type(status) ~= "string" then return nil end
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

-- The last segment of the path in `location`, decoded, unless it is that of the list at `base_url`.
local function id_in(location, base_url)
  local function path_of(url)
    return url:gsub("^%a[%w+.-]*://[^/]*", ""):match "^(.*[^/])/*$" or ""
  end
  local path = path_of((location or ""):match "^[^?#]*")
  local segment = path ~= path_of(base_url) and (path:match "^.*/(.*)$" or path)
  return segment
      and usable_id((segment:gsub("%%(%x%x)", function(hex)
        return string.char(tonumber(hex, 16))
      end)))
    or nil
end

--- The response to a start: an execution from the body, else one known by the id in `Location`,
--- since the run exists and must not be lost for a body that cannot be read.
function decoders.started(client, response)
  local execution, message, line, column = decoders.execution(client, response, nil)
  if execution and execution.id then return execution end
  local id = id_in(response.headers.location, client.session.base_url)
  if not id then
    message = message or "the response names no execution (an object without an id)"
    return nil, message .. "; the run may have started", line, column
  end
  local raw = json(response.body)
  if not is_object(raw) then raw = {} end
  raw.id = id
  if type(raw.status) ~= "string" then raw.status = nil end
  return new_execution(raw, client)
end

--- The list as it came: items are plain tables.
function decoders.list_raw(_, response)
  local list, message, line, column = array(response.body, "a list of executions is")
  for index = 1, list and #list or 0 do
    if type(list[index]) ~= "table" then
      return nil, ("item %d of the list is %s, not an execution"):format(index, what(list[index]))
    end
  end
  return list, message, line, column
end

function decoders.executions(client, response)
  local list, message, line, column = decoders.list_raw(client, response)
  for index, item in ipairs(list or {}) do
    if is_array(item) then
      return nil, ("item %d of the list is an array, not an execution"):format(index)
    end
    local status, wrong = status_of(item, nil)
    if not status then return nil, ("item %d of the list: %s"):format(index, wrong) end
    list[index] = new_execution(status, client)
  end
  return list, message, line, column
end

--- The result of the execution `id`. Its embedded status must be that of the same execution.
function decoders.result(client, response, id)
  local value, message, line, column = json(response.body)
  if not is_object(value) then return value, message, line, column end
  local embedded = value._embedded
  local status = is_object(embedded) and embedded.status
  if is_object(status) then
    status, message = status_of(status, id)
    if not status then return nil, message end
    embedded.status = new_execution(status, client)
  end
  return require("qhub.hub.result").of(value)
end

local ENTRY_FIELDS = { "message", "severity", "timestamp" }

function decoders.logs(_, response)
  local body = response.body
  if response.status_code == 204 or is_blank(body) or body:find "^%s*null%s*$" then
    return core.json.array {}
  end
  local entries, message, line, column = array(body, "log entries come as")
  for index, item in ipairs(entries or {}) do
    if type(item) == "string" then
      entries[index] = { message = item }
    elseif not is_object(item) then
      return nil, ("item %d of the log is %s, not an entry"):format(index, shown(item))
    else
      for _, name in ipairs(ENTRY_FIELDS) do
        if item[name] == null then item[name] = nil end
      end
    end
  end
  return entries, message, line, column
end

--- Any 2xx is a success, with any body.
function decoders.nothing()
  return true
end

return decoders
