-- A simulator of the service gateway, for the demo and the tests.
--
-- Responsible for: options, wiring the parts together, listening, and ending in time. Run it with
-- --help. Assumes Lua 5.4 with cqueues and luaossl; knows nothing of qhub, which it may be used
-- with from any directory.

local here = (arg and arg[0] or ""):match("^(.*)/[^/]*$") or "."
package.path = here .. "/?.lua;" .. package.path

local cqueues = require "cqueues"
local cqueues_socket = require "cqueues.socket"
local errno = require "cqueues.errno"
local signal = require "cqueues.signal"

local clock = require "clock"
local control = require "control"
local faults = require "faults"
local files = require "files"
local http = require "http"
local model = require "model"
local options = require "options"
local recorder = require "recorder"
local routes = require "routes"
local token = require "token"

-- All parts of one gateway, joined; `server` is what http.serve wants.
local function build(chosen)
  local settings = {}
  for name, value in pairs(chosen.settings) do
    settings[name] = value
  end
  math.randomseed(chosen.seed)
  local parts = { settings = settings, defaults = chosen.settings, clock = clock.new() }
  parts.server = {
    fields = {},
    field_count = 0,
    accepted = 0, -- sockets, those of control included; the other counts leave them out
    connections = 0,
    epoch = 1, -- counts how often the counts were reset
    open = 0,
    peak = 0,
    activity = cqueues.monotime(),
    random = math.random,
  }
  parts.model = model.new(parts.clock, settings, math.random)
  parts.files = files.new(parts.model, chosen.seed)
  parts.tokens = token.new(parts.clock, settings, math.random)
  parts.faults = faults.new()
  parts.recorder = recorder.new(chosen.record)
  parts.base_path = chosen.base_path
  parts.base_url = chosen.base_url
  parts.routes = routes.new(parts)
  parts.control = control.new(parts)
  return parts
end

-- Joins the parts to the connections.
local function connect(parts)
  local server, rules, log = parts.server, parts.faults, parts.recorder
  function server.reset_armed()
    return rules:reset_armed()
  end
  function server.route(request)
    if request.path:find("^/_control/") then return { control = true } end
    local operation = parts.routes:identify(request)
    local fault = rules:take(request, operation)
    log:add(request, operation, fault)
    return { operation = operation, fault = fault }
  end
  local function perform(request, answer)
    local fault = answer.fault
    if parts.settings.latency_ms > 0 then cqueues.sleep(parts.settings.latency_ms / 1000) end
    if not fault then return parts.routes:dispatch(answer.operation, request) end
    rules:before(fault, request, parts)
    local response = rules:performs(fault) and parts.routes:dispatch(answer.operation, request)
    return rules:after(fault, response or nil)
  end
  function server.respond(request, answer)
    if answer.control then return parts.control:dispatch(request) end
    log:begin()
    local ok, response = xpcall(perform, debug.traceback, request, answer)
    log:finish(request, ok and response.status or 500)
    return ok and response or error(response, 0)
  end
end

local function listen(port)
  local socket = cqueues_socket.listen { host = "127.0.0.1", port = port, reuseaddr = true }
  local ok, message, code = pcall(socket.listen, socket)
  if not ok or not message then
    local reason = errno.strerror(ok and code or errno.EADDRINUSE)
    io.stderr:write(("gateway: cannot listen on 127.0.0.1:%d: %s\n"):format(port, reason))
    os.exit(1)
  end
  socket:onerror(function(_, _, why)
    return why
  end)
  local _, _, bound = socket:localname()
  return socket, bound
end

local function accept(queue, parts, listener, ssl)
  queue:wrap(function()
    while true do
      local socket = listener:accept { nodelay = true }
      if socket then
        queue:wrap(http.serve, parts.server, socket, ssl)
      else
        cqueues.sleep(0.01) -- out of descriptors, most likely
      end
    end
  end)
end

-- Calls `stop` when nothing has moved on any connection for so many seconds.
local function watch_idle(queue, server, seconds, stop)
  queue:wrap(function()
    local rest = seconds
    repeat
      cqueues.sleep(math.max(rest, 0.05))
      rest = server.activity + seconds - cqueues.monotime()
    until rest <= 0
    stop()
  end)
end

-- Calls `stop` at Ctrl-C, which stock Lua would answer with a traceback.
local function watch_interrupt(queue, stop)
  signal.block(signal.SIGINT)
  local interrupts = signal.listen(signal.SIGINT)
  queue:wrap(function()
    interrupts:wait()
    stop()
  end)
end

-- Calls `stop` when standard input ends.
local function watch_stdin(queue, stop)
  queue:wrap(function()
    repeat
      cqueues.poll { pollfd = 0, events = "r" }
    until not io.stdin:read(1)
    stop()
  end)
end

-- Writes a text to a new file that only this user can read; returns its path.
local function save(text)
  local path = os.tmpname()
  local file = assert(io.open(path, "w"))
  file:write(text)
  file:close()
  return path
end

local function main()
  local chosen = options.parse(arg)
  local listener, port = listen(chosen.port)
  local scheme, ssl, credentials = "http", nil, {}
  local control_listener, control_port = nil, port
  if chosen.tls then
    ssl, credentials.ca, credentials.cert, credentials.key = require("tls").make(chosen)
    for what, pem in pairs(credentials) do
      credentials[what] = save(pem)
    end
    scheme = "https"
    control_listener, control_port = listen(0)
  end
  local origin = string.format("%s://127.0.0.1:%d", scheme, port)
  chosen.base_url = chosen.public_url or origin .. chosen.base_path
  local parts = build(chosen)
  connect(parts)

  -- Requests leave little garbage; memory is cheaper here than time.
  collectgarbage("setpause", 400)
  local queue = cqueues.new()
  local function stop(reason)
    if reason then io.stderr:write("gateway: ", reason, "\n") end
    for _, path in pairs(credentials) do
      os.remove(path)
    end
    os.exit(0, false)
  end
  accept(queue, parts, listener, ssl)
  if control_listener then accept(queue, parts, control_listener) end
  if chosen.idle > 0 then
    watch_idle(queue, parts.server, chosen.idle, function()
      stop(("ended, since nothing happened for %g s"):format(chosen.idle))
    end)
  end
  watch_interrupt(queue, stop)
  if chosen.stdin then watch_stdin(queue, stop) end
  local words = { "READY", port, origin .. chosen.base_path }
  for _, what in ipairs { "ca", "cert", "key" } do
    words[#words + 1] = credentials[what] and what .. "=" .. credentials[what]
  end
  words[#words + 1] = "control=http://127.0.0.1:" .. control_port
  if chosen.exports then
    local form = "export QHUB_BASE_URL=%s\nexport QHUB_TOKEN=%s"
    words = { form:format(origin .. chosen.base_path, chosen.settings.token) }
  end
  io.stdout:write(table.concat(words, " "), "\n")
  io.stdout:flush()
  while true do
    local ok, message = queue:loop()
    if ok then return end
    io.stderr:write("gateway: ", tostring(message), "\n")
  end
end

main()
