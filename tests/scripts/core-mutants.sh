#!/usr/bin/env bash
# core-mutants.sh [--list | --check] [MUTANT]...: takes each guard of lm's core and of ac out of a copy of the
# tree and expects its test to fail.
set -euo pipefail
cd "$(dirname "$0")/../.."
exec /usr/bin/python3 -B tests/mutants/core.py "$@"
