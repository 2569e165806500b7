-- HTTP/1.1 connections on raw cqueues sockets: reading requests, keeping connections alive.
--
-- Responsible for: framing of requests (RFC 9112) and the life of one connection, each in its own
-- coroutine. Responses are written by reply.lua. It must not know what the paths mean, and it must
-- survive any bytes that arrive.

local cqueues = require "cqueues"
local errno = require "cqueues.errno"
local reply = require "reply"
local tunnel = require "tunnel"

local MAX_HEAD = 65536
local MAX_BODY = 256 * 1024 * 1024

-- One read. It equals the size of the socket's buffer, which therefore never grows; the byte-exact
-- reading below depends on it.
local BLOCK = 4096
local PADDING = ("."):rep(BLOCK - 1)

local Connection = {}
Connection.__index = Connection

-- Bytes that have arrived, waiting for some if need be; nil at the end of the connection.
function Connection:receive()
  local socket = self.socket
  while true do
    local data, why = socket:recv(-BLOCK)
    if data then
      self.server.activity = cqueues.monotime()
      return data
    elseif why ~= errno.EAGAIN then
      return nil
    end
    cqueues.poll(socket)
  end
end

-- Exactly one byte, leaving the rest in the kernel: the buffer is filled up with padding so that
-- it has room for one byte only. Closing a socket that has unread bytes sends RST instead of FIN,
-- which is how a fault "reset" is made without SO_LINGER.
function Connection:receive_byte()
  local socket = self.socket
  socket:unget(PADDING)
  while true do
    local data, why = socket:recv(BLOCK)
    if data and #data == BLOCK then
      return data:sub(-1)
    elseif data or why ~= errno.EAGAIN then
      return nil
    end
    cqueues.poll(socket)
  end
end

-- The first bytes of a request, or nil at the end; false when the request is to be read byte by
-- byte, because while waiting for it a fault was ordered that needs that.
function Connection:receive_first()
  local socket = self.socket
  while self.tls or not self.server.reset_armed() do
    local data, why = socket:recv(-BLOCK)
    if data then
      self.server.activity = cqueues.monotime()
      return data
    elseif why ~= errno.EAGAIN then
      return nil
    end
    cqueues.poll(socket)
  end
  return false
end

-- Returns when the peer has closed, or after some seconds.
function Connection:wait_for_close(seconds)
  local deadline = cqueues.monotime() + seconds
  repeat
    local data, why = self.socket:recv(-BLOCK)
    if not data then
      if why ~= errno.EAGAIN then return end
      cqueues.poll(self.socket, deadline - cqueues.monotime())
    end
  until cqueues.monotime() >= deadline
end

-- The text of a request head without its blank line; nil at the end, or nil and a status.
function Connection:read_head()
  local buffer = self.buffer
  if buffer == "" then
    buffer = self:receive_first()
    if buffer == nil then
      return nil
    elseif not buffer then
      return self:read_head_slowly()
    end
  end
  local from = 1
  while true do
    local stop = buffer:find("\r\n\r\n", from, true)
    if stop then
      self.buffer = buffer:sub(stop + 4)
      return buffer:sub(1, stop + 1)
    elseif #buffer > MAX_HEAD then
      return nil, 431
    end
    from = math.max(1, #buffer - 2)
    local data = self:receive()
    if not data then return nil end
    buffer = buffer .. data
    if buffer:find("^\r?\n") then
      buffer, from = buffer:gsub("^[\r\n]+", ""), 1
    end
  end
end

-- As read_head, byte by byte; the last byte stays unread (see receive_byte).
function Connection:read_head_slowly()
  local bytes = {}
  local text
  repeat
    if #bytes > MAX_HEAD then return nil, 431 end
    local byte = self:receive_byte()
    if not byte then return nil end
    bytes[#bytes + 1] = byte
    text = byte == "\r" and table.concat(bytes)
  until text and text:find("\r\n\r", -3, true)
  self.owed = "\n"
  return text:sub(1, -2)
end

-- Reads the byte that read_head_slowly left.
function Connection:settle()
  if self.owed then
    self.owed = nil
    self:receive_byte()
  end
end

function Connection:read_exactly(count)
  local parts, have = { self.buffer }, #self.buffer
  while have < count do
    local data = self:receive()
    if not data then return nil end
    parts[#parts + 1], have = data, have + #data
  end
  local text = table.concat(parts)
  self.buffer = text:sub(count + 1)
  return text:sub(1, count)
end

-- A body of which the last byte stays unread, so that the connection can be reset. What that byte
-- is can only be guessed: bodies here are JSON objects.
function Connection:read_all_but_one(count)
  local bytes = {}
  for index = 1, count - 1 do
    bytes[index] = self:receive_byte() or ""
  end
  return table.concat(bytes) .. "}"
end

function Connection:read_line()
  while true do
    local line, stop = self.buffer:match("^([^\r\n]*)\r?\n()")
    if line then
      self.buffer = self.buffer:sub(stop)
      return line
    end
    local data = #self.buffer <= MAX_HEAD and self:receive()
    if not data then return nil end
    self.buffer = self.buffer .. data
  end
end

function Connection:read_chunked()
  local parts, total = {}, 0
  while true do
    local size = tonumber((self:read_line() or ""):match("^%x+") or "", 16)
    if not size or total + size > MAX_BODY then
      return nil
    elseif size == 0 then
      break
    end
    parts[#parts + 1] = self:read_exactly(size)
    total = total + size
    if #parts == 0 or self:read_line() ~= "" then return nil end
  end
  repeat
    local line = self:read_line()
  until not line or line == ""
  return table.concat(parts)
end

-- The request's body as a string; nil and a status when it cannot be had.
function Connection:read_body(request, unread)
  local headers = request.headers
  local length = headers["content-length"]
  local chunked = headers["transfer-encoding"]
  if not length and not chunked then return "" end
  if (headers.expect or ""):lower() == "100-continue" then
    reply.write(self, "HTTP/1.1 100 Continue\r\n\r\n")
  end
  if chunked then
    local body = chunked:lower() == "chunked" and self:read_chunked()
    return body or nil, 400
  end
  length = length:match("^%d+$") and math.tointeger(tonumber(length))
  if not length then
    return nil, 400
  elseif length > MAX_BODY then
    return nil, 413
  elseif unread and length > 0 and self.buffer == "" then
    return self:read_all_but_one(length)
  end
  return self:read_exactly(length), 400
end

local function parse_fields(text)
  local headers = {}
  for name, value in text:gmatch("([^:%s]+):[ \t]*([^\r\n]*)\r\n") do
    name = name:lower()
    headers[name] = headers[name] and headers[name] .. ", " .. value or value
  end
  return headers
end

-- Clients send the same fields again and again: the tables are shared, and must not be changed.
local function fields_of(server, text)
  local headers = server.fields[text]
  if not headers then
    headers = parse_fields(text)
    if server.field_count == 1000 then
      server.fields, server.field_count = {}, 0
    end
    server.fields[text], server.field_count = headers, server.field_count + 1
  end
  return headers
end

local REQUEST_LINE = "^([%w!#$%%&'*+.^_`|~-]+) (%S+) HTTP/1%.(%d)\r\n()"

-- A request from its head; nil when it is none. Repeated fields are joined with ", ".
local function parse_head(server, head)
  local method, target, minor, start = head:match(REQUEST_LINE)
  if not method then return nil end
  -- The absolute form is what a client sends to a proxy (RFC 9112, 3.2.2).
  local rest = target:byte() == 47 and target or target:match("^%a+://[^/]+(/.*)$") or target
  local path, query = rest, ""
  if rest:find("?", 1, true) then
    path, query = rest:match("^([^?]*)%?(.*)$")
  end
  return {
    method = method,
    target = target,
    path = path,
    query = query,
    headers = fields_of(server, head:sub(start)),
    keep_alive = minor ~= "0",
    body = "",
    connection = 0,
    on_connection = 0,
    operation = false,
    fault = false,
    status = false,
    body_size = 0,
  }
end

-- Counts this connection at its first request that is not one of control; after the counts were
-- reset, again.
function Connection:note(answer)
  local server = self.server
  if answer.control or self.noted == server.epoch then return end
  server.connections = server.connections + 1
  server.open = server.open + (self.noted and 0 or 1)
  server.peak = math.max(server.peak, server.open)
  self.noted = server.epoch
end

-- Becomes a way to another port; nothing else can follow on this connection.
function Connection:serve_tunnel(request)
  local other = tunnel.open(request.target, self.server)
  if other then
    tunnel.carry(self, other)
  else
    reply.refuse(self, 502)
  end
  return false
end

-- One request from bytes to response. Returns whether the connection stays open.
function Connection:serve_one()
  local head, status = self:read_head()
  local request = head and parse_head(self.server, head)
  if not request then
    if head or status then reply.refuse(self, status or 400) end
    return false
  end
  self.count = self.count + 1
  request.connection, request.on_connection = self.id, self.count
  local answer = self.server.route(request)
  self:note(answer)
  local reset = answer.fault and answer.fault.reset
  if self.owed and not (reset and not request.headers["content-length"]) then self:settle() end
  request.body, status = self:read_body(request, reset)
  if not request.body then
    reply.refuse(self, status)
    return false
  end
  if request.method == "CONNECT" and not answer.fault then return self:serve_tunnel(request) end
  if (request.headers.connection or ""):lower():find("close", 1, true) then
    request.keep_alive = false
  end
  local ok, response = xpcall(self.server.respond, debug.traceback, request, answer)
  if not ok then
    io.stderr:write("gateway: ", tostring(response), "\n")
    response = { status = 500, body = '{"message":"the simulator failed"}', headers = {} }
  end
  return reply.send(self, request, response, answer.fault)
end

-- Serves one accepted socket until it ends. `tls` is an SSL context or nil.
--
-- `server` has tables and counters (see main.lua) and three functions: `route(request)` gives what
-- `respond` needs, before the body is read; its `fault`, if any, is carried out by reply.lua;
-- `respond(request, answer)` gives the response; `reset_armed()` is said at receive_byte.
local function serve(server, socket, tls)
  server.accepted = server.accepted + 1
  server.activity = cqueues.monotime()
  local connection = setmetatable({
    socket = socket,
    server = server,
    id = server.accepted,
    count = 0,
    buffer = "",
    tls = tls,
  }, Connection)
  local ok, message = xpcall(function()
    socket:setmode("b", "bn")
    -- An error is a return value here, never a raise: a peer may go away at any time.
    socket:onerror(function(_, _, why)
      return why
    end)
    if tls and not socket:starttls(tls, 10) then return end
    repeat
    until not connection:serve_one()
  end, debug.traceback)
  if not ok then io.stderr:write("gateway: ", tostring(message), "\n") end
  server.open = server.open - (connection.noted and 1 or 0)
  socket:close()
end

return { serve = serve }
