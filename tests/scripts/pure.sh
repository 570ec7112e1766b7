#!/usr/bin/env bash
# lm's core and ac build and pass their tests on a machine without DPDK: with pkg-config hidden, libdpdk is
# not to be found.
set -euo pipefail
cd "$(dirname "$0")/../.."
hide=$(mktemp -d)
trap 'rm -rf "$hide"' EXIT
printf '#!/bin/sh\necho "pkg-config is hidden" >&2\nexit 1\n' >"$hide/pkg-config"
chmod +x "$hide/pkg-config"
export PATH="$hide:$PATH" PKG_CONFIG="$hide/pkg-config"
if pkg-config --exists libdpdk 2>/dev/null; then
  echo "pure.sh: pkg-config is not hidden" >&2
  exit 1
fi
if cargo tree --locked -p ac -p lm-proto -e normal,build | grep -E 'dpdk-sys|rte '; then
  echo "pure.sh: the core depends on DPDK" >&2
  exit 1
fi
cargo test --locked -p ac -p lm-proto
# Attacks once more as programs are built: without debug assertions. `make unit` has them with.
cargo test --release --locked -p lm-proto --features mock --test attacks
