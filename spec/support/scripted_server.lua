-- A server that plays scripts: which bytes a response has, where it stops, and what comes then.
--
--   lua5.4 spec/support/scripted_server.lua [idle=SECONDS] [cert=FILE key=FILE]
--
-- Responsible for: one script for each request in turn, the last one for all that follow. Prints
-- "READY port control_port" and ends when nothing has moved for `idle` seconds (60). Control is
-- plain HTTP on a port of its own:
--   POST /  {"scripts": [[step, ...], ...]}   plays these from the next request on, counts anew
--   GET /                                     {"requests": [{method, target, head, body_size,
--                                             connection}, ...],
--                                            "connections": n, "open": of these}
-- A step is a text to send, or an object:
--   {"hang": true}           silence until the client goes
--   {"drip": text, "ms": n}  byte by byte
--   {"pause": ms}
--   {"unread": true}         as the first step: the request's body is left alone
--   {"drain": true}          reads that body after all
--   {"accept": true}         as the first step: plays without waiting for a request, which is
--                            counted when its first byte is there
--   {"keep": true}           as the last step: the connection continues; else it is closed
--   {"times": n, "text": t}  the text so many times
-- Assumes well-behaved clients. It must not load anything of qhub.

local cqueues = require "cqueues"
local json = dofile "examples/gateway/json.lua"
local socket = require "cqueues.socket"

local options = { idle = "60" }
for _, word in ipairs(arg) do
  local name, value = word:match "^(%w+)=(.*)$"
  options[name or error("bad argument: " .. word)] = value
end

local function read_whole(path)
  local file = assert(io.open(path, "rb"))
  local text = file:read "a"
  file:close()
  return text
end

local tls
if options.cert then
  tls = require("openssl.ssl.context").new("TLS", true)
  tls:setCertificate(require("openssl.x509").new(read_whole(options.cert)))
  tls:setPrivateKey(require("openssl.pkey").new(read_whole(options.key)))
end

local scripts, requests, connections, open = {}, {}, 0, 0
local last_moved = cqueues.monotime()

-- The script for the next request.
local function next_script()
  return scripts[math.min(#requests + 1, #scripts)] or {}
end

local function note(connection, request)
  request.connection = connection.number
  requests[#requests + 1] = request
  return request
end

-- Reads the head of a request; nil at the end of the connection.
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
  return { method = method, target = target, head = table.concat(head), body_size = length }
end

-- Reads a body of so many bytes and forgets it. Returns false when the client went away.
local function skip_body(channel, left)
  while left > 0 do
    local block = channel:read(-math.min(left, 65536))
    if not block then return false end
    left = left - #block
    last_moved = cqueues.monotime()
  end
  return true
end

local function send(channel, text)
  return channel:write(text) and channel:flush()
end

-- One step; returns whether the script continues.
local function play(channel, request, step)
  last_moved = cqueues.monotime()
  if type(step) == "string" then
    return send(channel, step)
  elseif step.hang then
    channel:flush()
    while channel:read(-65536) do
      last_moved = cqueues.monotime()
    end
    return false
  elseif step.drip then
    for byte in step.drip:gmatch "." do
      if not send(channel, byte) then return false end
      cqueues.sleep(step.ms / 1000)
    end
  elseif step.pause then
    cqueues.sleep(step.pause / 1000)
  elseif step.times then
    for _ = 1, step.times do
      if not channel:write(step.text) then return false end
    end
    return channel:flush()
  elseif step.drain then
    return skip_body(channel, request.body_size)
  end
  return true
end

-- One request; returns whether the connection continues.
local function serve_one(connection)
  local channel = connection.channel
  local script = next_script()
  local first = script[1]
  local request
  if type(first) == "table" and first.accept then
    channel:fill(1)
    request = note(connection, { method = "?", target = "?", head = "", body_size = 0 })
  else
    request = read_head(channel)
    if not request then return false end
    script = next_script()
    first = script[1]
    note(connection, request)
    local unread = type(first) == "table" and first.unread
    if not unread and not skip_body(channel, request.body_size) then return false end
  end
  for _, step in ipairs(script) do
    if not play(channel, request, step) then return false end
  end
  local last = script[#script]
  return type(last) == "table" and last.keep
end

local function serve(channel)
  channel:onerror(function(_, _, why)
    return why
  end)
  channel:setmode("b", "bf")
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
  channel:setmode("b", "bf")
  while true do
    local request = read_head(channel)
    if not request then return end
    local body = request.body_size > 0 and channel:read(request.body_size)
    if request.method == "POST" then
      scripts, requests, connections = json.decode(body).scripts, {}, 0
    end
    local answer =
      json.encode { requests = json.array(requests), connections = connections, open = open }
    channel:write(("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s"):format(#answer, answer))
    channel:flush()
  end
end

local loop = cqueues.new()

-- Listens on a free port; each connection gets a coroutine that runs `handler`.
local function listen(handler)
  local server = assert(socket.listen { host = "127.0.0.1", port = 0, nodelay = true })
  assert(server:listen())
  loop:wrap(function()
    for channel in server:clients() do
      last_moved = cqueues.monotime()
      loop:wrap(function()
        local ok, message = pcall(handler, channel)
        if not ok then io.stderr:write("scripted_server: ", tostring(message), "\n") end
        channel:close()
      end)
    end
  end)
  local _, _, port = server:localname()
  return port
end

print(("READY %d %d"):format(listen(serve), listen(control)))
io.stdout:flush()

repeat
  local ok, message = loop:step(1)
  if not ok then io.stderr:write("scripted_server: ", tostring(message), "\n") end
until cqueues.monotime() - last_moved > tonumber(options.idle)
os.exit(0, false)
