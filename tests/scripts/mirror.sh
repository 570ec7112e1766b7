# mirror.sh: for other scripts to read. No host is named in this tree: what is fetched comes from where this
# machine's own packages come from.

# mirror_of RELEASE: the address from which apt has the main packages of a Debian release; nothing, if from
# nowhere.
mirror_of() {
  apt-get indextargets --format '$(REPO_URI) $(CODENAME) $(COMPONENT)' 'Created-By: Packages' |
    awk -v release="$1" '$2 == release && $3 == "main" { print $1; exit }'
}
