#!/usr/bin/env bash
# c-cycles.sh [RUNS [SIZE]...]: what an answer takes in C and in Rust, in cycles of the time-stamp counter. The node
# and its client are one thread (tests/bench/c/client.h), so a run repeats within 2 %, where round trips between
# processes (c-echo.sh) repeat within 10 %. The programs take turns. A row has medians of RUNS (5): from a
# datagram's arrival to its answer, a poll that finds nothing, and what C takes more of the former.
set -euo pipefail
cd "$(dirname "$0")/../.."
. tests/scripts/median.sh
runs=${1:-5}
shift || true
sizes=("$@")
((${#sizes[@]})) || sizes=(64 512 1400)
dir=$(mktemp -d /tmp/lm-c-cycles-XXXXXX)
trap 'rm -rf "$dir"' EXIT
for needed in target/release/answer target/liblm/liblm.so; do
  [ -e "$needed" ] || { echo "c-cycles.sh: there is no $needed: run make bench-c" >&2; exit 1; }
done
# shellcheck disable=SC2046 # flags are words
cc -O3 $(pkg-config --cflags libdpdk) -Imeson-wrap/liblm/include tests/bench/answer.c tests/bench/c/client.c -o "$dir/c" \
  -Ltarget/liblm -llm $(pkg-config --libs libdpdk) -Wl,-rpath,"$PWD/target/liblm"
ln -s "$PWD/target/release/answer" "$dir/rust"

# taken KIND SIZE: what one run of that program takes: the answer, and a poll in vain.
taken() {
  local vdev=id=0,rsize=9,socket-abstract=no,socket=$dir/socket
  rm -f "$dir/socket"
  timeout 60 "$dir/$1" --no-pci --no-huge -m 256 --no-telemetry --log-level=4 -l 0 --file-prefix="cc$$" \
    "--vdev=net_memif0,role=server,$vdev" "--vdev=net_memif1,role=client,$vdev" -- net_memif0 net_memif1 "$2"
}

printf '%-8s %8s %8s %8s %8s %12s\n' bytes Rust idle C idle 'C more'
for size in "${sizes[@]}"; do
  for ((run = 0; run < runs; run++)); do
    rust=$(taken rust "$size") c=$(taken c "$size")
    awk -v r="$rust" -v c="$c" 'BEGIN { split(r, R); split(c, C); print r, c, C[1] - R[1] }'
  done >"$dir/turns"
  # shellcheck disable=SC2046 # a word for each column
  printf '%-8s %8.0f %8.0f %8.0f %8.0f %12.0f\n' "$size" $(medians "$dir/turns")
done
