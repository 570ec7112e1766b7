# supported.sh: for other scripts to read: which releases of DPDK the build takes, as its script (build.rs of
# dpdk-sys) reads them from the same table.
supported_table=meson-wrap/dpdk-sys/supported.txt

# supported_releases: the first column: releases, with the stable update that each is supported from.
supported_releases() { grep -v '^#' "$supported_table" | cut -d' ' -f1; }

# is_supported VERSION: whether the build takes this one, such as 24.11.8.
is_supported() {
  local least year month
  for least in $(supported_releases); do
    IFS=. read -r year month _ <<<"$least"
    # A later release is no update of this one.
    [[ "$1" =~ ^$year\.$month(\.|$) ]] || continue
    if dpkg --compare-versions "$1" ge "$least"; then return 0; fi
  done
  return 1
}
