"""`make demo`: what a user has today beside LM, in one table, and one picture (target/demo.svg). A minute.

First two pairs of lm-testpmd over net_memif compare every payload: one lets datagrams land, the other copies each
together (`--slots=separate`). Then lm-netpipe measures, by one code: kernel sockets that wait and that poll (over
veth, another wire), rte_ip_frag and a copy, LM's copying form, LM. They take turns, and medians count.
"""

import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field

import demo_picture
import netpipe
from steal import Steal
from testpmd import BINARY, HUGE_VA, NO_HUGE, ROOT, Failed, Testpmd, hugepages_or_why, prefix

ROUNDS = 1
# Payload bytes, and round trips a round that are compared.
SIZES = {64: 10_000, 7168: 6_000, 16_384: 4_000, 65_507: 2_000}
MODES = {"LM": ("--slots=overlapping",), "copying": ("--slots=separate",)}
# Share of the largest datagrams that may be copied where they should land: those across the region's end.
MAY_BE_COPIED = 0.02
# Seconds for a pair.
PATIENCE = 45
# Two ends that close at the same moment crash net_memif of DPDK 22.11.
APART = 0.3
MAC = {"ping": "02:00:00:00:00:01", "echo": "02:00:00:00:00:02"}


# What is measured: its name in the table, and the transport of lm-netpipe's.
KERNEL = {"udp": "kernel UDP, blocking", "udp-busy": "kernel UDP, busy-polling"}
OURS = {"ip-frag": "rte_ip_frag + copy", "lm-copy": "LM, copying form", "lm": "LM"}
NAMES = KERNEL | OURS
TURNS = 3
# Of a size and transport in a turn.
FIGURES = ("--test=ping-pong", "--time=240", "--blocks=4", "--repetitions=1000000", "--checksum=full",
           "--require=headers,checksum")
# Each end has a CPU: one that gave it away while it waits would measure what others do with it.
ALONE = ("--yield-after=4000000000",)
# LM's own marks.
P99_BY_MEDIAN, P99_BY_COPYING = 2.5, 1.1


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


def measured(where):
    """What lm-netpipe finds, and why kernel sockets are not among it, or ""."""
    runs, why = {name: [] for name in NAMES}, ""
    options = ("--sizes=" + ",".join(map(str, SIZES)), *FIGURES, *(ALONE if len(set(cores())) > 1 else ()))
    for turn in range(TURNS):
        for name in OURS:
            runs[name].append(netpipe.run(where / f"{turn}-{name}", (name,), *options, seconds=PATIENCE)[0])
            print(".", end="", flush=True)
        if why:
            continue
        try:
            with netpipe.veth() as spaces:
                found, _ = netpipe.run(where / f"{turn}-kernel", tuple(KERNEL), *options, namespaces=spaces,
                                       seconds=PATIENCE)
            for name in KERNEL:
                runs[name].append(found)
        except (OSError, subprocess.SubprocessError) as e:
            said = (getattr(e, "stderr", None) or b"").decode(errors="replace").strip() or str(e)
            why = f"kernel sockets are not measured: they need root, and ip (iproute2): {said.splitlines()[0]}"
        print(".", end="", flush=True)
    return {name: netpipe.merged(some) for name, some in runs.items() if some}, why


@dataclass
class Row:
    """A transport at a size, times in µs."""

    name: str
    size: int
    median: float
    p99: float
    p999: float
    max: float
    # Of the end that answers: a datagram received, verified and sent back.
    cpu: float
    # Bytes, of all that both ends received, %.
    copied: float
    lost: int
    wrong: int

    @classmethod
    def of(cls, name, cell):
        p = cell["ping_pong"]
        if not p["median_ns"]:
            raise Failed(f"{name}, {cell['size']} bytes: not one round trip in time")
        both = lambda key: p["initiator"][key] + p["responder"][key]
        return cls(name, cell["size"], *(p[key] / 1000 for key in ("median_ns", "p99_ns", "p999_ns", "max_ns")),
                   (p["responder"]["work_ns_per_datagram"] or 0) / 1000,
                   100 * both("copied_bytes") / max(both("bytes"), 1), p["lost"], p["wrong"])


def rows(found):
    """By size, then as they are named above."""
    cells = ((size, name, results.cell(name, size)) for size in SIZES for name, results in found.items())
    return [Row.of(name, cell) for _, name, cell in cells if cell]


def show(table, hugepages, why, fragments):
    memory = "net_memif's zero-copy client, hugepages" if hugepages else f"net_memif's copying rings, as {why}"
    places = "CPUs {} and {}".format(*cores()) if len(set(cores())) > 1 else "one CPU for both: times mean little"
    print(f"""
Round trips between two processes on {places}, checksums verified. LM and rte_ip_frag: {memory}.
Kernel sockets: veth, *another wire*. µs; {TURNS} turns. CPU: of the end that answers, a datagram received, verified and
sent back; what a kernel does on the time of others is not in it. Copied: bytes, of all that was received.
""")
    head = f"{'bytes':>6} {'frames':>6}  {'':<25}{'median':>9}{'p99':>9}{'p99.9':>9}{'max':>9}{'CPU':>8}{'copied':>9}{'÷ LM':>7}"
    print(head)
    for size in SIZES:
        block = [row for row in table if row.size == size]
        lm = next(row.median for row in block if row.name == "lm")
        longest = max(row.median for row in block)
        for i, row in enumerate(block):
            lead = f"{size:>6} {fragments[size]:>6}" if i == 0 else " " * 13
            bar = "█" * max(1, round(24 * row.median / longest))
            print(f"{lead}  {NAMES[row.name]:<25}{row.median:>9.2f}{row.p99:>9.2f}{row.p999:>9.1f}{row.max:>9.0f}{row.cpu:>8.2f}"
                  f"{row.copied:>8.1f}%{row.median / lm:>7.2f}  {bar}")
    left_out = [size for size in SIZES if not any((row.name, row.size) == ("ip-frag", size) for row in table)]
    if left_out:
        print(f"\nrte_ip_frag ends at 8 fragments: nothing of it at {' and '.join(map(str, left_out))} bytes.")


def tails(table):
    """How late the late ones are, with LM's marks: lines."""
    lm = {row.size: row for row in table if row.name == "lm"}
    copying = {row.size: row for row in table if row.name == "lm-copy"}
    for what, mark, ratio in (("its median", P99_BY_MEDIAN, lambda size: lm[size].p99 / lm[size].median),
                              ("its copying form's p99", P99_BY_COPYING, lambda size: lm[size].p99 / copying[size].p99)):
        figures = {size: ratio(size) for size in SIZES}
        word = "reached" if max(figures.values()) <= mark else "missed"
        yield f"LM's p99 ÷ {what}: " + ", ".join(f"{r:.2f}" for r in figures.values()) + f" (mark ≤ {mark}: {word})"


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


def compared(where, hugepages, scores):
    """Pairs of lm-testpmd that compare every payload."""
    for _ in range(ROUNDS):
        for size, count in SIZES.items():
            for mode, options in MODES.items():
                few = count if len(set(cores())) > 1 else count // 50
                scores[mode, size].add(*run(where, hugepages, size, few, options))
                print(".", end="", flush=True)


def main():
    for binary in (BINARY, netpipe.BINARY):
        if not binary.exists():
            print(f"demo.py: there is no {binary}: run make build first", file=sys.stderr)
            return 2
    hugepages, why = hugepages_or_why(64)
    if why:
        print(why if hugepages else f"no zero-copy rings: {why}")
    scores = {(mode, size): Score() for size in SIZES for mode in MODES}
    where = tempfile.mkdtemp(prefix="lm-demo-")
    code = 1
    try:
        print("every payload is compared:", end=" ", flush=True)
        compared(where, hugepages, scores)
        code = report(scores)
        if not code:
            print("what a user has beside LM is measured:", end=" ", flush=True)
            code = figures(pathlib.Path(where), fragments={size: scores["LM", size].fragments for size in SIZES})
    except Failed as e:
        code = 1
        print(f"\ndemo.py: {e}", file=sys.stderr)
    if code:
        print(f"what both ends wrote is in {where}", file=sys.stderr)
    else:
        shutil.rmtree(where, ignore_errors=True)
    return code


def figures(where, fragments):
    """Measures, and shows it; the exit code."""
    hugepages = netpipe.memory()[1]
    why = "" if hugepages else hugepages_or_why(netpipe.MEGABYTES)[1]
    steal = Steal()
    found, missing = measured(where)
    taken = steal.percent()
    table = rows(found)
    print()
    show(table, hugepages, why or "it was so before", fragments)
    if missing:
        print(f"\n{missing}")
    print()
    print(*tails(table), sep="\n")
    print(f"steal (the host's other guests, of all CPU time): {taken:.1f} %")
    picture = pathlib.Path(os.environ.get("CARGO_TARGET_DIR") or ROOT / "target") / "demo.svg"
    picture.parent.mkdir(exist_ok=True)
    picture.write_text(demo_picture.svg(table, NAMES, f"steal {taken:.1f} %"))
    print(f"picture: {picture}")
    wrong = [row for row in table if row.wrong]
    for row in wrong:
        print(f"FAILED: {NAMES[row.name]}, {row.size} bytes: {row.wrong} echoes had other bytes")
    return 1 if wrong else 0


def report(scores):
    """What came of the comparison; the exit code."""
    wrong = list(judge(scores))
    compared = sum(s.datagrams for s in scores.values()) // 2
    lost = sum(s.lost for s in scores.values())
    copied = ", ".join(f"{size} {100 * scores['LM', size].copied_bytes / max(scores['LM', size].bytes, 1):.2f} %" for size in SIZES)
    print(f"\n{compared} payloads compared, {sum(s.mismatched for s in scores.values())} mismatched, {lost} lost")
    print(f"bytes copied where datagrams land, by their size: {copied}: those across the end of the landing region")
    for line in wrong:
        print(f"FAILED: {line}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
