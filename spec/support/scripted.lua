-- The scripted server (scripted_server.lua) as a child process, for specs.
--
-- Responsible for: starting it, giving it scripts, asking what it saw. Assumes that the specs run
-- in the project's root. It must not load anything of qhub.

local json = dofile "examples/gateway/json.lua"
local process = require "spec.support.process"
local wire = require "spec.support.wire"

local Scripted = {}
Scripted.__index = Scripted

local scripted = {}

local CERTIFICATE = "LD_PRELOAD= openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1"
  .. " -nodes -days 2 -subj /CN=localhost -addext subjectAltName=DNS:localhost,IP:127.0.0.1"
  .. " -keyout '%s.key' -out '%s' 2>/dev/null"

-- Starts a server. Option: `tls` (true). The object has origin, url (base URL), port and, with TLS,
-- ca_file.
function scripted.start(options)
  local scheme, words, certificate = "http", "", nil
  if options and options.tls then
    certificate = os.tmpname()
    assert(os.execute(CERTIFICATE:format(certificate, certificate)))
    scheme, words = "https", ("cert='%s' key='%s.key'"):format(certificate, certificate)
  end
  -- A sanitizer that is preloaded into this process would only slow down the child.
  local command = "env LD_PRELOAD= " .. process.SERVER_LUA .. " spec/support/scripted_server.lua "
  local child = process.start(command .. words)
  local port = math.tointeger(child.words[1])
  local origin = scheme .. "://127.0.0.1:" .. port
  return setmetatable({
    child = child,
    port = port,
    control_port = math.tointeger(child.words[2]),
    origin = origin,
    url = origin .. "/svc/v1",
    ca_file = certificate,
  }, Scripted)
end

function Scripted:call(method, body)
  if not self.socket then self.socket = wire.connect(self.control_port) end
  local request = wire.request(method, "/", { token = false, body = body and json.encode(body) })
  assert(self.socket:write(request))
  local answer = wire.receive(self.socket)
  assert(answer.status == 200, "the scripted server does not answer")
  return json.decode(answer.body)
end

-- From the next request on, plays these scripts in turn, the last one again and again.
function Scripted:play(...)
  self:call("POST", { scripts = json.array { ... } })
end

-- What was asked since play(): a list of { method, target, head, body_size, connection }.
function Scripted:requests()
  return self:call("GET").requests
end

-- How many connections were made since play().
function Scripted:connections()
  return self:call("GET").connections
end

-- Whether the server has closed all connections, and said so to their other ends.
function Scripted:has_closed()
  return self:call("GET").open == 0
end

function Scripted:stop()
  if self.socket then
    self.socket:close()
    self.socket = nil
  end
  self.child:close()
  if self.ca_file then
    os.remove(self.ca_file)
    os.remove(self.ca_file .. ".key")
  end
end

Scripted.__close = Scripted.stop
Scripted.__gc = Scripted.stop

-- The bytes of a whole response. `fields` are further header lines.
function scripted.answer(status, body, fields)
  local lines = { ("HTTP/1.1 %s"):format(status), "Content-Length: " .. #body }
  for _, line in ipairs(fields or {}) do
    lines[#lines + 1] = line
  end
  return table.concat(lines, "\r\n") .. "\r\n\r\n" .. body
end

return scripted
