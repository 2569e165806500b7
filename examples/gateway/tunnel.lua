-- CONNECT: the simulator as the proxy in front of another one.
--
-- Responsible for: carrying bytes both ways between a client and a port of this machine (RFC 9110,
-- 9.3.6). It leads nowhere else, and must not look at what it carries.

local cqueues = require "cqueues"
local cqueues_socket = require "cqueues.socket"
local errno = require "cqueues.errno"
local reply = require "reply"

local tunnel = {}

-- Opens the way to "host:port"; a connection like those of http.lua, or nil.
function tunnel.open(target, server)
  local host, port = target:match("^(.+):(%d+)$")
  if host ~= "127.0.0.1" and host ~= "localhost" then return nil end
  local socket =
    cqueues_socket.connect { host = "127.0.0.1", port = tonumber(port), nodelay = true }
  socket:setmode("b", "bn")
  socket:onerror(function(_, _, why)
    return why
  end)
  if not socket:connect(10) then
    socket:close()
    return nil
  end
  return { socket = socket, server = server }
end

-- Moves what has arrived on one side to the other. Returns false at the end of either.
local function move(from, to)
  while true do
    local data, why = from.socket:recv(-4096)
    if not data then return why == errno.EAGAIN end
    from.server.activity = cqueues.monotime()
    if not reply.write(to, data) then return false end
  end
end

-- Carries bytes until one side ends. What the client sent ahead goes first.
function tunnel.carry(client, other)
  reply.write(client, "HTTP/1.1 200 Connection established\r\n\r\n")
  reply.write(other, client.buffer)
  local ends = {
    { pollfd = client.socket:pollfd(), events = "r" },
    { pollfd = other.socket:pollfd(), events = "r" },
  }
  while move(client, other) and move(other, client) do
    cqueues.poll(ends[1], ends[2])
  end
  other.socket:close()
end

return tunnel
