"""lm-netpipe on two cards of one model: LM first, then Linux's own driver on the same two cards, in the same guest.

Both ends share the guest's one CPU, so a poll loop that finds nothing yields at once. In virtual time a tick of the
time-stamp counter is an instruction.
"""

import json
import os
import pathlib
import subprocess
import threading
import time

import cards
from guest import MEMORY, WORK, check, note
from netpipe import A, B, Netpipe, Results

SIZES = (64, 7168, 65507)
# em's cards hear nothing for a second after their receiver is enabled.
COMMON = ("--blocks=3", "--warm-up=5", "--yield-after=1", "--patience=5000", "--await-peer=60")
UDP = (7700, 9700)


class Guested(Netpipe):
    """On a card, or with kernel sockets in a name space."""

    def __init__(self, where, card, *options, namespace=None):
        self.where = where
        where.mkdir(parents=True, exist_ok=True)
        self.prefix = f"np{where.name}"
        words = ["/usr/bin/lm-netpipe"]
        if card:
            words += ["-l", "0", *MEMORY, "--no-telemetry", f"--file-prefix={self.prefix}", "-a", card]
        self._launch([*words, "--", *options], namespace)


def pair(guest, name, both, transports, *options, sizes=SIZES, namespaces=(None, None), long=None,
         layout=None):
    """The results of a responder and an initiator on these cards; without any, of kernel sockets."""
    # Virtual time repeats itself: little of it is enough.
    short = ("--repetitions=60", "--time=240") if guest.icount else ("--repetitions=200", "--time=600")
    long = long or (("--repetitions=300", "--time=3000") if guest.full and not guest.icount else short)
    slots = ("--slots=overlapping",) if both and (layout or guest.scenario.layout) == "overlapping" else ()
    words = (*slots, f"--transport={','.join(transports)}", "--sizes=" + ",".join(map(str, sizes)), *COMMON, *long, *options)
    where = WORK / name
    ends = [(f"--tx-ip={src},{dst}", f"--tx-udp={ours},{theirs}")
            for src, dst, ours, theirs in ((A, B, *UDP), (B, A, *UDP[::-1]))]
    note(name)
    with Guested(where / "responder", both and both[1], "--role=responder", "--once", *words, *ends[1],
                 namespace=namespaces[1]) as responder:
        guest.children.append(responder)
        responder.await_text("ready to answer", 120)
        path = where / "results.json"
        with Guested(where / "initiator", both and both[0], *words, *ends[0], f"--json={path}",
                     namespace=namespaces[0]) as initiator:
            guest.children.append(initiator)
            initiator.fine(guest.seconds)
            note(initiator.out())
        responder.fine(60)
    return Results(json.loads(path.read_text()))


def hand_to_linux(guest, both):
    """Linux's own driver has these cards, each in a name space with its address; the name spaces, and the cards' names."""
    spaces, names = [], []
    for i, (card, address) in enumerate(zip(both, (A, B))):
        cards.bind(card, cards.LINUX[guest.scenario.cards[i]])
        name, space = cards.interface(card), f"n{i}"
        subprocess.run(["ip", "netns", "add", space], check=True)
        subprocess.run(["ip", "link", "set", name, "netns", space], check=True)
        subprocess.run(["ip", "-n", space, "addr", "add", f"{address}/24", "dev", name], check=True)
        subprocess.run(["ip", "-n", space, "link", "set", name, "mtu", "1500", "up"], check=True)
        spaces.append(space)
        names.append(name)
    guest.warm()
    return spaces, names


class Watch(threading.Thread):
    """Looks now and then at what the kernel counts: its idle time, and the interrupts of these cards."""

    def __init__(self, names):
        super().__init__(daemon=True)
        self.names, self.seen, self.over = names, [], threading.Event()

    def run(self):
        while not self.over.wait(0.1):
            idle = pathlib.Path("/proc/stat").read_text().split()[4]
            lines = pathlib.Path("/proc/interrupts").read_text().splitlines()
            count = sum(int(line.split()[1]) for line in lines if any(name in line for name in self.names))
            self.seen.append((time.monotonic(), int(idle) / os.sysconf("SC_CLK_TCK"), count))

    def between(self, begin, end):
        """Part of this time in which there was nothing to do, and interrupts a second."""
        seen = [look for look in self.seen if begin <= look[0] <= end]
        check(len(seen) > 2, "hardly any look at what the kernel counts:", self.seen)
        time_, idle, count = (last - first for first, last in zip(seen[0], seen[-1]))
        return idle / time_, count / time_


def profiled(guest, spaces, names, size=7168):
    """What keeps the kernel's round trips: interrupts of both cards for each, and time in which the processor has nothing to do."""
    figures = {}
    for transport in ("udp", "udp-busy"):
        watch = Watch(names)
        watch.start()
        found = pair(guest, f"profile-{transport}", None, (transport,), "--kernel-wire=the same cards", "--test=ping-pong", sizes=(size,),
                     long=("--repetitions=1000000", "--time=6000"), namespaces=spaces)
        end = time.monotonic()
        watch.over.set()
        watch.join()
        # The warm-up is over then, and no program at its end yet.
        idle, interrupts = watch.between(end - 4, end - 1.5)
        trip = found.median(transport, size)
        figures[f"{transport} {size} interrupts a round trip"] = f"{interrupts * trip / 1e9:.2f}"
        figures[f"{transport} {size} idle us"] = f"{idle * trip / 1000:.0f} of {trip / 1000:.0f}"
    return figures


def against_linux(guest):
    """LM's round trips and stream, and those of Linux on the same cards."""
    both = guest.devices(2)
    lm = pair(guest, "lm", both, ("lm",), "--kernel-wire=none")
    spaces, names = hand_to_linux(guest, both)
    kernel = pair(guest, "kernel", None, ("udp", "udp-busy"), "--kernel-wire=the same cards", namespaces=spaces)
    figures = {}
    for size in SIZES:
        cell = lm.cell("lm", size)
        check(cell["ping_pong"]["wrong"] == 0 and cell["ping_pong"]["count"] > 2, cell)
        mine = lm.median("lm", size)
        check(mine and 1000 < mine < 1_000_000_000, f"LM's round trip of {size} bytes: {mine} ns")
        figures[f"lm {size} us"] = f"{mine / 1000:.0f}"
        for name in ("udp", "udp-busy"):
            other = kernel.median(name, size)
            check(other and 1000 < other < 1_000_000_000, f"{name}'s round trip of {size} bytes: {other} ns")
            figures[f"{name} {size} us"] = f"{other / 1000:.0f}"
            figures[f"{name}/lm {size}"] = f"{other / mine:.2f}"
        rates = {"lm": lm.stream("lm", size), "udp": kernel.stream("udp", size)}
        figures |= {f"{name} stream {size} Mb/s": f"{rate or 0:.1f}" for name, rate in rates.items()}
        for name, found in (("lm", lm), ("udp", kernel)):
            figures[f"{name} stream {size} lost"] = f"{found.cell(name, size)['stream']['loss']:.2f}"
        if all(rates.values()):
            figures[f"stream lm/udp {size}"] = f"{rates['lm'] / rates['udp']:.2f}"
        # Bandwidth without loss: the sender has no more in flight than the receiver's ring takes.
        held = {"lm": lm.window("lm", size), "udp": kernel.window("udp", size)}
        figures |= {f"{name} window {size} Mb/s": f"{rate or 0:.1f}" for name, rate in held.items()}
        for name, found in (("lm", lm), ("udp", kernel)):
            figures[f"{name} window {size} lost"] = f"{found.cell(name, size)['window']['loss']:.2f}"
        check(cell["window"]["loss"] == 0, f"a window of half the ring lost datagrams of {size} bytes: {cell['window']}")
        if all(held.values()):
            figures[f"window lm/udp {size}"] = f"{held['lm'] / held['udp']:.2f}"
        work = [cell["ping_pong"][end]["work_ns"] for end in ("initiator", "responder")]
        figures[f"lm work {size}"] = f"{sum(work) / max(cell['ping_pong']['count'], 1):.0f}"
    return figures | profiled(guest, spaces, names)


def jumbo(guest):
    """MTU 9000 end to end."""
    both = guest.devices(2)
    # em lets in whatever is shorter than 16 KiB there: its slots are separate.
    layout = "overlapping" if guest.scenario.cards[0].startswith("igb") else "separate"
    found = pair(guest, "jumbo", both, ("lm",), "--mtu=9000", layout=layout)
    figures = {}
    for size in SIZES:
        p = found.cell("lm", size)["ping_pong"]
        check(p["wrong"] == 0 and p["lost"] == 0, p)
        copied = p["initiator"]["copied_bytes"] + p["responder"]["copied_bytes"]
        figures[f"lm {size} us"] = f"{p['median_ns'] / 1000:.0f}"
        figures[f"lm {size} copied"] = f"{copied / max(1, p['initiator']['bytes'] + p['responder']['bytes']):.2f}"
    return figures


MODES = ("poll", "interrupt", "adaptive")
# What a guest's card takes without loss in every mode, on the wire.
PACE = "10M"


def share(ends):
    """The part of the time that these had the CPU."""
    return f"{100 * sum(end['cpu_ns'] for end in ends) / max(1, sum(end['wall_ns'] for end in ends)):.0f} %"


def receive_modes(guest):
    """Latency and CPU of LM's receive modes on one pair of cards, in one guest: round trips, a paced stream, and nothing."""
    both = guest.devices(2)
    figures = {}
    long = ("--repetitions=150", "--time=900" if guest.full else "--time=400")
    for mode in MODES:
        option = f"--rx-mode={mode}"
        found = pair(guest, f"trips-{mode}", both, ("lm",), option, "--test=ping-pong", sizes=(64, 7168), long=long)
        for size in (64, 7168):
            p = found.cell("lm", size)["ping_pong"]
            check(p["wrong"] == 0 and p["lost"] == 0 and p["count"] > 2, p)
            figures[f"{mode} {size} us"] = f"{p['median_ns'] / 1000:.0f}"
            figures[f"{mode} {size} p99"] = f"{p['p99_ns'] / 1000:.0f}"
            figures[f"{mode} {size} CPU"] = share((p["initiator"], p["responder"]))
        found = pair(guest, f"stream-{mode}", both, ("lm",), option, "--test=stream", f"--pace={PACE}", sizes=(7168,), long=long)
        s = found.cell("lm", 7168)["stream"]
        figures[f"{mode} stream Mb/s"] = f"{s['mbps']:.1f}"
        figures[f"{mode} stream lost"] = f"{s['loss']:.3f}"
        figures[f"{mode} stream CPU"] = share((s["responder"],))
        child = guest.launch(f"idle-{mode}", 0, both[1], "--forward-mode=rx", "--stop-after-idle=2000", option,
                             layout=guest.scenario.layout)
        child.fine(120)
        idle = child.summary()
        figures[f"{mode} idle CPU"] = f"{100 * idle['cpu_ns'] / max(1, idle['elapsed_ns']):.1f} %"
        guest.level(child)
        if mode != "poll":
            check(idle["cpu_ns"] < idle["elapsed_ns"] / 2, f"{mode} does not sleep: {idle}")
    return figures
