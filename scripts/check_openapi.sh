#!/bin/sh
# Holds the gateway simulator against the OpenAPI description of the service gateway.
#
# Starts the simulator and, in front of it, prism (npm package @stoplight/prism-cli, fetched into
# build/node once) as a validating proxy; sends all seven operations through it, with curl and, if
# it has been built, with qhub. Fails when prism finds a violation in a request or an answer, and
# also when it misses one that is there on purpose. Without npm nothing is checked: that is said
# aloud and is an error, unless OPENAPI_OPTIONAL is set.
set -eu
cd "$(dirname "$0")/.."
lua=${LUA:-lua5.4}
version=5.14.2
prism=$(command -v prism || echo build/node/prism/node_modules/.bin/prism)
if [ ! -x "$prism" ]; then
  if ! command -v npm >/dev/null 2>&1; then
    echo "check_openapi.sh: NOT CHECKED, neither prism nor npm is here (apt-get install npm)" >&2
    [ -n "${OPENAPI_OPTIONAL:-}" ]
    exit
  fi
  mkdir -p build/node/prism
  npm install --silent --no-audit --no-fund --no-save --prefix build/node/prism \
    "@stoplight/prism-cli@$version" >build/node/prism.log 2>&1 || {
    cat build/node/prism.log >&2
    exit 1
  }
fi

dir=$(mktemp -d)
gateway=
proxy=
leave() {
  status=$?
  trap - EXIT INT TERM HUP
  for pid in $proxy $gateway; do
    kill "$pid" 2>/dev/null || :
    wait "$pid" 2>/dev/null || :
  done
  rm -rf "$dir"
  exit "$status"
}
trap leave EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

# Both say where they listen; their end without a word closes the FIFO, so this waits for either.
mkfifo "$dir/gateway" "$dir/prism"
"$lua" examples/gateway/main.lua --set pending_ms=0 --set running_ms=0 >"$dir/gateway" &
gateway=$!
read -r word _ base control <"$dir/gateway" || word=
[ "$word" = READY ] || {
  echo "check_openapi.sh: the simulator did not start" >&2
  exit 1
}
control=${control#control=}

"$prism" proxy --errors -h 127.0.0.1 -p 0 examples/gateway/service-gateway.openapi.yaml "$base" \
  >"$dir/prism" 2>&1 &
proxy=$!
exec 3<"$dir/prism"
url=
while [ -z "$url" ] && read -r line <&3; do
  url=$(echo "$line" | sed -n 's/.*Prism is listening on \(http:[0-9.:/]*\).*/\1/p')
done
[ -n "$url" ] || {
  echo "check_openapi.sh: prism did not start" >&2
  exit 1
}
cat <&3 >"$dir/log" &

failed=0
checked=0
token=demo-token
# call EXPECTED METHOD PATH [CURL ARGUMENT...]: EXPECTED is a status, or `violation` when prism must
# object. The token is the variable `token`.
call() {
  expected=$1 method=$2 path=$3
  shift 3
  seen=$(curl -sS -m 20 -o "$dir/body" -D "$dir/head" -w '%{http_code}' -X "$method" \
    -H "Authorization: Bearer $token" "$@" "$url$path") || seen=none
  if grep -qi '^sl-violations:' "$dir/head"; then seen=violation; fi
  checked=$((checked + 1))
  if [ "$seen" != "$expected" ]; then
    echo "check_openapi.sh: $method $path: $seen where $expected was expected" >&2
    cat "$dir/head" "$dir/body" >&2
    failed=1
  fi
}
start() {
  call 201 POST / -H "Content-Type: application/json" --data "$1"
  id=$(sed -n 's/^{"id":"\([^"]*\)".*/\1/p' "$dir/body")
}
settings() { # settings JSON: all others go back to their defaults
  curl -sS -m 20 -o "$dir/settings" -X DELETE "$control/_control/settings"
  curl -sS -m 20 -o "$dir/settings" --data "$1" "$control/_control/settings"
}

call 200 GET /
start '{"input":{"molecule":"H2","bond_length":0.735},"tags":["demo"]}'
for settled in '{}' '{"iso_dates":true}' '{"extra":true}'; do
  settings "$settled"
  call 200 GET /
  call 200 GET "/$id"
  call 200 GET "/$id/result"
  call 200 GET "/$id/log"
done
for name in hello.txt plot.svg result.bin SHA256SUMS; do
  call 200 GET "/$id/result/$name" -H "Accept: */*"
done
call 204 PUT "/$id/cancel"
call 404 GET "/$id/result/nothing"
call 404 GET /nothing
call 404 GET /nothing/result
call 404 GET /nothing/log
call 404 PUT /nothing/cancel
token=wrong
call 401 GET "/$id"
token=demo-token
start '{"simulate":{"running_ms":600000}}'
call 200 GET "/$id"
call 404 GET "/$id/result"
call 200 GET "/$id/log"
call 204 PUT "/$id/cancel"
call 200 GET "/$id/result"
start '{"simulate":{"outcome":"FAILED"}}'
call 200 GET "/$id/result"
settings '{"cancel_status":200}'
call 200 PUT "/$id/cancel"
settings '{"logs":"204"}'
start '{}'
call 204 GET "/$id/log"

# The same by the client itself: prism answers a violation with an error, which the client raises.
if [ -f build/qhub/core.so ]; then
  settings '{}'
  scripts/with_build.sh build "$lua" scripts/openapi_client.lua "$url" || failed=1
fi

# A check that can find nothing is worth nothing: every answer in JSON, once with a mistake in it.
good=$checked
settings '{"snake_case":true}'
call violation GET /
call violation POST / -H "Content-Type: application/json" --data '{}'
settings '{"status_value":"PAUSED"}'
call violation GET "/$id"
settings '{"links":"array","logs":"strings"}'
call violation GET "/$id/result"
call violation GET "/$id/log"
settings '{"cancel_status":200,"nulls":true}'
call violation PUT "/$id/cancel"
settings '{"start_status":299}'
call violation POST / -H "Content-Type: application/json" --data '{}'
[ "$failed" = 0 ] || exit 1
echo "check_openapi.sh: $good answers of the simulator keep to the OpenAPI description"
