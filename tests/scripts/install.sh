#!/usr/bin/env bash
# install.sh build|test|lab|profile|matrix: installs the Debian packages that are missing, and nothing else; a
# compiler among them if there is none that is new enough.
set -euo pipefail
least=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' "$(dirname "$0")/../../Cargo.toml")
# python3, iproute2: the demo. libc6-dev, procps: a minimal system lacks them.
build=(libdpdk-dev libclang-dev pkg-config gcc libc6-dev make python3 iproute2 procps)
# dpdk-dev: dpdk-testpmd, the vhost end of virtio-user.
# g++, meson, cmake, valgrind: liblm. iperf3 and what follows: programs with sockets through lmd.
test=("${build[@]}" g++ meson cmake valgrind git dpdk-dev tshark iputils-ping ethtool tcpdump
  iperf3 socat util-linux nftables openssl openssh-client)
# Debian 12 and 13 have them, sid has not: QUIC is not tested without them. (Debian's ngtcp2-server starts a
# server for localhost alone, port 7777.)
quic=(ngtcp2-client ngtcp2-server)
# The middleware under ROS 2, 5 MB in 13 s (Fast DDS has another name as version 3); and sockperf. What a suite lacks
# is not tested.
dds=(cyclonedds-dev cyclonedds-tools libfastdds-dev libfastrtps-dev sockperf)
# Those of the laboratory's host; what its guests need besides (python3, ip, ethtool) is copied from the host.
lab=("${build[@]}" busybox-static ethtool)
profile=("${test[@]}" linux-perf binutils)
matrix=(debootstrap xz-utils)
# The first QEMU that has the 82576.
qemu=qemu-system-x86 qemu_least=1:8
case "${1:-}" in
build) want=("${build[@]}") ;;
test) want=("${test[@]}") ;;
lab) want=("${lab[@]}") ;;
profile) want=("${profile[@]}") ;;
matrix) want=("${matrix[@]}") ;;
*) echo "install.sh: say build, test, lab, profile or matrix, not '${1:-}'" >&2; exit 2 ;;
esac

if ! command -v dpkg-query >/dev/null; then
  echo "install.sh: no dpkg here, so nothing is installed; needed are Rust $least or newer and what Debian calls ${want[*]}" >&2
  exit 0
fi

has() { dpkg-query -W -f '${Status}' "$1" 2>/dev/null | grep -q 'ok installed'; }

must_be_root() {
  [ "$(id -u)" = 0 ] && return
  echo "install.sh: not root: install these packages first: $*" >&2
  exit 1
}

# What apt-get has to say is shown if it fails.
apt() {
  local said
  said=$(apt-get "${sources[@]}" "$@" 2>&1) && return
  printf '%s\n' "$said" >&2
  echo "install.sh: apt-get $* failed" >&2
  return 1
}

updated=
update() {
  [ -n "$updated" ] || apt update || return
  updated=yes
}

install() { apt install -y -qq --no-install-recommends "$@"; }

# The server is a program for a test here. Its services would let people in from outside: they are not started,
# now or at the next boot.
install_ssh_server() {
  local services=(ssh.service ssh.socket) failed=
  if ! command -v systemctl >/dev/null; then install openssh-server; return; fi
  systemctl --quiet mask "${services[@]}" 2>/dev/null || true
  install openssh-server || failed=yes
  systemctl --quiet unmask "${services[@]}" 2>/dev/null || true
  systemctl --quiet disable "${services[@]}" 2>/dev/null || true
  [ -z "$failed" ]
}

version() { dpkg-query -W -f '${Version}' "$1" 2>/dev/null; }
candidate() { apt-cache "${sources[@]}" policy "$1" 2>/dev/null | sed -n 's/ *Candidate: //p'; }
# is_new_enough VERSION LEAST, as Debian compares them.
is_new_enough() { [ -n "$1" ] && [ "$1" != "(none)" ] && dpkg --compare-versions "$1" ge "$2"; }

# with_suite SUITE [AFFIX]: the machine's own sources and another suite of the same mirror (its address with
# AFFIX behind it), for this run alone: its configuration stays as it is.
with_suite() {
  local suite=$1 release mirror keys=/usr/share/keyrings/debian-archive-keyring.gpg
  release=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
  mirror=$(mirror_of "$release")
  [ -n "$mirror" ] || { echo "install.sh: no source of ${release:-Debian} main, whose mirror would have $suite" >&2; return 1; }
  if [ -z "${parts:-}" ]; then
    parts=$(mktemp -d)
    trap 'rm -rf "$parts"' EXIT
    find /etc/apt/sources.list.d \( -name '*.sources' -o -name '*.list' \) -exec cp -t "$parts" {} + 2>/dev/null || true
  fi
  {
    printf 'Types: deb\nURIs: %s\nSuites: %s\nComponents: main\n' "${mirror%/}${2:-}" "$release-$suite"
    [ ! -e "$keys" ] || echo "Signed-By: $keys"
  } >"$parts/lm-$suite.sources"
  chmod -R a+rX "$parts"
  sources=(-o "Dir::Etc::SourceParts=$parts")
  updated=
  update
}

# rustc's version; nothing, if there is none or it does not run.
rustc_version() { { rustc --version 2>/dev/null || true; } | sed -n 's/^rustc \([0-9.]*\).*/\1/p'; }

# Debian's own compiler, as packages: the first that is new enough.
debian_has_rust() {
  local flavour
  for flavour in "" -web; do
    if is_new_enough "$(candidate "rustc$flavour")" "$least" && is_new_enough "$(candidate "cargo$flavour")" 0; then
      rust=("rustc$flavour" "cargo$flavour")
      return 0
    fi
  done
  return 1
}

# Before anything is built: is there a compiler that can?
check_compiler() {
  local have how
  have=$(rustc_version)
  if command -v cargo >/dev/null && is_new_enough "$have" "$least"; then return 0; fi
  how="install.sh: ${have:+rustc $have is too old: }Rust $least or newer is needed"
  if command -v rustup >/dev/null; then
    echo "$how: rustup toolchain install stable && rustup default stable" >&2
    exit 1
  fi
  how="$how: install it with rustup"
  if [ "$(id -u)" != 0 ]; then echo "$how, or run this once as root, for Debian may have it" >&2; exit 1; fi
  update
  debian_has_rust || { with_suite security -security && debian_has_rust; } ||
    { echo "$how; Debian's here is older, or its archive of security updates cannot be reached" >&2; exit 1; }
  echo "installing ${rust[*]}${have:+ in place of rustc $have}"
  install "${rust[@]}"
  hash -r
  have=$(rustc_version)
  is_new_enough "$have" "$least" ||
    { echo "install.sh: $(command -v rustc) is still ${have:-none that runs}: another stands before Debian's in PATH" >&2; exit 1; }
}

# The first of these packages that is new enough is wanted; false if none is.
wants_one_of() {
  local p
  for p in $1; do
    if is_new_enough "$(candidate "$p")" "$least"; then want+=("$p"); return 0; fi
  done
  return 1
}

. "$(dirname "$0")/mirror.sh"
export DEBIAN_FRONTEND=noninteractive
sources=()
check_compiler
missing=()
# What `make lint` needs; with rustup they are components.
if [ "$1" = test ] && dpkg-query -S "$(readlink -f "$(command -v rustc)")" >/dev/null 2>&1; then
  for tool in "fmt rustfmt rustfmt-web" "clippy rust-clippy rust-web-clippy"; do
    read -r command packages <<<"$tool"
    cargo "$command" --version >/dev/null 2>&1 && continue
    # They come from where the compiler came from, which may be the archive of security updates.
    wants_one_of "$packages" || { with_suite security -security && wants_one_of "$packages"; } || {
      echo "install.sh: cargo $command is needed, and Debian's here is older than $least, or its archive of security updates cannot be reached" >&2
      exit 1
    }
  done
fi
for p in "${want[@]}"; do
  has "$p" || missing+=("$p")
done
if ((${#missing[@]})); then
  echo "installing ${missing[*]}"
  must_be_root "${missing[*]}"
  update
  install "${missing[@]}"
fi
# Where the suite has them.
if [ "$1" = test ] && [ "$(id -u)" = 0 ]; then
  missing=()
  for p in "${quic[@]}" "${dds[@]}"; do
    case $(has "$p" || candidate "$p") in
    "" | "(none)") ;;
    *) missing+=("$p") ;;
    esac
  done
  if ((${#missing[@]})); then
    echo "installing ${missing[*]}"
    install "${missing[@]}"
  fi
fi
if [ "$1" = test ] && [ "$(id -u)" = 0 ] && ! has openssh-server; then
  echo "installing openssh-server"
  update
  install_ssh_server
fi
if [ "$1" = lab ] && ! is_new_enough "$(version "$qemu")" "$qemu_least"; then
  echo "installing $qemu"
  must_be_root "$qemu (${qemu_least#1:} or newer)"
  update
  if is_new_enough "$(candidate "$qemu")" "$qemu_least"; then
    install "$qemu"
  else
    with_suite backports
    install -t "$(. /etc/os-release && echo "$VERSION_CODENAME")-backports" "$qemu"
  fi
fi
[ "$1" != build ] || echo "DPDK $(pkg-config --modversion libdpdk), rustc $(rustc_version)"
