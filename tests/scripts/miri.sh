#!/usr/bin/env bash
# lm's core, and the protocol by which slots come back, under Miri; loops are short there (`cfg(miri)`). Five
# minutes at most, without what is compiled first: what they do not suffice for is said. Without a toolchain
# that has Miri: one line that says so.
set -euo pipefail
cd "$(dirname "$0")/../.."
export CARGO_TARGET_DIR=target/miri PROPTEST_CASES=1
# The core needs no files, but a test reads the clock; the interpreter also looks for leaks and for data
# races.
export MIRIFLAGS="-Zmiri-disable-isolation"

has_miri() { cargo "+$1" miri --version >/dev/null 2>&1; }

toolchain=nightly
if ! has_miri "$toolchain"; then
  if ! timeout 180 rustup toolchain install nightly --profile minimal --component miri,rust-src >/dev/null 2>&1 ||
    ! has_miri "$toolchain"; then
    echo "miri.sh: no nightly toolchain with Miri can be had here: nothing was checked"
    exit 0
  fi
fi

# Their loops go over every length, or every case of a generator, and hold no unsafe code: hours in an
# interpreter.
slow=(layout::tests::every_length_keeps_the_rules layout::tests::fit_is_of_udp
  layout::tests::at_mtu_1500_there_is_always_a_tag_and_the_guard_always_holds
  mock:: neighbours:: reassembler:: matcher::tests:: tag::tests::round_trip)
core=(-p lm-proto --features mock --lib)
returns=(-p lm-returns --test threads)

cargo "+$toolchain" miri setup >/dev/null 2>&1
cargo "+$toolchain" miri test --locked --quiet "${core[@]}" --no-run
cargo "+$toolchain" miri test --locked --quiet "${returns[@]}" --no-run

end=$((SECONDS + 300))
cut=0

# Runs one part for as long as the five minutes last. A slow machine is no fault of the code: what it did not
# get to is said.
check() {
  local left=$((end - SECONDS)) status=0 output=target/miri/output
  [ "$left" -gt 0 ] && { timeout "$left" cargo "+$toolchain" miri test --locked --quiet "$@" 2>&1 | tee "$output"; } || status=$?
  if [ "$status" = 124 ] && grep -q FAILED "$output"; then
    return 1
  elif [ "$left" -le 0 ] || [ "$status" = 124 ]; then
    echo "miri.sh: five minutes are over; not all was run of: $*"
    cut=1
  elif [ "$status" != 0 ]; then
    return "$status"
  fi
}

for seed in 1 2; do
  MIRIFLAGS="$MIRIFLAGS -Zmiri-seed=$seed -Zmiri-preemption-rate=0.05" check "${returns[@]}"
done
check "${core[@]}" -- "${slow[@]/#/--skip=}"
[ "$cut" = 1 ] && cut="; cut short" || cut=""
echo "miri: nothing undefined was seen$cut; left out as too slow: ${slow[*]}"
