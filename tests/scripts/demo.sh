#!/usr/bin/env bash
# demo.sh: two lm-testpmd over net_memif, one echoing, one pinging; a table. LM_TESTPMD names another binary.
set -euo pipefail
cd "$(dirname "$0")/../.."
exec python3 -B tests/e2e/demo.py "$@"
