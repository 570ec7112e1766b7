#!/usr/bin/env bash
# matrix.sh [--if-possible] SUITE [STEP]...: this tree on another Debian suite's DPDK. debootstrap installs
# the suite into a folder, from the mirror that this machine uses. The steps run in it, in a name space of
# their own.
#   SUITE  trixie, sid or another that the mirror has. Where its DPDK is not in
#          meson-wrap/dpdk-sys/supported.txt: "not run".
#   STEP   build unit vdev demo e2e lab c clang two-commands; the first five unless told.
#          c: `make c`, liblm's examples among them.
#          clang: compiles with it, and runs the unit tests of what stands next to DPDK.
#          two-commands: README's `make demo` and `make test`, in a copy of what debootstrap puts there and
#          nothing else, Rust neither. The copy, SUITE-bare, is kept if they fail.
#   MATRIX_CACHE   where suites are kept (target/matrix).
# --if-possible: a machine on which no suite can be installed says so and passes.
set -euo pipefail
cd "$(dirname "$0")/../.."
. tests/scripts/mirror.sh
. tests/scripts/suite.sh
. tests/scripts/supported.sh
tree=$PWD
mkdir -p target
lenient=
if [ "${1:-}" = --if-possible ]; then lenient=yes; shift; fi
suite=${1:-}
[[ "$suite" =~ ^[a-z][a-z0-9-]*$ ]] ||
  { echo "matrix.sh: say a suite, such as trixie or sid, not '$suite': make matrix SUITE=trixie" >&2; exit 2; }
shift
steps=("$@")
((${#steps[@]})) || steps=(build unit vdev demo e2e)
cache=${MATRIX_CACHE:-$tree/target/matrix}
root=$cache/$suite

# The machine lacks something that a suite needs: said, and a failure unless it may be.
impossible() {
  echo "matrix $suite: not run: $1"
  [ -n "$lenient" ] && exit 0
  exit 1
}

# inside COMMAND: in the suite, with this tree at /lm, read-only but for its target folder. Mounts are in a
# name space of their own, so that nothing is left behind. The root has to be a mount point, because `ip netns
# exec` remounts it. Rust is this machine's, if that is not a package: else the suite has its own.
inside() {
  local sysroot= homes=()
  [ -n "${bare:-}" ] || sysroot=$(rustc --print sysroot 2>/dev/null || true)
  case "$sysroot" in
  "" | /usr | /usr/*) sysroot= ;;
  *) homes=(CARGO_HOME="${CARGO_HOME:-$HOME/.cargo}") ;;
  esac
  # shellcheck disable=SC2016
  unshare --mount --propagation private bash -c '
    set -euo pipefail
    root=$1 tree=$2 sysroot=$3 cargo=$4 command=$5
    shift 5
    mount --bind "$root" "$root"
    for d in proc sys dev; do mount --rbind "/$d" "$root/$d"; done
    # Its files of hugepages are its own: an EAL takes those away that nobody holds, whoever made them.
    mkdir -p "$root/dev/hugepages"
    mount -t hugetlbfs hugetlbfs "$root/dev/hugepages"
    mkdir -p "$root/lm" "$root/lm-target"
    mount --bind -o ro "$tree" "$root/lm"
    mount --bind "$root/lm-target" "$root/lm/target"
    if [ -n "$sysroot" ]; then
      mkdir -p "$root$sysroot" "$root$cargo/registry" "$cargo/registry"
      mount --bind -o ro "$sysroot" "$root$sysroot"
      mount --bind "$cargo/registry" "$root$cargo/registry"
    fi
    cp -L /etc/resolv.conf "$root/etc/resolv.conf" 2>/dev/null || true
    exec chroot "$root" /usr/bin/env -i "$@" bash -c "$command"
  ' _ "$root" "$tree" "$sysroot" "${CARGO_HOME:-$HOME/.cargo}" "cd /lm && $1" \
    HOME=/root TERM="${TERM:-xterm}" LANG=C.UTF-8 PYTHONDONTWRITEBYTECODE=1 LM_TOOLS=must "${homes[@]}" \
    PATH="${sysroot:+$sysroot/bin:}/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
}

make_root() {
  must_have_rights
  must_have_space "$cache" 4096
  [ -e "$root/lm-root-is-whole" ] && return
  base_of "$suite" "$cache/base-$suite"
  a_copy_of "$cache/base-$suite" "$root"
  touch "$root/lm-root-is-whole"
}

# The suite's DPDK, as the table would name it: 24.11.8 of 24.11.8-0+deb13u1. Nothing, if there is none.
# It is the one that is installed, or else the one that would be.
release() {
  inside 'LC_ALL=C apt-cache policy libdpdk-dev' |
    sed -n 's/ *\(Installed\|Candidate\): \([0-9]*:\)\{0,1\}\([0-9][0-9.]*\).*/\3/p' | head -n 1
}

check_release() {
  local has
  # With old lists, what is missing could not be fetched. Somebody who asks for the suite may lack nothing.
  inside "apt-get update -qq ${lenient:+-o APT::Update::Error-Mode=any}" || impossible "its apt-get update failed"
  has=$(release)
  if ! is_supported "$has"; then
    echo "matrix $suite: not run: its DPDK is ${has:-missing}; $supported_table has $(supported_releases | xargs) and later updates"
    exit 0
  fi
}

# As on a machine that was installed a moment ago.
two_commands() {
  local root=$root-bare bare=yes
  must_have_space "$cache" 14336
  base_of "$suite" "$cache/base-$suite"
  a_copy_of "$cache/base-$suite" "$root"
  inside 'make demo && make test'
  rm -rf --one-file-system "$root"
}

step() {
  case $1 in
  build) inside 'make build' ;;
  unit) inside 'make setup-test hugepages && cargo test --workspace --locked --no-fail-fast' ;;
  vdev) inside 'make hugepages vdev' ;;
  demo) inside 'make demo' ;;
  e2e) inside 'make e2e' ;;
  lab) inside 'make lab' ;;
  c) inside 'make c' ;;
  clang)
    inside 'apt-get install -y -qq --no-install-recommends clang >/dev/null
      CC=clang CARGO_TARGET_DIR=/lm/target/clang cargo test --locked -p dpdk-sys -p rte -p pmd-e1000'
    ;;
  two-commands) two_commands ;;
  *)
    echo "matrix.sh: no step $1; there are build, unit, vdev, demo, e2e, lab, c, clang and two-commands" >&2
    exit 2
    ;;
  esac
}

make_root
check_release
for one in "${steps[@]}"; do
  began=$SECONDS
  echo "== $suite, DPDK $(release): $one"
  step "$one"
  echo "== $suite: $one: $((SECONDS - began)) s"
done
