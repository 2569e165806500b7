#!/bin/sh
# Prints the machine's part of the build as make variables: which Lua 5.4 there is, how to compile
# against libcurl and cJSON, how a loadable module is linked. The Makefile keeps the answer in
# build/config.mk.
#
#   scripts/configure.sh
set -eu
cd "$(dirname "$0")/.."
lua_pc=
for name in lua5.4 lua-5.4 lua54 lua; do
  case $(pkg-config --modversion "$name" 2>/dev/null) in
    5.4*)
      lua_pc=$name
      break
      ;;
  esac
done
[ -n "$lua_pc" ] || {
  echo "configure.sh: pkg-config knows no Lua 5.4" >&2
  exit 1
}
lua=
for name in lua5.4 lua-5.4 lua54 lua; do
  if command -v "$name" >/dev/null 2>&1 &&
    [ "$("$name" -e 'io.write(_VERSION)')" = "Lua 5.4" ]; then
    lua=$name
    break
  fi
done
[ -n "$lua" ] || {
  echo "configure.sh: no interpreter of Lua 5.4" >&2
  exit 1
}

case $(uname -s) in
  Darwin) shared="-bundle -undefined dynamic_lookup" system_libs= ;;
  Linux) shared="-shared -Wl,-z,relro,-z,now" system_libs="-ldl" ;;
  *) shared="-shared" system_libs= ;;
esac

# Without the directory that every compiler searches anyway: naming it changes the search order.
cflags() { pkg-config --cflags "$@" | sed 's|-I/usr/include/* *$||; s|-I/usr/include/* ||g'; }

cat <<END
# Written by scripts/configure.sh.
LUA ?= $lua
LUA_CFLAGS := $(cflags "$lua_pc")
LUA_LIBS := $(pkg-config --libs "$lua_pc")
CURL_CFLAGS := $(cflags libcurl)
CURL_LIBS := $(pkg-config --libs libcurl)
CJSON_CFLAGS := $(cflags libcjson | sed "s|-I[^ ]*/cjson *||")
CJSON_LIBS := $(pkg-config --libs libcjson)
SHARED := $shared
SYSTEM_LIBS := $system_libs
END
