#!/usr/bin/env bash
# c-echo.sh [RUNS [SIZE]...]: an echo in C beside one in Rust, over net_memif. Both answer lm-testpmd's pings,
# in turn; each row has medians of RUNS (5) medians, in microseconds, and what C costs more.
set -euo pipefail
cd "$(dirname "$0")/../.."
runs=${1:-5}
shift || true
sizes=("$@")
((${#sizes[@]})) || sizes=(64 7168)
count=20000
dir=$(mktemp -d /tmp/lm-c-echo-XXXXXX)
trap 'rm -rf "$dir"' EXIT
for needed in target/release/lm-testpmd target/release/mirror target/liblm/liblm.so; do
  [ -e "$needed" ] || { echo "c-echo.sh: there is no $needed: run make bench-c" >&2; exit 1; }
done
cc -O2 -Imeson-wrap/liblm/include tests/bench/mirror.c -o "$dir/c" -Ltarget/liblm -llm -Wl,-rpath,"$PWD/target/liblm"
ln -s "$PWD/target/release/mirror" "$dir/rust"
common=(--no-pci --no-huge -m 256 --no-telemetry --log-level=4)

# echoed KIND SIZE COUNT: the median that lm-testpmd's pings have, answered by that program.
echoed() {
  local kind=$1 size=$2 n=$3 server said socket=$dir/socket
  local vdev=rsize=9,socket-abstract=no,socket=$socket,id=0
  rm -f "$socket"
  "$dir/$kind" "${common[@]}" -l 0 --file-prefix="ce$$a" "--vdev=net_memif0,role=server,$vdev" -- net_memif0 "$n" \
    >"$dir/server" 2>&1 &
  server=$!
  for _ in $(seq 300); do [ -S "$socket" ] && break; sleep 0.1; done
  said=$(timeout 300 target/release/lm-testpmd "${common[@]}" -l 1 --file-prefix="ce$$b" "--vdev=net_memif0,role=client,$vdev" -- \
    --tx-ip=10.1.0.1,10.1.0.2 --tx-udp=9000,7000 --forward-mode=ping --txsize="$size" --count="$n" 2>&1) ||
    { printf '%s\n' "$said" >&2; cat "$dir/server" >&2; kill "$server"; exit 1; }
  wait "$server"
  awk -v size="$size" '$1 == size && NF >= 8 { print $4; exit }' <<<"$said"
}
median() { sort -n | awk '{ all[NR] = $1 } END { print all[int((NR + 1) / 2)] }'; }

printf '%-8s %8s %8s %8s\n' bytes Rust C 'C more'
for size in "${sizes[@]}"; do
  for ((run = 0; run < runs; run++)); do
    for kind in rust c; do echoed "$kind" "$size" "$count" >>"$dir/$kind.$size"; done
  done
  rust=$(median <"$dir/rust.$size") c=$(median <"$dir/c.$size")
  printf '%-8s %8s %8s %7s%%\n' "$size" "$rust" "$c" "$(awk -v c="$c" -v r="$rust" 'BEGIN { printf "%.1f", 100 * (c / r - 1) }')"
done
