#!/bin/sh
# Runs commands in a fresh, minimal Debian with a copy of this tree: the proof of what the README
# promises for a new machine. Needs root, debootstrap and the network; not part of CI.
#
#   scripts/try_debian.sh [SUITE] [COMMAND...]
#
# SUITE is bookworm (default), trixie, ...; each COMMAND is one string for `sh -c`.
# Default: install make by hand as the README says, then `make demo` and `make test`. What is
# committed is what runs; QHUB_TRY_WORKTREE=1 takes the uncommitted files along. QHUB_TRY_KEEP=1
# keeps the root directory. The unpacked system is cached as a tarball in TMPDIR.
set -eu
top=$(cd "$(dirname "$0")/.." && pwd)
case "${1:-}" in
  "" | *" "*) suite=bookworm ;;
  *)
    suite=$1
    shift
    ;;
esac
if [ $# -eq 0 ]; then
  set -- "apt-get update -qq && apt-get install -qq -y make >/dev/null" "make demo" "make test"
fi
tmp=${TMPDIR:-/tmp}

fail() {
  echo "try_debian: $*" >&2
  exit 1
}
[ "$(id -u)" -eq 0 ] || fail "needs root (chroot, debootstrap)"
command -v debootstrap >/dev/null || fail "needs debootstrap: apt-get install -y debootstrap"

# The first archive that this machine's own apt takes Debian itself from.
mirror=$(apt-get indextargets --format '$(REPO_URI) $(LABEL)' 'Identifier: Packages' \
  'Origin: Debian' 2>/dev/null | awk '$2 != "Debian-Security" { print $1; exit }')
[ -n "$mirror" ] || fail "apt on this machine knows no Debian archive (try apt-get update)"

tarball=$tmp/qhub-debian-$suite.tar
if [ ! -s "$tarball" ]; then
  new=$(mktemp -d "$tmp/qhub-debootstrap.XXXXXX")
  chmod 755 "$new"
  echo "try_debian: making a minimal $suite from $mirror"
  debootstrap --variant=minbase "$suite" "$new" "$mirror" >"$tarball.log" 2>&1 ||
    { tail -n 20 "$tarball.log" >&2; fail "debootstrap failed, see $tarball.log"; }
  rm -rf "$new"/var/lib/apt/lists/* "$new"/var/cache/apt/archives/*.deb
  tar -C "$new" -cf "$tarball.part" . && mv "$tarball.part" "$tarball"
  rm -rf "$new"
fi

root=$(mktemp -d "$tmp/qhub-try-$suite.XXXXXX")
leave() {
  status=$?
  umount "$root/proc" "$root/dev/pts" 2>/dev/null || :
  if [ -n "${QHUB_TRY_KEEP:-}" ]; then echo "try_debian: kept $root"; else rm -rf "$root"; fi
  exit "$status"
}
trap leave EXIT
trap 'exit 130' INT TERM
tar -C "$root" -xf "$tarball"
chmod 755 "$root" # mktemp made it for root alone
cp -L /etc/resolv.conf "$root/etc/resolv.conf"
cp -L /etc/hosts "$root/etc/hosts"
mount -t proc proc "$root/proc"
mount -t devpts -o newinstance,ptmxmode=0666 devpts "$root/dev/pts"
ln -sf pts/ptmx "$root/dev/ptmx"

mkdir -p "$root/root/qhub"
if [ -n "${QHUB_TRY_WORKTREE:-}" ]; then
  git -C "$top" ls-files -z --cached --others --exclude-standard |
    tar -C "$top" --null --ignore-failed-read -T - -cf - 2>/dev/null |
    tar -C "$root/root/qhub" -xf -
else
  git -C "$top" archive HEAD | tar -C "$root/root/qhub" -xf -
fi

for command; do
  echo "try_debian $suite: $command"
  began=$(date +%s)
  env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root TERM=dumb DEBIAN_FRONTEND=noninteractive \
    ${http_proxy:+http_proxy="$http_proxy"} ${https_proxy:+https_proxy="$https_proxy"} \
    chroot "$root" sh -c "cd /root/qhub && $command" ||
    fail "$suite: '$command' failed with status $?"
  echo "try_debian $suite: done in $(($(date +%s) - began)) s: $command"
done
