#!/usr/bin/env bash
# Dependencies that no file of their crate names, by cargo-machete of one version. Where it cannot be had, one
# line says so.
set -euo pipefail
cd "$(dirname "$0")/../.."
. tests/scripts/tool.sh
version=0.9.2
pinned cargo-machete "$version" "$version" cargo machete --version ||
  { echo "unused.sh: cargo-machete $version cannot be had here: unused dependencies were not looked for"; exit 0; }
tool cargo machete --skip-target-dir
