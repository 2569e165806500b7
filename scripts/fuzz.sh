#!/bin/sh
# Runs one fuzz target for some seconds.
#
#   scripts/fuzz.sh NAME SECONDS
#
# Seeds come from fuzz/corpus/NAME, new ones go to build/fuzz/corpus/NAME, what crashes to
# build/fuzz/found. Leaks are the business of the specs: looking for them after each input costs a
# factor of 200.
set -eu
cd "$(dirname "$0")/.."
name=$1 seconds=$2
mkdir -p "build/fuzz/corpus/$name" build/fuzz/found
set -- "build/fuzz/corpus/$name"
if [ -d "fuzz/corpus/$name" ]; then set -- "$@" "fuzz/corpus/$name"; fi
if [ -f "fuzz/$name.dict" ]; then set -- "-dict=fuzz/$name.dict" "$@"; fi
log=build/fuzz/$name.log
if scripts/with_build.sh build/fuzz "build/fuzz/bin/$name" "-max_total_time=$seconds" \
  -detect_leaks=0 -rss_limit_mb=1024 -timeout=10 "-artifact_prefix=build/fuzz/found/$name-" \
  -print_final_stats=1 "$@" \
  >"$log" 2>&1; then
  sed -n 's/^stat::number_of_executed_units: */  inputs tried: /p' "$log"
else
  tail -n 60 "$log" >&2
  echo "fuzz.sh: $name failed, see $log and build/fuzz/found" >&2
  exit 1
fi
