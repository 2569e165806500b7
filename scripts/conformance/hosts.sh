#!/bin/sh
# The recipes of docs/loops.md for programs that others wrote, each run as it is written there:
# LuaSocket's select, copas, Prosody, and lighttpd's mod_magnet, which blocks; and what the page
# says of HAProxy and pandoc, whose Lua is too old.
#
#   scripts/conformance/hosts.sh
#
# The programs are Debian's, unpacked, not installed. Needs a simulator: it starts one.
set -eu
cd "$(dirname "$0")/../.."
if [ -z "${QHUB_BASE_URL:-}" ]; then
  found=$(scripts/conformance/unpack.sh lua-socket lua-copas prosody lighttpd \
    lighttpd-modules-lua haproxy pandoc)
  eval "$found"
  HOST_LIBRARIES=$LD_LIBRARY_PATH
  unset LD_LIBRARY_PATH
  export DEBIAN_ROOT HOST_LIBRARIES
  exec scripts/with_gateway.sh "$0"
fi

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
export LUA_PATH="$DEBIAN_ROOT/usr/share/lua/5.4/?.lua;$LUA_PATH"
export LUA_CPATH="$DEBIAN_ROOT/usr/lib/x86_64-linux-gnu/lua/5.4/?.so;$LUA_CPATH"
failed=0

# recipe HEADING: the block of Lua below it, after what the pages take for granted.
recipe() {
  cat <<LUA
local qhub = require "qhub"
local service = qhub.HubServiceClient { base_url = "$QHUB_BASE_URL", token = "$QHUB_TOKEN" }
LUA
  awk -v heading="## $1" '$0 == heading { on = 1 } on && /^```$/ { exit } on && code { print }
    on && /^``` lua$/ { code = 1 }' docs/loops.md
}
tried=0
expect() { # expect NAME FILE [PATTERN]: it, or the energy of H2, must be in the file
  tried=$((tried + 1))
  if grep -q -- "${3:--1\.13}" "$2"; then
    echo "ok $1"
  else
    echo "FAILED $1"
    tail -n 5 "$2"
    failed=$((failed + 1))
  fi
}
# wait_for PATTERN FILE: ten seconds at most
wait_for() {
  for _ in $(seq 100); do
    if grep -qs -- "$1" "$2"; then return 0; fi
    sleep 0.1
  done
  return 0
}

recipe LuaSocket >"$scratch/select.lua"
timeout 20 lua5.4 "$scratch/select.lua" >"$scratch/select.out" 2>&1 || :
expect "LuaSocket's select" "$scratch/select.out"

recipe copas >"$scratch/copas.lua"
LUA_PATH="$DEBIAN_ROOT/usr/share/lua/5.2/?.lua;$LUA_PATH" \
  timeout 20 lua5.4 "$scratch/copas.lua" >"$scratch/copas.out" 2>&1 || :
expect "copas" "$scratch/copas.out"

mkdir -p "$scratch/modules" "$scratch/data" "$scratch/certs"
recipe Prosody >"$scratch/modules/mod_qhub.lua"
sed "s|'/usr/lib/prosody'|'$DEBIAN_ROOT/usr/lib/prosody'|; s|'/etc/prosody'|'$scratch'|
  s|'/var/lib/prosody'|'$scratch/data'|" "$DEBIAN_ROOT/usr/bin/prosody" >"$scratch/prosody"
cat >"$scratch/prosody.cfg.lua" <<CONFIG
run_as_root = true
daemonize = false
pidfile = "$scratch/prosody.pid"
plugin_paths = { "$scratch/modules" }
modules_enabled = { "qhub" }
modules_disabled = { "c2s", "s2s", "tls", "http", "http_files", "posix" }
interfaces = { "127.0.0.1" }
log = { info = "$scratch/prosody.log" }
VirtualHost "localhost"
CONFIG
LD_LIBRARY_PATH=$HOST_LIBRARIES timeout 20 lua5.4 "$scratch/prosody" -F \
  --config "$scratch/prosody.cfg.lua" >"$scratch/prosody.out" 2>&1 &
pid=$!
wait_for 'energy' "$scratch/prosody.log"
kill "$pid" 2>/dev/null || :
wait "$pid" 2>/dev/null || :
cat "$scratch/prosody.out" >>"$scratch/prosody.log"
expect "Prosody" "$scratch/prosody.log"

cat >"$scratch/magnet.lua" <<LUA
local qhub = require "qhub"
local service = qhub.HubServiceClient { base_url = "$QHUB_BASE_URL", token = "$QHUB_TOKEN" }
local result = assert(service:run({ input = { molecule = "H2" } }, { interval = 0.2 }))
lighty.r.resp_body:set { tostring(result.energy) }
service:close()
return 200
LUA
cat >"$scratch/lighttpd.conf" <<CONFIG
server.document-root = "$scratch"
server.bind = "127.0.0.1"
server.port = 0
server.modules = ( "mod_magnet" )
magnet.attract-raw-url-to = ( "$scratch/magnet.lua" )
CONFIG
port=$(python3 -c 'import socket
s = socket.socket()
s.bind(("127.0.0.1", 0))
print(s.getsockname()[1])')
sed -i "s/port = 0/port = $port/" "$scratch/lighttpd.conf"
LD_LIBRARY_PATH=$HOST_LIBRARIES timeout 20 "$DEBIAN_ROOT/usr/sbin/lighttpd" -D \
  -m "$DEBIAN_ROOT/usr/lib/lighttpd" -f "$scratch/lighttpd.conf" >"$scratch/lighttpd.log" 2>&1 &
pid=$!
curl -sS -m 15 --retry 20 --retry-connrefused --retry-delay 1 "http://127.0.0.1:$port/" \
  >"$scratch/magnet.out" 2>&1 || :
kill "$pid" 2>/dev/null || :
wait "$pid" 2>/dev/null || :
expect "lighttpd's mod_magnet" "$scratch/magnet.out"

echo 'print(pcall(require, "qhub"))' >"$scratch/old.lua"
cat >"$scratch/haproxy.cfg" <<CONFIG
global
  lua-load $scratch/old.lua
CONFIG
LD_LIBRARY_PATH=$HOST_LIBRARIES timeout 20 "$DEBIAN_ROOT/usr/sbin/haproxy" -c \
  -f "$scratch/haproxy.cfg" >"$scratch/haproxy.out" 2>&1 || :
expect "HAProxy's Lua is too old" "$scratch/haproxy.out" "needs Lua 5.4, this is Lua 5.3"
echo text | LD_LIBRARY_PATH=$HOST_LIBRARIES timeout 20 "$DEBIAN_ROOT/usr/bin/pandoc" \
  --data-dir "$DEBIAN_ROOT/usr/share/pandoc/data" --lua-filter "$scratch/old.lua" \
  >"$scratch/pandoc.out" 2>&1 || :
expect "pandoc's Lua is too old" "$scratch/pandoc.out" "needs Lua 5.4, this is Lua 5.3"

echo "hosts: $tried tried, $failed failed"
[ "$failed" -eq 0 ]
