"""`make demo`: two processes over net_memif, one pings and one echoes, next to a pair that copies the conventional way.

Both pairs are lm-testpmd on the same wire, and every payload is compared. The first lets datagrams land; the second
keeps every header and copies each datagram together (`--slots=separate`). They take turns, and medians count.
"""

import os
import shutil
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass, field

from testpmd import BINARY, HUGE_VA, NO_HUGE, Failed, Testpmd, hugepages_or_why, prefix

ROUNDS = 3
# Payload bytes, and round trips a round.
SIZES = {64: 40_000, 7168: 20_000, 16_384: 12_000, 65_507: 6_000}
MODES = {"LM": ("--slots=overlapping",), "copying": ("--slots=separate",)}
# Share of the largest datagrams that may be copied where they should land: those across the region's end.
MAY_BE_COPIED = 0.02
# Seconds for a pair.
PATIENCE = 45
# Two ends that close at the same moment crash net_memif of DPDK 22.11.
APART = 0.3
MAC = {"ping": "02:00:00:00:00:01", "echo": "02:00:00:00:00:02"}


@dataclass
class Score:
    """What the rounds of one mode and size gave."""

    medians: list = field(default_factory=list)
    p99s: list = field(default_factory=list)
    p999s: list = field(default_factory=list)
    # Of all rounds.
    max: float = 0.0
    # Datagrams, bytes and copies, received by either end.
    datagrams: int = 0
    bytes: int = 0
    copied_bytes: int = 0
    # Of the end that copied most.
    worst: float = 0.0
    lost: int = 0
    mismatched: int = 0
    # What either end lost, by its name.
    losses: dict = field(default_factory=lambda: {"ping": {}, "echo": {}})
    fragments: int = 0

    def add(self, client, server):
        (ping,) = client["ping"]
        if ping["count"]:
            self.medians.append(ping["median_ns"] / 1000)
            self.p99s.append(ping["p99_ns"] / 1000)
            self.p999s.append(ping["p999_ns"] / 1000)
            self.max = max(self.max, ping["max_ns"] / 1000)
        self.lost += client["lost"]
        self.mismatched += client["mismatched"]
        self.fragments = round(client["sent_frames"] / max(client["sent_datagrams"], 1))
        for name, end in (("ping", client), ("echo", server)):
            self.datagrams += end["datagrams"]
            self.bytes += end["bytes"]
            self.copied_bytes += end["copied_bytes"]
            self.worst = max(self.worst, end["copied_datagrams"] / max(end["datagrams"], 1))
            for reason, n in end.losses().items():
                self.losses[name][reason] = self.losses[name].get(reason, 0) + n

    def median(self):
        return statistics.median(self.medians)

    def row(self, size):
        mbps = 2 * size * 8 / self.median()
        copied = 100 * self.copied_bytes / max(self.bytes, 1)
        late = f"{statistics.median(self.p99s):>8.2f} {statistics.median(self.p999s):>8.2f} {self.max:>8.0f}"
        return f"{self.median():>9.2f} {late} {mbps:>8.0f} {copied:>7.2f}"


def cores():
    """A core for each process, if there are two."""
    mine = sorted(os.sched_getaffinity(0))
    return (mine[0], mine[-1])


def run(where, hugepages, size, count, options):
    """One pair; the summaries of the pinging and of the echoing process."""
    memory = HUGE_VA if hugepages else NO_HUGE
    socket = os.path.join(where, prefix() + ".sock")
    arguments = f"id=0,socket={socket},socket-abstract=no,rsize=10"
    zero_copy = ",zero-copy=yes" if hugepages else ""
    first, second = cores()
    name = os.path.join(where, prefix())
    with Testpmd(f"{name}-echo", (f"--vdev=net_memif0,role=server,mac={MAC['echo']},{arguments}",),
                 "--forward-mode=echo", "--tx-ip=198.18.0.2,198.18.0.1", f"--eth-peer=0,{MAC['ping']}", *options,
                 memory=memory, core=first, log=False) as echo:
        echo.await_text("Port 0:")
        with Testpmd(f"{name}-ping", (f"--vdev=net_memif0,role=client,mac={MAC['ping']},{arguments}{zero_copy}",),
                     "--forward-mode=ping", f"--txsize={size}", f"--count={count}", f"--eth-peer=0,{MAC['echo']}",
                     *options, memory=memory, core=second, log=False) as ping:
            try:
                ping.fine(PATIENCE)
                time.sleep(APART)
                if code := echo.stop():
                    raise Failed(f"exit code {code}: {echo}")
            except Failed as e:
                raise Failed(f"{e}\n{both(ping, echo)}") from None
    return ping.summary(), echo.summary()


def both(ping, echo):
    """What both ends have lost, as far as they can still say."""
    lines = []
    for name, end in (("ping", ping), ("echo", echo)):
        try:
            end.stop()
            lost = end.summary().losses() or "nothing"
        except (Failed, OSError, ValueError) as e:
            lost = f"it has left no summary: {str(e).splitlines()[0]}"
        lines.append(f"dropped by {name}: {lost}")
    return "\n".join(lines)


def show(scores, hugepages, why):
    memory = "zero-copy client, hugepages" if hugepages else f"plain copying rings on both sides, as {why}"
    places = "cores {} and {}".format(*cores()) if len(set(cores())) > 1 else "one core for both: times mean little"
    head = f"{'median':>9} {'p99':>8} {'p99.9':>8} {'max':>8} {'Mb/s':>8} {'copied':>7}"
    units = f"{'µs':>9} {'µs':>8} {'µs':>8} {'µs':>8} {'':>8} {'%':>7}"
    print(f"\nRound trips over net_memif ({memory}), two processes, {places}, {ROUNDS} rounds, medians\n")
    print(f"{'':>7} {'':>9} {'':>9} | {'LM: datagrams land':^53} | {'copied together, same wire':^53} |")
    print(f"{'bytes':>7} {'fragments':>9} {'datagrams':>9} | {head} | {head} | {'ratio':>6}")
    print(f"{'':>7} {'':>9} {'':>9} | {units} | {units} |")
    for size in SIZES:
        lm, copying = scores["LM", size], scores["copying", size]
        print(f"{size:>7} {lm.fragments:>9} {lm.datagrams:>9} | {lm.row(size)} | {copying.row(size)} | "
              f"{copying.median() / lm.median():>6.2f}")
    print("\nMb/s: payload of both directions at the median round trip. Copied: bytes, of all that both ends received;"
          "\nwith LM these are the datagrams that lie across the end of the landing region.")


def judge(scores):
    """What is not as it should be."""
    for (mode, size), s in scores.items():
        if s.mismatched:
            yield f"{mode}, {size} bytes: {s.mismatched} payloads came back with other bytes: {dropped(s)}"
        if s.lost * 1000 > s.datagrams or not s.medians:
            yield f"{mode}, {size} bytes: {s.lost} round trips were lost: {dropped(s)}"
    worst = scores["LM", 65_507].worst
    if worst > MAY_BE_COPIED:
        yield f"{100 * worst:.1f} % of the 65,507-byte datagrams were copied, {100 * MAY_BE_COPIED:.0f} % may be"


def dropped(score):
    """What both ends lost, in words."""
    return "; ".join(f"dropped by {end}: {lost or 'nothing'}" for end, lost in score.losses.items())


def main():
    if not BINARY.exists():
        print(f"demo.py: there is no {BINARY}: run make build first", file=sys.stderr)
        return 2
    hugepages, why = hugepages_or_why(64)
    if why:
        print(why if hugepages else f"no zero-copy rings: {why}")
    scores = {(mode, size): Score() for size in SIZES for mode in MODES}
    print(f"pinging with {len(SIZES)} sizes, {ROUNDS} rounds, two receivers:", end=" ", flush=True)
    where = tempfile.mkdtemp(prefix="lm-demo-")
    code = 1
    try:
        for _ in range(ROUNDS):
            for size, count in SIZES.items():
                for mode, options in MODES.items():
                    few = count if len(set(cores())) > 1 else count // 50
                    scores[mode, size].add(*run(where, hugepages, size, few, options))
                    print(".", end="", flush=True)
        code = report(scores, hugepages, why)
    except Failed as e:
        print(f"\ndemo.py: {e}", file=sys.stderr)
    if code:
        print(f"what both ends wrote is in {where}", file=sys.stderr)
    else:
        shutil.rmtree(where, ignore_errors=True)
    return code


def report(scores, hugepages, why):
    """Shows what came out, and what is wrong with it; the exit code."""
    print()
    wrong = list(judge(scores))
    if all(s.medians for s in scores.values()):
        show(scores, hugepages, why)
    compared = sum(s.datagrams for s in scores.values()) // 2
    lost = sum(s.lost for s in scores.values())
    print(f"\n{compared} payloads compared, {sum(s.mismatched for s in scores.values())} mismatched, {lost} lost")
    for line in wrong:
        print(f"FAILED: {line}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
