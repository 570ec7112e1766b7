#!/usr/bin/env bash
# The documents as a book in target/book, by mdBook of one version. Where that version is not installed it is built into
# target/tools, once. One line says it if it cannot be had; the documents can be read without it. BOOK_JOBS bounds the
# build.
set -euo pipefail
cd "$(dirname "$0")/../.."
version=0.5.4
tools=$PWD/target/tools
log=target/tools/mdbook.log
has() { [ "$(PATH="$tools/bin:$PATH" mdbook --version 2>/dev/null)" = "mdbook v$version" ]; }
if ! has; then
  echo "installing mdbook $version"
  mkdir -p "$tools"
  if ! cargo install --locked --quiet --version "=$version" --root "$tools" ${BOOK_JOBS:+-j "$BOOK_JOBS"} \
    --no-default-features --features search mdbook >"$log" 2>&1; then
    echo "no book was made: mdbook $version cannot be had here ($log says why); docs/README.md is the map without it"
    exit 0
  fi
fi
has || { echo "book.sh: mdbook is not $version: remove $tools/bin/mdbook and run make book again" >&2; exit 1; }
PATH="$tools/bin:$PATH" mdbook build
echo "the book: target/book/index.html"
