#!/bin/sh
# Runs busted over the specs with one build of the C module.
#
#   scripts/run_specs.sh BUILD [BUSTED ARGUMENT...]
#
# Environment: LUA (interpreter, lua5.4), SPEC (files or folders; all), SEED (of an earlier run, to
# repeat its order), FILTER (Lua pattern that a test's name must match), RUNNER (a command that the
# interpreter is started by, such as valgrind), TEST_LIMIT (seconds after which a hanging run is
# stopped, 900).
#
# busted runs in the interpreter started here and not in a child of it, so that sanitizers and
# valgrind see the state being closed.
set -eu
cd "$(dirname "$0")/.."
build=$1
shift
busted=$(command -v busted) || {
  echo "run_specs.sh: no busted (apt-get install lua-busted)" >&2
  exit 1
}
lua=${LUA:-lua5.4}

if [ -n "${SEED:-}" ]; then set -- "--seed=$SEED" "$@"; fi
if [ -n "${FILTER:-}" ]; then set -- "--filter=$FILTER" "$@"; fi
limit=
if command -v timeout >/dev/null 2>&1; then
  limit="timeout --foreground -k 10 ${TEST_LIMIT:-900}"
fi

# What a program's environment may say to qhub is for each spec to set.
unset http_proxy https_proxy all_proxy no_proxy HTTP_PROXY HTTPS_PROXY ALL_PROXY NO_PROXY NO_COLOR
for name in $(env | sed -n 's/^\(\(KQH\|PLANQK\|QHUB\|SERVICE\)_[A-Z_]*\)=.*/\1/p'); do
  unset "$name"
done

# nginx: in a folder that an ordinary user's PATH lacks, or where scripts/need.sh unpacked it.
export PATH="$PATH:/usr/sbin:$PWD/build/tools/usr/sbin"
# shellcheck disable=SC2086
exec scripts/with_build.sh "$build" $limit ${RUNNER:-} "$lua" "$busted" \
  --ignore-lua --lpath='./lua/?.lua;./lua/?/init.lua;./?.lua' --cpath="./$build/?.so" \
  --pattern='_spec%.lua$' --output=spec/support/summary.lua --shuffle "$@" \
  ${SPEC:-spec examples/gateway/spec}
