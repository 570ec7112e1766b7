#!/usr/bin/env bash
# Reserves 2 MiB hugepages, 512 MB of them, if there are fewer and we may. Everything works without, too.
set -u
want=256 file=/proc/sys/vm/nr_hugepages
have=$(cat "$file" 2>/dev/null || echo 0)
if [ "$have" -lt "$want" ] && [ -w "$file" ]; then
  echo "$want" >"$file" 2>/dev/null || true
  have=$(cat "$file")
fi
mountpoint -q /dev/hugepages || { mkdir -p /dev/hugepages && mount -t hugetlbfs hugetlbfs /dev/hugepages; } 2>/dev/null || true
if [ "$have" -gt 0 ] && mountpoint -q /dev/hugepages; then
  echo "hugepages: $have of 2 MiB"
else
  echo "hugepages: none (running with --no-huge)"
fi
