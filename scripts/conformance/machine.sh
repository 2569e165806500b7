#!/bin/sh
# Runs machine.lua with libfaketime, which is Debian's, unpacked: see there.
#
#   scripts/conformance/machine.sh [NAME...]       parts of the cases' names
set -eu
cd "$(dirname "$0")/../.."
found=$(scripts/conformance/unpack.sh libfaketime)
DEBIAN_ROOT=
eval "${found%% LD_LIBRARY_PATH=*}"
FAKETIME_LIBRARY=$(find "$DEBIAN_ROOT/usr/lib" -name libfaketime.so.1)
export FAKETIME_LIBRARY
exec scripts/with_build.sh "${QHUB_BUILD:-build}" "${LUA:-lua5.4}" \
  scripts/conformance/machine.lua "$@"
