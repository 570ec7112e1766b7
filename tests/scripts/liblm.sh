#!/usr/bin/env bash
# liblm.sh: LM for C. Installs it into a folder of its own and builds programs against that: by cc, shared and
# static, C++, Meson (installed and as a subproject) and CMake. Runs the examples, each misuse of lm(3),
# random calls under ASan and UBSan, and the same under valgrind. Uninstalls it: nothing is left. lm-testpmd
# is the peer of two examples.
set -euo pipefail
cd "$(dirname "$0")/../.."
tree=$PWD here=$PWD/meson-wrap/liblm
fail() { echo "liblm.sh: $*" >&2; exit 1; }
# What pkg-config prints is split at spaces.
case $tree in *[[:space:]]*) fail "$tree: run it in a tree whose path has no spaces" ;; esac
work=$tree/target/liblm/test
run=$(mktemp -d /tmp/lmc-XXXXXX)
trap 'rm -rf "$run"' EXIT
rm -rf "$work" && mkdir -p "$work/bin"

echo "header, symbols and version script name the same functions"
"$here/install.sh" build
named() { grep -o '\blm_[a-z0-9_]*' | sort -u; }
diff <("$here/install.sh" symbols | sort) <(sed '/static inline/,$d' "$here/include/lm.h" | grep -o '^[a-z].*\blm_[a-z0-9_]*(' | grep -o 'lm_[a-z0-9_]*($' | tr -d '(' | sort)
diff <("$here/install.sh" symbols | sort) <(nm -D --defined-only target/liblm/liblm.so | awk '$2 == "T" { print $3 }' | sed 's/@.*//' | named)
readelf -d target/liblm/liblm.so | grep -q 'SONAME.*liblm\.so\.0\]' || fail "the SONAME is not liblm.so.0"
readelf -d target/liblm/liblm.so | grep -q 'FLAGS_1.*NODELETE' || fail "dlclose() would unload liblm.so, which DPDK still calls"
# Objects of other crates stay on their own when Cargo does not optimise across crates, and calls are slower.
! ar t target/liblm/liblm.a | grep -q '^lm_engine-' || fail "liblm.a was built without LTO: it needs the crate type staticlib alone"
(($("$here/install.sh" symbols | wc -l) <= 25)) || fail "more than 25 functions"
for f in "$here"/examples/*.c; do (($(wc -l <"$f") < 80)) || fail "$f has 80 lines or more"; done

echo "make install"
export PREFIX=$work/prefix
make --no-print-directory -s install DESTDIR="$work/dest" PREFIX=/opt/lm
[ -e "$work/dest/opt/lm/lib/liblm.so.0" ] && grep -q '^prefix=/opt/lm$' "$work/dest/opt/lm/lib/pkgconfig/lm.pc" || fail "DESTDIR"
make --no-print-directory -s uninstall DESTDIR="$work/dest" PREFIX=/opt/lm
[ -z "$(find "$work/dest" ! -type d)" ] || fail "uninstall leaves $(find "$work/dest" ! -type d)"
for path in /opt /opt/; do
  for what in install uninstall; do PREFIX=$path DESTDIR=$work/dest "$here/install.sh" $what >/dev/null; done
  [ "$(find "$work/dest/opt")" = "$work/dest/opt" ] || fail "PREFIX=$path: uninstall does not leave an empty /opt"
done
for path in relative '/opt/two words' '/opt/a&b' '/opt/a|b' '/opt/a#b' '/opt/a$b' "/opt/a'b" '/opt/a\b' /opt/é; do
  for variable in PREFIX LIBDIR INCLUDEDIR MANDIR; do
    code=0
    said=$(env "$variable=$path" DESTDIR="$work/refused" "$here/install.sh" install 2>&1) || code=$?
    ((code == 1)) && [[ $said == "install.sh: $variable=$path"* ]] || fail "$variable=$path: $code, $said"
  done
done
[ ! -e "$work/refused" ] || fail "what was refused was installed: $(find "$work/refused")"
make --no-print-directory -s install PREFIX="$PREFIX"
export PKG_CONFIG_PATH=$PREFIX/lib/pkgconfig${PKG_CONFIG_PATH:+:$PKG_CONFIG_PATH} LD_LIBRARY_PATH=$PREFIX/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}

strict=(-std=gnu11 -Wall -Wextra -Wpedantic -Wno-overlength-strings -Werror -O1 -g)
flags() { pkg-config "$@"; }
# shellcheck disable=SC2046
{
  echo "cc, C++, liblm.a"
  for one in hello echo in_place; do
    cc "${strict[@]}" "$here/examples/$one.c" -o "$work/bin/$one" $(flags --cflags --libs lm)
    cc "${strict[@]}" "$here/examples/$one.c" -o "$work/bin/$one-static" $(flags --cflags --libs lm-static)
  done
  cc -std=gnu11 -Wall -Werror -O1 "$here/examples/adopt.c" -o "$work/bin/adopt" $(flags --cflags --libs lm libdpdk)
  cc -std=gnu11 -Wall -Werror -DALLOW_EXPERIMENTAL_API -O1 -g "$here/tests/mbufs.c" -o "$work/bin/mbufs" $(flags --cflags --libs lm libdpdk)
  cc -std=gnu11 -Wall -Werror -O1 -g "$here/tests/adopted.c" -o "$work/bin/adopted" $(flags --cflags --libs lm libdpdk)
  cc "${strict[@]}" "$here/tests/sleep.c" -o "$work/bin/sleep" $(flags --cflags --libs lm)
  cc "${strict[@]}" "$here/tests/misuse.c" -o "$work/bin/misuse" -pthread $(flags --cflags --libs lm)
  cc "${strict[@]}" -fsanitize=address,undefined -fno-sanitize-recover=undefined "$here/tests/misuse.c" \
    -o "$work/bin/misuse-asan" -pthread $(flags --cflags --libs lm)
  # Twice, as two headers of a program may include it.
  printf '#include <lm.h>\n#include <lm.h>\nint main(void) { lm_config c = lm_config_default(); return c.mtu != 1500; }\n' >"$work/header.c"
  cc "${strict[@]}" "$work/header.c" -o "$work/bin/header-c" $(flags --cflags --libs lm)
  "$work/bin/header-c"
  # A library that refuses leaves no garbage in the configuration.
  printf '#define lm_config_init refuse\n#include <lm.h>\nint refuse(lm_config *c, size_t n, size_t m) { (void)c, (void)n, (void)m; return -22; }\nint main(void) { lm_config c = lm_config_default(); return c.size != 0 || c.mtu != 0 || c.key != 0; }\n' >"$work/refused.c"
  cc "${strict[@]}" -ftrivial-auto-var-init=pattern "$work/refused.c" -o "$work/bin/refused" $(flags --cflags lm)
  "$work/bin/refused"
  printf '#include <lm.h>\n#include <lm.h>\nint main() { lm_config c = lm_config_default(); return c.mtu != 1500; }\n' >"$work/header.cpp"
  c++ -std=c++11 -Wall -Wextra -Werror "$work/header.cpp" -o "$work/bin/header" $(flags --cflags --libs lm)
  "$work/bin/header"
}
readelf -d "$work/bin/hello-static" | grep -q 'liblm' && fail "hello-static needs liblm.so"
readelf -d "$work/bin/hello" | grep -q 'liblm\.so\.0' || fail "hello does not need liblm.so.0"

if command -v meson >/dev/null; then
  echo "Meson: installed"
  meson setup "$work/meson" "$here/tests/meson" >"$work/meson.log" 2>&1 && meson compile -C "$work/meson" >>"$work/meson.log" 2>&1 ||
    { cat "$work/meson.log" >&2; fail "Meson does not find the installed liblm"; }
  echo "Meson: subprojects/lm.wrap"
  mkdir -p "$work/wrapped/subprojects" "$work/stub"
  sed "s|'[^']*hello.c'|'hello.c'|" "$here/tests/meson/meson.build" >"$work/wrapped/meson.build"
  cp "$here/examples/hello.c" "$work/wrapped/"
  cp -r "$here/subprojects/packagefiles" "$work/wrapped/subprojects/"
  git -c safe.directory="$tree" clone -q --no-hardlinks --depth 1 "file://$tree" "$work/origin" 2>/dev/null || fail "git clone"
  git -C "$work/origin" checkout -q -B main
  sed "s|^url = .*|url = file://$work/origin|; s|^depth = .*||" "$here/subprojects/lm.wrap" >"$work/wrapped/subprojects/lm.wrap"
  # The build of this tree serves for the clone of it.
  printf '#!/bin/sh\ncd "%s" && echo run >>"%s" && exec cargo "$@"\n' "$tree" "$work/stub/runs" >"$work/stub/cargo"
  chmod +x "$work/stub/cargo"
  (
    unset PKG_CONFIG_PATH
    export CARGO="$work/stub/cargo" CARGO_TARGET_DIR="$tree/target"
    meson setup "$work/wrapped/build" "$work/wrapped" && meson compile -C "$work/wrapped/build" &&
      meson compile -C "$work/wrapped/build"
  ) >"$work/wrap.log" 2>&1 || { tail -30 "$work/wrap.log" >&2; fail "Meson does not build the subproject"; }
  (($(wc -l <"$work/stub/runs") == 2)) || fail "Meson does not ask cargo whether something has changed"
  readelf -d "$work/wrapped/build/hello" | grep -q 'liblm\.so\.0' || fail "the subproject is not what was linked"
  echo "Meson: the project by itself"
  (
    export CARGO="$work/stub/cargo" CARGO_TARGET_DIR="$tree/target"
    meson setup "$work/alone" "$here" --prefix "$work/alone-prefix" && meson install -C "$work/alone"
  ) >"$work/alone.log" 2>&1 || { tail -30 "$work/alone.log" >&2; fail "Meson does not build the project"; }
  [ -e "$work/alone-prefix/lib/pkgconfig/lm.pc" ] || fail "meson install does not install"
elif [ -n "${LM_TOOLS:-}" ]; then fail "there is no meson"; else echo "no meson: not run"; fi

if command -v cmake >/dev/null; then
  echo "CMake"
  { cmake -S "$here/tests/cmake" -B "$work/cmake" && cmake --build "$work/cmake"; } >"$work/cmake.log" 2>&1 ||
    { cat "$work/cmake.log" >&2; fail "CMake does not build"; }
elif [ -n "${LM_TOOLS:-}" ]; then fail "there is no cmake"; else echo "no cmake: not run"; fi

common=(--no-pci --no-huge -m 256 --no-telemetry --log-level=4)
vdev() { echo "--vdev=net_memif$1,role=$2,id=0,rsize=9,socket-abstract=no,socket=$run/$3.sock"; }
# both NAME COMMAND... [-- ARGUMENT...]: a program that has both ends, with EAL's arguments behind the
# command.
both() {
  local name=$1 before=() after=()
  shift
  while (($#)) && [ "$1" != -- ]; do before+=("$1"); shift; done
  after=("$@")
  timeout 300 "${before[@]}" "${common[@]}" -l 0 --file-prefix="lmc$$$name" "$(vdev 0 server "$name")" \
    "$(vdev 1 client "$name")" "${after[@]}" >"$run/$name.out" 2>&1 || { cat "$run/$name.out" >&2; fail "$name failed"; }
  grep -v -e EAL: -e Invalid "$run/$name.out" || true
}
echo "examples"
both echo "$work/bin/echo"
grep -q '1000 of 1000 messages came back, 0 of them wrong' "$run/echo.out" || fail "echo"
both static "$work/bin/echo-static"
both place "$work/bin/in_place"
grep -q '2000 lines arrived' "$run/place.out" || fail "in_place"

# served NAME PROGRAM ARGUMENT...: a program that answers lm-testpmd's pings, and ends by itself.
served() {
  local name=$1 program=$2 pid
  shift 2
  timeout 60 "$program" "${common[@]}" -l 0 --file-prefix="lmc$$$name" "$(vdev 0 server "$name")" -- "$@" >"$run/$name.out" 2>&1 &
  pid=$!
  for _ in $(seq 200); do [ -S "$run/$name.sock" ] && break; sleep 0.1; done
  timeout 60 target/release/lm-testpmd "${common[@]}" -l 1 --file-prefix="lmc$$${name}p" "$(vdev 0 client "$name")" -- \
    --tx-ip=10.1.0.1,10.1.0.2 --tx-udp=9000,7000 --forward-mode=ping --txsize=100,7168 --count=100 >"$run/$name.ping" 2>&1 ||
    { cat "$run/$name.out" "$run/$name.ping" >&2; fail "$name: the pings failed"; }
  wait "$pid" || { cat "$run/$name.out" >&2; fail "$name failed"; }
}
served hello "$work/bin/hello" net_memif0 10.1.0.2 7000 100
(($(grep -c ' bytes from 10.1.0.1:9000' "$run/hello.out") == 100)) || fail "hello saw other datagrams"
served adopt "$work/bin/adopt" 10.1.0.2 100
grep -q '100 messages went back' "$run/adopt.out" || fail "adopt"
echo "hello and adopt answer 100 pings each"

echo "mbufs"
both mbufs "$work/bin/mbufs"
grep -q '0 of [0-9]* checks failed' "$run/mbufs.out" || fail "mbufs"

echo "adopted queues"
both adopted "$work/bin/adopted"
grep -q '0 of [0-9]* checks failed' "$run/adopted.out" || fail "adopted"

if [ -w /dev/net/tun ] && unshare --net true 2>/dev/null; then
  echo "sleep, and be woken"
  timeout 120 unshare --net "$work/bin/sleep" "${common[@]}" -l 0 --file-prefix="lmc$$sleep" --vdev=net_tap0,iface=lmsleep \
    >"$run/sleep.out" 2>&1 || { cat "$run/sleep.out" >&2; fail "sleep failed"; }
  grep 'checks failed' "$run/sleep.out"
elif [ -n "${LM_TOOLS:-}" ]; then fail "net_tap cannot be had: /dev/net/tun, or a name space"; else echo "no net_tap: sleeping is not run"; fi

echo "misuse"
both misuse "$work/bin/misuse" -- 100000
# DPDK's interrupt thread keeps what it waits on (rte::eal parks it).
export LSAN_OPTIONS="suppressions=$here/tests/leaks.txt:print_suppressions=0"
both asan "$work/bin/misuse-asan" -- 100000
if command -v valgrind >/dev/null; then
  both valgrind valgrind -q --error-exitcode=9 "$work/bin/misuse" -- 2000
elif [ -n "${LM_TOOLS:-}" ]; then fail "there is no valgrind"; else echo "no valgrind: not run"; fi

make --no-print-directory -s uninstall PREFIX="$PREFIX"
[ ! -e "$PREFIX" ] || fail "uninstall leaves $(find "$PREFIX")"
echo "liblm: all of it was seen"
