#!/usr/bin/env bash
# polls.sh [POLLS]: instructions of a poll that finds nothing, and of one that finds a datagram in one frame,
# of LM and of a bare loop on the same simulated driver; then those of datagrams of any length that LM sends,
# sends on and receives. Callgrind counts them; the same build counts the same.
set -euo pipefail
cd "$(dirname "$0")/../.."
polls=${1:-20000}
binary=${LM_RECEIVE:-target/release/receive}
if ! command -v valgrind >/dev/null; then
  echo "polls.sh: no valgrind, so no instructions are counted: apt-get install valgrind"
  exit 0
fi
if [ ! -x "$binary" ]; then
  echo "polls.sh: there is no $binary: run cargo build --release -p lm-bench first" >&2
  exit 1
fi
where=$(mktemp -d)
trap 'rm -rf "$where"' EXIT

# Instructions of FUNCTION, a datagram of N: OPTION WHAT SIZE N.
count_in() {
  local said
  if ! said=$(valgrind --tool=callgrind --callgrind-out-file="$where/out" --toggle-collect="$1" \
    "$binary" --no-huge "$2" "$3,$4,$5" 2>&1); then
    printf '%s\n' "$said" >&2
    return 1
  fi
  local all
  all=$(sed -n 's/.*Collected : \([0-9]*\).*/\1/p' <<<"$said")
  echo $(((all + $5 / 2) / $5))
}

# Instructions of a call of Variant::poll, VARIANT SIZE.
count() {
  count_in '*Variant*poll*' --polls "$1" "$2" "$polls"
}

bare=$(count bare 0)
printf '%-22s %6s %6s %14s %13s\n' '' bare LM 'LM, checksum' "LM's own"
printf '%-22s %6s %6s %14s %13s\n' 'nothing' "$bare" "$(count lm 0)" "$(count lm-checksum 0)" ''
for size in 64 1024; do
  # The bare loop polls once more, in vain.
  one=$(($(count bare $size) - bare))
  tags=$(count lm $size)
  sums=$(count lm-checksum $size)
  printf '%-22s %6s %6s %14s %13s\n' "one frame, $size bytes" "$one" "$tags" "$sums" "$((tags - one)), $((sums - one))"
done

datagrams=$(((polls + 19) / 20))
printf '\n%-22s %6s %8s %8s\n' 'datagrams, checksum' send 'send on' receive
for size in 64 1024 1472 7168 65507; do
  send=$(count_in '*Sends*go*' --sends send "$size" "$datagrams")
  on=$(count_in '*Sends*go*' --sends forward "$size" "$datagrams")
  receive=$(count_in '*Variant*poll*' --polls lm-checksum "$size" "$datagrams")
  printf '%-22s %6s %8s %8s\n' "$size bytes" "$send" "$on" "$receive"
done
