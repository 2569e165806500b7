-- How executions, results and logs look on the wire, today's way and the odd ways.
--
-- Responsible for: JSON texts from states of the model. Every oddity is a setting (see settings in
-- main.lua's --help and `shape` of one run): gateways differ, and clients have to live with it.

local json = require "json"

local shapes = {}

local quote = json.quote

local function snake(name)
  return (name:gsub("%u", function(letter)
    return "_" .. letter:lower()
  end))
end

-- The members of an execution in the order of the documentation; absent ones are skipped.
local function members(model, execution, status, started, ended)
  local shape, clock = execution.shape, model.clock
  local function date(time)
    if not time then return nil end
    return quote(shape.iso_dates and clock:timestamp(time) or clock:date(time))
  end
  local tags = execution.tags and json.encode(execution.tags)
  return {
    { "id", quote(execution.id) },
    { "createdAt", date(execution.created) },
    { "startedAt", date(started) },
    { "endedAt", date(ended) },
    { "status", quote(shape.status_value or status) },
    { "type", started and '"MANAGED"' or nil },
    { "serviceId", started and '"7c0b1a52-9a34-4b8e-8d0f-3f6a2f1c9e01"' or nil },
    { "serviceDefinitionId", started and '"1f6e3d0a-55c8-4c0e-9a55-0f9c1d2e3b02"' or nil },
    { "applicationId", started and '"c5a9e8d7-0b1c-4f2d-8e3f-6a7b8c9d0e03"' or nil },
    { "tags", tags },
  }
end

local function build(model, execution, status, started, ended)
  local shape = execution.shape
  local parts = {}
  for _, member in ipairs(members(model, execution, status, started, ended)) do
    local name, text = member[1], member[2]
    local essential = name == "id" or name == "status"
    if shape.bare and not essential then
      text = nil
    elseif shape.nulls and (not text or not essential) then
      text = "null"
    end
    if text then
      parts[#parts + 1] = quote(shape.snake_case and snake(name) or name) .. ":" .. text
    end
  end
  if shape.extra then
    parts[#parts + 1] = '"priority":5,"region":{"name":"eu","zones":["a","b"]},"refresh":"field"'
  end
  return "{" .. table.concat(parts, ",") .. "}"
end

-- The JSON text of an execution now. It is kept until the next change of its state.
function shapes.execution(model, execution)
  local text = execution.text
  if text and model.clock:now() < execution.text_until then return text end
  local status, started, ended, changes = model:state(execution)
  text = build(model, execution, status, started, ended)
  execution.text, execution.text_until = text, changes
  return text
end

-- The JSON text of the list; kept while nothing in it changes.
function shapes.list(model)
  local settings, now = model.settings, model.clock:now()
  local cache = model.list_cache
  if cache and cache.version == model.version and now < cache.changes then return cache.text end
  local texts, changes = {}, math.huge
  local executions = model.executions
  local last = settings.list_limit and math.min(#executions, settings.list_limit) or #executions
  for index = 1, last do
    -- Scattered when the order is to mean nothing: 7919 is prime, so it visits each once.
    local at = settings.list_unordered and (index * 7919) % #executions + 1
      or #executions - index + 1
    local execution = executions[at]
    texts[index] = shapes.execution(model, execution)
    changes = math.min(changes, execution.text_until)
  end
  local text = "[" .. table.concat(texts, ",") .. "]"
  model.list_cache = { version = model.version, changes = changes, text = text }
  return text
end

local function link(url, shape)
  local text = '{"href":' .. quote(url) .. "}"
  return shape.links == "array" and "[" .. text .. "]" or text
end

local function encode_segment(name)
  return (
    name:gsub("[^%w%-._~]", function(byte)
      return string.format("%%%02X", byte:byte())
    end)
  )
end

local function links(execution, base, names)
  local shape = execution.shape
  local url = base .. "/" .. execution.id
  local parts = {}
  if execution.outcome == "SUCCEEDED" then parts[1] = '"self":' .. link(url .. "/result", shape) end
  parts[#parts + 1] = '"status":' .. link(url, shape)
  for _, name in ipairs(names) do
    local href = url .. "/result/" .. encode_segment(name)
    parts[#parts + 1] = quote(name) .. ":" .. link(href, shape)
  end
  return "{" .. table.concat(parts, ",") .. "}"
end

-- The JSON text of a result; `names` are the names of its files.
function shapes.result(model, execution, base, names)
  local shape = execution.shape
  if shape.result ~= false then return json.encode(shape.result) end
  local status = model:state(execution)
  local parts = {}
  local output, file = model:output(execution)
  if file == "output.json" and output ~= "{}" then parts[1] = output:sub(2, -2) end
  if status == "SUCCEEDED" then
    parts[#parts + 1] = execution.echo and '"echo":' .. execution.echo
  end
  if shape.embedded ~= "missing" then
    parts[#parts + 1] = '"_embedded":{"status":' .. shapes.execution(model, execution) .. "}"
  end
  if shape.links == "null" then
    parts[#parts + 1] = '"_links":null'
  elseif shape.links ~= "missing" then
    parts[#parts + 1] = '"_links":' .. links(execution, base, names)
  end
  return "{" .. table.concat(parts, ",") .. "}"
end

-- The JSON text of the log.
function shapes.log(model, execution)
  local parts = {}
  local plain = execution.shape.logs == "strings"
  for index, entry in ipairs(model:log(execution)) do
    if plain then
      parts[index] = quote(entry.message)
    else
      local form = '{"timestamp":%s,"severity":%s,"message":%s}'
      local timestamp = quote(model.clock:timestamp(entry.at, 9))
      parts[index] = form:format(timestamp, quote(entry.severity), quote(entry.message))
    end
  end
  return "[" .. table.concat(parts, ",") .. "]"
end

return shapes
