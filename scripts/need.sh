#!/bin/sh
# Sees to it that the Debian packages of the named groups are there.
#
#   scripts/need.sh GROUP...        groups: build demo test lint check bench
#
# Probes for what is needed rather than for packages, so that tools from elsewhere count. What is
# missing is installed when this may happen unasked (root, or sudo that wants no password);
# otherwise the one line to run is printed and the status is 1. Silent when nothing is missing.
# Runs without make: `sh scripts/need.sh build` is all that a bare Debian needs first.
set -eu
cd "$(dirname "$0")/.."
PATH=$PATH:/usr/sbin:/sbin:$PWD/build/tools/usr/sbin
export LC_ALL=C

[ $# -gt 0 ] || set -- build
debian_status=/var/lib/dpkg/status

# A group that was complete stays complete until the set of installed packages changes.
fresh() {
  [ -f "$debian_status" ] && [ -f "build/need/$1" ] &&
    [ "build/need/$1" -nt "$debian_status" ] && [ "build/need/$1" -nt scripts/need.sh ]
}
groups=
for group; do
  case $group in
    build | demo | test | lint | check | bench) fresh "$group" || groups="$groups $group" ;;
    *)
      echo "need.sh: no group '$group' (build, demo, test, lint, check, bench)" >&2
      exit 2
      ;;
  esac
done
[ -n "$groups" ] || exit 0

missing=   # packages to install
optional=  # packages to install if this release has them
unpacked=  # packages of which only a program is needed: unpacked into build/tools, not installed
has() { command -v "$1" >/dev/null 2>&1; }
wants() { # wants PACKAGE PROBE...: the package is missing unless the probe succeeds
  package=$1
  shift
  "$@" >/dev/null 2>&1 && return
  case " $missing " in *" $package "*) ;; *) missing="$missing $package" ;; esac
}
likes() { # the same for a package that not every release has
  package=$1
  shift
  "$@" >/dev/null 2>&1 || optional="$optional $package"
}
unpacks() { # the same for a package that would start a service, were it installed
  package=$1
  shift
  "$@" >/dev/null 2>&1 || unpacked="$unpacked $package"
}
header() { printf '#include <%s>\n' "$1" | ${CC:-cc} -E -x c -; }
lua_header() {
  for name in lua5.4 lua-5.4 lua54 lua; do
    case $(pkg-config --modversion "$name" 2>/dev/null) in 5.4*) return 0 ;; esac
  done
  return 1
}
# Other systems call it otherwise; scripts/configure.sh looks for the same names.
lua_5_4() {
  for name in ${LUA:-} lua5.4 lua-5.4 lua54 lua; do
    if has "$name" && [ "$("$name" -e 'io.write(_VERSION)')" = "Lua 5.4" ]; then
      echo "$name"
      return 0
    fi
  done
  return 1
}
lua_module() { "$(lua_5_4)" -e "require '$1'"; }
ca_bundle() {
  [ -s /etc/ssl/certs/ca-certificates.crt ] || [ -s /etc/pki/tls/certs/ca-bundle.crt ] ||
    [ -s /etc/ssl/cert.pem ]
}
fuzzer() {
  printf 'int LLVMFuzzerTestOneInput(const char *d, unsigned long n) { return !d && n; }' |
    clang -fsanitize=fuzzer -x c - -o /dev/null
}

httpx() { python3 -c 'import httpx' || /usr/bin/python3 -c 'import httpx'; }

probe_build() {
  wants make has make
  wants gcc has "${CC:-cc}"
  wants libc6-dev header stdio.h
  wants pkg-config has pkg-config
  wants lua5.4 lua_5_4
  wants liblua5.4-dev lua_header
  wants libcurl4-openssl-dev pkg-config --exists libcurl
  wants libcjson-dev pkg-config --exists libcjson
  wants ca-certificates ca_bundle
}
probe_demo() {
  wants lua5.4 lua_5_4
  wants lua-cqueues lua_module cqueues
  wants lua-luaossl lua_module openssl.digest
}
probe_test() {
  probe_demo
  wants lua-busted lua_module busted.core
  wants lua-luv lua_module luv
  wants lua-argparse lua_module argparse
  wants openssl has openssl
  unpacks nginx has nginx
}
probe_lint() {
  wants lua-check has luacheck
  wants luarocks has luarocks
  wants binutils has objdump
  wants clang-tidy has clang-tidy
  wants clang-format has clang-format
  wants cppcheck has cppcheck
}
probe_check() {
  probe_test
  wants clang has clang
  wants valgrind has valgrind
  likes libclang-rt-dev fuzzer
  likes locales test -f /usr/share/i18n/locales/de_DE
  likes python3-venv python3 -c 'import ensurepip'
}
# Those that cannot be had are left out of the tables, and the benchmarks say so.
probe_bench() {
  probe_demo
  wants openssl has openssl
  wants valgrind has valgrind
  unpacks nginx has nginx
  likes lua-cjson lua_module cjson
  likes lua-socket lua_module socket.http
  likes curl has curl
  likes gnuplot-nox has gnuplot
  likes python3-httpx httpx
}
for group in $groups; do "probe_$group"; done

stamp() {
  # Not writable (another user's tree): no harm, the probes just run again next time.
  mkdir -p build/need 2>/dev/null || return 0
  for group in $groups; do : 2>/dev/null >"build/need/$group" || return 0; done
}
[ -n "$missing$optional$unpacked" ] || {
  stamp
  exit 0
}

if ! has apt-get || [ ! -f "$debian_status" ]; then
  [ -n "$missing$unpacked" ] || exit 0
  echo "need.sh: missing (names of the Debian packages):$missing$unpacked" >&2
  echo "need.sh: install what provides them on this system, then run this again" >&2
  exit 1
fi

as_root=
if [ "$(id -u)" -ne 0 ]; then
  if has sudo && sudo -n true 2>/dev/null; then
    as_root="sudo -n"
  elif [ -n "$missing" ]; then
    probe_build && probe_test # so that one line is enough for all that the README begins with
    echo "Debian packages are missing; run this as root, then try again:" >&2
    echo "  apt-get update && apt-get install -y --no-install-recommends$missing" >&2
    exit 1
  else
    optional=
  fi
fi

mkdir -p build/need
log=build/need/apt.log
apt() {
  $as_root env DEBIAN_FRONTEND=noninteractive \
    apt-get -qq -y -o DPkg::Lock::Timeout=120 "$@" >>"$log" 2>&1
}
unpack() {
  rm -rf build/tools/deb
  mkdir -p build/tools/deb
  (cd build/tools/deb && apt-get -qq download "$1") >>"$log" 2>&1 || return 1
  dpkg -x build/tools/deb/*.deb build/tools
  [ -x "build/tools/usr/sbin/$1" ]
}
known() { apt-cache show --no-all-versions "$1" >/dev/null 2>&1; }
fresh_lists() {
  [ -z "${updated:-}" ] || return 1
  updated=yes
  apt update
}
: >"$log"
for package in $missing $optional $unpacked; do
  known "$package" || { fresh_lists || :; break; }
done
chosen=$missing
for package in $optional; do if known "$package"; then chosen="$chosen $package"; fi; done
if [ -n "$chosen" ]; then
  echo "need.sh: installing$chosen"
  # Lists may be stale: then the files that they name are gone, and a second try is due.
  # shellcheck disable=SC2086
  install() { apt install --no-install-recommends $chosen; }
  install || { fresh_lists && install; } || {
    tail -n 20 "$log" >&2
    echo "need.sh: apt-get failed, see $log; to repeat it by hand, as root:" >&2
    echo "  apt-get update && apt-get install -y --no-install-recommends$chosen" >&2
    exit 1
  }
fi

for package in $unpacked; do
  unpack "$package" || { fresh_lists && unpack "$package"; } || :
done

# What apt brought must also be what the probes look for.
missing= unpacked=
for group in $groups; do "probe_$group"; done
missing=$missing$unpacked
if [ -n "$missing" ]; then
  echo "need.sh: still missing, see $log; to install it by hand, as root:" >&2
  echo "  apt-get update && apt-get install -y --no-install-recommends$missing" >&2
  exit 1
fi
stamp
