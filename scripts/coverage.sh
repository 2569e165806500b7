#!/bin/sh
# Prints how many lines of each C file were run, from the counters below a folder of objects.
#
#   scripts/coverage.sh FOLDER
set -eu
cd "$(dirname "$0")/.."
find "$1" -name '*.gcda' | while read -r counters; do
  gcov -n -o "$counters" "$counters" 2>/dev/null
done | awk -F "'" '
  /^File/ { file = $2 }
  /^Lines executed/ && file ~ /^src\// && !(file in seen) {
    seen[file] = 1
    match($0, /[0-9.]+%/); share = substr($0, RSTART, RLENGTH - 1) + 0
    match($0, /of [0-9]+/); lines = substr($0, RSTART + 3, RLENGTH - 3) + 0
    printf "%6.1f %% of %4d  %s\n", share, lines, file
    all += lines; run += lines * share / 100
  }
  END { if (all) printf "%6.1f %% of %4d  in all\n", 100 * run / all, all }'
