#!/usr/bin/env bash
# Sourced. pinned CRATE VERSION SAYS COMMAND...: whether COMMAND says SAYS, which is that version's answer.
# Where it does not, CRATE is built into target/tools, once. tool COMMAND... runs one of these tools.
# CARGO_OPTIONS, an array, goes to the build.
tools=$PWD/target/tools
CARGO_OPTIONS=()
tool() { PATH="$tools/bin:$PATH" "$@"; }

pinned() {
  local crate=$1 version=$2 says=$3
  shift 3
  [ "$(tool "$@" 2>/dev/null)" = "$says" ] && return
  echo "installing $crate $version"
  mkdir -p "$tools"
  # They work for seconds. To optimise them takes minutes.
  CARGO_PROFILE_DEV_DEBUG=0 cargo install --debug --locked --quiet --version "=$version" --root "$tools" "${CARGO_OPTIONS[@]}" "$crate" || return
  [ "$(tool "$@" 2>/dev/null)" = "$says" ]
}
