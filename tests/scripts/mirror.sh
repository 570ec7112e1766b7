# mirror.sh: for other scripts to read. No host is named in this tree: what is fetched comes from where this
# machine's own packages come from.

# mirror_in_lists RELEASE: the address from which apt has the main packages of a Debian release; else that of
# sid's, because a machine with sid has the code name of the next release. Nothing, if there is neither.
mirror_in_lists() {
  apt-get indextargets --format '$(CODENAME)|$(SUITE)|$(COMPONENT)|$(REPO_URI)' 'Created-By: Packages' |
    awk -F '|' -v release="$1" '
      $3 != "main" { next }
      release != "" && $1 == release && !of_release { of_release = $4 }
      ($1 == "sid" || $2 == "unstable") && !of_sid { of_sid = $4 }
      END { print of_release ? of_release : of_sid }'
}

# mirror_of RELEASE: the same. apt knows code names from its lists, which images of containers come without:
# then root has them fetched.
mirror_of() {
  local found
  command -v apt-get >/dev/null || return 0
  found=$(mirror_in_lists "$1")
  if [ -z "$found" ] && [ "$(id -u)" = 0 ]; then
    apt-get update -qq >/dev/null 2>&1 || true
    found=$(mirror_in_lists "$1")
  fi
  printf '%s\n' "$found"
}
