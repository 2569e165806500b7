#!/bin/sh
# Runs a command that finds this tree's qhub: the Lua files from lua/, the C module from a build.
#
#   scripts/with_build.sh BUILD COMMAND...        BUILD: build, build/asan, ...
#
# Nothing of the caller's Lua settings gets in; child processes inherit the same.
set -eu
top=$(cd "$(dirname "$0")/.." && pwd)
build=$1
shift
case $build in /*) ;; *) build=$top/$build ;; esac
for version in 5_3 5_4; do
  unset LUA_INIT "LUA_INIT_$version" "LUA_PATH_$version" "LUA_CPATH_$version" 2>/dev/null || :
done
export LUA_PATH="$top/lua/?.lua;$top/lua/?/init.lua;$top/?.lua;;"
export LUA_CPATH="$build/?.so;;"
exec "$@"
