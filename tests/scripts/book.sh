#!/usr/bin/env bash
# The documents as a book in target/book, by mdBook of one version. One line says it if it cannot be had; the
# documents can be read without it. BOOK_JOBS bounds the build.
set -euo pipefail
cd "$(dirname "$0")/../.."
. tests/scripts/tool.sh
version=0.5.4
CARGO_OPTIONS=(${BOOK_JOBS:+-j "$BOOK_JOBS"} --no-default-features --features search)
pinned mdbook "$version" "mdbook v$version" mdbook --version ||
  { echo "no book was made: mdbook $version cannot be had here; docs/README.md is the map without it"; exit 0; }
tool mdbook build
echo "the book: target/book/index.html"
