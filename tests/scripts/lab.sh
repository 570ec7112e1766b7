#!/usr/bin/env bash
# lab.sh [--full] [--icount] [SCENARIO]...: the scenarios on emulated cards. Ends with "N passed, N failed".
set -euo pipefail
cd "$(dirname "$0")/../.."
# Debian's Python: the guests get a copy of it.
exec /usr/bin/python3 -B tests/guest/lab.py "$@"
