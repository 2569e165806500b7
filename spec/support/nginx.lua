-- nginx in front of a gateway simulator: TLS with HTTP/2, which the simulator itself cannot speak.
--
-- Responsible for: a certificate, a configuration, starting and ending nginx without root. Assumes
-- nginx and openssl in PATH (or in /usr/sbin); must not load anything of qhub.

local cqueues = require "cqueues"
local cqueues_socket = require "cqueues.socket"

local nginx = {}

local CONFIGURATION = [[
daemon off;
master_process off;
worker_processes 1;
pid nginx.pid;
error_log stderr error;
events { worker_connections 512; }
http {
  access_log off;
  client_body_temp_path body;
  proxy_temp_path proxy;
  fastcgi_temp_path fastcgi;
  uwsgi_temp_path uwsgi;
  scgi_temp_path scgi;
  client_max_body_size 0;
  upstream gateway {
    server 127.0.0.1:%d;
    keepalive 64;
  }
  server {
    listen 127.0.0.1:%d ssl http2;
    ssl_certificate cert.pem;
    ssl_certificate_key key.pem;
    ssl_protocols TLSv1.2 TLSv1.3;
    # What a client cannot see by itself: the number of its connection, and the protocol.
    add_header X-Connection $connection always;
    add_header X-Protocol $server_protocol always;
    %s
    location / {
      proxy_pass http://gateway;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header Host $host;
      proxy_buffering off;
      proxy_request_buffering off;
      proxy_next_upstream off;
    }
  }
}
]]

-- Whether nginx can be had at all.
function nginx.available()
  return os.execute "PATH=$PATH:/usr/sbin; command -v nginx >/dev/null 2>&1" == true
end

local function run(command)
  assert(os.execute(command .. " >/dev/null 2>&1"), command)
end

-- A port that is free now. Somebody else may take it before nginx does; start() tries again then.
local function free_port()
  local socket = cqueues_socket.listen { host = "127.0.0.1", port = 0 }
  assert(socket:listen())
  local _, _, port = socket:localname()
  socket:close()
  return port
end

local function answers(port)
  local socket = cqueues_socket.connect { host = "127.0.0.1", port = port }
  socket:onerror(function(_, _, why)
    return why
  end)
  local connected = socket:connect(1)
  socket:close()
  return connected
end

local function write(path, text)
  local file = assert(io.open(path, "w"))
  file:write(text)
  file:close()
end

local Nginx = {}
Nginx.__index = Nginx

-- Ends nginx and removes its folder.
function Nginx:stop()
  if self.input then
    self.input:close()
    self.input = nil
  end
end

-- Kills it, as a machine that fails does.
function Nginx:kill()
  os.execute(("kill -KILL $(cat '%s/nginx.pid')"):format(self.directory))
end

Nginx.__close = Nginx.stop
Nginx.__gc = Nginx.stop

-- nginx does not watch its standard input, so a shell does: it ends nginx when the pipe from this
-- process is closed, which the kernel sees to when this process dies, and tidies up. Without -e,
-- which nginx has since 1.19.5, it tries for the system's error log until it has read its own
-- configuration.
local COMMAND = [[exec 3<&0; PATH=$PATH:/usr/sbin; LD_PRELOAD=; cd '%s' || exit
early=; case $(nginx -h 2>&1) in *"-e filename"*) early="-e stderr" ;; esac
nginx -p . $early -c conf 2>log 3<&- &
{ read -r _ <&3; kill $!; wait $!; rm -rf "$PWD"; } 2>/dev/null]]

local CERTIFICATE = "cd '%s' && openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1"
  .. " -nodes -days 2 -subj /CN=localhost -addext subjectAltName=DNS:localhost,IP:127.0.0.1"
  .. " -keyout key.pem -out cert.pem"

local function try(directory, target, extra)
  local port = free_port()
  run("mkdir -m 700 '" .. directory .. "'")
  run(CERTIFICATE:format(directory))
  write(directory .. "/conf", CONFIGURATION:format(target, port, extra))
  local input = assert(io.popen(COMMAND:format(directory), "w"))
  local deadline = cqueues.monotime() + 5
  repeat
    if answers(port) then return input, port end
    cqueues.poll(0.005)
  until cqueues.monotime() > deadline
  local file = io.open(directory .. "/log")
  local log = file and file:read "a"
  input:close() -- with the folder
  return nil, log
end

-- Starts nginx before a simulator (see gateway.lua). Returns an object with url (base URL, https),
-- origin, port, ca_file and stop(). Options: `server`, further lines of the server block.
function nginx.start(gateway, options)
  local directory = os.tmpname()
  os.remove(directory)
  local extra = options and options.server or ""
  local input, port
  for _ = 1, 3 do
    input, port = try(directory, gateway.port, extra)
    if input then break end
  end
  if not input then error("nginx did not start: " .. tostring(port), 2) end
  local origin = "https://127.0.0.1:" .. port
  return setmetatable({
    input = input,
    directory = directory,
    port = port,
    origin = origin,
    url = origin .. gateway.url:match("^%a+://[^/]+(.*)$"),
    ca_file = directory .. "/cert.pem",
  }, Nginx)
end

return nginx
