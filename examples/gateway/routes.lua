-- The seven operations of the service gateway.
--
-- Responsible for: which request is which operation, and what it answers when nothing goes wrong.
-- Faults are added around it; bytes on the wire are http.lua's and reply.lua's business.

local clock = require "clock"
local json = require "json"
local shapes = require "shapes"

local Routes = {}
Routes.__index = Routes

-- `parts` has model, files, tokens, settings, base_path, base_url.
local function new(parts)
  return setmetatable({
    model = parts.model,
    files = parts.files,
    tokens = parts.tokens,
    settings = parts.settings,
    base_path = parts.base_path,
    base_url = parts.base_url,
    failures = 0,
  }, Routes)
end

local JSON_HEADERS = { ["Content-Type"] = "application/json" }

local function answer(status, text)
  return { status = status, body = text, headers = JSON_HEADERS }
end

-- The words of WSO2's API manager for what it refuses itself.
local WSO2 = {
  [401] = { "900901", "Invalid Credentials" },
  [403] = { "900908", "Resource forbidden" },
  [404] = { "404", "Not Found" },
  [405] = { "405", "Method Not Allowed" },
}

-- The body of an error, in the words of whoever stands for the gateway.
local function error_body(style, status, message, description)
  if style == "fastapi" then
    return { detail = description or message }
  elseif style == "wso2" and WSO2[status] then
    local code, text = table.unpack(WSO2[status])
    return { code = code, message = text, description = description or text }
  end
  return { code = tostring(900000 + status), message = message, description = description }
end

-- An error as the gateway words them.
function Routes:fail(status, message, description, headers)
  self.failures = self.failures + 1
  local body = error_body(self.settings.errors, status, message, description)
  local fields = { ["Content-Type"] = "application/json" }
  fields["X-Request-Id"] = "request-" .. self.failures
  for name, value in pairs(headers or {}) do
    fields[name] = value
  end
  return { status = status, body = json.encode(body), headers = fields }
end

local function decode_segment(text)
  return (text:gsub("%%(%x%x)", function(hex)
    return string.char(tonumber(hex, 16))
  end))
end

local methods = {
  root = { GET = "get_service_executions", POST = "start_execution" },
  execution = { GET = "get_status" },
  result = { GET = "get_result" },
  file = { GET = "get_result_file" },
  log = { GET = "get_logs" },
  cancel = { PUT = "cancel_execution" },
}

-- What a path asks for: kind, id, file name; nil when it is nothing of the gateway's.
local function resolve(self, path)
  local base = self.base_path
  if path:sub(1, #base) ~= base then return nil end
  local rest = path:sub(#base + 1)
  if rest == "" or rest == "/" then return "root" end
  local id, tail = rest:match("^/([^/]+)(.*)$")
  if not id then return nil end
  id = decode_segment(id)
  if tail == "" then
    return "execution", id
  elseif tail == "/result" or tail == "/log" or tail == "/cancel" then
    return tail:sub(2), id
  end
  local name = tail:match("^/result/([^/]+)$")
  if name then return "file", id, decode_segment(name) end
end

-- Names the operation of a request, or nil. Fills in request.kind, id and file.
function Routes:identify(request)
  if request.path == "/token" then
    return "token"
  elseif request.method == "CONNECT" then
    return "connect"
  end
  request.kind, request.id, request.file = resolve(self, request.path)
  local method = request.method == "HEAD" and "GET" or request.method
  return request.kind and methods[request.kind][method]
end

local operations = {}

function operations.get_service_executions(self)
  local settings = self.settings
  if settings.health then
    return answer(200, '{"status":"Service is up and running"}')
  elseif settings.list_status ~= 200 then
    return self:fail(settings.list_status, "List not available")
  end
  return answer(200, shapes.list(self.model))
end

-- A body of more than a megabyte is decoded only when it steers the simulation.
local function decode_body(text)
  local steers = text:find('"simulate"', 1, true) or text:find('"$', 1, true)
  if #text > 1048576 and text:find("^%s*{") and not steers then return {} end
  return json.decode(text)
end

-- The answer to a body that the service does not take: FastAPI's list of what is wrong where, or a
-- plain 400. `place` is a list of names.
function Routes:refuse_body(place, what, message)
  if self.settings.errors ~= "fastapi" then return self:fail(400, "Bad Request", message) end
  local where = json.array { "body", table.unpack(place) }
  local detail = json.array { { loc = where, msg = message, type = what } }
  return answer(422, json.encode { detail = detail })
end

function operations.start_execution(self, request)
  local body, message = decode_body(request.body)
  if type(body) ~= "table" or not request.body:find("^%s*{") then
    return self:refuse_body({}, "json_invalid", message or "the body is not a JSON object")
  end
  for name in tostring(self.settings.required or ""):gmatch "[^,]+" do
    if body[name] == nil then return self:refuse_body({ name }, "missing", "Field required") end
  end
  local parent = request.headers["x-parent-execution-token"]
  local execution = self.model:start(body, request.body, parent)
  local start = execution.shape.start
  local headers = { Location = self.base_url .. "/" .. execution.id }
  if start == "location" then
    return { status = execution.shape.start_status, body = "", headers = headers }
  end
  headers["Content-Type"] = "application/json"
  local text = shapes.execution(self.model, execution)
  return { status = execution.shape.start_status, body = text, headers = headers }
end

function operations.get_status(self, _, execution)
  return answer(200, shapes.execution(self.model, execution))
end

function operations.get_result(self, _, execution)
  if not self.model:has_result(execution) then
    return self:fail(404, "Not Found", "no result yet")
  end
  local names = self.files:names(execution)
  return answer(200, shapes.result(self.model, execution, self.base_url, names))
end

function operations.get_logs(self, _, execution)
  local logs = execution.shape.logs
  if logs == "204" then
    return { status = 204, body = "", headers = {} }
  elseif logs == "404" then
    return self:fail(404, "Not Found", "no log")
  elseif logs == "blank" then
    return answer(200, "")
  elseif logs == "null" then
    return answer(200, "null")
  end
  return answer(200, shapes.log(self.model, execution))
end

function operations.cancel_execution(self, _, execution)
  self.model:cancel(execution)
  local status = execution.shape.cancel_status
  if status == 200 then return answer(200, shapes.execution(self.model, execution)) end
  return { status = status, body = "", headers = {} }
end

-- First and last byte (from 0) that a Range field asks for; nil for all of it, false when it cannot
-- be satisfied (RFC 9110, 14.1.2). Several ranges are answered with the whole.
local function parse_range(text, size)
  local from, to = text:match("^bytes=(%d*)%-(%d*)$")
  from, to = math.tointeger(tonumber(from or "")), math.tointeger(tonumber(to or ""))
  if from then
    to = math.min(to or size - 1, size - 1)
    return from < size and from <= to and from, to
  elseif to then
    return to > 0 and size > 0 and math.max(0, size - to), size - 1
  end
  return nil
end

-- Whether an If-Range field still names this file; weak validators never do (RFC 9110, 13.1.5).
local function still_same(value, file)
  if value:find('"', 1, true) then return value == file.etag and not value:find("^W/") end
  return file.last_modified ~= false and value == clock.http_date(file.modified)
end

function operations.get_result_file(self, request, execution)
  local file = self.model:has_result(execution) and self.files:get(execution, request.file)
  if not file then return self:fail(404, "Not Found", "no such file") end
  local headers = {
    ["Content-Type"] = file.type,
    ["Accept-Ranges"] = not file.chunked and "bytes" or nil,
    ETag = file.etag,
  }
  if file.last_modified ~= false then headers["Last-Modified"] = clock.http_date(file.modified) end
  if file.length <= self.settings.checksum_limit then
    headers["X-Checksum-Sha256"] = self.files:sha256(file)
  end
  local range = not request.ignore_range and request.headers.range
  local condition = request.headers["if-range"]
  if file.chunked then
    return { status = 200, body = file, headers = headers, chunked = true }
  elseif not range or condition and not still_same(condition, file) then
    return { status = 200, body = file, headers = headers }
  end
  local first, last = parse_range(range, file.length)
  if first == nil then
    return { status = 200, body = file, headers = headers }
  elseif not first then
    headers["Content-Range"] = "bytes */" .. file.length
    return { status = 416, body = "", headers = headers }
  end
  headers["Content-Range"] = string.format("bytes %d-%d/%d", first, last, file.length)
  local part = { length = last - first + 1 }
  function part.piece(offset, most)
    return file.piece(first + offset, most)
  end
  return { status = 206, body = part, headers = headers }
end

-- The answer of a request whose operation is `name` (nil when it has none).
function Routes:dispatch(name, request)
  if name == "token" then
    return self.tokens:grant(request)
  elseif not request.kind then
    return self:fail(404, "Not Found", "no such path")
  end
  local admitted, reason = self.tokens:check(request.headers.authorization)
  if not admitted then
    local fields = { ["WWW-Authenticate"] = 'Bearer realm="gateway"' }
    return self:fail(401, "Unauthorized", reason, fields)
  elseif not name then
    return self:fail(405, "Method Not Allowed", nil, { Allow = "GET, POST, PUT" })
  end
  local execution = request.id and self.model:get(request.id)
  if request.id and not execution then return self:fail(404, "Not Found", "no such execution") end
  return operations[name](self, request, execution)
end

return { new = new }
