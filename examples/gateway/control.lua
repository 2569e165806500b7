-- The control API: how a test steers the simulator while it runs.
--
-- Responsible for: everything below /_control, JSON in and out, no token. See HELP below (also at
-- GET /_control/help). It must not write to sockets.

local json = require "json"

local HELP = [[
GET    /_control/health                          {"ok":true}
POST   /_control/faults                          a rule, answers {"rule": number}
  {"match": {"method","path" (plain part of the path),"pattern" (Lua pattern on the target),
             "operation","id","reused": bool (not the first on its connection),"range": bool},
   "times": 1 (-1: always), "skip": 0, "fault": {...}}
GET    /_control/faults                          the rules and how often each was used
DELETE /_control/faults                          removes all
GET    /_control/requests[?method=&pattern=]     requests seen, totals; with a query only a count
DELETE /_control/requests                        forgets them
POST   /_control/settings {...}                  changes settings; answers all; null = the default
DELETE /_control/settings                        all defaults
POST   /_control/clock {"advance": seconds}      moves time forward for runs, logs and tokens
POST   /_control/executions {"create": n, "body": {...}}   starts n runs, answers {"ids": [...]}
POST   /_control/executions {"id": "...", "status": "RUNNING"}   forces a status (no id: of all)
GET    /_control/executions                      {"executions": [{"id","status","tags","secrets"
                                                 (names),"parent" (token)}]}
DELETE /_control/executions                      forgets all
GET    /_control/file?id=&name=                  {"name","size","sha256","etag"}
GET    /_control/tokens                          {"requests","granted","refused"}
POST   /_control/tokens {"revoke": true|"token", "restore": true, "expire": true, "reset": true}

Faults (may be combined):
  status, reason, headers (null removes), body (string or JSON)    another answer
  perform: bool            whether the operation is carried out all the same
  redirect: location, status: 302
  delay_ms                 waits before the operation
  hang: "headers"|"body", after: bytes, seconds       silence
  truncate: bytes          announces all, closes after so many bytes of the body
  reset: "headers"|bytes   RST before the response, or after so many bytes (plain HTTP only)
  close_after_request      closes without an answer
  close                    "Connection: close" after a good answer
  drop                     closes after a good answer that did not say so
  garbage: true|string     no HTTP at all
  drip: {bytes, ms, head: bool}        the body (and head) a little at a time
  random_break: n          closes after 1..n bytes of the body, drawn from the seed
  ignore_range             200 with everything
  change_etag              the file becomes another version from now on
  content_encoding: "gzip" (stored) or any name; bomb: bytes (gzip that inflates to so many blanks)
  body_bytes: n            a JSON string of n bytes as the body
  chunked, trailers, until_close, interim: true|[103,...]          framing
]]

local Control = {}
Control.__index = Control

-- `parts` has model, files, tokens, faults, recorder, clock, settings, defaults, server.
local function new(parts)
  return setmetatable(parts, Control)
end

local function fields_of(query)
  local fields = {}
  for name, value in query:gmatch("([^&=]+)=([^&]*)") do
    fields[name] = value:gsub("+", " "):gsub("%%(%x%x)", function(hex)
      return string.char(tonumber(hex, 16))
    end)
  end
  return fields
end

local handlers = {}

handlers["GET health"] = function()
  return { ok = true }
end

handlers["POST faults"] = function(self, body)
  local number, message = self.faults:add(body)
  return number and { rule = number }, message
end

handlers["GET faults"] = function(self)
  return { rules = json.array(self.faults.rules) }
end

handlers["DELETE faults"] = function(self)
  self.faults:clear()
  return {}
end

handlers["GET requests"] = function(self, fields)
  local recorder, server = self.recorder, self.server
  if fields.method or fields.pattern then
    return { count = recorder:count(fields.method, fields.pattern) }
  end
  return {
    requests = json.array(recorder:list()),
    total = recorder.total,
    operations = recorder.operations,
    peak = recorder.peak,
    connections = { total = server.connections, open = server.open, peak = server.peak },
  }
end

handlers["DELETE requests"] = function(self)
  local server = self.server
  self.recorder:clear()
  server.connections, server.peak, server.epoch = 0, server.open, server.epoch + 1
  return {}
end

local function changed(self)
  for _, execution in ipairs(self.model.executions) do
    self.model:touch(execution)
  end
  self.model.version = self.model.version + 1
  return self.settings
end

handlers["POST settings"] = function(self, body)
  for name, value in pairs(body) do
    if self.defaults[name] == nil then
      return nil, "unknown setting " .. name
    elseif value == json.null then
      value = self.defaults[name]
    end
    self.settings[name] = value
  end
  return changed(self)
end

handlers["DELETE settings"] = function(self)
  for name, value in pairs(self.defaults) do
    self.settings[name] = value
  end
  return changed(self)
end

handlers["POST clock"] = function(self, body)
  self.clock:advance(body.advance or 0)
  return { now = self.clock:now() }
end

local function create(self, count, body)
  body = body or {}
  local ids = json.array {}
  for index = 1, count do
    ids[index] = self.model:start(body, "{}").id
  end
  return { ids = ids }
end

local STATUSES = {
  PENDING = true,
  RUNNING = true,
  SUCCEEDED = true,
  FAILED = true,
  CANCELLED = true,
}

handlers["POST executions"] = function(self, body)
  if body.create then return create(self, body.create, body.body) end
  if not STATUSES[body.status] then return nil, "no such status" end
  local chosen = self.model.executions
  if body.id then chosen = { self.model:get(body.id) } end
  for _, execution in ipairs(chosen) do
    self.model:force(execution, body.status)
  end
  return { count = #chosen }
end

handlers["GET executions"] = function(self)
  local list = json.array {}
  for index, execution in ipairs(self.model.executions) do
    list[index] = {
      id = execution.id,
      status = self.model:state(execution),
      tags = execution.tags,
      secrets = execution.secrets,
      parent = execution.parent,
    }
  end
  return { executions = list }
end

handlers["DELETE executions"] = function(self)
  local model = self.model
  model.executions, model.by_id, model.version = {}, {}, model.version + 1
  return {}
end

handlers["GET file"] = function(self, fields)
  local execution = self.model:get(fields.id)
  local file = execution and self.files:get(execution, fields.name)
  if not file then return nil, "no such file" end
  local sum = self.files:sha256(file)
  return { name = file.name, size = file.length, sha256 = sum, etag = file.etag }
end

handlers["GET tokens"] = function(self)
  return self.tokens.counts
end

handlers["POST tokens"] = function(self, body)
  local tokens = self.tokens
  if body.revoke then tokens:revoke(type(body.revoke) == "string" and body.revoke or nil) end
  if body.restore then tokens:restore() end
  if body.expire then tokens:expire() end
  if body.reset then tokens.counts = { requests = 0, granted = 0, refused = 0 } end
  return tokens.counts
end

local function answer(status, value)
  local headers = { ["Content-Type"] = "application/json" }
  return { status = status, body = json.encode(value), headers = headers }
end

-- Handles a request below /_control.
function Control:dispatch(request)
  local name = request.path:match("^/_control/(.*)$") or ""
  if name == "help" then
    return { status = 200, body = HELP, headers = { ["Content-Type"] = "text/plain" } }
  end
  local handler = handlers[request.method .. " " .. name]
  if not handler then
    return answer(404, { message = "no such control: " .. request.method .. " " .. name })
  end
  local input, message = fields_of(request.query), nil
  if request.method == "POST" then
    input, message = json.decode(request.body)
  end
  local result
  if type(input) == "table" then
    result, message = handler(self, input)
  end
  if not result then return answer(400, { message = message }) end
  return answer(200, result)
end

return { new = new, HELP = HELP }
