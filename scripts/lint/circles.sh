#!/bin/sh
# No file of src calls one that, perhaps through others, calls it back: what uses what can be read
# from the symbols of the object files.
#
#   scripts/lint/circles.sh OBJECT_FILE…
set -eu

# Lines "USER DEFINER"; tsort puts them in order, or names the files that have none.
if ! found=$(nm -A -g "$@" | awk '
  # path:value type name, or path: U name
  { split($0, at, ":"); name = $NF; type = $(NF - 1) }
  type == "U" { user[++count] = at[1]; used[count] = name; next }
  { definer[name] = at[1] }
  END {
    for (i = 1; i <= count; i++)
      if (used[i] in definer) print user[i], definer[used[i]]
  }' | tsort 2>&1 >/dev/null); then
  echo "circles: these files call one another in a circle:" >&2
  echo "$found" | awk '/: input contains a loop/ && loops++ { exit } /\.o$/ { print "  " $2 }' >&2
  exit 1
fi
