"""Each hazard is met on purpose: what must not be done is refused, what must be put right is, what cannot be
proven is not relied on."""

import contextlib
import os
import pathlib
import re
import subprocess
import threading
import time

import cards
import physical
import sizes
import wire
from flood import IN_A_VLAN, Flood, oversize, stranger, tagged
from guest import FLOWS, check
from life import in_order, numbers
from pingpong import ping_and_echo

SIZES = (7168, 100, 4432, 1472, 16_384, 2000, 65_507, 1446, 5912)
# Frames of the stranger.
FLOOD = 6_000
# Of these each node is to have heard so many that are not LM's, and where no length filter keeps them out as
# many long ones.
ENOUGH = FLOOD // 20
# Frames of 1518 bytes are let in at this MTU too.
SHORT_MTU = 1492


def mac_of(child):
    return wire.mac(re.search(r"MAC address: (\S+)", child.out())[1])


def is_refused(guest, name, card, why, *options):
    """Overlapping slots are refused in a line that says why."""
    child = guest.attempt(name, 1, card, "--slots=overlapping", *options)
    guest.until(lambda: not child.running() or "slots=" in child.out(), "it does not start:", child)
    check(not child.running() and child.wait() == 2, f"{name}: it was not refused, {why!r}:", child)
    check(why in child.err(), "it does not say why:", child)
    guest.children.remove(child)


def refused(guest):
    """Overlapping slots are refused in one line that says why; without asking for them, all is well, and no
    slot that is posted crosses 64 KiB."""
    first, second = guest.devices()
    is_refused(guest, "refused", second, "erratum 23")
    child = guest.launch("posted", 1, second, "--forward-mode=rx", prompt=True)
    posted = buffers(child, second)
    check(len(posted) == 512 and all(posted), "that is no ring:", posted)
    crossing = [hex(at) for at in posted if at >> 16 != (at + BUFFER - 1) >> 16]
    check(not crossing, f"{len(crossing)} of {len(posted)} buffers cross 64 KiB:", crossing[:4])
    guest.quit(child)
    return {"buffers": len(posted), **ping_and_echo(guest)}


# Bytes of the longest frame that is let in, in bursts of 8 bytes that may be rounded up.
BUFFER = 1528


def buffers(child, address):
    """Where the frames go that the card has not received yet: physical addresses."""
    registers = cards.Registers(address)
    ring = registers[registers.RDBAH] << 32 | registers[registers.RDBAL]
    return physical.words(child.process.pid, ring, registers[registers.RDLEN] // 8)[::2]


def set_up(guest, address):
    """What the driver told the card to do with frames."""
    registers = cards.Registers(address)
    check(registers[registers.CTRL] & registers.VLAN_STRIP, "VLAN tags are not stripped")
    check(registers[registers.RCTL] & registers.STRIP_CHECKSUM, "checksums are kept")
    check(not registers[registers.RCTL] & registers.LONG_PACKETS, "long frames are let in")
    if guest.scenario.model == "igb":
        threshold = registers[registers.RXDCTL] >> 16 & 0x1F
        check(threshold == 1, f"{threshold} descriptors wait to be written back")


def strangers(guest):
    """Two nodes that ping and echo, and a stranger who floods both landing queues with frames that reach into
    the payload above their slot, if they are let in; and with datagrams in a VLAN, which are ours once the tag is off."""
    third = cards.addresses()[0]
    sender, receiver = guest.devices()
    # A card that lets in longer frames than slots have room for: at another MTU, the same frames are too
    # long.
    is_refused(guest, "too-long", receiver, "are let in", f"--mtu={SHORT_MTU}")
    away = guest.launch("echo", 1, receiver, "--forward-mode=echo", prompt=True)
    set_up(guest, receiver)
    home = guest.launch("ping", 0, sender, "--forward-mode=ping", sizes.listed(SIZES), prompt=True)
    to = mac_of(away)
    guest.tell(away, "start", "echo forwarding")
    # Both know each other's address before the flood begins.
    guest.tell(home, "start", "ping forwarding")
    with Flood(stranger(third, guest.scenario.cards[0]), tagged(to) + oversize(to)) as flood:
        guest.until(lambda: flood.sent > FLOOD, "the stranger is too slow:", flood.sent,
                    seconds=guest.seconds)
        # However much of it the wire and a full ring lose.
        for child in (home, away):
            guest.until(lambda: guest.counter(child, r"foreign: (\d+)") > ENOUGH,
                        "the stranger was not heard:", flood.sent, child)
            if guest.scenario.model == "e1000":
                guest.until(lambda: guest.counter(child, r"LM-RX-dropped: +(\d+) +oversize") > ENOUGH,
                            "long frames were not dropped:", flood.sent, child)
    for child in (home, away):
        guest.tell(child, "stop", "Done.")
    for child in (home, away):
        guest.quit(child)
        guest.level(child)
    sent = home.summary()["sent_datagrams"]
    known = numbers(guest, SIZES, sent)
    figures = {"sent": sent, "strangers": flood.sent}
    for number, child, name in ((1, away, "there"), (0, home, "and back")):
        summary = child.summary()
        check(summary["mismatched"] == 0, summary)
        check(summary["foreign"] > ENOUGH, "the stranger was not heard:", flood.sent, summary)
        messages = child.messages()
        ours = [m for m in messages if (m["src"], m["dst"]) == FLOWS[number]]
        figures[name] = in_order(child, known, ours)
        check(figures[name] > 10, "next to nothing was delivered:", summary)
        figures[f"foreign {name}"] = summary["foreign"]
        figures[f"dropped {name}"] = sum(summary.drops().values())
        theirs = {m["sha256"] for m in messages if m not in ours}
        check(theirs == {wire.sha256(IN_A_VLAN)}, "what came in a VLAN is not what was sent:", theirs, child)
        if guest.scenario.model == "e1000":
            check(summary.drops().get("oversize", 0) > ENOUGH, "long frames were not dropped:",
                  summary.drops())
    return figures


RELAXED = 0x10


def express_control(space):
    """Where the device control word of a PCI Express function's configuration space is."""
    at = space[0x34]
    while at:
        if space[at] == 0x10:
            return at + 8
        at = space[at + 1]
    raise LookupError("no PCI Express capability")


@contextlib.contextmanager
def configuration(address, stand_in, *how):
    """Puts a file in the place of a function's configuration space: QEMU's cards don't let relaxed ordering
    be set.
    """
    place = (cards.DEVICES / address / "config").resolve()
    subprocess.run(["mount", "-o", "bind", stand_in, place], check=True)
    if how:
        subprocess.run(["mount", "-o", ",".join(("remount", "bind", *how)), place], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", place], check=True)


@contextlib.contextmanager
def switched_on_again(stand_in, control):
    """A card that forgets what was put right: the bit is on again a moment after it was switched off."""
    over, times = threading.Event(), []

    def watch():
        with open(stand_in, "r+b", buffering=0) as file:
            while not over.wait(0.001):
                word = os.pread(file.fileno(), 1, control)[0]
                if not word & RELAXED:
                    os.pwrite(file.fileno(), bytes((word | RELAXED,)), control)
                    times.append(time.monotonic())

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield times
    finally:
        over.set()
        thread.join()


def relaxed(guest):
    """Relaxed ordering is on: it is switched off, and frames overlap. It stays on, or comes back while the
    port is started: they don't, whatever the user says. Configuration space is out of reach: nothing is
    proven, and they don't, unless the user insists. A virtual function's own bit proves nothing: all this is its physical one's."""
    second = guest.devices()[1]
    physical = cards.DEVICES / second / "physfn"
    judged = physical.resolve().name if physical.exists() else second
    space = bytearray((cards.DEVICES / judged / "config").read_bytes())
    control = express_control(space)
    space[control] |= RELAXED
    stand_in = pathlib.Path("/tmp/config")
    insist = "--unsafe-relaxed-ordering=assume-off"

    def told(name, layout, *options):
        child = guest.launch(name, 1, second, "--forward-mode=rx", *options, layout=layout, prompt=True)
        guest.quit(child)
        return re.search(r"Landing slots: (.*)", child.out())[1]

    stand_in.write_bytes(space)
    with configuration(judged, stand_in):
        why = told("switched", "overlapping")
    check("relaxed ordering: was on" in why and "switched off" in why, why)
    check(not stand_in.read_bytes()[control] & RELAXED, "it says so, but relaxed ordering is on:", why)

    stand_in.write_bytes(space)
    with configuration(judged, stand_in), switched_on_again(stand_in, control) as times:
        why = told("comes-back", "separate", insist)
    check(times, "it was never switched off:", why)
    check("not proven" in why, why)

    stand_in.write_bytes(space)
    with configuration(judged, stand_in, "ro"):
        is_refused(guest, "on-refused", second, "relaxed ordering")
        why = told("on-insisted", "separate", insist)
        check("not proven" in why, why)

    with configuration(judged, "/dev/null"):
        is_refused(guest, "hidden-refused", second, "relaxed ordering")
        why = told("hidden-insisted", "overlapping", insist)
        check("on your word" in why, why)
    return {
        "found on": "switched off",
        "comes back": "separate",
        "stays on": "separate",
        "out of reach": "separate"
    }
