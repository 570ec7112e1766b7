#!/usr/bin/env bash
# measure.sh [--short] [--no-lab]: the set of measurements. Writes docs/results; --short: target/measure, in a
# minute.
set -euo pipefail
cd "$(dirname "$0")/../.."
exec /usr/bin/python3 -B tests/e2e/measure.py "$@"
