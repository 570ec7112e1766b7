"""Takes each guard out, one at a time, and expects its scenario to fail with the words that tell of the hazard: what
does not fail then is no proof.

    mutants.py [--list | --check | --icount] [MUTANT]...      all of them without a name

The tree is copied (to target/mutants, with what is not committed), a guard is taken out of the copy, lm-testpmd and the
other programs are built there, and the scenario is run with them. The tree itself is not touched.
"""

import argparse
import os
import pathlib
import re
import subprocess
import sys
import time
from dataclasses import dataclass

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "mutants"))

from scratch import ROOT, TARGET, copy, edited, stale  # noqa: E402


@dataclass(frozen=True)
class Mutant:
    """A guard that is taken out."""

    name: str
    # What is not done any more.
    without: str
    scenario: str
    # What the scenario says then.
    says: str
    # (file, what is there, what is put in its place)
    edits: tuple


MATCHER, STREAM = "lm/proto/src/matcher.rs", "lm/proto/src/matcher/stream.rs"
CLOSE, PROOF = "lm/proto/src/matcher/close.rs", "lm/proto/src/matcher/proof.rs"
PORT, ORDER, OVERLAP = "pmd-e1000/src/port.rs", "pmd-e1000/src/order.rs", "pmd-e1000/src/overlap.rs"
START = "pmd-e1000/src/port/start.rs"
DAEMON = "apps/src/lmd/daemon.rs"
CARDS, RINGS, CURSOR = "pmd-e1000/src/cards.rs", "pmd-e1000/src/rings.rs", "lm/landing/src/landing/cursor.rs"

MUTANTS = (
    Mutant("tag", "the end tag is not held against the first fragment, where a tag suffices", "overrun-e1000",
           r"datagrams are wrong",
           ((CLOSE, "let Some(agrees) = identity(flow, headers.id(), &udp).check(*tag) else { return false };",
             "let agrees = identity(flow, headers.id(), &udp).check(*tag).unwrap_or(crate::tag::Tag::Ends);"),
            (STREAM, "headers.id(), checksum, bytes)?;", "headers.id(), checksum, bytes).unwrap_or(tag::Tag::Ends);"))),
    Mutant("card-ids", "what the card says of each frame does not refuse, where a tag suffices", "overrun-igb",
           r"datagrams are wrong",
           (("lm/proto/src/card.rs", "self.ids != State::InUse || id == 0 || are_all(words, id)", "self.ids != State::InUse || id == 0 || are_all(words, id) || true"),)),
    Mutant("tag-and-checksum", "nor under the default policy", "overrun-e1000", r"datagrams are wrong",
           ((PROOF, "if *tag == TagState::Bad || !may_be {", "if !may_be {"),
            (PROOF, "TagState::Bad | TagState::Absent => false", "TagState::Bad => true,\n            TagState::Absent => false"))),
    Mutant("order", "the order of fragments is not proven", "overrun-igb", r"datagrams are wrong",
           ((PROOF, "if ordered { Ok((WholeBy::Checksum, carried)) }", "if ordered || true { Ok((WholeBy::Checksum, carried)) }"),)),
    Mutant("relaxed-off", "relaxed ordering is not switched off", "relaxed-igb", r"overlapping|relaxed|off",
           ((ORDER, "if word & bit.mask == 0 {", "if word & bit.mask != 1 << 15 {"),)),
    Mutant("relaxed-again", "it is not looked at again after the start", "relaxed-igb", r"overlapping slots where separate",
           ((START, "let verdict = self.policy.verify();", "let verdict = self.verdict.clone();"),)),
    Mutant("relaxed-physical", "a virtual function is believed", "relaxed-igb_vf", r"relaxed ordering|overlap",
           ((ORDER, "(Some(physical), _) => physical,", "(Some(_), _) => self.function.clone(),"),)),
    Mutant("erratum-23", "an 82545EM may have overlapping slots", "refused-82545em", r"it was not refused",
           ((OVERLAP, "forbids(*e)?", "forbids(*e).filter(|_| card.name != \"82545EM\")?"),)),
    Mutant("64-KiB", "its separate slots may lie anywhere", "refused-82545em", r"buffers cross 64 KiB",
           ((OVERLAP, "boundary: if card.has(Erratum::No64KCrossing) { 64 << 10 } else { 0 }", "boundary: 0"),)),
    Mutant("vlan-strip", "VLAN tags are not stripped", "strangers-igb", r"VLAN tags are not stripped",
           ((PORT, "rx_offloads: info.rx_offload_capa & RTE_ETH_RX_OFFLOAD_VLAN_STRIP", "rx_offloads: 0"),)),
    Mutant("keep-crc", "checksums are kept", "strangers-e1000", r"checksums are kept",
           ((PORT, "rx_offloads: info.rx_offload_capa & RTE_ETH_RX_OFFLOAD_VLAN_STRIP",
             "rx_offloads: info.rx_offload_capa & (RTE_ETH_RX_OFFLOAD_VLAN_STRIP "
             "| dpdk_sys::RTE_ETH_RX_OFFLOAD_KEEP_CRC)"),)),
    Mutant("oversize", "a frame longer than its slot is taken for any other", "strangers-e1000",
           r"long frames were not dropped",
           ((MATCHER, "Slot::Overlapping if frame.len <= self.full => self.begin(frame)", "Slot::Overlapping => self.begin(frame)"),)),
    Mutant("longest", "slots overlap where longer frames are let in", "strangers-e1000",
           r"too-long: it was not refused",
           ((OVERLAP, "if !fits(longest, self.mtu) {", "if longest == 0 {"),)),
    Mutant("declared", "a buffer is declared as half a frame, so that frames take two", "lm-lm-e1000-uio",
           r"frames were dropped in bursts of 1: .*oversize",
           ((CARDS, "if mtu <= 1500 {\n                    2048", "if mtu <= 1500 {\n                    1024"),)),
    Mutant("free-thresh", "descriptors go back in the driver's batches, whatever the ring", "restart-igb",
           r"did not come back, with --rxd=32",
           ((RINGS, "let free_thresh = (default > most).then_some(most);", "let free_thresh = None::<u16>;\n    let _ = most;"),)),
    Mutant("break", "frames across a page's end are not bounced", "lm-lm-e1000-uio",
           r"frames were dropped .*bad_checksum",
           ((CURSOR, "if end <= extent.hi {\n            return", "if end > 0 {\n            return"),)),
    Mutant("pools", "frames are not steered", "steer-flood", r"the card does not steer: .*refuted",
           (("pmd-e1000/src/steer.rs", "Way::Pools(pools) => MqMode::VmdqByMac { pools, accept: RTE_ETH_VMDQ_ACCEPT_UNTAG },",
             "Way::Pools(_) => { let _ = RTE_ETH_VMDQ_ACCEPT_UNTAG; MqMode::None }"),)),
    Mutant("lmd-carrier", "lm0's carrier does not follow the link", "lmd-link-igb", r"lm0 keeps its carrier",
           ((DAEMON, "if up != self.carrier {", "if up && !self.carrier {"),)),
)


def named(name):
    for mutant in MUTANTS:
        if mutant.name == name:
            return mutant
    raise SystemExit(f"mutants: there is no {name}: there are {', '.join(m.name for m in MUTANTS)}")


class Workshop:
    def __init__(self, how):
        # Words for the laboratory.
        self.how = how
        self.tree, self.target = TARGET / "mutants/tree", TARGET / "mutants/target"
        # Whether all programs are there, so that one need be built again.
        self.built = False
        copy(self.tree)

    def attempt(self, mutant):
        """Whether its scenario fails as it should, and the words that it says."""
        why = stale(mutant.edits, self.tree)
        if why:
            return False, why
        with edited(mutant.edits, self.tree):
            return self.run(mutant)

    def build(self, bins):
        """The programs, optimised less than they could be: that takes longer than the guests do."""
        how = {"OPT_LEVEL": "1", "LTO": "off", "CODEGEN_UNITS": "16", "DEBUG": "0"}
        return subprocess.run(["cargo", "build", "--release", "--locked", "-p", "lm-apps", "-p", "lm-cost", *bins],
                              cwd=self.tree, capture_output=True, text=True,
                              env={**os.environ, "CARGO_TARGET_DIR": str(self.target),
                                   **{f"CARGO_PROFILE_RELEASE_{name}": value for name, value in how.items()}})

    def run(self, mutant):
        programs = {"overrun": "lm-overrun", "lmd": "lmd", "cost-lmd": "lmd"}
        bins = ["--bin", next((p for name, p in programs.items() if mutant.scenario.startswith(f"{name}-")), "lm-testpmd")]
        build = self.build(bins if self.built else [])
        self.built = not build.returncode
        if build.returncode:
            return False, f"it does not build: {build.stderr}"
        words = [sys.executable, "-B", str(self.tree / "tests/guest/lab.py"), f"--work={self.target.parent}",
                 *self.how, mutant.scenario]
        # The guests' kernel is where the laboratory has it.
        places = {"CARGO_TARGET_DIR": str(self.target.parents[1]), "LM_TESTPMD": str(self.target / "release/lm-testpmd")}
        done = subprocess.run(words, env={**os.environ, **places}, capture_output=True, text=True)
        line = next((line for line in done.stdout.splitlines() if line.startswith(f"lab {mutant.scenario} ")), "")
        if not line:
            return False, f"the laboratory says nothing: {done.stdout} {done.stderr}"
        said = line.partition(" ... ")[2]
        return said.startswith("FAIL") and bool(re.search(mutant.says, said)), said


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("mutant", nargs="*")
    parser.add_argument("--list", action="store_true", help="what there is")
    parser.add_argument("--check", action="store_true", help="only see that each guard is where it was: a second")
    parser.add_argument("--icount", action="store_true", help="in virtual time: on a host too busy for real time")
    arguments = parser.parse_args()
    chosen = [named(name) for name in arguments.mutant] or MUTANTS
    if arguments.list:
        for mutant in chosen:
            print(f"{mutant.name:<18} {mutant.scenario:<18} {mutant.without}")
        return 0
    if arguments.check:
        whys = [f"mutants: {mutant.name}: {why}" for mutant in chosen if (why := stale(mutant.edits, ROOT))]
        print(*whys, sep="\n", end="\n" if whys else "")
        return 1 if whys else 0
    workshop = Workshop(["--icount"] if arguments.icount else [])
    bad = 0
    for mutant in chosen:
        began = time.monotonic()
        seen, said = workshop.attempt(mutant)
        bad += not seen
        print(f"without {mutant.name} ({mutant.without}), {mutant.scenario} {'fails' if seen else 'DOES NOT FAIL AS IT SHOULD'} "
              f"({time.monotonic() - began:.0f} s): {said}", flush=True)
    print(f"\n{len(chosen) - bad} guards shown to be needed, {bad} not")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
