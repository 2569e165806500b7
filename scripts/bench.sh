#!/bin/sh
# Runs every benchmark, bench/*.lua, one after the other, each in a process of its own.
set -eu
cd "$(dirname "$0")/.."
found=
for file in bench/*.lua; do
  [ -f "$file" ] || continue
  found=yes
  echo "$file"
  "${LUA:-lua5.4}" "$file"
done
[ -n "$found" ] || echo "bench.sh: there is no bench/*.lua" >&2
