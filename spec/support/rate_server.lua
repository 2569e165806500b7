-- A gateway that takes so many requests a second, or is down for a while, for specs of load.
--
--   lua5.4 spec/support/rate_server.lua [rate=N] [retry_after=SECONDS] [refuse=STATUS]
--                                       [port=N] [after=SECONDS] [idle=SECONDS]
--
-- Responsible for: answering `rate` requests of each second with an execution and the others with
-- `refuse` (429) and, when given, `Retry-After`. Listens only `after` seconds from its start on, on
-- `port`. Prints "READY port" at once and ends when nothing has moved for `idle` seconds (60).
-- `GET /seen` answers with how many requests came in each second since the first, separated by
-- blanks. Assumes well-behaved clients. It must not load anything of qhub.

local cqueues = require "cqueues"
local socket = require "cqueues.socket"

local options = { idle = "60", rate = "100", refuse = "429", port = "0", after = "0" }
for _, word in ipairs(arg) do
  local name, value = word:match "^([%w_]+)=(.*)$"
  options[name or error("bad argument: " .. word)] = value
end
local rate = tonumber(options.rate)

local GOOD = '{"id":"%s","status":"PENDING"}'
local FORM = "HTTP/1.1 %s\r\nContent-Length: %d\r\n%s\r\n%s"
local ASKED = options.retry_after and ("Retry-After: %s\r\n"):format(options.retry_after) or ""

local seen, count = {}, 0 -- requests by second; good answers
local first, window, taken
local last_moved = cqueues.monotime()

local function respond(id)
  local now = cqueues.monotime()
  first = first or now
  local second = math.floor(now - first) + 1
  for missing = #seen + 1, second do
    seen[missing] = 0
  end
  seen[second] = seen[second] + 1
  if window ~= second then
    window, taken = second, 0
  end
  if taken >= rate then return FORM:format(options.refuse .. " Refused", 0, ASKED, "") end
  taken, count = taken + 1, count + 1
  local body = GOOD:format(id or count)
  return FORM:format("200 OK", #body, "", body)
end

-- One request; returns whether the connection goes on.
local function serve_one(connection)
  local line = connection:read "*L"
  if not line then return false end
  last_moved = cqueues.monotime()
  local length = 0
  for field in connection:lines "*L" do
    if field == "\r\n" then break end
    length = tonumber(field:match "^[Cc]ontent%-[Ll]ength:%s*(%d+)") or length
  end
  if length > 0 and not connection:read(length) then return false end
  local answer
  if line:find "^GET /seen " then
    local text = table.concat(seen, " ")
    answer = FORM:format("200 OK", #text, "", text)
  else
    answer = respond(line:match "^GET %S+/(%w+) ")
  end
  return connection:write(answer) and connection:flush()
end

local loop = cqueues.new()

local function serve(connection)
  connection:onerror(function(_, _, why)
    return why
  end)
  connection:setmode("b", "bf")
  repeat
  until not serve_one(connection)
  connection:close()
end

local function listen(port)
  local server = assert(socket.listen { host = "127.0.0.1", port = port, nodelay = true })
  assert(server:listen())
  return server
end

local server = listen(tonumber(options.port))
local _, _, port = server:localname()
local after = tonumber(options.after)
if after > 0 then
  server:close() -- nothing listens there for a while
end
print("READY " .. port)
io.stdout:flush()

loop:wrap(function()
  if after > 0 then
    cqueues.sleep(after)
    server = listen(port)
  end
  for connection in server:clients() do
    loop:wrap(function()
      pcall(serve, connection)
    end)
  end
end)

repeat
  loop:step(1)
until cqueues.monotime() - last_moved > tonumber(options.idle)
os.exit(0, false)
