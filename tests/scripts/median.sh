# median.sh: a function for scripts that source it (c-cycles.sh, c-echo.sh).

# median FILE COLUMN: of the numbers in that column. Of an even number of lines it is the lower middle one.
median() { cut -d' ' -f"$2" "$1" | sort -n | awk '{ line[NR] = $0 } END { print line[int((NR + 1) / 2)] }'; }
