#!/usr/bin/env bash
# sockets.sh [--only TEXT]...: programs with sockets through lmd, in name spaces. Ends with "N passed, N
# failed". LM_LMD names another binary. LM_LOSS_SECONDS, LM_DDS_SECONDS, LM_SOCKPERF_ROUNDS: comparisons with
# Linux, too (tests/README.md). LM_CYCLONE: where another Cyclone DDS is installed than the system's.
set -euo pipefail
cd "$(dirname "$0")/../.."
binary=${LM_LMD:-target/release/lmd}
if [ ! -x "$binary" ]; then
  echo "sockets.sh: there is no $binary: run make build first" >&2
  exit 1
fi
if [ "$(id -u)" != 0 ]; then
  echo "sockets.sh: not root: name spaces and TAP interfaces cannot be made, nothing is tested" >&2
  [ "${LM_TOOLS:-}" = must ] && exit 1
  exit 0
fi
exec python3 -B tests/sockets/run.py "$@"
