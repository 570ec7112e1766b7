#!/usr/bin/env bash
# Dependencies that no file of their crate names, by cargo-machete of one version. Where it is not installed it is built into
# target/tools, once; where it cannot be, one line says so.
set -euo pipefail
cd "$(dirname "$0")/../.."
version=0.9.2
tools=$PWD/target/tools
machete() { PATH="$tools/bin:$PATH" cargo machete "$@"; }
has() { [ "$(machete --version 2>/dev/null)" = "$version" ]; }
if ! has; then
  echo "installing cargo-machete $version"
  cargo install --locked --quiet --version "=$version" --root "$tools" cargo-machete || true
fi
has || { echo "unused.sh: cargo-machete $version cannot be had here: unused dependencies were not looked for"; exit 0; }
machete --skip-target-dir
