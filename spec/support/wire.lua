-- HTTP/1.1 written and read byte by byte, for specs that trust no client.
--
-- Responsible for: requests and answers on a socket of cqueues. It must not load anything of qhub.

local cqueues_socket = require "cqueues.socket"

local wire = {}

-- A connection to a port of this machine, with ten seconds of patience. Errors are values on it.
function wire.connect(port)
  local socket = cqueues_socket.connect { host = "127.0.0.1", port = port, nodelay = true }
  socket:setmode("b", "bn")
  socket:settimeout(10)
  socket:onerror(function(_, _, why)
    return why
  end)
  return socket
end

-- A TLS connection that trusts that certificate alone, and the protocol agreed on; or nil.
-- `cert` and `key` are files with a certificate of the client's own.
function wire.connect_securely(port, ca_file, cert, key)
  local context = require "openssl.ssl.context"
  local trust = require("openssl.x509.store").new()
  trust:add(ca_file)
  local ssl = context.new "TLS"
  ssl:setVerify(context.VERIFY_PEER)
  ssl:setStore(trust)
  if cert then
    local function read(path)
      local file <close> = assert(io.open(path))
      return file:read "a"
    end
    ssl:setCertificate(require("openssl.x509").new(read(cert)))
    ssl:setPrivateKey(require("openssl.pkey").new(read(key)))
  end
  ssl:setAlpnProtos { "h2", "http/1.1" }
  local socket = wire.connect(port)
  if socket:starttls(ssl) ~= socket then
    socket:close()
    return nil
  end
  return socket, socket:checktls():getAlpnSelected()
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
  if options.body then
    lines[#lines + 1] = "Content-Length: " .. #options.body
  end
  return table.concat(lines, "\r\n") .. "\r\n\r\n" .. (options.body or "")
end

-- Reads one answer with a Content-Length: { status, headers, body, broken }. The status is nil when
-- there was none, `broken` is true when the body is shorter than announced.
function wire.receive(socket)
  local answer = { headers = {} }
  answer.status = tonumber((socket:read "*L" or ""):match "^HTTP/1.1 (%d+)")
  for line in socket:lines "*L" do
    local name, value = line:match "^([^:]+): ([^\r\n]*)"
    if not name then
      break
    end
    answer.headers[name:lower()] = value
  end
  local length = tonumber(answer.headers["content-length"])
  answer.body = length == 0 and "" or length and socket:read(length) or ""
  answer.broken = length and #answer.body < length
  return answer
end

-- One request on a connection of its own.
function wire.ask(port, method, target, options)
  local socket = wire.connect(port)
  socket:write(wire.request(method, target, options))
  local answer = wire.receive(socket)
  socket:close()
  return answer
end

return wire
