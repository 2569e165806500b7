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

local LONGEST_SHOWN = 60 -- bytes of a remote string in a message

local function is_blank(body)
  return not body:find "%S"
end

local function is_object(value)
  return type(value) == "table" and not is_array(value)
end

-- A remote value as a message names it. A string is shown whole or not at all: of one that was cut
-- or changed, the redaction of the message would not find the secrets.
local function shown(value)
  if value == null then return "null" end
  if type(value) == "table" then return is_array(value) and "an array" or "an object" end
  local is_long = type(value) == "string" and (#value > LONGEST_SHOWN or value:find "[^ -~]")
  return is_long and "a string of " .. #value .. " bytes" or text.value(value)
end

-- The value in `body`: any, or one that `is_right` is true of; a message says what is `expected`.
local function value_in(body, is_right, expected)
  -- The vendor's runtime writes NaN and infinities.
  local value, message, line, column = decode(body, true)
  if value == nil then
    if is_blank(body) then return nil, "the response has no body" end
    local form = "the response is not valid JSON (line %d, column %d: %s)"
    return nil, form:format(line, column, message), line, column
  elseif is_right and not is_right(value) then
    return nil, expected .. ", the response is " .. shown(value)
  end
  return value
end

-- ── executions ──────────────────────────────────────────────────────────────────────────────────

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

-- The id of the execution whose response has the members `given` (id) and `status`. It is to be
-- `id`, which it may leave out; or any, or none, when `id` is nil. Or nil and what is wrong.
local function id_of(given, status, id)
  if status ~= nil and status ~= null and type(status) ~= "string" then
    return nil, "the status of an execution is a string, the response has " .. shown(status)
  elseif given == nil or given == null or given == id then
    return id
  end
  local own = usable_id(given)
  if not own then
    return nil, "the id of the execution is " .. shown(given) .. ", which cannot be an id"
  elseif id and own ~= id then
    local form = "the response is about %s, not execution %s"
    return nil, form:format(shown(own), text.value(id))
  end
  return own
end

-- The execution that the object `value` describes, as `id_of` says.
local function execution_of(client, value, id)
  local own, wrong = id_of(value.id, value.status, id)
  if wrong then return nil, wrong end
  value.id = own
  return new_execution(value, client)
end

--- The response to a request for `id`, which it may leave out. It is kept as text.
function decoders.execution(client, response, id)
  local body = response.body
  local is_valid, given, status = members(body, true, "id", "status")
  if not is_valid then return value_in(body, is_object, "an execution is a JSON object") end
  local own, wrong = id_of(given, status, id)
  if wrong then return nil, wrong end
  return executions.of_text(body, own, status ~= null and status or nil, client)
end

-- The last segment of the path in `location`, decoded, unless it is that of the list at `base_url`.
local function id_in(location, base_url)
  local path = (location or ""):match("^[^?#]*"):gsub("^%a[%w+.-]*://[^/]*", "")
  path = path:match "^(.*[^/])/*$" or ""
  if base_url:sub(-#path) == path then return nil end
  local segment = (path:match "^.*/(.*)$" or path):gsub("%%(%x%x)", function(hex)
    return string.char(tonumber(hex, 16))
  end)
  return usable_id(segment)
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
  local raw = execution and execution.raw or {}
  raw.id = id
  return new_execution(raw, client)
end

-- ── lists and results ───────────────────────────────────────────────────────────────────────────

local LIST = "a list is a JSON array"
local NO_ITEM, NO_OBJECT = "item %d of the list: %s", "item %d of the list is %s, not an object"

-- The array in a response, each item replaced by `convert(item)`; which returns nil for one that is
-- no object, or nil and what is wrong with it.
local function list_of(response, convert)
  local list, message, line, column = value_in(response.body, is_array, LIST)
  for index, item in ipairs(list or {}) do
    local value, wrong = convert(item)
    if not value then
      return nil, wrong and NO_ITEM:format(index, wrong) or NO_OBJECT:format(index, shown(item))
    end
    list[index] = value
  end
  return list, message, line, column
end

--- The list as it came, all items plain tables. It may be long: few calls are made for it.
function decoders.list_raw(_, response)
  local list, message, line, column = value_in(response.body, is_array, LIST)
  for index = 1, list and #list or 0 do
    if type(list[index]) ~= "table" then return nil, NO_OBJECT:format(index, shown(list[index])) end
  end
  return list, message, line, column
end

function decoders.executions(client, response)
  return list_of(response, function(item)
    if is_object(item) then return execution_of(client, item, nil) end
  end)
end

local ALIASES = { embedded = "_embedded", links = "_links" }

-- A metatable, so that the aliases are never encoded and a member of that name wins.
local Result = {
  __name = "qhub.Result",
  __index = function(result, name)
    local member = ALIASES[name]
    return member and rawget(result, member)
  end,
}

--- The result of the execution `id`: a plain table with the wire's names. Its embedded status must
--- be that of the same execution.
function decoders.result(client, response, id)
  local value, message, line, column = value_in(response.body)
  if not is_object(value) then return value, message, line, column end
  local embedded = value._embedded
  if is_object(embedded) and is_object(embedded.status) then
    embedded.status, message = execution_of(client, embedded.status, id)
    if message then return nil, message end
  end
  return setmetatable(value, Result)
end

local function entry_of(item)
  if type(item) == "string" then return { message = item } end
  if not is_object(item) then return nil end
  for _, name in ipairs { "message", "severity", "timestamp" } do
    if item[name] == null then item[name] = nil end
  end
  return item
end

function decoders.logs(_, response)
  local body = response.body
  if response.status_code == 204 or is_blank(body) or body:find "^%s*null%s*$" then
    return core.json.array {}
  end
  return list_of(response, entry_of)
end

--- Any 2xx is a success, with any body.
function decoders.nothing()
  return true
end

return decoders
