#!/usr/bin/env bash
# musts.sh [--runs N] [--short]: round trips of lm-netpipe over net_memif, each ratio with its mark.
set -euo pipefail
cd "$(dirname "$0")/../.."
exec /usr/bin/python3 -B tests/e2e/musts.py "$@"
