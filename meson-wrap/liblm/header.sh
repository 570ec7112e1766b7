#!/usr/bin/env bash
# header.sh [--check]: generates include/lm.h by cbindgen of one version; --check says whether the committed
# one is stale. Where that version cannot be had, --check says so and fails.
set -euo pipefail
cd "$(dirname "$0")/../.."
. tests/scripts/tool.sh
version=0.29.4
pinned cbindgen "$version" "cbindgen $version" cbindgen --version ||
  { echo "header.sh: cbindgen $version cannot be had here, so lm.h was not looked at" >&2; exit 1; }
here=meson-wrap/liblm
new=$(mktemp)
trap 'rm -f "$new"' EXIT
tool cbindgen --quiet --config "$here/cbindgen.toml" --output "$new" "$here"
# The promises of an unsafe function, in the words of C.
sed -i 's|^// # Safety$|// The caller promises:|' "$new"
case ${1-} in
"") cp "$new" "$here/include/lm.h" && chmod 644 "$here/include/lm.h" ;;
--check)
  diff -u "$here/include/lm.h" "$new" >&2 ||
    { echo "header.sh: $here/include/lm.h is stale: run $here/header.sh and commit it" >&2; exit 1; }
  ;;
*) echo "header.sh: say --check or nothing, not '$1'" >&2; exit 2 ;;
esac
