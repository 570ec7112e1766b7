#!/usr/bin/env bash
# install.sh build|test|lab|profile: installs the Debian packages that are missing, and nothing else.
set -euo pipefail
build=(libdpdk-dev libclang-dev pkg-config gcc libc6-dev make)
# dpdk-dev: dpdk-testpmd, the vhost end of virtio-user.
test=("${build[@]}" dpdk-dev tshark iproute2 iputils-ping python3 ethtool tcpdump)
# Those of the laboratory's host; what its guests need besides (python3, ip, ethtool) is copied from the host.
lab=("${build[@]}" busybox-static iproute2 python3 ethtool)
profile=("${test[@]}" linux-perf binutils)
# The first QEMU that has the 82576.
qemu=qemu-system-x86 qemu_least=1:8
case "${1:-}" in
build) want=("${build[@]}") ;;
test) want=("${test[@]}") ;;
lab) want=("${lab[@]}") ;;
profile) want=("${profile[@]}") ;;
*) echo "install.sh: say build, test, lab or profile, not '${1:-}'" >&2; exit 2 ;;
esac

has() { dpkg-query -W -f '${Status}' "$1" 2>/dev/null | grep -q 'ok installed'; }

must_be_root() {
  [ "$(id -u)" = 0 ] && return
  echo "install.sh: not root: install these packages first: $*" >&2
  exit 1
}

install() { apt-get "${sources[@]}" install -y -qq --no-install-recommends "$@" >/dev/null; }

qemu_is_new_enough() {
  local version
  version=$(dpkg-query -W -f '${Version}' "$qemu" 2>/dev/null) && dpkg --compare-versions "$version" ge "$qemu_least"
}

candidate_is_new_enough() {
  local version
  version=$(apt-cache policy "$qemu" | sed -n 's/ *Candidate: //p')
  [ -n "$version" ] && dpkg --compare-versions "$version" ge "$qemu_least"
}

# The machine's own sources and the backports of the same mirror, for this run alone: its configuration stays as it is.
with_backports() {
  local release mirror keys=/usr/share/keyrings/debian-archive-keyring.gpg
  release=$(. /etc/os-release && echo "$VERSION_CODENAME")
  mirror=$(apt-get indextargets --format '$(REPO_URI) $(CODENAME) $(COMPONENT)' 'Created-By: Packages' |
    awk -v release="$release" '$2 == release && $3 == "main" { print $1; exit }')
  [ -n "$mirror" ] || { echo "install.sh: no source of $release main, whose mirror would have backports" >&2; exit 1; }
  parts=$(mktemp -d)
  trap 'rm -rf "$parts"' EXIT
  find /etc/apt/sources.list.d \( -name '*.sources' -o -name '*.list' \) -exec cp -t "$parts" {} +
  {
    printf 'Types: deb\nURIs: %s\nSuites: %s-backports\nComponents: main\n' "$mirror" "$release"
    [ -e "$keys" ] && echo "Signed-By: $keys"
  } >"$parts/lm-backports.sources"
  chmod -R a+rX "$parts"
  sources=(-o "Dir::Etc::SourceParts=$parts")
  apt-get "${sources[@]}" update -qq
  install -t "$release-backports" "$qemu"
}

export DEBIAN_FRONTEND=noninteractive
sources=()
missing=()
for p in "${want[@]}"; do
  has "$p" || missing+=("$p")
done
if ((${#missing[@]})); then
  echo "installing ${missing[*]}"
  must_be_root "${missing[*]}"
  apt-get update -qq
  install "${missing[@]}"
fi
if [ "$1" = lab ] && ! qemu_is_new_enough; then
  echo "installing $qemu"
  must_be_root "$qemu (${qemu_least#1:} or newer)"
  if candidate_is_new_enough; then install "$qemu"; else with_backports; fi
fi
command -v cargo >/dev/null || { echo "install.sh: no cargo: install Rust 1.89 or newer with rustup" >&2; exit 1; }
