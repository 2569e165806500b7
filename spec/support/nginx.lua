-- nginx in front of a gateway simulator: TLS with HTTP/2, which the simulator itself cannot speak.
--
-- Assumes nginx and openssl in PATH (or in /usr/sbin); must not load anything of qhub.

local front = require "spec.support.front"

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
    server 127.0.0.1:$G;
    keepalive 64;
  }
  server {
    listen 127.0.0.1:$P ssl http2;
    ssl_certificate cert.pem;
    ssl_certificate_key key.pem;
    ssl_protocols TLSv1.2 TLSv1.3;
    # What a client cannot see by itself: the number of its connection, and the protocol.
    add_header X-Connection $connection always;
    add_header X-Protocol $server_protocol always;
    $S
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

-- Without -e, which nginx has since 1.19.5, it tries for the system's error log until it has read
-- its own configuration.
local RUN = [[PATH=$PATH:/usr/sbin
case $(nginx -h 2>&1) in *"-e filename"*) set -- -e stderr ;; esac
exec nginx -p . "$@" -c config]]

-- Whether nginx can be had at all.
function nginx.available()
  return os.execute "PATH=$PATH:/usr/sbin; command -v nginx >/dev/null 2>&1" == true
end

-- Starts nginx before a simulator (see gateway.lua) or another server with `port` and `url`.
-- Returns an object as front.start does, with url (base URL, https) and origin. Options: `server`,
-- further lines of the server block.
function nginx.start(gateway, options)
  local words = { G = gateway.port, S = options and options.server or "" }
  local self, log
  for _ = 1, 3 do -- its port may be taken in the meantime
    self, log = front.start(CONFIGURATION, RUN, words)
    if self then
      self.origin = "https://127.0.0.1:" .. self.port
      self.url = self.origin .. gateway.url:match("^%a+://[^/]+(.*)$")
      return self
    end
  end
  error("nginx did not start: " .. tostring(log), 2)
end

return nginx
