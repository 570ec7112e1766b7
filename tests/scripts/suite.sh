# suite.sh: for other scripts to read: another Debian suite in a folder, for those that run something in it.
# A script that reads it has a function `impossible REASON`, which ends it. mirror.sh is read before.

# must_have_rights: what debootstrap, mount and chroot need, also where all is there from the last time.
must_have_rights() {
  [ "$(id -u)" = 0 ] || impossible "not root, which debootstrap and chroot need"
  unshare --mount --pid --fork --propagation private true 2>/dev/null || impossible "this machine allows no name spaces"
}

# must_have_space FOLDER MIB: a full disk would show as an error of whatever wrote last. What is built in a
# suite takes space as well, so this is asked each time.
must_have_space() {
  local free
  mkdir -p "$1" || impossible "$1 cannot be made"
  free=$(($(df --output=avail -k "$1" | tail -n 1) / 1024))
  ((free >= $2)) || impossible "$1 has $free MiB free, and this takes $2 MiB"
}

# base_of SUITE FOLDER: what debootstrap's minbase, make, git and ca-certificates put there, in FOLDER: made
# once, from the mirror that this machine uses, and copied by whoever installs more.
base_of() {
  local suite=$1 base=$2 from log=$2.log
  [ -e "$base/lm-base-is-whole" ] && return
  must_have_rights
  must_have_space "${base%/*}" 1024
  from=$(mirror_of "$(. /etc/os-release && echo "${VERSION_CODENAME:-}")")
  [ -n "$from" ] || impossible "apt knows no mirror of Debian's main suite here"
  tests/scripts/install.sh matrix || impossible "debootstrap cannot be installed"
  rm -rf --one-file-system "$base"
  debootstrap --variant=minbase --include=ca-certificates,git,make "$suite" "$base" "$from" >"$log" 2>&1 ||
    impossible "debootstrap failed, see $log: $(tail -n 1 "$log")"
  # A mirror may be behind: sid's list of packages is good for a week. Archives of packages fill the disk, and
  # a system that is thrown away needs no fsync.
  printf '%s\n' 'Acquire::Check-Valid-Until "false";' 'APT::Keep-Downloaded-Packages "false";' \
    >"$base/etc/apt/apt.conf.d/99lm"
  echo force-unsafe-io >"$base/etc/dpkg/dpkg.cfg.d/lm"
  rm -f "$base"/var/cache/apt/archives/*.deb
  # This machine may reach the world through a proxy of its own, which signs with its own certificate.
  cp /etc/ssl/certs/ca-certificates.crt "$base/etc/ssl/certs/" 2>/dev/null || true
  touch "$base/lm-base-is-whole"
}

# a_copy_of BASE ROOT: in place of what stood there.
a_copy_of() {
  rm -rf --one-file-system "$2"
  cp -a --reflink=auto "$1" "$2"
  rm "$2/lm-base-is-whole"
  cp -L /etc/resolv.conf "$2/etc/resolv.conf" 2>/dev/null || true
}
