#!/usr/bin/env bash
# step.sh TARGET: makes that target and says how long it took; its exit code is make's. MAKE names the make to
# use. step.sh --begin: forgets the times of the run before. step.sh --summary: the times of this one.
set -euo pipefail
cd "$(dirname "$0")/../.."
times=target/steps

say() { printf '%-14s %5s s\n' "$1" "$2"; }

# The first word of MAKEFLAGS has the flags of one letter: with n, make only prints what it would do.
only_prints() {
  local letters=${MAKEFLAGS:-}
  letters=${letters%% *}
  [[ "$letters" != -* && "$letters" == *n* ]]
}

case "${1:-}" in
--begin)
  mkdir -p target
  : >"$times"
  ;;
--summary)
  total=0
  while read -r step seconds; do
    say "$step" "$seconds"
    total=$((total + seconds))
  done <"$times"
  say total "$total"
  ;;
"" | -*)
  echo "step.sh: say a target, --begin or --summary, not '${1:-}'" >&2
  exit 2
  ;;
*)
  began=$SECONDS status=0
  ${MAKE:-make} --no-print-directory "$1" || status=$?
  took=$((SECONDS - began))
  if [ "$status" != 0 ]; then
    echo "$1: failed after $took s" >&2
  elif ! only_prints; then
    echo "$1: $took s"
    mkdir -p target
    echo "$1 $took" >>"$times"
  fi
  exit "$status"
  ;;
esac
