-- HTTP/1.1 written and read byte by byte, for specs that trust no client.
--
-- Responsible for: requests and responses on a socket of cqueues, and the control of the servers
-- that specs start. It must not load anything of qhub.

local cqueues_socket = require "cqueues.socket"
local json = dofile "examples/gateway/json.lua"

local wire = {}

-- A connection to a port of this machine, with thirty seconds of patience. Errors are values on it.
function wire.connect(port)
  local socket = cqueues_socket.connect { host = "127.0.0.1", port = port, nodelay = true }
  socket:setmode("b", "bn")
  socket:settimeout(30)
  socket:onerror(function(_, _, why)
    return why
  end)
  return socket
end

-- The text of a request. Options: token (default demo-token, false: none), headers, body.
function wire.request(method, target, options)
  options = options or {}
  local lines = { method .. " " .. target .. " HTTP/1.1", "Host: localhost" }
  if options.token ~= false then
    lines[#lines + 1] = "Authorization: Bearer " .. (options.token or "demo-token")
  end
  for name, value in pairs(options.headers or {}) do
    lines[#lines + 1] = name .. ": " .. value
  end
  if options.body then lines[#lines + 1] = "Content-Length: " .. #options.body end
  return table.concat(lines, "\r\n") .. "\r\n\r\n" .. (options.body or "")
end

-- Reads one response with a Content-Length: { status, headers, body, broken }. The status is nil
-- when there was none, `broken` is true when the body is shorter than announced.
function wire.receive(socket)
  local answer = { headers = {} }
  answer.status = tonumber((socket:read "*L" or ""):match "^HTTP/1.1 (%d+)")
  for line in socket:lines "*L" do
    local name, value = line:match "^([^:]+): ([^\r\n]*)"
    if not name then break end
    answer.headers[name:lower()] = value
  end
  local length = tonumber(answer.headers["content-length"])
  answer.body = length == 0 and "" or length and socket:read(length) or ""
  answer.broken = length and #answer.body < length
  return answer
end

-- What `openssl s_client` has to tell of a GET over TLS: the protocol agreed on (as in "ALPN
-- protocol: h2") and the response, or what is wrong with the certificate. Options: ca_file (the
-- only one trusted), cert and key (files with the client's own), alpn. It is a process of its own
-- because cqueues loses some bytes when it first speaks TLS, which a leak checker would hold
-- against a spec.
function wire.ask_securely(port, target, options)
  local request = wire.request("GET", target, { headers = { Connection = "close" } })
  local words = { "printf '%s' '" .. request .. "' | LD_PRELOAD= openssl s_client -ign_eof" }
  words[#words + 1] = "-verify_return_error -connect 127.0.0.1:" .. port
  for option, value in pairs { CAfile = options.ca_file, cert = options.cert, key = options.key } do
    words[#words + 1] = "-" .. option .. " '" .. value .. "'"
  end
  words[#words + 1] = "-verify_ip 127.0.0.1 -alpn " .. (options.alpn or "http/1.1")
  local pipe <close> = assert(io.popen(table.concat(words, " ") .. " 2>&1"))
  return pipe:read "a"
end

-- One request on a connection of its own.
function wire.ask(port, method, target, options)
  local socket = wire.connect(port)
  socket:write(wire.request(method, target, options))
  local answer = wire.receive(socket)
  socket:close()
  return answer
end

local Control = {}
Control.__index = Control

-- The control of a server, over one connection that is made when it is first used.
function wire.control(port)
  return setmetatable({ port = port }, Control)
end

-- One request with a JSON body or none; returns the decoded response, raises for anything but 200.
function Control:call(method, target, body)
  self.socket = self.socket or wire.connect(self.port)
  local text = body and json.encode(body)
  self.socket:write(wire.request(method, target, { token = false, body = text }))
  local response = wire.receive(self.socket)
  if response.status ~= 200 or response.broken then
    self:close()
    error(("the control of a server said %s: %s"):format(response.status, response.body), 3)
  end
  return (json.decode(response.body))
end

function Control:close()
  if self.socket then
    self.socket:close()
    self.socket = nil
  end
end

return wire
