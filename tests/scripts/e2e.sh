#!/usr/bin/env bash
# e2e.sh [--only TEXT]...: lm-testpmd end to end. Ends with "N passed, N failed". LM_TESTPMD names another
# binary.
set -euo pipefail
cd "$(dirname "$0")/../.."
binary=${LM_TESTPMD:-target/release/lm-testpmd}
if [ ! -x "$binary" ]; then
  echo "e2e.sh: there is no $binary: run make build first" >&2
  exit 1
fi
exec python3 -B tests/e2e/run.py "$@"
