#!/usr/bin/env bash
# packages.sh [--if-possible] [--quick] [STEP]...: the packages that this tree makes.
#   STEP  crates: `cargo package` of the whole workspace, each built from its archive.
#         source: a Debian source package, with the crates that it needs, in target/packages.
#         build: packages of it, in a Debian 13 of its own that has no network, and what lintian says.
#         install: those in another, the smallest: lm-testpmd pings itself, cc finds liblm, manuals
#         are there. Removed again: nothing is left.
#         All of them unless told.
#   PACKAGES_CACHE   where those systems are kept (target/packages).
#   MATRIX_CACHE     where what debootstrap makes is kept (target/matrix), as for matrix.sh.
# --if-possible: a machine on which no suite can be installed says so and passes.
# --quick: the compiler does not optimise, which takes a third of the time. Everything else is the same.
set -euo pipefail
cd "$(dirname "$0")/../.."
. tests/scripts/mirror.sh
. tests/scripts/suite.sh
tree=$PWD suite=trixie
out=$tree/target/packages
cache=${PACKAGES_CACHE:-$out}
base=${MATRIX_CACHE:-$tree/target/matrix}/base-$suite
version=$(sed -n '1s/.*(\(.*\)-.*).*/\1/p' meson-wrap/debian/changelog)
debian=$(sed -n '1s/.*(\(.*\)).*/\1/p' meson-wrap/debian/changelog)
lenient='' how=()
while :; do
  case ${1:-} in
  --if-possible) lenient=yes ;;
  --quick) how=(CARGO_PROFILE_RELEASE_{OPT_LEVEL=0,DEBUG=0,LTO=off,CODEGEN_UNITS=16}) ;;
  *) break ;;
  esac
  shift
done
fail() { echo "packages.sh: $*" >&2; exit 1; }
impossible() {
  echo "packages: not built: $1"
  [ -n "$lenient" ] && exit 0
  exit 1
}

# The tree may belong to somebody else: root by su, a folder that a container has from its host.
git() { command git -c safe.directory='*' "$@"; }

# in_root ROOT [NAME=VALUE]... COMMAND: in that system, in name spaces of its own.
in_root() {
  local root=$1
  shift
  # shellcheck disable=SC2016
  unshare --mount --pid --fork --propagation private ${offline:+--net} bash -c '
    root=$1
    shift
    mount --bind "$root" "$root" && mount -t proc proc "$root/proc" && mount --rbind /sys "$root/sys" && mount --rbind /dev "$root/dev" || exit 1
    exec chroot "$root" /usr/bin/env -i HOME=/root LANG=C.UTF-8 DEBIAN_FRONTEND=noninteractive \
      PATH=/usr/sbin:/usr/bin:/sbin:/bin "$@"' _ "$root" "$@"
}

# A Debian 13 that has what builds packages, its compiler from the archive of security updates.
make_roots() {
  local from
  must_have_rights
  must_have_space "$cache" 4096
  # Where the base was before it was the matrix's, too.
  [ ! -e "$cache/base/etc/debian_version" ] || rm -rf --one-file-system "$cache/base"
  base_of "$suite" "$base"
  [ -e "$cache/is-whole" ] && [ -e "$cache/build/usr/bin/dpkg-buildpackage" ] && return
  rm -f "$cache/is-whole"
  a_copy_of "$base" "$cache/build"
  from=$(mirror_of "$(. /etc/os-release && echo "${VERSION_CODENAME:-}")")
  echo "deb ${from%/}-security $suite-security main" >"$cache/build/etc/apt/sources.list.d/security.list"
  in_root "$cache/build" bash -c 'apt-get update -qq && apt-get install -y -qq --no-install-recommends build-essential \
    debhelper fakeroot libclang-dev libdpdk-dev lintian pkgconf python3 rustc-web cargo-web' >"$cache/build.log" 2>&1 ||
    impossible "what builds packages cannot be installed, see $cache/build.log: $(tail -n 1 "$cache/build.log")"
  touch "$cache/is-whole"
}

crates() {
  cargo package --workspace --locked --allow-dirty --quiet
  echo "$(find target/package -maxdepth 1 -name '*.crate' | wc -l) crates are packaged, and built from their archives"
}

# Two archives, this tree's and that of the crates: the same commit gives the same bytes.
source_package() {
  local made='' time code=0
  must_have_space "$out" 1024
  command -v xz >/dev/null || [ "$(id -u)" = 0 ] || impossible "not root, and xz (xz-utils) is not installed"
  command -v xz >/dev/null || tests/scripts/install.sh matrix || impossible "xz (xz-utils) cannot be installed"
  time=$(git log -1 --format=%ct)
  rm -rf "$out/source" && mkdir -p "$out/source"
  # With what is not committed, of the files that git knows.
  # Where nothing is changed, the folder may be one that cannot be written to.
  git diff --quiet HEAD || made=$(git stash create)
  git archive --prefix="lm-$version/" "${made:-HEAD}" | gzip -9n >"$out/source/lm_$version.orig.tar.gz"
  python3 -B meson-wrap/debian/vendor.py "$out/source/vendor" || code=$?
  case $code in
  0) ;;
  3) impossible "the crates of Cargo.lock cannot be had" ;;
  *) fail "the crates of Cargo.lock are not put together" ;;
  esac
  tar -C "$out/source" --sort=name --mtime="@$time" --owner=0 --group=0 --numeric-owner --mode=u=rwX,go=rX -c vendor |
    xz -T0 -3 >"$out/source/lm_$version.orig-vendor.tar.xz"
  rm -rf "$out/source/vendor"
  echo "source: $(du -ch "$out"/source/*.tar.* | tail -n 1 | cut -f1)"
}

build() {
  local root=$cache/build log=$out/build.log
  [ -e "$out/source/lm_$version.orig-vendor.tar.xz" ] || source_package
  rm -rf --one-file-system "$root/build" && mkdir -p "$root/build"
  cp "$out"/source/*.tar.* "$root/build/"
  offline=yes in_root "$root" V="$version" "${how[@]}" bash -euc '
    cd /build
    tar xf lm_$V.orig.tar.gz && cd lm-$V
    tar xf ../lm_$V.orig-vendor.tar.xz && cp -r meson-wrap/debian debian
    dpkg-source -b . && cd .. && rm -rf lm-$V && dpkg-source -x lm_$V-*.dsc && cd lm-$V
    dpkg-buildpackage -us -uc' >"$log" 2>&1 || { tail -n 40 "$log" >&2; fail "the packages are not built: see $log"; }
  offline=yes in_root "$root" bash -c 'cd /build && lintian --allow-root --fail-on error --info *.changes' >"$out/lintian.log" 2>&1 ||
    { cat "$out/lintian.log" >&2; fail "lintian finds errors"; }
  rm -f "$out"/*.deb "$out"/*.dsc
  cp "$root"/build/*.deb "$root"/build/*.dsc "$out/"
  cp "$out"/source/*.tar.* "$root"/build/*.debian.tar.* "$out/"
  rm -rf --one-file-system "$root/build"
  echo "build: $(cd "$out" && echo *.deb); lintian finds no error"
  grep '^W:' "$out/lintian.log" || true
}

install_and_remove() {
  local root=$cache/clean
  compgen -G "$out/lm-tools_${debian}_*.deb" >/dev/null || fail "nothing is built in $out: packages.sh build"
  a_copy_of "$base" "$root"
  mkdir "$root/packages"
  cp "$out"/*_"${debian}"_*.deb tests/scripts/packages-inside.sh meson-wrap/liblm/examples/{hello,echo}.c "$root/packages/"
  rm -f "$root"/packages/*-dbgsym_*
  # Without the option old lists would do, but what they name could not be fetched.
  in_root "$root" apt-get update -qq -o APT::Update::Error-Mode=any || {
    rm -rf --one-file-system "$root"
    impossible "Debian's lists of packages cannot be fetched"
  }
  in_root "$root" bash /packages/packages-inside.sh || fail "the packages, installed, do not do what they should"
  rm -rf --one-file-system "$root"
  echo "install: used and removed, and nothing is left"
}

steps=("$@")
((${#steps[@]})) || steps=(crates source build install)
for one in "${steps[@]}"; do
  began=$SECONDS
  case $one in
  crates) crates ;;
  source) source_package ;;
  build)
    make_roots
    build
    ;;
  install)
    make_roots
    install_and_remove
    ;;
  *) echo "packages.sh: no step $one; there are crates, source, build and install" >&2; exit 2 ;;
  esac
  echo "packages: $one: $((SECONDS - began)) s"
done
