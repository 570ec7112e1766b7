#!/usr/bin/env bash
# The workspace is checked by the oldest compiler that Cargo.toml promises (`rust-version`), where rustup can
# get it; else one line says that it was not.
set -euo pipefail
cd "$(dirname "$0")/../.."
version=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)
if ! timeout 180 rustup toolchain install "$version" --profile minimal >/dev/null 2>&1; then
  echo "msrv.sh: Rust $version cannot be had here: not checked with it"
  exit 0
fi
CARGO_TARGET_DIR=target/msrv cargo "+$version" check --workspace --locked --quiet
echo "Rust $version compiles the workspace"
