-- The programs that fronts.lua puts before the simulator: how each is configured and run.
--
-- A list of { name, config =, run =, tls =, http =, proxy =, tunnel = }. `tls`: the front speaks
-- https; `http`: more of the client's http options; `proxy`: it is a proxy, not a gateway;
-- `tunnel`: the gateway has TLS, so that the proxy is asked for a tunnel. In texts $P is its port,
-- $G the gateway's, $T a folder, $R the packages' root, $U the user.

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

local SQUID = [[
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
]]

return {
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
    config = SQUID,
    run = "squid -N -f $T/config",
    proxy = true,
  },
  { "Squid, CONNECT", config = SQUID, run = "squid -N -f $T/config", proxy = true, tunnel = true },
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
