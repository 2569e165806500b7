-- Real servers and proxies in front of the gateway simulator: every operation, starts counted, and
-- downloads that are cut on the way.
--
--   scripts/conformance/fronts.sh [NAME...]
--
-- Each front is a program of Debian's, unpacked, not installed, on loopback, ended at the end. The
-- promises: all operations work; the gateway sees each start once; a download yields the file's
-- bytes, or an error, whatever the front does to validators, ranges and encodings, and whether or
-- not the file is swapped in between; never a mixture. Assumes the project's root as the working
-- directory. Programs and libraries come from unpack.sh (environment DEBIAN_ROOT, FRONT_PATH).

local gateway = require "spec.support.gateway"
local process = require "spec.support.process"
local cqueues_socket = require "cqueues.socket"
local digest = require "openssl.digest"
local qhub = require "qhub"

local ROOT = assert(os.getenv "DEBIAN_ROOT")
local SIZE = 400000
local USER = io.popen("id -un"):read "l"

local top = os.tmpname()
os.remove(top)
assert(os.execute("mkdir -m 755 " .. top))

local function write(name, text)
  local file <close> = assert(io.open(top .. "/" .. name, "wb"))
  file:write(text)
end

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

-- ── The fronts: $P is their port, $G the gateway's, $T the folder, $R the packages' root ─────────

local NGINX = [[
daemon off; master_process off; pid $T/nginx.pid; error_log $T/nginx.log;
events { worker_connections 1024; }
http {
  access_log off; client_body_temp_path $T/n1; proxy_temp_path $T/n2; fastcgi_temp_path $T/n3;
  uwsgi_temp_path $T/n4; scgi_temp_path $T/n5; proxy_cache_path $T/cache keys_zone=c:1m;
  upstream gateway { server 127.0.0.1:$G; keepalive 16; }
  server {
    listen 127.0.0.1:$P %s;
    ssl_certificate $T/cert.pem; ssl_certificate_key $T/key.pem;
    gzip on; gzip_types *; gzip_min_length 1; gzip_proxied any; gzip_http_version 1.0;
    location / {
      proxy_pass http://gateway; proxy_http_version 1.1; proxy_set_header Connection "";
      %s
    }
  }
}
]]

local fronts = {
  {
    "nginx, HTTP/1.1, gzip",
    config = NGINX:format("", ""),
    run = "nginx -p $T -c $T/config -e $T/nginx.log",
  },
  {
    "nginx, HTTP/2, gzip",
    config = NGINX:format("ssl http2", ""),
    run = "nginx -p $T -c $T/config -e $T/nginx.log",
    tls = true,
    http = { http_version = "2" },
  },
  {
    "nginx with a cache",
    config = NGINX:format("", "proxy_cache c; proxy_cache_valid 200 5s;"),
    run = "nginx -p $T -c $T/config -e $T/nginx.log",
  },
  {
    "Apache, deflate",
    config = [[
ServerRoot $T
ServerName localhost
PidFile $T/apache.pid
ErrorLog $T/apache.log
Listen 127.0.0.1:$P
LoadModule mpm_event_module $R/usr/lib/apache2/modules/mod_mpm_event.so
LoadModule authz_core_module $R/usr/lib/apache2/modules/mod_authz_core.so
LoadModule proxy_module $R/usr/lib/apache2/modules/mod_proxy.so
LoadModule proxy_http_module $R/usr/lib/apache2/modules/mod_proxy_http.so
LoadModule filter_module $R/usr/lib/apache2/modules/mod_filter.so
LoadModule deflate_module $R/usr/lib/apache2/modules/mod_deflate.so
SetOutputFilter DEFLATE
AllowEncodedSlashes NoDecode
ProxyPass / http://127.0.0.1:$G/ nocanon
]],
    run = "apache2 -f $T/config -D FOREGROUND",
  },
  {
    "lighttpd",
    config = [[
server.document-root = "$T"
server.bind = "127.0.0.1"
server.port = $P
server.errorlog = "$T/lighttpd.log"
server.upload-dirs = ( "$T" )
server.modules = ( "mod_proxy", "mod_deflate" )
proxy.server = ( "" => (( "host" => "127.0.0.1", "port" => $G )) )
]],
    run = "lighttpd -D -f $T/config -m $R/usr/lib/lighttpd",
  },
  {
    "HAProxy, HTTP/1.1",
    config = [[
defaults
  mode http
  timeout connect 5s
  timeout client 30s
  timeout server 30s
frontend f
  bind 127.0.0.1:$P
  compression algo gzip
  default_backend b
backend b
  server g 127.0.0.1:$G
]],
    run = "haproxy -db -f $T/config",
  },
  {
    "HAProxy, HTTP/2",
    config = [[
defaults
  mode http
  timeout connect 5s
  timeout client 30s
  timeout server 30s
frontend f
  bind 127.0.0.1:$P ssl crt $T/both.pem alpn h2,http/1.1
  default_backend b
backend b
  server g 127.0.0.1:$G
]],
    run = "haproxy -db -f $T/config",
    tls = true,
    http = { http_version = "2" },
  },
  {
    "Varnish",
    config = [[
vcl 4.1;
backend g { .host = "127.0.0.1"; .port = "$G"; }
sub vcl_recv { if (req.method == "GET" && req.url ~ "/result/.") { return (hash); } }
sub vcl_backend_response { set beresp.do_gzip = true; set beresp.ttl = 2s; }
]],
    run = "varnishd -F -n $T/varnish -a 127.0.0.1:$P -f $T/config",
  },
  {
    "Squid, as a proxy",
    config = [[
http_port 127.0.0.1:$P
acl all_of src all
http_access allow all_of
pid_filename $T/squid.pid
cache_log $T/squid.log
access_log none
cache_mem 8 MB
coredump_dir $T
mime_table $R/usr/share/squid/mime.conf
error_directory $R/usr/share/squid/errors/templates
icon_directory $R/usr/share/squid/icons
pinger_enable off
shutdown_lifetime 0 seconds
unlinkd_program $R/usr/lib/squid/unlinkd
]],
    run = "squid -N -f $T/config",
    proxy = true,
  },
  {
    "nghttpx, HTTP/2",
    config = "",
    run = "nghttpx --conf=/dev/null --frontend='127.0.0.1,$P' --backend='127.0.0.1,$G' "
      .. "$T/key.pem $T/cert.pem",
    tls = true,
    http = { http_version = "2" },
  },
  {
    "h2o, HTTP/2",
    config = [[
pid-file: $T/h2o.pid
error-log: $T/h2o.log
compress: ON
user: $U
hosts:
  default:
    listen:
      host: 127.0.0.1
      port: $P
      ssl: { certificate-file: $T/cert.pem, key-file: $T/key.pem }
    paths:
      /:
        proxy.reverse.url: http://127.0.0.1:$G/
        proxy.preserve-host: ON
]],
    run = "h2o -m worker -c $T/config",
    tls = true,
    http = { http_version = "2" },
  },
} -- stylua: ignore

-- ── Checks ──────────────────────────────────────────────────────────────────────────────────────

local failures
local function check(condition, what, ...)
  if not condition then failures[#failures + 1] = what .. " " .. table.concat({ ... }, " ") end
  return condition
end

local function sha256(text)
  return (
    digest.new("sha256"):final(text):gsub(".", function(c)
      return ("%02x"):format(c:byte())
    end)
  )
end

local function operations(server, client)
  local body = { simulate = { files = { ["a.bin"] = SIZE, ["ü ?.txt"] = "hello" } } }
  local execution = assert(client:start_execution(body))
  assert(execution:wait { interval = 0.1, timeout = 20 })
  check(execution.status == "SUCCEEDED", "status", tostring(execution.status))
  check(assert(execution:result())._links, "no links in the result")
  check(#assert(execution:logs()) > 0, "no logs")
  check(#assert(client:get_service_executions()) > 0, "an empty list")
  for _, name in ipairs(assert(execution:result_files())) do
    local text = assert(assert(client:get_result_file(execution.id, name)):read_all())
    check(sha256(text) == server:file(execution.id, name).sha256, "another file:", name)
  end
  local running = assert(client:start_execution { simulate = { running_ms = 60000 } })
  check(running:cancel(), "not cancelled")
  local _, err = client:get_status "nothing"
  check(err and err.status_code == 404, "no 404:", tostring(err))
  return execution
end

-- Many starts at once over kept connections: the gateway sees each once, and none that is said to
-- have failed before it was sent. HTTP/1.1 has no way to tell a request that met the end of a kept
-- connection from one that was taken: those are unsure, and counted.
local function starts(server, client)
  server:call("DELETE", "requests")
  local wanted, ok, unsure = 200, 0, 0
  qhub.tasks.run(function()
    for _ = 1, wanted do
      qhub.tasks.spawn(function()
        local execution, err = client:start_execution { x = 1 }
        ok = ok + (execution and 1 or 0)
        if not execution and err.sent then
          unsure = unsure + 1
        else
          check(execution, "a start:", tostring(err))
        end
      end)
    end
  end)
  local seen = server:count "POST"
  local is_right = seen >= ok and seen <= ok + unsure and unsure <= wanted // 10
  check(is_right, ("%d starts came back, %d unsure, the gateway saw %d"):format(ok, unsure, seen))
  return unsure
end

-- Downloads whose connection breaks: whole, or an error; of one version.
local function cuts(server, client, broken, execution)
  local whole, errors = 0, 0
  for round = 1, 24 do
    local id = execution.id
    local known = { [server:file(id, "a.bin").sha256] = true }
    local swaps = round % 2 == 0
    if round <= 12 then
      local fault = { random_break = SIZE }
      server:fault { match = { operation = "get_result_file" }, times = 3, fault = fault }
    end
    if swaps then
      local fault = { change_etag = true }
      server:fault { match = { operation = "get_result_file" }, skip = 1, times = 1, fault = fault }
    end
    local path = top .. "/download"
    local got, err = (round <= 12 and client or broken):execution(id):download("a.bin", path)
    known[server:file(id, "a.bin").sha256] = true
    if got then
      local file <close> = assert(io.open(path, "rb"))
      whole = whole + 1
      -- A cache may go on serving what was there before.
      check(known[sha256(file:read "a")], "a mixture in round", tostring(round))
    else
      errors = errors + 1
      local kind = err.kind
      local is_remote = kind == "network" or kind == "timeout" or kind == "api"
      check(is_remote, "error:", tostring(err))
    end
    server:call("DELETE", "faults")
  end
  check(whole >= 8, ("only %d of 24 cut downloads became whole"):format(whole))
  return whole, errors
end

local function try(front)
  failures = {}
  local server <close> = gateway.start { set = { "pending_ms=20", "running_ms=50" }, idle = 0 }
  local port = free_port()
  local words = { T = top, P = port, G = server.port, R = ROOT, U = USER }
  write("config", (front.config:gsub("%$(%u)", words)))
  -- Ends with this process: a shell waits for the end of its input, then ends it.
  local run = front.run:gsub("%$(%u)", words)
  local environment = "PATH='%s' LD_LIBRARY_PATH='%s'"
  environment = environment:format(os.getenv "FRONT_PATH", os.getenv "FRONT_LIBRARIES")
  local form =
    "(%s exec %s) >'%s/log' 2>&1 </dev/null & pid=$!; cat >/dev/null; kill $pid; wait $pid"
  local pipe = assert(io.popen("exec 2>/dev/null; " .. form:format(environment, run, top), "w"))
  local deadline = os.time() + 15
  while not answers(port) and os.time() < deadline do
    os.execute "sleep 0.1"
  end
  if not answers(port) then
    pipe:close()
    os.execute(("tail -n 5 '%s/log'"):format(top))
    return check(false, "it did not start")
  end
  local link_to = front.proxy and server.port or port
  local fifo = top .. "/fifo"
  os.execute("mkfifo -m 600 '" .. fifo .. "'")
  local unruly = "exec %s scripts/conformance/unruly.lua to=%d cut=%d slice=9000 >'%s'"
  local link = assert(io.popen(unruly:format(process.SERVER_LUA, link_to, SIZE // 2, fifo), "w"))
  local output <close> = assert(io.open(fifo))
  local link_port = output:read "l":match "^READY (%d+)"
  os.remove(fifo)

  local function new(at)
    local options = { token = server.token, max_retries = 6, timeout = 3, http = {} }
    for name, value in pairs(front.http or {}) do
      options.http[name] = value
    end
    options.http.ca_file = front.tls and top .. "/cert.pem" or nil
    options.http.proxy = front.proxy and "http://127.0.0.1:" .. port or false
    local scheme = front.tls and "https" or "http"
    local origin = ("%s://127.0.0.1:%d"):format(scheme, at)
    options.base_url = server.url:gsub("^http://127.0.0.1:%d+", origin)
    return qhub.HubServiceClient(options)
  end
  local client <close> = new(front.proxy and server.port or port)
  local broken <close> = new(link_port)
  local ok, message = xpcall(function()
    local execution = operations(server, client)
    local unsure = starts(server, client)
    local whole, errors = cuts(server, client, broken, execution)
    front.note = ("%d cut downloads whole, %d errors, %d starts unsure"):format(
      whole,
      errors,
      unsure
    )
  end, debug.traceback)
  check(ok, tostring(message))
  link:close()
  pipe:close()
end

local openssl = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes "
  .. "-days 2 -subj /CN=localhost -addext subjectAltName=DNS:localhost,IP:127.0.0.1 "
  .. "-keyout '%s/key.pem' -out '%s/cert.pem' 2>/dev/null"
assert(os.execute(openssl:format(top, top)))
assert(os.execute(("cat '%s/cert.pem' '%s/key.pem' >'%s/both.pem'"):format(top, top, top)))

local bad, count = 0, 0
for _, front in ipairs(fronts) do
  local wanted = #arg == 0
  for _, word in ipairs(arg) do
    wanted = wanted or front[1]:lower():find(word:lower(), 1, true) ~= nil
  end
  if wanted then
    count = count + 1
    try(front)
    bad = bad + (#failures > 0 and 1 or 0)
    local word = #failures == 0 and "ok" or "FAILED"
    print(("%s %s: %s"):format(word, front[1], front.note or "not finished"))
    for i = 1, math.min(#failures, 5) do
      print("  " .. failures[i]:sub(1, 600))
    end
    io.stdout:flush()
  end
end
os.execute("rm -rf '" .. top .. "'")
print(("fronts: %d tried, %d failed"):format(count, bad))
os.exit(bad == 0 and count > 0, true)
