#!/bin/sh
# The rock as a user gets it: lint, build, pack, install of the packed rock into an empty tree, and
# a call from there with nothing of this tree in reach. Works on a copy of what is committed, and
# without a network.
#
#   scripts/check_rock.sh
set -eu
top=$(cd "$(dirname "$0")/.." && pwd)
rocks="luarocks --lua-version 5.4"
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
trap 'exit 130' INT TERM
fail() {
  echo "check_rock: $*" >&2
  exit 1
}
run() { # quiet unless it fails
  "$@" >"$dir/log" 2>&1 || {
    cat "$dir/log" >&2
    fail "failed: $*"
  }
}
# The rock's version begins with the library's in a release, and is scm here.
source_of_version=lua/qhub/http/version.lua
version=$(sed -n 's/^return "\(.*\)"/\1/p' "$top/$source_of_version")
case $version in *[!0-9.]* | "") fail "$source_of_version has no plain version: $version" ;; esac

mkdir "$dir/source"
git -C "$top" archive HEAD | tar -C "$dir/source" -xf -
cd "$dir/source"
run $rocks lint qhub-scm-1.rockspec
run $rocks make --tree "$dir/first" qhub-scm-1.rockspec
# A binary rock: what was built, with its types and pages.
mkdir "$dir/packed"
cd "$dir/packed"
run $rocks pack --tree "$dir/first" qhub
rock=$(echo "$dir"/packed/*.rock)
[ -f "$rock" ] || fail "no rock was packed"
run $rocks install --tree "$dir/second" --deps-mode none "$rock"
rm -rf "$dir/source" "$dir/first"

cd "$dir"
cat >call.lua <<'END'
local qhub = require "qhub"
local service = qhub.HubServiceClient {
  base_url = "https://gateway.example",
  token = "t0ken",
  transport = function()
    return { status_code = 200, body = '{"id":"1","status":"SUCCEEDED"}' }
  end,
}
assert(assert(service:get_status "1").status == "SUCCEEDED")
io.write(qhub._VERSION)
END
said=$(env -u LUA_INIT -u LUA_PATH_5_4 -u LUA_CPATH_5_4 \
  LUA_PATH="$dir/second/share/lua/5.4/?.lua;$dir/second/share/lua/5.4/?/init.lua" \
  LUA_CPATH="$dir/second/lib/lua/5.4/?.so" "${LUA:-lua5.4}" call.lua)
[ "$said" = "$version" ] || fail "the installed rock says '$said', the tree $version"
folder=$dir/second/lib/luarocks/rocks-5.4/qhub/scm-1
for file in types/qhub.lua docs/reference.md; do
  [ -s "$folder/$file" ] || fail "the rock has no $file"
done
run $rocks remove --tree "$dir/second" qhub
[ -z "$(find "$dir/second" -name '*.so')" ] || fail "the C module is left after luarocks remove"
echo "check_rock: $(basename "$rock") installs into an empty tree and works there"
