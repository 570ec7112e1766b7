#!/usr/bin/env bash
# install.sh build|install|uninstall: liblm.so with its SONAME and liblm.a, into target/liblm; from there,
# with header, pkg-config files and manual, to PREFIX (/usr/local), below DESTDIR if that is set; and away
# again. LIBDIR and INCLUDEDIR are PREFIX/lib and PREFIX/include unless they are set. PROFILE: release, unless
# it is debug.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
tree=$(cd "$here/../.." && pwd)
die() { echo "install.sh: $*" >&2; exit 1; }
version=$(sed -n '/^\[workspace.package\]/,/^\[/s/^version = "\(.*\)"/\1/p' "$tree/Cargo.toml")
[ -n "$version" ] || die "no version in $tree/Cargo.toml"
soname=liblm.so.0
target=${CARGO_TARGET_DIR:-$tree/target}
# Where the built files lie; Meson has a folder of its own.
out=${LIBLM_OUT:-$target/liblm}
profile=${PROFILE:-release}
prefix=${PREFIX:-/usr/local}
libdir=${LIBDIR:-$prefix/lib}
includedir=${INCLUDEDIR:-$prefix/include}
mandir=${MANDIR:-$prefix/share/man}
dest=${DESTDIR:-}
absolute() { case $2 in /*) ;; *) die "$1=$2: give a path that begins with /" ;; esac; }
# What pkg-config prints is split by a shell, so a path with other characters cannot be used from there.
for name in PREFIX LIBDIR INCLUDEDIR MANDIR; do
  declare -n path=${name,,}
  absolute $name "$path"
  case $path in *[!A-Za-z0-9/._+,:@%=~-]*) die "$name=$path: pkg-config cannot name this path. Give one of letters, digits and / . _ + , : @ % = ~ -" ;; esac
done
[ -z "$dest" ] || absolute DESTDIR "$dest"

# The shared library is made of the static one: rustc's own would have no version of its symbols. dlclose()
# leaves it loaded, as DPDK calls functions of it later: free callbacks of mbufs, telemetry commands.
build() {
  local flags=(--locked -p liblm)
  case $profile in
  release) flags+=(--release) ;;
  debug) ;;
  *) die "PROFILE=$profile: release or debug" ;;
  esac
  (cd "$tree" && "${CARGO:-cargo}" build "${flags[@]}")
  mkdir -p "$out"
  cp "$target/$profile/liblm_c.a" "$out/liblm.a"
  local libs
  read -ra libs <<<"$(pkg-config --libs-only-L libdpdk)"
  for lib in eal log ethdev net ip_frag gso gro mbuf mempool ring kvargs telemetry; do
    pkg-config --libs libdpdk | grep -qw -- "-lrte_$lib" && libs+=("-lrte_$lib")
  done
  local keep=()
  for symbol in $(symbols); do keep+=("-Wl,-u,$symbol"); done
  "${CC:-cc}" -shared -o "$out/liblm.so.$version" "-Wl,-soname,$soname" "-Wl,--version-script=$here/liblm.map" \
    -Wl,--gc-sections -Wl,-z,relro,-z,now,-z,defs,-z,nodelete ${LDFLAGS:-} "${keep[@]}" "$out/liblm.a" -Wl,--as-needed "${libs[@]}" \
    -lgcc_s -lutil -lrt -lpthread -lm -ldl -lc
  ln -sf "liblm.so.$version" "$out/$soname"
  ln -sf "$soname" "$out/liblm.so"
}

# What the library exports, of the version script.
symbols() { sed -n '/global:/,/local:/p' "$here/liblm.map" | grep -o 'lm_[a-z0-9_]*'; }

pc() {
  sed -e "s|@prefix@|$prefix|" -e "s|@libdir@|$libdir|" -e "s|@includedir@|$includedir|" -e "s|@version@|$version|" \
    -e '/@url@/d' "$here/$1.in" >"$dest$libdir/pkgconfig/$1"
  chmod 644 "$dest$libdir/pkgconfig/$1"
}

# The linker's list of libraries.
refresh() { if [ -z "$dest" ] && [ "$(id -u)" = 0 ] && command -v ldconfig >/dev/null; then ldconfig; fi; }

install_all() {
  [ -e "$out/liblm.so.$version" ] || die "nothing is built in $out: run install.sh build first"
  install -d "$dest$libdir/pkgconfig" "$dest$includedir" "$dest$mandir/man3"
  install -m 644 "$out/liblm.a" "$out/liblm.so.$version" "$dest$libdir/"
  ln -sf "liblm.so.$version" "$dest$libdir/$soname"
  ln -sf "$soname" "$dest$libdir/liblm.so"
  install -m 644 "$here/include/lm.h" "$dest$includedir/lm.h"
  install -m 644 "$here/lm.3" "$dest$mandir/man3/lm.3"
  pc lm.pc
  pc lm-static.pc
  refresh
  echo "installed: $dest$libdir/liblm.so.$version"
}

uninstall() {
  rm -f "$dest$libdir/liblm.a" "$dest$libdir/liblm.so.$version" "$dest$libdir/$soname" "$dest$libdir/liblm.so" \
    "$dest$includedir/lm.h" "$dest$mandir/man3/lm.3" "$dest$libdir/pkgconfig/lm.pc" "$dest$libdir/pkgconfig/lm-static.pc"
  # Folders that were made for it, if nothing else is in them.
  for folder in "$libdir/pkgconfig" "$libdir" "$includedir" "$mandir/man3" "$mandir" "$prefix/share" "$prefix"; do
    case ${folder%/} in
    /usr/local | /usr/local/* | /usr/lib | /usr/include | /usr/share) continue ;;
    /*/*) ;;
    *) continue ;;
    esac
    rmdir "$dest$folder" 2>/dev/null || true
  done
  refresh
  echo "removed: $dest$libdir/liblm.so.$version"
}

case ${1-} in
build) build ;;
install) install_all ;;
uninstall) uninstall ;;
symbols) symbols ;;
*) die "say build, install or uninstall, not '${1-}'" ;;
esac
