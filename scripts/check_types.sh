#!/bin/sh
# Holds examples and the guide's blocks of Lua against types/qhub.lua with emmylua_check: the one in
# PATH, else the one that `scripts/check_types.sh --build` lets cargo build into build/cargo (many
# minutes, once). Without it there is no check, which is said and is no error: few machines have it.
set -eu
cd "$(dirname "$0")/.."
check=$(command -v emmylua_check || echo build/cargo/bin/emmylua_check)
if [ "${1:-}" = --build ] && [ ! -x "$check" ]; then
  mkdir -p build/cargo
  cargo install --locked --root build/cargo emmylua_check
fi
if [ ! -x "$check" ]; then
  echo "check_types.sh: NOT CHECKED, there is no emmylua_check (scripts/check_types.sh --build)" >&2
  exit 0
fi

# A workspace of its own: the examples, and each page's blocks as one file.
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cp examples/*.lua "$dir"
for page in README.md docs/*.md; do
  awk '/^```lua$/ { inside = 1; print "do"; next }
    /^```$/ { if (inside) print "end"; inside = 0; next }
    { print inside ? $0 : "" }' "$page" >"$dir/$(basename "$page" .md)_page.lua"
done
cat >"$dir/.luarc.json" <<END
{ "runtime": { "version": "Lua5.4" },
  "workspace": { "library": ["$PWD/types"] },
  "diagnostics": { "globals":
    ["describe", "it", "service", "execution", "qhub", "bond_lengths", "out"],
    "disable": ["unresolved-require", "unnecessary-assert", "redefined-local"] } }
END
# It does not know what busted adds to `assert`, and takes any error that pcall caught for a string.
for page in testing errors; do
  sed -i '1s/^/---@diagnostic disable: undefined-field/' "$dir/${page}_page.lua"
done
"$check" --warnings-as-errors "$dir"
