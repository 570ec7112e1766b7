#!/usr/bin/env bash
# cargo-deny, of one version, over licences, bans and sources, and over advisories if their database can be fetched; one line
# says it if not. Where that version is not installed it is built into target/tools, once.
set -euo pipefail
cd "$(dirname "$0")/../.."
version=0.20.2
tools=$PWD/target/tools
deny() { PATH="$tools/bin:$PATH" cargo deny --locked --log-level error "$@"; }
has() { [ "$(PATH="$tools/bin:$PATH" cargo deny --version 2>/dev/null)" = "cargo-deny $version" ]; }
if ! has; then
  echo "installing cargo-deny $version"
  cargo install --locked --quiet --version "=$version" --root "$tools" cargo-deny
fi
has || { echo "deny.sh: cargo-deny is not $version: remove $tools and run make lint again" >&2; exit 1; }
deny check licenses bans sources
if PATH="$tools/bin:$PATH" timeout 120 cargo deny --locked --log-level off fetch db >/dev/null 2>&1; then
  deny --offline check advisories
else
  echo "advisories were not checked: their database could not be fetched"
fi
