-- The scripted server (scripted_server.lua) as a child process, for specs.
--
-- Responsible for: starting it, giving it scripts (the server's head lists their steps), asking
-- what it saw. Assumes that the specs run in the project's root. It must not load anything of qhub.

local json = dofile "examples/gateway/json.lua"
local process = require "spec.support.process"
local wire = require "spec.support.wire"

local Scripted = {}
Scripted.__index = Scripted

local scripted = {}

-- Starts a server. Options: `tls` (true), `port`. The object has origin, url (base URL), port and,
-- with TLS, ca_file.
function scripted.start(options)
  options = options or {}
  local words, certificate = { "port=" .. (options.port or 0) }, nil
  if options.tls then
    certificate = process.certificate()
    words[2] = ("cert='%s/cert.pem' key='%s/key.pem'"):format(certificate, certificate)
  end
  local child = process.server("spec/support/scripted_server.lua", table.concat(words, " "))
  local port = math.tointeger(child.words[1])
  local origin = (options.tls and "https" or "http") .. "://127.0.0.1:" .. port
  return setmetatable({
    child = child,
    port = port,
    control = wire.control(math.tointeger(child.words[2])),
    origin = origin,
    url = origin .. "/svc/v1",
    ca_file = certificate and certificate .. "/cert.pem",
    folder = certificate,
  }, Scripted)
end

-- From the next request on, plays these scripts in turn, the last one again and again; counts anew.
function Scripted:play(...)
  self.control:call("POST", "/", { scripts = json.array { ... } })
end

-- Plays these scripts at the targets or paths that are their names, and the others elsewhere.
function Scripted:route(routes)
  self.control:call("POST", "/", { routes = routes })
end

-- Lets the scripts continue that hold.
function Scripted:release()
  self.control:call("POST", "/", { release = true })
end

-- What was asked since play(): a list of { method, target, head, body_size, connection }.
function Scripted:requests()
  return self.control:call("GET", "/").requests
end

-- How many connections were made since play().
function Scripted:connections()
  return self.control:call("GET", "/").connections
end

-- Whether the server has closed all connections, and said so to their other ends.
function Scripted:has_closed()
  return self.control:call("GET", "/").open == 0
end

function Scripted:stop()
  self.control:close()
  self.child:close()
  if self.folder then os.execute("rm -rf '" .. self.folder .. "'") end
end

Scripted.__close = Scripted.stop
Scripted.__gc = Scripted.stop

-- The bytes of a whole response. `fields` are further header lines.
function scripted.response(status, body, fields)
  local lines = { ("HTTP/1.1 %s"):format(status), "Content-Length: " .. #body }
  for _, line in ipairs(fields or {}) do
    lines[#lines + 1] = line
  end
  return table.concat(lines, "\r\n") .. "\r\n\r\n" .. body
end

-- The script of a whole response, after which the connection continues.
function scripted.kept(status, body, fields)
  return { scripted.response(status, body, fields), { keep = true } }
end

return scripted
