#!/bin/sh
# The shared object exports luaopen_qhub_core and nothing else, and no object file holds data that
# can change: several Lua states in several threads share them.
#
#   scripts/lint/symbols.sh SHARED_OBJECT FOLDER_OF_OBJECTS
#
# Data that only the dynamic linker writes (.data.rel.ro: tables of constant pointers) is constant.
# Exceptions, one symbol a line with its reason, stand in scripts/lint/statics.allow.
set -eu
cd "$(dirname "$0")/../.."
shared=$1 objects=$2
status=0

exported=$(nm -D --defined-only "$shared" | awk '{ print $NF }' | sort | tr '\n' ' ')
if [ "$exported" != "luaopen_qhub_core " ]; then
  echo "symbols: $shared exports: $exported" >&2
  status=1
fi

# Compiled with coverage or sanitizers, objects hold data of the compiler's: give the release.
mutable=$(find "$objects" -name '*.o' | sort | while read -r file; do
  objdump -t "$file" | awk -v file="$file" '
    # value, seven columns of flags, section, size, name; sections have a flag d and are no symbols
    substr($0, 24, 1) == "d" { next }
    {
      section = ""; name = $NF
      for (i = 2; i <= NF; i++) if ($i ~ /^(\.|\*COM\*)/) { section = $i; break }
      if (section ~ /^\.data\.rel\.ro/) next
      if (section ~ /^(\.data|\.bss|\.tdata|\.tbss|\*COM\*)/) print file ": " name " in " section
    }'
done)
if [ -n "$mutable" ]; then
  allowed=$(sed 's/[[:space:]]*#.*//; /^$/d' scripts/lint/statics.allow)
  left=$(printf '%s\n' "$mutable" | while read -r line; do
    name=${line#*: }
    name=${name%% in *}
    # A static inside a function has a number after its name.
    case " $(echo "$allowed" | tr '\n' ' ') " in *" ${name%%.*} "*) ;; *) echo "$line" ;; esac
  done)
  if [ -n "$left" ]; then
    echo "symbols: data that can change:" >&2
    echo "$left" >&2
    status=1
  fi
fi
exit $status
