-- A link that misbehaves: passes TCP connections on to a port of this machine, and at random cuts
-- them, lets them stall, and slices what they carry.
--
--   lua5.4 scripts/conformance/unruly.lua to=PORT [cut=N] [freeze=1] [stall=N] [slice=N] [rate=N]
--
-- cut: a connection is reset after N bytes from the server on average (0: never); freeze: it goes
-- silent instead. stall: one read in N waits for 0.3 s. slice: at most so many bytes at a time.
-- rate: bytes a second, of one connection. Prints "READY port"; ends when its standard input does.
-- Must not load qhub.

local cqueues = require "cqueues"
local socket = require "cqueues.socket"

local options =
  { to = 0, cut = 0, freeze = 0, stall = 0, slice = 65536, rate = 0, seed = os.time() }
for _, word in ipairs(arg) do
  local name, value = word:match "^(%w+)=(%d+)$"
  options[name or error("bad argument: " .. word)] = math.tointeger(value)
end
math.randomseed(options.seed)

local loop = cqueues.new()

-- From one socket to the other until the end, or until `left` bytes have passed.
local function pass(from, to, left)
  while true do
    local data = from:read(-options.slice)
    if not data then
      to:shutdown "w"
      return
    end
    if options.stall > 0 and math.random(options.stall) == 1 then cqueues.sleep(0.3) end
    if #data > left then
      to:write(data:sub(1, left))
      to:flush()
      if options.freeze > 0 then cqueues.sleep(60) end
      from:close() -- unread data makes the kernel send a reset
      to:close()
      return
    end
    left = left - #data
    if not to:write(data) or not to:flush() then
      from:shutdown "r"
      return
    end
    if options.rate > 0 then cqueues.sleep(#data / options.rate) end
  end
end

local function quiet(one)
  one:setmode("b", "bn")
  one:onerror(function(_, _, why)
    return why
  end)
  return one
end

local function serve(near)
  local far = quiet(socket.connect { host = "127.0.0.1", port = options.to, nodelay = true })
  local left = options.cut > 0 and math.random(2 * options.cut) or math.huge
  cqueues.running():wrap(function()
    pcall(pass, near, far, math.huge)
  end)
  pcall(pass, far, near, left)
end

local server = assert(socket.listen { host = "127.0.0.1", port = 0, nodelay = true })
assert(server:listen())
local _, _, port = server:localname()
print("READY " .. port)
io.stdout:flush()

loop:wrap(function()
  for near in server:clients() do
    quiet(near)
    loop:wrap(function()
      serve(near)
    end)
  end
end)
loop:wrap(function()
  cqueues.poll { pollfd = 0, events = "r" } -- nothing is ever written there
  os.exit(0, false)
end)
repeat
  loop:step()
until false
