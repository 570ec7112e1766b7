# packages-inside.sh: run by packages.sh in a Debian that has nothing of LM, and new lists of packages: installs
# the packages beside it, uses them, and removes them. The files of the system are those that it had before,
# then.
set -euo pipefail
cd /packages
fail() { echo "packages-inside.sh: $*" >&2; exit 1; }
quietly() { "$@" >/tmp/said 2>&1 || { cat /tmp/said >&2; fail "$* failed"; }; }

# needs PACKAGE...: what these packages depend on, but for each other.
needs() { for p in "$@"; do dpkg-deb -f ./"$p"_*.deb Depends; done | tr ',' '\n' | sed 's/[(|].*//' | tr -d ' ' | grep -vx 'liblm0' | sort -u; }
# Each file and folder, but for what apt and dpkg write down.
files() {
  find / -xdev \( -path /proc -o -path /sys -o -path /dev -o -path /tmp -o -path /packages -o -path /var/lib/apt -o -path /var/cache \
    -o -path /var/log -o -path /var/lib/dpkg -o -path /run/dpdk \) -prune -o -print | sort
}
# put_in PACKAGE...: first what they need, then those and nothing else.
put_in() {
  # shellcheck disable=SC2046
  quietly apt-get install -y --no-install-recommends $(needs "$@") "${tools[@]}"
  files >/tmp/before
  local archives=()
  for p in "$@"; do archives+=(./"$p"_*.deb); done
  quietly dpkg -i "${archives[@]}"
}
take_out() {
  quietly apt-get purge -y "$@"
  files >/tmp/after
  diff /tmp/before /tmp/after >&2 || fail "that is left, or gone, after $* were removed"
}
tools=()
put_in lm-tools lmd liblm0

echo "lm-testpmd pings itself over net_memif, with the drivers that its package names"
common=(--no-pci --no-huge -m 256 --no-telemetry --log-level=4 -l 0)
vdev() { echo "--vdev=net_memif0,role=$1,id=0,rsize=9,socket-abstract=no,socket=/tmp/lm.sock"; }
lm-testpmd "${common[@]}" --file-prefix=a "$(vdev server)" -- --tx-ip=10.1.0.2,10.1.0.1 --tx-udp=7000,9000 \
  --forward-mode=echo >/tmp/echo 2>&1 &
server=$!
for _ in $(seq 200); do [ -S /tmp/lm.sock ] && break; sleep 0.1; done
quietly timeout 120 lm-testpmd "${common[@]}" --file-prefix=b "$(vdev client)" -- --tx-ip=10.1.0.1,10.1.0.2 \
  --tx-udp=9000,7000 --forward-mode=ping --txsize=64,7168,65507 --count=300 --max-loss=0
kill "$server" && wait "$server" || { cat /tmp/echo >&2; fail "the end that echoes failed"; }

echo "lm-netpipe and lmd begin"
quietly lm-netpipe --version
quietly lmd --version
for file in /etc/lmd.toml /usr/lib/systemd/system/lmd.service; do
  dpkg -L lmd | grep -qx "$file" && [ -s "$file" ] || fail "lmd has no $file"
done
quietly lmd --check --config /etc/lmd.toml
code=0
lmd "${common[@]}" -- --interface=this-name-is-too-long >/tmp/said 2>&1 || code=$?
[ "$code" = 2 ] && [ "$(wc -l </tmp/said)" = 1 ] || { cat /tmp/said >&2; fail "lmd refuses a wrong name with $code"; }

take_out lm-tools lmd liblm0

echo "cc finds liblm, shared and static"
tools=(gcc libc6-dev pkgconf man-db)
put_in lm-tools lmd liblm0 liblm-dev
# shellcheck disable=SC2046
{
  quietly cc -Wall -Werror echo.c -o /tmp/echo-shared $(pkg-config --cflags --libs lm)
  quietly cc -Wall -Werror echo.c -o /tmp/echo-static $(pkg-config --cflags --libs lm-static)
}
both=("--vdev=net_memif0,role=server,id=0,rsize=9,socket-abstract=no,socket=/tmp/c.sock"
  "--vdev=net_memif1,role=client,id=0,rsize=9,socket-abstract=no,socket=/tmp/c.sock")
for one in shared static; do
  rm -f /tmp/c.sock
  quietly timeout 120 "/tmp/echo-$one" "${common[@]}" --file-prefix="c$one" "${both[@]}"
  grep -q '1000 of 1000 messages came back, 0 of them wrong' /tmp/said || { cat /tmp/said >&2; fail "echo-$one"; }
done

echo "manuals"
for page in lm-testpmd.1 lm-netpipe.1 lmd.8 lm.3; do
  file=$(dpkg -L lm-tools lmd liblm-dev | grep "/$page.gz$") || fail "there is no manual $page"
  MANROFFSEQ='' man --warnings -E UTF-8 -l "$file" >/tmp/said 2>/tmp/warned || fail "man does not show $page"
  [ ! -s /tmp/warned ] || { cat /tmp/warned >&2; fail "$page is no clean page"; }
done

take_out lm-tools lmd liblm0 liblm-dev
