#!/bin/sh
# Runs a command against the bundled gateway simulator, which lives as long as the command does.
#
#   scripts/with_gateway.sh COMMAND...
#
# The command finds QHUB_BASE_URL and QHUB_TOKEN in its environment, and qhub from this tree (set
# QHUB_BUILD for another build than `build`). Its status is the status of this script.
set -eu
top=$(cd "$(dirname "$0")/.." && pwd)
lua=${LUA:-lua5.4}
[ $# -gt 0 ] || {
  echo "usage: scripts/with_gateway.sh COMMAND..." >&2
  exit 2
}

dir=$(mktemp -d)
gateway=
leave() {
  status=$?
  trap - EXIT INT TERM HUP
  if [ -n "$gateway" ]; then
    kill "$gateway" 2>/dev/null || :
    wait "$gateway" 2>/dev/null || :
  fi
  rm -rf "$dir"
  exit "$status"
}
trap leave EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

# The first line that the simulator prints says where it listens; its end without one closes the
# pipe, so this waits for either and needs no clock.
mkfifo "$dir/out"
"$top/scripts/with_build.sh" "${QHUB_BUILD:-build}" \
  "$lua" "$top/examples/gateway/main.lua" --port 0 >"$dir/out" &
gateway=$!
exec 3<"$dir/out"
while read -r word _ base_url _ <&3; do
  [ "$word" != READY ] || break
done
[ "${word:-}" = READY ] || {
  echo "with_gateway: the simulator ended before it was ready" >&2
  exit 1
}

export QHUB_BASE_URL="$base_url" QHUB_TOKEN="${QHUB_TOKEN:-demo-token}"
"$top/scripts/with_build.sh" "${QHUB_BUILD:-build}" "$@" 3<&-
