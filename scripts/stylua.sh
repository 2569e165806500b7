#!/bin/sh
# Runs stylua, which Debian does not package: the one in PATH, else the one that npm fetches into
# build/node. Without npm there is no stylua: said aloud, and an error where CI is set.
set -eu
cd "$(dirname "$0")/.."
version=2.5.2
stylua=$(command -v stylua || echo build/node/node_modules/.bin/stylua)
if [ ! -x "$stylua" ]; then
  if ! command -v npm >/dev/null 2>&1; then
    echo "stylua.sh: NOT CHECKED, neither stylua nor npm is here (npm: apt-get install npm)" >&2
    [ -z "${CI:-}" ]
    exit
  fi
  mkdir -p build/node
  npm install --silent --fetch-retries=1 --fetch-timeout=60000 --no-audit --no-fund --no-save \
    --prefix build/node "@johnnymorganz/stylua-bin@$version" >build/node/npm.log 2>&1 || {
    cat build/node/npm.log >&2
    exit 1
  }
fi
exec "$stylua" "$@"
