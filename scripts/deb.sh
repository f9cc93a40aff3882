#!/bin/bash
# Builds the Debian package: scripts/deb.sh [--binary FILE] [--out DIR] [--fast]   (default: a release build, target/debian;
# fast: nothing is compressed).
# The same sources and binary give the same package, byte for byte: times are SOURCE_DATE_EPOCH, by default that of the last
# commit. Prints where it is.
set -euo pipefail
cd "$(dirname "$0")/.."
umask 022

binary= out=target/debian compression=xz
while [ $# -gt 0 ]; do
  case "$1" in
    --binary) binary=${2:?"--binary needs a file"}; shift 2 ;;
    --out) out=${2:?"--out needs a directory"}; shift 2 ;;
    --fast) compression=none; shift ;;
    *) echo "deb: unknown argument $1 (there are --binary FILE, --out DIR and --fast)" >&2; exit 2 ;;
  esac
done
for program in dpkg dpkg-deb gzip; do
  command -v "$program" >/dev/null || { echo "deb: $program is missing: this builds on Debian and its kin only" >&2; exit 1; }
done
if [ -z "$binary" ]; then
  "${CARGO:-cargo}" build --release --locked --bin slotkeeper >&2
  binary=${CARGO_TARGET_DIR:-target}/release/slotkeeper
fi
# A source archive has no history; its changelog says when, too.
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || stat -c %Y CHANGELOG.md)}
export SOURCE_DATE_EPOCH
version=$(sed -n '/^\[package\]/,/^\[/s/^version = "\(.*\)"/\1/p' Cargo.toml)
architecture=$(dpkg --print-architecture)
maintainer="The slotkeeper authors <maintainers@slotkeeper.example>"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
root=$work/root
doc=$root/usr/share/doc/slotkeeper
share=$root/usr/share/slotkeeper
put() { install -D -m "$1" "$2" "$root/$3"; } # put MODE FILE PLACE

put 755 "$binary" usr/bin/slotkeeper
put 644 deploy/systemd/slotkeeper.service usr/lib/systemd/system/slotkeeper.service
put 644 deploy/systemd/slotkeeper.yml etc/slotkeeper/slotkeeper.yml
install -d -m 700 "$root/etc/slotkeeper/secrets"
"$binary" completions bash | install -D -m 644 /dev/stdin "$root/usr/share/bash-completion/completions/slotkeeper"
"$binary" completions zsh | install -D -m 644 /dev/stdin "$root/usr/share/zsh/vendor-completions/_slotkeeper"
"$binary" completions fish | install -D -m 644 /dev/stdin "$root/usr/share/fish/vendor_completions.d/slotkeeper.fish"

# Nothing there changes this machine's Prometheus: copy what you want (deploy/README.md).
install -d "$share"
cp -R deploy/prometheus deploy/alertmanager deploy/grafana "$share/"
cp -R examples "$share/examples"
chmod -R u=rwX,go=rX "$share"

install -d "$doc"
cp README.md SECURITY.md docs/config.md docs/metrics.md docs/escalation.md docs/interlocks.md "$doc/"
cp deploy/README.md "$doc/deploy.md"
{
  echo "slotkeeper ($version) unstable; urgency=medium"
  echo
  echo "  * What changed, line by line: changelog.gz."
  echo
  echo " -- $maintainer  $(LC_ALL=C date -u -R -d "@$SOURCE_DATE_EPOCH")"
} | gzip -9n >"$doc/changelog.Debian.gz"
gzip -9n <CHANGELOG.md >"$doc/changelog.gz"
{
  echo "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/"
  echo "Upstream-Name: slotkeeper"
  echo
  echo "Files: *"
  echo "Copyright: The slotkeeper authors"
  echo "License: MIT or Apache-2.0"
  echo
  echo "License: MIT"
  sed 's/^$/./; s/^/ /' LICENSE-MIT
  echo
  echo "License: Apache-2.0"
  echo " On Debian systems the text is in /usr/share/common-licenses/Apache-2.0."
} >"$doc/copyright"
chmod 644 "$doc"/*

# What the program is linked against. Where the tool for it is missing: what a build on Debian 12 needs.
depends="libc6 (>= 2.34), libgcc-s1 (>= 4.2)"
if command -v dpkg-shlibdeps >/dev/null; then
  mkdir "$work/debian"
  printf 'Source: slotkeeper\n\nPackage: slotkeeper\nArchitecture: any\n' >"$work/debian/control"
  found=$(cd "$work" && dpkg-shlibdeps -O root/usr/bin/slotkeeper 2>/dev/null | sed -n 's/^shlibs:Depends=//p') || true
  depends=${found:-$depends}
fi

install -d "$root/DEBIAN"
cat >"$root/DEBIAN/control" <<EOF
Package: slotkeeper
Version: $version
Architecture: $architecture
Maintainer: $maintainer
Installed-Size: $(du -ks --exclude=DEBIAN "$root" | cut -f1)
Depends: $depends
Recommends: ca-certificates, systemd (>= 250)
Suggests: prometheus, prometheus-alertmanager
Section: net
Priority: optional
Homepage: https://github.com/slotkeeper/slotkeeper
Description: moves block production to a healthy standby
 Watches block producers of Graphene and Antelope chains, serves metrics to
 Prometheus, and on Alertmanager's word, or its own when that is dead, registers
 the key of a standby: safely, once, provably.
EOF
echo /etc/slotkeeper/slotkeeper.yml >"$root/DEBIAN/conffiles"
(cd "$root" && find . -type f -not -path './DEBIAN/*' -printf '%P\0' | sort -z | xargs -0 md5sum) >"$root/DEBIAN/md5sums"
for script in postinst prerm postrm; do
  install -m 755 "deploy/debian/$script" "$root/DEBIAN/$script"
done
chmod 644 "$root/DEBIAN/control" "$root/DEBIAN/conffiles" "$root/DEBIAN/md5sums"
find "$root" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +

mkdir -p "$out"
package=$out/slotkeeper_${version}_$architecture.deb
dpkg-deb --root-owner-group "-Z$compression" --build "$root" "$package" >/dev/null
echo "$package"
