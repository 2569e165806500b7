-- A server that plays scripts: what it does with a connection and a request, step by step.
--
--   lua5.4 spec/support/scripted_server.lua [port=N] [cert=FILE key=FILE]
--
-- Responsible for: one script for each request. It is that of the request's target, else that of
-- its path; the others are played in turn, the last one for all requests that follow. Prints
-- "READY port control_port" and ends at the end of its standard input. Control is plain HTTP on a
-- port of its own; each response has {"requests": [{method, target, head, body_size, connection},
-- ...], "connections": n, "open": of these}:
--   POST /  {"scripts": [script, ...], "routes": {target or path: script}}
--           plays these from the next request on, and counts anew; without `routes` they stay
--   POST /  {"release": true}      lets what holds continue
--
-- A script is an array of steps. A step is a text to send, or an object:
--   {"times": n, "text": t}  the text so many times
--   {"drip": t, "ms": n}     the text byte by byte, with so many milliseconds after each
--   {"pause": ms}
--   {"hold": true}           a pause until the control says `release`
--   {"hang": true}           silence until the client goes
--   {"echo": true}           a response with the head and the body of the request
--   {"drain": true}          reads the body that was left `unread`, or so many bytes of it; after
--                            each 64 KiB pauses `ms`
--   {"next": true}           reads and counts another request, then continues
--   {"await": true}          waits for more bytes and leaves them unread
-- As its first step:
--   {"unread": true}         leaves the body of the request alone
--   {"accept": true}         does not wait for a request, which is counted at its first byte
--   {"per_second": n, "otherwise": script}
--                            plays the other script when more requests came in this second
-- As its last step:
--   {"keep": true}           the connection continues; else it is closed, which resets it when
--                            something was left unread
-- Assumes well-behaved clients. It must not load anything of qhub.

local condition = require "cqueues.condition"
local cqueues = require "cqueues"
local json = dofile "examples/gateway/json.lua"
local socket = require "cqueues.socket"

local BLOCK = 65536

local options = { port = "0" }
for _, word in ipairs(arg) do
  local name, value = word:match "^(%w+)=(.*)$"
  options[name or error("bad argument: " .. word)] = value
end

local function read_whole(path)
  local file <close> = assert(io.open(path, "rb"))
  return file:read "a"
end

local tls
if options.cert then
  tls = require("openssl.ssl.context").new("TLS", true)
  tls:setCertificate(require("openssl.x509").new(read_whole(options.cert)))
  tls:setPrivateKey(require("openssl.pkey").new(read_whole(options.key)))
end

local scripts, routes = {}, {}
local requests, connections, open = {}, 0, 0
local released = condition.new()

-- Waits for a request and reads its head; nil at the end of the connection.
local function read_head(channel)
  local first = channel:read "*L"
  if not first then return nil end
  local head, length = { first }, 0
  for line in channel:lines "*L" do
    if line == "\r\n" then break end
    head[#head + 1] = line
    length = tonumber(line:match "^[Cc]ontent%-[Ll]ength:%s*(%d+)") or length
  end
  local method, target = first:match "^(%S+) (%S+)"
  head = table.concat(head)
  return { method = method or "?", target = target or "?", head = head, body_size = length }
end

-- Reads a body, pausing after each block. Returns nil when the client went away before its end.
local function read_body(channel, left, ms)
  local blocks = {}
  while left > 0 do
    local block = channel:read(math.min(left, BLOCK))
    if not block then return nil end
    blocks[#blocks + 1] = block
    left = left - #block
    if ms then cqueues.sleep(ms / 1000) end
  end
  return table.concat(blocks)
end

local function count(connection, request)
  request.connection = connection.number
  requests[#requests + 1] = request
  return request
end

local function send(channel, text)
  return channel:write(text) and channel:flush()
end

-- ── Steps ────────────────────────────────────────────────────────────────────────────────────────

local play

-- What a step does, by the name of a member of it. Each gets the step, the connection and the
-- request, and returns whether the script continues; if not, whether the connection is kept.
local steps = {}

function steps.times(step, connection)
  for _ = 1, step.times do
    if not connection.channel:write(step.text) then return false end
  end
  return connection.channel:flush()
end

function steps.drip(step, connection)
  for byte in step.drip:gmatch "." do
    if not send(connection.channel, byte) then return false end
    cqueues.sleep(step.ms / 1000)
  end
  return true
end

function steps.pause(step)
  cqueues.sleep(step.pause / 1000)
  return true
end

function steps.hold()
  released:wait()
  return true
end

function steps.hang(_, connection)
  while connection.channel:read(-BLOCK) do
  end
  return false
end

function steps.echo(_, connection, request)
  local text = request.head .. "\r\n" .. connection.body
  return send(
    connection.channel,
    ("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n"):format(#text) .. text
  )
end

function steps.drain(step, connection)
  local size = step.drain == true and connection.unread or step.drain
  connection.unread = connection.unread - size
  return read_body(connection.channel, size, step.ms)
end

function steps.next(_, connection)
  local request = read_head(connection.channel)
  return request and count(connection, request)
end

function steps.await(_, connection)
  cqueues.poll { pollfd = connection.channel:pollfd(), events = "r" }
  return true
end

local second, taken

function steps.per_second(step, connection, request)
  local now = math.floor(cqueues.monotime())
  taken = now == second and taken + 1 or 1
  second = now
  if taken <= step.per_second then return true end
  return false, play(step.otherwise, connection, request)
end

-- Returns whether the connection continues.
function play(script, connection, request)
  local keeps = false
  for _, step in ipairs(script) do
    local continues, kept = true, nil
    if type(step) == "string" then
      continues = send(connection.channel, step)
    else
      for name, run in pairs(steps) do
        if step[name] then
          continues, kept = run(step, connection, request)
        end
      end
      keeps = step.keep
    end
    if not continues then return kept end
  end
  return keeps
end

-- ── The server ───────────────────────────────────────────────────────────────────────────────────

-- The script for the next request, which may not be there yet; and its first step.
local function script_for(request)
  local target = request and request.target or ""
  local script = routes[target]
    or routes[target:match "^[^?]*"]
    or scripts[math.min(#requests + 1, #scripts)]
    or {}
  return script, type(script[1]) == "table" and script[1] or {}
end

-- One request; returns whether the connection continues.
local function serve_one(connection)
  local channel = connection.channel
  local script, first = script_for()
  local request
  if first.accept then
    channel:fill(1)
    request = { method = "?", target = "?", head = "", body_size = 0 }
  else
    request = read_head(channel)
    if not request then return false end
    script, first = script_for(request)
  end
  count(connection, request)
  connection.unread = request.body_size
  if not first.unread then
    connection.body = read_body(channel, request.body_size)
    if not connection.body then return false end
  end
  return play(script, connection, request)
end

local function serve(channel)
  channel:onerror(function(_, _, why)
    return why
  end)
  channel:setmaxline(1 << 20)
  if tls and not channel:starttls(tls) then return end
  connections = connections + 1
  open = open + 1
  local connection = { channel = channel, number = connections }
  local ok, message = pcall(function()
    repeat
    until not serve_one(connection)
  end)
  channel:close()
  open = open - 1
  assert(ok, message)
end

local function control(channel)
  for request in read_head, channel do
    local body = read_body(channel, request.body_size)
    local wish = request.method == "POST" and json.decode(body) or {}
    if wish.release then released:signal() end
    if wish.scripts then
      scripts, requests, connections = wish.scripts, {}, 0
    end
    routes = wish.routes or routes
    local text =
      json.encode { requests = json.array(requests), connections = connections, open = open }
    send(channel, ("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s"):format(#text, text))
  end
end

local loop = cqueues.new()

-- Listens on a port (0: a free one); each connection gets a coroutine that runs `handler`.
local function listen(port, handler)
  local server = assert(socket.listen { host = "127.0.0.1", port = port, nodelay = true })
  assert(server:listen())
  loop:wrap(function()
    for channel in server:clients() do
      loop:wrap(function()
        channel:setmode("b", "bf")
        local ok, message = pcall(handler, channel)
        if not ok then io.stderr:write("scripted_server: ", tostring(message), "\n") end
        channel:close()
      end)
    end
  end)
  return (select(3, server:localname()))
end

print(("READY %d %d"):format(listen(tonumber(options.port), serve), listen(0, control)))
io.stdout:flush()

loop:wrap(function()
  cqueues.poll { pollfd = 0, events = "r" } -- nothing is ever written there
  os.exit(0, false)
end)
repeat
  local ok, message = loop:step()
  if not ok then io.stderr:write("scripted_server: ", tostring(message), "\n") end
until false
