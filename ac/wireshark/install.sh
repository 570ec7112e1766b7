#!/bin/sh
# Puts the dissectors where Wireshark and tshark look for them, and says where; -u takes them away again.
# Root's goes to the global folder, for all users: from 4.4 on nothing else is looked at for root. Everybody
# else's goes to the personal one.
set -eu
die() { echo "install.sh: $*" >&2; exit 1; }
here=$(cd "$(dirname "$0")" && pwd)
command -v tshark >/dev/null ||
  die "there is no tshark to ask: copy $here/lm-*.lua into what Wireshark's Help, About, Folders calls Personal Lua Plugins"
if [ "$(id -u)" = 0 ]; then whose=Global; else whose=Personal; fi
folder=$(tshark -G folders 2>/dev/null | sed -n "s/^$whose Lua Plugins:[[:space:]]*//p")
[ -n "$folder" ] || die "tshark -G folders names no \"$whose Lua Plugins\": is this tshark built without Lua?"
case ${1-} in
"")
  mkdir -p "$folder"
  for file in "$here"/lm-*.lua; do
    name=${file##*/}
    cp "$file" "$folder/$name"
    chmod 644 "$folder/$name"
    echo "installed: $folder/$name"
  done
  ;;
-u)
  for file in "$here"/lm-*.lua; do
    name=${file##*/}
    rm -f "$folder/$name"
    echo "removed: $folder/$name"
  done
  ;;
*) die "$1: no such option; none installs, -u removes" ;;
esac
