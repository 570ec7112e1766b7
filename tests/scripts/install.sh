#!/usr/bin/env bash
# install.sh build|test: installs the Debian packages that are missing, and nothing else.
set -euo pipefail
build=(libdpdk-dev libclang-dev pkg-config gcc libc6-dev make)
test=("${build[@]}" tshark iproute2 iputils-ping python3 ethtool tcpdump)
case "${1:-}" in
build) want=("${build[@]}") ;;
test) want=("${test[@]}") ;;
*) echo "install.sh: say build or test, not '${1:-}'" >&2; exit 2 ;;
esac
missing=()
for p in "${want[@]}"; do
  dpkg-query -W -f '${Status}' "$p" 2>/dev/null | grep -q 'ok installed' || missing+=("$p")
done
if ((${#missing[@]})); then
  echo "installing ${missing[*]}"
  if [ "$(id -u)" != 0 ]; then
    echo "install.sh: not root: install these packages first: ${missing[*]}" >&2
    exit 1
  fi
  export DEBIAN_FRONTEND=noninteractive
  apt-get update -qq
  apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
fi
command -v cargo >/dev/null || { echo "install.sh: no cargo: install Rust 1.89 or newer with rustup" >&2; exit 1; }
