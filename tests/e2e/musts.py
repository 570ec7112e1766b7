"""The marks of single round trips, lm-netpipe over net_memif's zero-copy client: each ratio with its mark.

    musts.py [--runs N] [--short]

Each transport has processes of its own and they take turns. A ratio is that of two medians of the same turn, which are
seconds apart, since such machines have quick and slow minutes; a run's is the median of its turns; and the best of
three runs counts, as the host takes time away. What it took of each run (steal) is printed beside. Missing a mark fails
nothing: `docs/results.md` has the causes.
"""

import argparse
import pathlib
import sys
import tempfile
import time

import netpipe
from testpmd import Failed

OPTIONS = ("--checksum=full", "--require=headers,checksum", "--test=ping-pong,ping-pong-anew", "--time=60", "--blocks=3")
TURNS = 5


def rows():
    """What, over what, at which size, the mark, and whether that is the least."""
    sums = 1.7 if "AMD" in pathlib.Path("/proc/cpuinfo").read_text() else 1.35
    for size in (64, 1024):
        yield "lm", "bare-sum", size, sums, False
    for size in (64, 1024, 1472):
        yield "lm", "ip-frag", size, 1.1, False
    yield "ip-frag", "lm", 7168, 1.3, True
    for size, mark in ((64, 0.97), (1024, 0.97), (1472, 1.0), (7168, 1.0), (65_507, 1.5)):
        yield "lm-copy", "lm", size, mark, True


def cpu():
    """Time of all CPUs, and that which the host gave to others."""
    times = [int(word) for word in pathlib.Path("/proc/stat").read_text().split("\n")[0].split()[1:]]
    return sum(times[:8]), times[7]


def measured(where, short):
    """The turns of one run, each with its transports' results, and the share of the time that the host took, %."""
    before = cpu()
    sizes = f"--sizes={','.join(map(str, sorted({size for _, _, size, _, _ in rows()})))}"
    turns = []
    for turn in range(1 if short else TURNS):
        found = {}
        for name in netpipe.PORTED:
            found[name], _ = netpipe.run(pathlib.Path(where) / f"{turn}-{name}", (name,), *OPTIONS, sizes, seconds=300)
            time.sleep(netpipe.APART)
        turns.append(found)
    after = cpu()
    return turns, 100 * (after[1] - before[1]) / max(after[0] - before[0], 1)


def over_turns(turns, one, other, size, figure, anew=False):
    """The median over the turns of what `figure` makes of two transports' medians, ns."""
    pairs = ((turn[one].median(one, size, anew), turn[other].median(other, size, anew)) for turn in turns)
    return netpipe.median([figure(a, b) for a, b in pairs if a and b])


def ratio(turns, one, other, size, anew):
    return over_turns(turns, one, other, size, lambda a, b: a / b, anew)


def best(values, least):
    values = [v for v in values if v is not None]
    return (max if least else min)(values) if values else None


def show(value):
    return "-" if value is None else f"{value:.2f}"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--short", action="store_true", help="one short run, to see that it works")
    arguments = parser.parse_args()
    if not netpipe.BINARY.exists():
        print(f"musts.py: there is no {netpipe.BINARY}: run make build first", file=sys.stderr)
        return 2
    runs = []
    for _ in range(1 if arguments.short else arguments.runs):
        with tempfile.TemporaryDirectory(prefix="lm-musts-") as where:
            try:
                runs.append(measured(where, arguments.short))
            except Failed as why:
                print(f"musts.py: {why}", file=sys.stderr)
                return 1
    print(f"Round trips over net_memif, checksums, best of {len(runs)}; the host took "
          f"{', '.join(f'{steal:.1f} %' for _, steal in runs)}")
    print(f"{'':<28} {'bytes':>6} {'':>6} {'must':>7} {'':<7} {'each echo summed anew':>22}")
    for one, other, size, mark, least in rows():
        value, anew = (best([ratio(r, one, other, size, again) for r, _ in runs], least) for again in (False, True))
        met = value is not None and (value >= mark if least else value <= mark)
        print(f"{f'{one} ÷ {other}':<28} {size:>6} {show(value):>6} {'≥' if least else '≤'} {mark:<5} "
              f"{'met' if met else 'MISSED':<7} {show(anew):>22}")
    for size in (64, 1024):
        less = [over_turns(turns, "lm", "bare", size, lambda a, b: (a - b) / 1000) for turns, _ in runs]
        print(f"{'lm − bare, µs':<28} {size:>6} {show(best(less, False)):>6}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
