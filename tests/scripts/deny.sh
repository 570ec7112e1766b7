#!/usr/bin/env bash
# cargo-deny over licences, bans and sources (advisories would need a database from elsewhere). Installed once.
set -euo pipefail
cd "$(dirname "$0")/../.."
if ! cargo deny --version >/dev/null 2>&1; then
  echo "installing cargo-deny"
  cargo install --locked --quiet cargo-deny
fi
cargo deny --locked --log-level error check licenses bans sources
