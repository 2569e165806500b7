#!/bin/sh
# Builds what the benchmarks need beside qhub and runs them: all, or those that BENCH names.
set -eu
cd "$(dirname "$0")/.."
PATH=$PATH:/usr/sbin:/sbin:$PWD/build/tools/usr/sbin
mkdir -p build/bench
for name in measure libcurl; do
  # shellcheck disable=SC2046
  "${CC:-cc}" -O2 -std=c11 -D_DEFAULT_SOURCE -Wall -Wextra -o "build/bench/$name" \
    "bench/$name.c" $(pkg-config --cflags --libs libcurl)
done
# Debian's Lua-cURL is for Lua 5.1: built from its rock, where that can be had; tried once.
if [ ! -e build/bench/rocks ] && command -v luarocks >/dev/null 2>&1; then
  mkdir -p build/bench/rocks
  timeout 120 luarocks --lua-version 5.4 --tree build/bench/rocks install lua-curl \
    >build/bench/rocks.log 2>&1 || :
fi
# qhub as programs have it: installed, compiled.
make -s install PREFIX="$PWD/build/bench/prefix" >/dev/null
for tree in rocks prefix; do
  LUA_PATH="$PWD/build/bench/$tree/share/lua/5.4/?.lua;$LUA_PATH"
  LUA_CPATH="$PWD/build/bench/$tree/lib/lua/5.4/?.so;$LUA_CPATH"
done
LUA_PATH="$PWD/build/bench/prefix/share/lua/5.4/?/init.lua;$LUA_PATH"
export LUA_PATH LUA_CPATH
# Proxies of the environment would stand between the contenders and the server.
unset http_proxy https_proxy HTTP_PROXY HTTPS_PROXY all_proxy ALL_PROXY
# shellcheck disable=SC2086
exec "${LUA:-lua5.4}" bench/main.lua ${BENCH:-}
