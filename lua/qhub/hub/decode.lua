-- What a 2xx answer means: one decoder for each kind of answer in the table of operations.
--
-- A decoder takes the client, the response and the call's first argument, and returns the value; or
-- nil, a message, and where the JSON broke (line and column), from which the caller makes an error
-- of kind "decode".
-- Liberal in what is inferred of the wire, strict in what a program counts on.

local core = require "qhub.core"
local executions = require "qhub.execution"
local result = require "qhub.hub.result"
local show = require "qhub.text"

local decode, is_array, null = core.json.decode, core.json.is_array, core.json.null
local new_execution = executions.new

local answer = {}

local function is_blank(body)
  return body == "" or not body:find "%S"
end

local function json(body)
  -- the vendor's runtime writes NaN and infinities
  local value, message, line, column = decode(body, true)
  if value == nil then
    if is_blank(body) then
      return nil, "the answer has no body"
    end
    return nil,
      ("the answer is no valid JSON (line %d, column %d: %s)"):format(line, column, message),
      line,
      column
  end
  return value
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

-- Whether an execution can be asked for by `id`.
local function is_id(id)
  return type(id) == "string" and id ~= "" or math.type(id) ~= nil
end

--- The answer to a question for `id`, which it may have left out.
function answer.execution(client, response, id)
  local value, message, line, column = json(response.body)
  if value == nil then
    return nil, message, line, column
  elseif not is_object(value) then
    return nil, "an execution is a JSON object, the answer is " .. what(value)
  elseif not is_id(value.id) then
    value.id = id
  end
  return new_execution(value, client)
end

local function path_of(url)
  return (url:gsub("^%a[%w+.-]*://[^/]*", ""))
end

-- The last segment of the path in `Location`, decoded, unless it is that of the list at `base_url`.
local function id_in(location, base_url)
  local path = location and location:match "^[^?#]*"
  if path and path_of(path):gsub("/+$", "") == path_of(base_url) then
    return nil
  end
  local segment = path and path:match "([^/]+)/*$"
  if not segment or (location:find "^%a[%w+.-]*://[^/]*/?$") then
    return nil
  end
  local id = segment:gsub("%%(%x%x)", function(hex)
    return string.char(tonumber(hex, 16))
  end)
  if id ~= "." and id ~= ".." and not core.text.has_control(id) then
    return id
  end
end

--- The answer to a start: an execution from the body, else one known by the id in `Location`, since
--- the run exists and must not be lost for a body that cannot be read.
function answer.started(client, response)
  local value, message, line, column = json(response.body)
  if not (is_object(value) and is_id(value.id)) then
    local id = id_in(response.headers.location, client.session.base_url)
    if id then
      if not is_object(value) then
        value = {}
      end
      value.id = id
    elseif value == nil then
      return nil, message .. "; the run may have started", line, column
    else
      return nil,
        "the answer names no execution ("
          .. what(value)
          .. " without an id); "
          .. "the run may have started"
    end
  end
  return new_execution(value, client)
end

function answer.executions(client, response)
  local value, message, line, column = json(response.body)
  if value == nil then
    return nil, message, line, column
  elseif not is_array(value) then
    return nil, "a list of executions is a JSON array, the answer is " .. what(value)
  end
  for index, item in ipairs(value) do
    if not is_object(item) then
      return nil, ("item %d of the list is %s, not an execution"):format(index, what(item))
    end
    value[index] = new_execution(item, client)
  end
  return value
end

function answer.result(client, response)
  local value, message, line, column = json(response.body)
  if value == nil then
    return nil, message, line, column
  end
  return result.of(value, client)
end

local function log_entry(item)
  if type(item) == "string" then
    return { message = item }
  elseif not is_object(item) then
    return nil
  end
  for _, name in ipairs { "message", "severity", "timestamp" } do
    if item[name] == null then
      item[name] = nil
    end
  end
  return item
end

function answer.logs(_, response)
  if response.status_code == 204 or is_blank(response.body) then
    return core.json.array {}
  end
  local value, message, line, column = json(response.body)
  if value == nil then
    return nil, message, line, column
  elseif value == null then
    return core.json.array {}
  elseif not is_array(value) then
    return nil, "log entries come as a JSON array, the answer is " .. what(value)
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

--- Any 2xx will do, whatever its body holds.
function answer.nothing()
  return true
end

return answer
