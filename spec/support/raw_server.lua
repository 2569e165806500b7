-- A server that responses with exactly the bytes it is given, well-formed or not.
--
--   lua5.4 spec/support/raw_server.lua [idle=SECONDS] [cert=FILE key=FILE]
--
-- Responsible for: one behaviour per path (the table at the end); parameters come in the query.
-- Listens on a free port of 127.0.0.1, prints "READY port", and ends when no connection has moved
-- for `idle` seconds (60). Assumes well-behaved clients: requests are not checked. It must not load
-- anything of qhub.

local condition = require "cqueues.condition"
local cqueues = require "cqueues"
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

local counts = { requests = 0, connections = 0, open = 0, most = 0 }
local path_counts = {}
local released = condition.new()
local last_moved = cqueues.monotime()

-- The bytes of /bytes, so that a reader can tell a lost or doubled block.
local function pattern(first, length)
  local block = {}
  for i = first, first + length - 1 do
    block[#block + 1] = string.char((i * 7 + i // 251) % 256)
  end
  return table.concat(block)
end

local PERIOD = 251 * 256
local period = pattern(0, PERIOD)

-- Bytes [first, first + length) of an endless pattern.
local function pattern_bytes(first, length)
  local pieces = {}
  while length > 0 do
    local offset = first % PERIOD
    local piece = period:sub(offset + 1, offset + math.min(length, PERIOD - offset))
    pieces[#pieces + 1] = piece
    first = first + #piece
    length = length - #piece
  end
  return table.concat(pieces)
end

local function answer(body, fields, status)
  local lines = { "HTTP/1.1 " .. (status or "200 OK"), "Content-Length: " .. #body }
  for _, line in ipairs(fields or {}) do
    lines[#lines + 1] = line
  end
  return table.concat(lines, "\r\n") .. "\r\n\r\n" .. body
end

local function chunk(text)
  return ("%x\r\n%s\r\n"):format(#text, text)
end

local function pause(request, default)
  cqueues.sleep((tonumber(request.query.ms) or default) / 1000)
end

-- Waits until the client goes away; what it still sends is dropped.
local function wait_for_end(connection)
  while connection:read(1) do
    last_moved = cqueues.monotime()
  end
end

local function gzip(command)
  local pipe = assert(io.popen(command .. " | gzip -9n", "r"))
  local bytes = pipe:read "a"
  pipe:close()
  return bytes
end

-- path -> function(connection, request): returns the bytes of the response (the connection is
-- kept), or nil when it has done everything itself (the connection is closed).
local behaviours = {}

behaviours["/ok"] = function()
  return answer "ok"
end

-- The request as it came.
behaviours["/echo"] = function(_, request)
  return answer(request.head .. "\r\n" .. request.body, { "Content-Type: text/plain" })
end

behaviours["/status"] = function(_, request)
  return answer(request.query.body or "", {}, request.query.code .. " Whatever")
end

-- No content: 204 or 304, and a HEAD of any path is answered likewise.
behaviours["/empty"] = function(_, request)
  return ("HTTP/1.1 %s Empty\r\nX-Empty: yes\r\n\r\n"):format(request.query.code or "204")
end

-- n bytes of the pattern.
behaviours["/bytes"] = function(connection, request)
  local n = math.tointeger(tonumber(request.query.n))
  connection:write(("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n"):format(n))
  local first = 0
  while first < n do
    local block = pattern_bytes(first, math.min(n - first, 65536))
    if not connection:write(block) or not connection:flush() then return nil end
    first = first + #block
    last_moved = cqueues.monotime()
  end
  return ""
end

behaviours["/chunked"] = function(_, request)
  local n = math.tointeger(tonumber(request.query.n or "3"))
  local size = math.tointeger(tonumber(request.query.size or "5"))
  local pieces = { "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Late\r\n\r\n" }
  for i = 0, n - 1 do
    pieces[#pieces + 1] = chunk(pattern_bytes(i * size, size))
  end
  pieces[#pieces + 1] = "0\r\nX-Late: trailer\r\nX-Early: changed\r\n\r\n"
  return table.concat(pieces)
end

-- Announces 100 bytes, sends 50, hangs up.
behaviours["/truncate"] = function(connection)
  connection:write("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n" .. ("x"):rep(50))
end

behaviours["/truncate-chunked"] = function(connection)
  connection:write(
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" .. chunk "half" .. "ff\r\nrest"
  )
end

behaviours["/truncate-headers"] = function(connection)
  connection:write "HTTP/1.1 200 OK\r\nContent-Le"
end

-- No length: the body ends with the connection, and so can never be short.
behaviours["/until-close"] = function(connection)
  connection:write "HTTP/1.1 200 OK\r\n\r\nuntil the end"
end

-- Hangs up with the body of the request unread, which resets the connection.
behaviours["/reset"] = { unread = true, run = function() end }

behaviours["/close-after-request"] = function() end

-- Responds properly, then closes when the next request on this connection has come.
behaviours["/close-next"] = function(_, request)
  request.state.close_next = true
  return answer "ok"
end

-- Responds properly, then resets the connection when the next request comes.
behaviours["/reset-next"] = function(_, request)
  request.state.reset_next = true
  return answer "ok"
end

-- A line of the head that comes byte by byte.
behaviours["/drip-head"] = function(connection)
  connection:write "HTTP/1.1 200 OK\r\nX-Slow: "
  for _ = 1, 100 do
    if not connection:write "v" or not connection:flush() then return nil end
    last_moved = cqueues.monotime()
    cqueues.sleep(0.05)
  end
end

behaviours["/silence"] = function(connection)
  connection:flush()
  wait_for_end(connection)
end

behaviours["/silence-in-body"] = function(connection)
  connection:write "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf"
  connection:flush()
  wait_for_end(connection)
end

-- n bytes, one every `ms` milliseconds.
behaviours["/drip"] = function(connection, request)
  local n = math.tointeger(tonumber(request.query.n or "10"))
  connection:write(("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n"):format(n))
  for i = 1, n do
    connection:write(tostring(i % 10))
    connection:flush()
    pause(request, 10)
  end
  return ""
end

-- Responds after `ms` milliseconds.
behaviours["/later"] = function(_, request)
  pause(request, 50)
  return answer "later"
end

-- The head at once, the body after `ms` milliseconds.
behaviours["/later-body"] = function(connection, request)
  connection:write "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"
  connection:flush()
  pause(request, 50)
  return "later"
end

-- Responds on a request for /release.
behaviours["/held"] = function(connection)
  connection:flush()
  released:wait()
  return answer "released"
end

behaviours["/release"] = function()
  released:signal()
  return answer "ok"
end

-- Reads the body of the request in blocks, with `ms` milliseconds between them.
behaviours["/slow-upload"] = {
  unread = true,
  run = function(connection, request)
    local left = request.length
    while left > 0 do
      local block = connection:read(math.min(left, 65536))
      if not block then return nil end
      left = left - #block
      last_moved = cqueues.monotime()
      pause(request, 10)
    end
    return answer "taken"
  end,
}

behaviours["/garbage"] = function(connection)
  connection:write "\1\2NONSENSE\r\n\r\nmore of it\r\n"
end

behaviours["/bad-chunk"] = function()
  return "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nhello\r\n"
end

-- n fields of `size` bytes.
behaviours["/headers"] = function(_, request)
  local fields = {}
  for i = 1, tonumber(request.query.n) do
    fields[i] = ("X-Field-%d: %s"):format(i, ("v"):rep(tonumber(request.query.size or "1")))
  end
  return answer("many", fields)
end

behaviours["/repeated"] = function()
  return answer("ok", {
    "X-List: one",
    "x-list:two ",
    "Set-Cookie: a=1",
    "Set-Cookie: b=2",
    "X-Empty:",
    "X-Folded: first",
    "   second",
  })
end

behaviours["/interim"] = function()
  return "HTTP/1.1 103 Early Hints\r\nX-Early: hint\r\n\r\n" .. answer("ok", { "X-Early: final" })
end

behaviours["/location"] = function()
  return answer("moved", { "Location: /ok" }, "302 Found")
end

behaviours["/gzip"] = function()
  return answer(gzip "printf 'hello hello hello'", { "Content-Encoding: gzip" })
end

-- n zeros, compressed.
behaviours["/bomb"] = function(_, request)
  local body = gzip(("head -c %d /dev/zero"):format(tonumber(request.query.n)))
  return answer(body, { "Content-Encoding: gzip" })
end

behaviours["/unknown-encoding"] = function()
  return answer("???", { "Content-Encoding: sideways" })
end

behaviours["/count"] = function(_, request)
  local path = request.query.path
  local lines = path and { ("%d"):format(path_counts[path] or 0) } or {}
  for name, value in pairs(path and {} or counts) do
    lines[#lines + 1] = ("%s=%d"):format(name, value)
  end
  return answer(table.concat(lines, "\n"))
end

-- ---- the server ----

local function read_request(connection)
  local first = connection:read "*L"
  if not first then return nil end
  local head, length = { first }, 0
  for line in connection:lines "*L" do
    if line == "\r\n" then break end
    head[#head + 1] = line
    length = tonumber(line:match "^[Cc]ontent%-[Ll]ength:%s*(%d+)") or length
  end
  local method, target = first:match "^(%S+) (%S+)"
  local path, query = (target or ""):match "^([^?]*)%??(.*)$"
  local request = { method = method, path = path, query = {}, length = length }
  request.head = table.concat(head)
  for name, value in query:gmatch "([^&=]+)=([^&]*)" do
    request.query[name] = value
  end
  return request
end

local function respond(connection, request)
  counts.requests = counts.requests + 1
  path_counts[request.path] = (path_counts[request.path] or 0) + 1
  local behaviour = behaviours[request.path]
    or function()
      return answer("no such behaviour", {}, "404 Not Found")
    end
  local unread = type(behaviour) == "table" and behaviour.unread
  request.body = ""
  if not unread and request.length > 0 then request.body = connection:read(request.length) or "" end
  if request.state.close_next then return nil end
  local bytes = (unread and behaviour.run or behaviour)(connection, request)
  if bytes and request.method == "HEAD" then bytes = bytes:match "^.-\r\n\r\n" end
  return bytes
end

local function serve(connection)
  connection:onerror(function(_, _, why)
    return why
  end)
  connection:setmode("b", "bf")
  connection:setmaxline(1 << 20)
  if tls and not connection:starttls(tls) then return end
  local state = {}
  while true do
    if state.reset_next then
      cqueues.poll { pollfd = connection:pollfd(), events = "r" }
      return
    end
    local request = read_request(connection)
    if not request then return end
    last_moved = cqueues.monotime()
    request.state = state
    local bytes = respond(connection, request)
    if not bytes then
      connection:flush()
      return
    end
    connection:write(bytes)
    connection:flush()
  end
end

local loop = cqueues.new()
local server = assert(socket.listen { host = "127.0.0.1", port = 0, nodelay = true })
assert(server:listen())

loop:wrap(function()
  local _, _, port = server:localname()
  print("READY " .. port)
  io.stdout:flush()
  for connection in server:clients() do
    last_moved = cqueues.monotime()
    counts.connections = counts.connections + 1
    counts.open = counts.open + 1
    counts.most = math.max(counts.most, counts.open)
    loop:wrap(function()
      local ok, message = pcall(serve, connection)
      if not ok then io.stderr:write("raw_server: ", tostring(message), "\n") end
      connection:close()
      counts.open = counts.open - 1
    end)
  end
end)

repeat
  local ok, message = loop:step(1)
  if not ok then io.stderr:write("raw_server: ", tostring(message), "\n") end
until cqueues.monotime() - last_moved > tonumber(options.idle)
os.exit(0, false)
