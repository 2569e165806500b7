-- What the contenders talk to: nginx with static answers, over HTTP and over HTTPS with HTTP/2.

local bodies = require "bench.bodies"
local front = require "spec.support.front"
local nginx = require "spec.support.nginx"

local server = {
  id = bodies.EXECUTION:match '"id":"(.-)"',
  available = nginx.available,
}

local LINES = [[
    listen 127.0.0.1:%d;
    keepalive_requests 1000000000;
    sendfile on;
    client_max_body_size 64m;
    client_body_buffer_size 8m;
    location = /v1/ { default_type application/json; return 201 '%s'; }
    location = /v1/%s { default_type application/json; alias %s/status; }
    location /v1/%s/result/ { alias %s/; }]]

local function write(path, text)
  local file <close> = assert(io.open(path, "w"))
  file:write(text)
end

--- Starts it, with result files of `sizes` (name to bytes). Returns a to-be-closed object with base
--- (over HTTP), secure_base and ca_file.
function server.start(sizes)
  local directory = os.tmpname()
  os.remove(directory)
  assert(os.execute("mkdir -m 755 " .. directory))
  write(directory .. "/status", bodies.EXECUTION)
  for name, size in pairs(sizes) do
    assert(os.execute(("truncate -s %d %s/%s"):format(size, directory, name)))
  end
  local port = front.free_port()
  local lines = LINES:format(port, bodies.EXECUTION, server.id, directory, server.id, directory)
  local nobody = { port = 9, url = "http://127.0.0.1:9/v1" } -- no request goes on to a gateway
  local running = nginx.start(nobody, { server = lines })
  return setmetatable({
    base = ("http://127.0.0.1:%d/v1"):format(port),
    secure_base = running.url,
    ca_file = running.ca_file,
  }, {
    __close = function()
      running:stop()
      os.execute("rm -r " .. directory)
    end,
  })
end

return server
