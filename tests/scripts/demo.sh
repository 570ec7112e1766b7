#!/usr/bin/env bash
# What a user has beside LM, over net_memif and veth. LM_TESTPMD names another binary.
set -euo pipefail
cd "$(dirname "$0")/../.."
if ! command -v python3 >/dev/null; then
  echo "demo.sh: needs python3: apt-get install python3" >&2
  exit 1
fi
exec python3 -B tests/e2e/demo.py
