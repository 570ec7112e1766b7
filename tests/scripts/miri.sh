#!/usr/bin/env bash
# lm's core, and the protocol by which slots come back, under Miri; loops are short there (`cfg(miri)`). Five minutes at most,
# without what is compiled first. Without a toolchain that has Miri: one line that says so.
set -euo pipefail
cd "$(dirname "$0")/../.."
export CARGO_TARGET_DIR=target/miri PROPTEST_CASES=1
# The core needs no files, but a test reads the clock; the interpreter also looks for leaks and for data races.
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

# Their loops go over every length, or every case of a generator, and hold no unsafe code: hours in an interpreter.
slow=(layout::tests::every_length_keeps_the_rules layout::tests::fit_is_of_udp
  layout::tests::at_mtu_1500_there_is_always_a_tag_and_the_guard_always_holds
  mock::scenario:: reassembler:: matcher::tests:: tag::tests::round_trip)
core=(-p lm --no-default-features --features mock --lib)
returns=(-p lm-returns --test threads)

cargo "+$toolchain" miri setup >/dev/null 2>&1
cargo "+$toolchain" miri test --locked --quiet "${core[@]}" --no-run
cargo "+$toolchain" miri test --locked --quiet "${returns[@]}" --no-run

end=$((SECONDS + 300))
left() { echo $((end - SECONDS > 1 ? end - SECONDS : 1)); }

check() {
  local status=0
  timeout "$(left)" cargo "+$toolchain" miri test --locked --quiet "$@" || status=$?
  if [ "$status" = 124 ]; then
    echo "miri.sh: five minutes are over before all was run: $*" >&2
  fi
  return "$status"
}

for seed in 1 2; do
  MIRIFLAGS="$MIRIFLAGS -Zmiri-seed=$seed -Zmiri-preemption-rate=0.05" check "${returns[@]}"
done
check "${core[@]}" -- "${slow[@]/#/--skip=}"
echo "miri: nothing undefined was seen; left out as too slow: ${slow[*]}"
