#!/usr/bin/env bash
# mutants.sh [--list | --check | --icount] [MUTANT]...: takes each guard out of a copy of the tree and expects
# its scenario to fail.
set -euo pipefail
cd "$(dirname "$0")/../.."
exec /usr/bin/python3 -B tests/guest/mutants.py "$@"
