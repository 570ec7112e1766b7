"""Strangers and accidents: each case of `strangers`, received in every way, has the outcome that
docs/strangers.md states, and delivers nothing but what was sent whole.

    test_strangers.py --table      the tables' rows as measured now, without the reasons
"""

import collections
import pathlib
import random
import re
import shutil
import sys
import tempfile
import unittest

import strangers
import wire
from testpmd import ROOT, Case, Testpmd

DOC = ROOT / "docs/strangers.md"
# The columns of the table, and the options that they stand for.
WAYS = {
    "overlapping, burst 1": (("--slots=overlapping", "--burst=1"),),
    "overlapping, burst 32": (("--slots=overlapping", "--burst=32"),),
    "separate": (("--slots=separate", "--burst=1"), ("--slots=separate", "--burst=32")),
}
RECEIVER = ("--forward-mode=rx", f"--tx-ip={strangers.A.dst},{strangers.A.src}",
            f"--tx-udp={strangers.A.dport},{strangers.A.sport}")
# Incomplete datagrams are given up after a second.
PATIENT, HASTY = 1300, 100


def documented():
    """Case to cells, in order."""
    rows = {}
    for line in DOC.read_text().splitlines():
        cells = [c.strip() for c in line.strip().strip("|").split("|")]
        # The last cell says why.
        if line.startswith("|") and len(cells) == len(WAYS) + 2 and cells[0] != "case" and cells[0].strip(
                "-"):
            rows[cells[0]] = cells[1:-1]
    return rows


def outcome(summary, messages):
    """A run in the table's words: `2 landed, 1 in pieces, 1 copied; lost_frame 3`. The good datagram at the end
    is not counted.
    """
    copied = sum(m["copied"] > 0 for m in messages[:-1])
    pieces = sum(m["pieces"] > 1 for m in messages[:-1])
    words = ((len(messages) - 1 - copied - pieces, "landed"), (pieces, "in pieces"), (copied, "copied"))
    delivered = [f"{n} {word}" for n, word in words if n]
    others = [f"{word} {summary[word]}" for word in ("foreign", "duplicates") if summary[word]]
    dropped = [f"{reason} {n}" for reason, n in sorted(summary.drops().items())]
    return "; ".join(filter(None, (", ".join(delivered) or "nothing", ", ".join(others + dropped))))


class Bench:
    """Where cases are run."""

    def __init__(self):
        self.where = pathlib.Path(tempfile.mkdtemp(prefix="lm-e2e-strangers-"))
        self.cases, (self.good_frames, self.good) = strangers.all_cases(self.where)

    def start(self, case, where, options, patience, core):
        """Receives a case, and the good datagram behind it."""
        path = where.parent / "frames.pcap"
        if not path.exists():
            where.parent.mkdir(parents=True, exist_ok=True)
            wire.write_pcap(path, case.frames + self.good_frames)
        return Testpmd(where, (f"--vdev=net_pcap0,rx_pcap={path}",), *RECEIVER, *options, *case.options,
                       f"--stop-after-idle={patience}", core=core)

    def close(self):
        shutil.rmtree(self.where, ignore_errors=True)


bench = None


def setUpModule():
    global bench
    bench = Bench()


def tearDownModule():
    if bench:
        bench.close()


class Strangers(Case):
    def receive(self, case, patience):
        """All ways at once: they wait most of the time. Outcomes by column."""
        runs = []
        for way, variants in WAYS.items():
            for options in variants:
                where = self.where / re.sub(r"\W+", "-", way + options[1])
                child = bench.start(case, where, options, patience, len(runs) % 2)
                self.children.append(child)
                runs.append((way, child))
        outcomes = collections.defaultdict(set)
        for way, child in runs:
            summary, messages = child.fine().summary(), child.messages()
            self.check(case, f"{way}: {summary.drops()}: {child}", summary, messages)
            outcomes[way].add(outcome(summary, messages))
        return outcomes

    def check(self, case, what, summary, messages):
        """What holds in every case, whatever the table says."""
        allowed = collections.Counter(map(wire.sha256, case.sent + [bench.good]))
        delivered = collections.Counter(m["sha256"] for m in messages)
        self.assertEqual(delivered - allowed, collections.Counter(), f"delivered, but not sent whole: {what}")
        self.assertTrue(messages and messages[-1]["sha256"] == wire.sha256(bench.good),
                        f"the next good datagram is not delivered: {what}")
        self.assertEqual(len(messages), summary["datagrams"], what)
        self.assertEqual(summary["copied_datagrams"], sum(m["copied"] > 0 for m in messages), what)
        # A frame that is too long for its slot takes two of them, and counts as two.
        arrived = case.frames + bench.good_frames
        long = sum(len(f) > wire.ETHERNET + wire.MTU for f in arrived)
        self.assertTrue(len(arrived) <= summary["frames"] <= len(arrived) + long, what)
        if len(messages) - 1 < len(case.sent) or len(case.sent) == 0:
            told = sum(summary.drops().values()) + summary["foreign"]
            self.assertGreater(told, 0, f"something is missing and no counter says so: {what}")
        self.pools_are_level(summary)

    def test_the_document_has_each_case_and_no_other(self):
        self.assertEqual(list(documented()), [c.name for c in bench.cases])

    def test_storms(self):
        """everything at once, with frames lost, doubled and moved: nothing wrong is delivered, and it goes
        on
        """
        for seed in range(4):
            rng = random.Random(seed)
            cases = [c for c in bench.cases if not c.options]
            rng.shuffle(cases)
            storm = strangers.Case(f"storm {seed}", sent=[p for c in cases for p in c.sent])
            for frame in (f for c in cases for f in c.frames):
                fate = rng.random()
                storm.frames += [] if fate < 0.02 else [frame] * (2 if fate > 0.98 else 1)
            for _ in range(len(storm.frames) // 30):
                at = rng.randrange(len(storm.frames) - 8)
                storm.frames.insert(at + rng.randrange(8), storm.frames.pop(at))
            allowed = set(map(wire.sha256, storm.sent + [bench.good]))
            for layout in ("overlapping", "separate"):
                for burst in (1, 5, 32, 256):
                    way = f"{layout}-{burst}-{seed}"
                    child = bench.start(storm, self.where / way, (f"--slots={layout}", f"--burst={burst}"),
                                        HASTY, 0)
                    self.children.append(child)
                    summary, messages = child.fine().summary(), child.messages()
                    wrong = [m for m in messages if m["sha256"] not in allowed]
                    self.assertEqual(wrong, [], f"{way}: delivered, but not sent: {child}")
                    self.assertEqual(messages[-1]["sha256"], wire.sha256(bench.good), f"{way}: {child}")
                    self.pools_are_level(summary)
            (self.where / "frames.pcap").unlink()


def case_test(index, name):
    def test(self):
        case = bench.cases[index]
        self.assertEqual(case.name, name)
        cells = documented()[name]
        patience = PATIENT if "timeout" in " ".join(cells) else HASTY
        outcomes = self.receive(case, patience)
        for way, cell in zip(WAYS, cells):
            self.assertEqual(set(map(roughly, outcomes[way])), {roughly(cell)},
                             f"{name}: {way}: {outcomes[way]}, {cell}")

    return test


def roughly(cell):
    """What earns budget depends on when the queue is polled: the last digit of what went over it is nobody's
    promise.
    """
    return re.sub(r"(over_budget) (\d+)", lambda m: f"{m[1]} about {round(int(m[2]) / 100)} hundred", cell)


if DOC.exists():
    for i, row in enumerate(documented()):
        setattr(Strangers, f"test_{row}", case_test(i, row))


def table():
    """Prints the rows as measured."""
    global bench
    bench = Bench()
    runner = Strangers("test_the_document_has_each_case_and_no_other")
    print("| case | " + " | ".join(WAYS) + " |\n|---|" + "---|" * len(WAYS))
    for i, case in enumerate(bench.cases):
        runner.where = bench.where / f"case{i}"
        runner.children = []
        try:
            outcomes = runner.receive(case, PATIENT)
            cells = [" / ".join(sorted(outcomes[way])) for way in WAYS]
        except AssertionError as e:
            cells = [f"FAILED: {e}"]
        for child in runner.children:
            child.end()
        print("| " + " | ".join([case.name, *cells]) + " |", flush=True)
    bench.close()


if __name__ == "__main__":
    if "--table" in sys.argv:
        table()
    else:
        unittest.main()
