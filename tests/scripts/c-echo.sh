#!/usr/bin/env bash
# c-echo.sh [RUNS [SIZE]...]: an echo in C beside one in Rust, over net_memif. Both answer lm-testpmd's pings,
# in turn. A row is the mean of 16 sizes, from SIZE on: a client that polls is in step with its server, so the
# median of one size moves in steps of its polls (60 ns). It has medians of RUNS (5), in microseconds, and what
# C costs more, with the least and the most.
set -euo pipefail
cd "$(dirname "$0")/../.."
. tests/scripts/median.sh
runs=${1:-5}
shift || true
sizes=("$@")
((${#sizes[@]})) || sizes=(64 1024 7168 16384)
count=100000
dir=$(mktemp -d /tmp/lm-c-echo-XXXXXX)
trap 'rm -rf "$dir"' EXIT
for needed in target/release/lm-testpmd target/release/mirror target/liblm/liblm.so; do
  [ -e "$needed" ] || { echo "c-echo.sh: there is no $needed: run make bench-c" >&2; exit 1; }
done
cc -O2 -Imeson-wrap/liblm/include tests/bench/mirror.c -o "$dir/c" -Ltarget/liblm -llm -Wl,-rpath,"$PWD/target/liblm"
ln -s "$PWD/target/release/mirror" "$dir/rust"
common=(--no-pci --no-huge -m 256 --no-telemetry --log-level=4)

# echoed KIND SIZE COUNT: the mean of the medians of lm-testpmd's pings, answered by that program.
echoed() {
  local kind=$1 size=$2 n=$3 server said several socket=$dir/socket
  local vdev=rsize=9,socket-abstract=no,socket=$socket,id=0
  rm -f "$socket"
  several=$(seq -s, "$size" 16 $((size + 240)))
  "$dir/$kind" "${common[@]}" -l 0 --file-prefix="ce$$a" "--vdev=net_memif0,role=server,$vdev" -- net_memif0 "$n" \
    >"$dir/server" 2>&1 &
  server=$!
  for _ in $(seq 300); do [ -S "$socket" ] && break; sleep 0.1; done
  said=$(timeout 300 target/release/lm-testpmd "${common[@]}" -l 1 --file-prefix="ce$$b" "--vdev=net_memif0,role=client,$vdev" -- \
    --tx-ip=10.1.0.1,10.1.0.2 --tx-udp=9000,7000 --forward-mode=ping --txsize="$several" --count="$n" 2>&1) ||
    { printf '%s\n' "$said" >&2; cat "$dir/server" >&2; kill "$server"; exit 1; }
  wait "$server"
  awk -v first="$size" '$1 ~ /^[0-9]+$/ && $1 >= first && NF >= 8 { median[$1] = $4 }
    END { for (size in median) { sum += median[size]; n++ } if (n != 16) exit 1; print sum / n }' <<<"$said" ||
    { printf '%s\n' "$said" >&2; echo "c-echo.sh: there are not the medians of 16 sizes" >&2; exit 1; }
}

printf '%-14s %8s %8s %8s   %s\n' bytes Rust C 'C more' 'least to most'
for size in "${sizes[@]}"; do
  for ((run = 0; run < runs; run++)); do
    rust=$(echoed rust "$size" "$count") c=$(echoed c "$size" "$count")
    awk -v c="$c" -v r="$rust" 'BEGIN { print r, c, 100 * (c / r - 1) }'
  done >"$dir/turns"
  # shellcheck disable=SC2046 # a word for each column
  printf '%-14s %8.2f %8.2f %7.1f%%   %s\n' "$size to $((size + 240))" $(medians "$dir/turns") \
    "$(cut -d' ' -f3 "$dir/turns" | sort -n | sed -n '1p;$p' | xargs printf '%.1f to %.1f%%')"
done
