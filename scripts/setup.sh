#!/bin/bash
# Installs what the tests and the demos run beside Rust: prometheus, promtool, alertmanager, amtool, openssl, sqlite3, curl,
# chromium (headless, for the pages), and a real Antelope node in target/ (scripts/nodeos.sh). Does nothing when all are there. Never leaves a service running: the tests and the demo start their own, on free ports.
set -euo pipefail
cd "$(dirname "$0")/.."

packages=()
have() { command -v "$1" >/dev/null 2>&1; }
want() { # want PACKAGE PROGRAM: the package unless the program is there
  have "$2" || installed "$1" || packages+=("$1")
}
# Not every release of a package has every program (promtool is missing in some): installing it again would not help.
installed() { dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null | grep -qx installed; }
tell_what_is_left() {
  local program
  for program in prometheus promtool amtool openssl sqlite3 curl systemd-analyze chromium cc; do
    have "$program" || echo "setup: $program is still missing; what needs it will say so. Put it on the PATH by hand" >&2
  done
}

want prometheus prometheus
want prometheus promtool
have alertmanager || want prometheus-alertmanager prometheus-alertmanager
want prometheus-alertmanager amtool
want openssl openssl
want sqlite3 sqlite3
want curl curl
want systemd systemd-analyze # judges the unit; never started
want chromium chromium
have cc || packages+=(gcc libc6-dev) # SQLite and the TLS library are compiled from C

if [ "${#packages[@]}" -eq 0 ]; then
  tell_what_is_left
  exec scripts/nodeos.sh
fi
mapfile -t packages < <(printf '%s\n' "${packages[@]}" | sort -u)

give_up() {
  {
    echo "setup: $1"
    echo "setup: missing here: ${packages[*]}"
    echo "setup: install them and run this again. On Debian or Ubuntu:"
    echo "setup:     sudo apt-get update && sudo apt-get install --no-install-recommends ${packages[*]}"
    echo "setup: elsewhere put prometheus, promtool, alertmanager, amtool, openssl, sqlite3, curl, chromium and a C compiler on the PATH."
  } >&2
  exit 1
}

have apt-get || give_up "this is no Debian: there is no apt-get"
as_root=()
if [ "$(id -u)" -ne 0 ]; then
  if have sudo && sudo -n true 2>/dev/null; then
    as_root=(sudo -n)
  else
    give_up "not root, and sudo asks for a password"
  fi
fi

echo "setup: installing ${packages[*]}" >&2

# Debian starts a service when its package is installed. This file, where none is, forbids it for as long as we install.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
  trap '"${as_root[@]}" rm -f "$policy"' EXIT
  printf '#!/bin/sh\nexit 101\n' | "${as_root[@]}" tee "$policy" >/dev/null
  "${as_root[@]}" chmod 755 "$policy"
fi

apt() { "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=120 "$@" </dev/null >&2; }
apt update || give_up "apt-get update failed (is there a network?)"
apt install -y --no-install-recommends "${packages[@]}" || give_up "apt-get install failed"
hash -r
tell_what_is_left
scripts/nodeos.sh
