#!/bin/sh
# Runs fronts.lua with the servers that it needs: see there.
#
#   scripts/conformance/fronts.sh [NAME...]        parts of the fronts' names
set -eu
cd "$(dirname "$0")/../.."
found=$(scripts/conformance/unpack.sh nginx apache2-bin lighttpd haproxy varnish squid \
  nghttp2-proxy h2o)
eval "$found"
FRONT_PATH=$PATH FRONT_LIBRARIES=$LD_LIBRARY_PATH
export FRONT_PATH FRONT_LIBRARIES
unset LD_LIBRARY_PATH
exec scripts/with_build.sh "${QHUB_BUILD:-build}" "${LUA:-lua5.4}" \
  scripts/conformance/fronts.lua "$@"
