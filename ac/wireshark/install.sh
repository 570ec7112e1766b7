#!/bin/sh
# Puts the dissector where Wireshark and tshark look for it, and says where; -u takes it away again. Root's goes to the
# global folder, for all users: from 4.4 on nothing else is looked at for root. Everybody else's goes to the personal one.
set -eu
die() { echo "install.sh: $*" >&2; exit 1; }
here=$(cd "$(dirname "$0")" && pwd)
command -v tshark >/dev/null ||
  die "there is no tshark to ask: copy $here/lm-ac.lua into what Wireshark's Help, About, Folders calls Personal Lua Plugins"
if [ "$(id -u)" = 0 ]; then whose=Global; else whose=Personal; fi
folder=$(tshark -G folders 2>/dev/null | sed -n "s/^$whose Lua Plugins:[[:space:]]*//p")
[ -n "$folder" ] || die "tshark -G folders names no \"$whose Lua Plugins\": is this tshark built without Lua?"
case ${1-} in
"")
  mkdir -p "$folder"
  cp "$here/lm-ac.lua" "$folder/lm-ac.lua"
  chmod 644 "$folder/lm-ac.lua"
  echo "installed: $folder/lm-ac.lua"
  ;;
-u)
  rm -f "$folder/lm-ac.lua"
  echo "removed: $folder/lm-ac.lua"
  ;;
*) die "$1: no such option; none installs, -u removes" ;;
esac
