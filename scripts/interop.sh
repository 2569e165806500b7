#!/bin/sh
# Holds qhub against the vendor's packages, installed from PyPI into build/interop (once).
#
# scripts/interop/main.py runs qhub against the vendor's emulation of the gateway (qhub-serve), the
# vendor's clients (qhub-api, qhub-service) against the simulator, compares the requests of both,
# checks the simulator's answers with the vendor's OpenAPI document, and compares the default
# credentials. Where Python 3.10 or the packages cannot be had nothing is checked, in one line.
set -eu
cd "$(dirname "$0")/.."
venv=build/interop
packages="qhub-api==3.3.0 qhub-service==2.0.0 qhub-serve==1.4.3 qhub-commons==1.2.2
  jsonschema>=4.18 rfc3339-validator pyyaml"
skip() {
  echo "interop.sh: NOT CHECKED: $1" >&2
  exit 0
}

if [ ! -f "$venv/complete" ] || [ "$(cat "$venv/complete")" != "$packages" ]; then
  python=
  for name in python3 /usr/bin/python3 python3.13 python3.12 python3.11 python3.10; do
    if "$name" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 10))' 2>/dev/null
    then
      python=$name
      break
    fi
  done
  [ -n "$python" ] || skip "no Python 3.10 with venv (apt-get install python3-venv)"
  rm -rf "$venv"
  mkdir -p build
  # shellcheck disable=SC2086
  {
    "$python" -m venv "$venv" &&
      "$venv/bin/pip" install -q --disable-pip-version-check $packages
  } >build/interop.log 2>&1 || skip "the packages cannot be installed (see build/interop.log)"
  echo "$packages" >"$venv/complete"
fi
exec "$venv/bin/python" scripts/interop/main.py
