#!/usr/bin/env bash
# cargo-deny, of one version, over licences, bans and sources, and over advisories if their database can be
# fetched; one line says it if not.
set -euo pipefail
cd "$(dirname "$0")/../.."
. tests/scripts/tool.sh
version=0.20.2
deny() { tool cargo deny --locked --log-level error "$@"; }
pinned cargo-deny "$version" "cargo-deny $version" cargo deny --version ||
  { echo "deny.sh: cargo-deny is not $version: remove $tools and run make lint again" >&2; exit 1; }
deny check licenses bans sources
if tool timeout 120 cargo deny --locked --log-level off fetch db >/dev/null 2>&1; then
  deny --offline check advisories
else
  echo "advisories were not checked: their database could not be fetched"
fi
