#!/bin/sh
# Fetches a package of npm, unpacked and without running anything of it, and prints its folder.
#
#   scripts/conformance/fetch.sh NAME@VERSION
#
# What was fetched stays in build/conformance and is used again. Needs npm.
set -eu
cd "$(dirname "$0")/../.."
command -v npm >/dev/null 2>&1 || {
  echo "fetch.sh: NOT CHECKED, npm is not here (apt-get install npm)" >&2
  exit 1
}
folder=$PWD/build/conformance/npm/$1
if [ ! -d "$folder/package" ]; then
  mkdir -p "$folder"
  (cd "$folder" && npm pack --silent "$1" >/dev/null && tar -xzf ./*.tgz && rm ./*.tgz)
fi
echo "$folder/package"
