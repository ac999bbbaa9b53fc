#!/bin/sh
# The part of the set-up that needs neither Node 24 nor any npm package: Debian packages and the
# npm tree. Idempotent; does nothing in well under a second when all is there.
set -eu
cd "$(dirname "$0")/.."

packages='qemu-system-x86 iproute2 nftables e2fsprogs
  gcc libc6-dev make musl-tools flex bison bc libelf-dev libssl-dev dpkg-dev xz-utils zstd util-linux
  autoconf automake libtool pkg-config uuid-dev liblz4-dev zlib1g-dev libzstd-dev
  ca-certificates openssl docker-registry curl'

say() { printf '==> %s\n' "$*" >&2; }

missing=''
for package in $packages; do
  [ "$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || missing="$missing $package"
done
if ! command -v docker >/dev/null 2>&1; then
  # Debian 13 has the client alone; Debian 12 ships it with the engine, which we leave alone.
  if apt-cache show docker-cli >/dev/null 2>&1; then missing="$missing docker-cli"; fi
fi
if [ -n "$missing" ]; then
  if [ "$(id -u)" != 0 ]; then
    say "these Debian packages are missing:$missing"
    say "install them as root (apt-get install$missing), or run this command as root"
    exit 1
  fi
  say "installing Debian packages:$missing"
  log=$(mktemp)
  if ! { apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq install --no-install-recommends $missing; } >"$log" 2>&1; then
    tail -n 20 "$log" >&2
    say "apt-get failed: see the lines above (full log: $log)"
    exit 1
  fi
  rm -f "$log"
fi

if ! cmp -s package-lock.json node_modules/.installed-lock.json; then
  say 'installing npm packages (Node 24 among them)'
  npm ci --no-fund --no-audit --loglevel=error
  cp package-lock.json node_modules/.installed-lock.json
fi
