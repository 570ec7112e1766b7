# median.sh: a function for scripts that source it (c-cycles.sh, c-echo.sh).

# medians FILE: of each column of numbers, on one line. Of an even number of lines it is the lower middle one.
medians() {
  local column columns
  columns=$(head -n 1 "$1" | wc -w)
  for ((column = 1; column <= columns; column++)); do
    cut -d' ' -f"$column" "$1" | sort -n | awk '{ line[NR] = $0 } END { print line[int((NR + 1) / 2)] }'
  done | xargs
}
