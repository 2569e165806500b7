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
# Proxies of the environment would stand between the contenders and the server.
unset http_proxy https_proxy HTTP_PROXY HTTPS_PROXY all_proxy ALL_PROXY
# shellcheck disable=SC2086
exec "${LUA:-lua5.4}" bench/main.lua ${BENCH:-}
