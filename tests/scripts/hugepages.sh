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
  echo "hugepages: $have of 2 MiB, $(cat /sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages) free"
  # EAL holds a lock on each of its files while it lives.
  dead=$(find /dev/hugepages -name '*map_[0-9]*' -mmin +0.02 2>/dev/null | while read -r file; do
    flock -n "$file" true && echo "$file"
  done 2>/dev/null | sed 's/[0-9]*$//' | sort | uniq -c | awk '{ print $2 "* (" $1 " files)" }')
  [ -z "$dead" ] || echo "hugepages: held by files of dead runs, which rm makes free: ${dead//$'\n'/, }"
else
  echo "hugepages: none (running with --no-huge)"
fi
