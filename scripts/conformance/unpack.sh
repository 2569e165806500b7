#!/bin/sh
# Fetches Debian packages with what they depend on and unpacks them into a folder: nothing is
# installed, no service starts.
#
#   scripts/conformance/unpack.sh PACKAGE...
#
# Prints a line `export ...` for the shell's eval, after which the programs are found. What was
# unpacked stays in build/conformance/debian and is used again. Needs apt-get and its lists.
set -eu
cd "$(dirname "$0")/../.."
root=$PWD/build/conformance/debian
cache=$PWD/build/conformance/deb
mkdir -p "$root" "$cache/partial"
wanted=
for package; do
  [ -e "$root/.$package" ] || wanted="$wanted $package"
done
if [ -n "$wanted" ]; then
  fetch() {
    # shellcheck disable=SC2086
    apt-get -qq -y --no-install-recommends --download-only -o Dir::Cache::archives="$cache" \
      -o APT::Sandbox::User=root -o DPkg::Lock::Timeout=120 install $wanted >"$cache/log" 2>&1
  }
  fetch || { apt-get -qq update >"$cache/log" 2>&1 && fetch; } || {
    tail -n 5 "$cache/log" >&2
    exit 1
  }
  for deb in "$cache"/*.deb; do dpkg -x "$deb" "$root"; done
  rm -f "$cache"/*.deb
  for package in $wanted; do : >"$root/.$package"; done
fi
libraries=$(find "$root/usr/lib" "$root/lib" -name '*.so*' -printf '%h\n' 2>/dev/null |
  grep -v '/\(apache2\|lighttpd\|nginx\|lua\|security\|engines-\|ossl-modules\)' |
  sort -u | tr '\n' ':')
echo "export DEBIAN_ROOT='$root' LD_LIBRARY_PATH='$libraries'" \
  "PATH='$root/usr/sbin:$root/usr/bin:$PATH'"
