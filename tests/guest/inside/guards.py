"""Each hazard is met on purpose: what must not be done is refused, what must be put right is, what cannot be proven is
not relied on."""

import contextlib
import pathlib
import re
import subprocess

import cards
import sizes
import wire
from flood import Flood, oversize, tagged
from guest import check
from life import in_order, numbers
from pingpong import ping_and_echo

SIZES = (7168, 100, 4432, 1472, 16_384, 2000, 65_507, 1446, 5912)
# Frames of the stranger.
FLOOD = 6_000


def mac_of(child):
    return wire.mac(re.search(r"MAC address: (\S+)", child.out())[1])


def refused(guest):
    """Overlapping slots are refused in one line that says why; without asking for them, all is well."""
    first, second = guest.devices()
    child = guest.attempt("refused", 1, second, "--slots=overlapping")
    check(child.wait(60) == 2, "it was not refused:", child)
    check(guest.scenario.given["why"] in child.err(), "it does not say why:", child)
    guest.children.remove(child)
    return ping_and_echo(guest)


def strangers(guest):
    """Two nodes that ping and echo, and a stranger who floods both landing queues with frames that reach into the
    payload above their slot, if they are let in."""
    third = cards.addresses()[0]
    sender, receiver = guest.devices()
    away = guest.launch("echo", 1, receiver, "--forward-mode=echo", prompt=True)
    home = guest.launch("ping", 0, sender, "--forward-mode=ping", sizes.listed(SIZES), prompt=True)
    to = mac_of(away)
    guest.tell(away, "start", "echo forwarding")
    # Both know each other's address before the flood begins.
    guest.tell(home, "start", "ping forwarding")
    with Flood(third, guest.scenario.cards[0], tagged(to) + oversize(to)) as flood:
        guest.until(lambda: flood.sent > FLOOD, "the stranger is too slow:", flood.sent, seconds=guest.seconds)
    for child in (home, away):
        guest.tell(child, "stop", "Done.")
    for child in (home, away):
        guest.quit(child)
        guest.level(child)
    sent = home.summary()["sent_datagrams"]
    known = numbers(guest, SIZES, sent)
    figures = {"sent": sent, "strangers": flood.sent}
    for child, name in ((away, "there"), (home, "and back")):
        summary = child.summary()
        check(summary["mismatched"] == 0, summary)
        check(summary["foreign"] > FLOOD / 20, "the stranger was not heard:", flood.sent, summary)
        figures[name] = in_order(child, known)
        check(figures[name] > 10, "next to nothing was delivered:", summary)
        figures[f"foreign {name}"] = summary["foreign"]
        figures[f"dropped {name}"] = sum(summary.drops().values())
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
    """Puts a file in the place of a function's configuration space: QEMU's cards don't let relaxed ordering be set."""
    place = (cards.DEVICES / address / "config").resolve()
    subprocess.run(["mount", "-o", "bind", stand_in, place], check=True)
    if how:
        subprocess.run(["mount", "-o", ",".join(("remount", "bind", *how)), place], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", place], check=True)


def relaxed(guest):
    """Relaxed ordering is on: it is switched off, and frames overlap. It stays on: they don't, whatever the user says.
    Configuration space is out of reach: nothing is proven, and they don't, unless the user insists."""
    first, second = guest.devices()
    space = bytearray((cards.DEVICES / second / "config").read_bytes())
    control = express_control(space)
    space[control] |= RELAXED
    stand_in = pathlib.Path("/tmp/config")
    insist = "--unsafe-relaxed-ordering=assume-off"

    def told(name, layout, *options):
        child = guest.launch(name, 1, second, "--forward-mode=rx", *options, layout=layout, prompt=True)
        guest.quit(child)
        return re.search(r"Landing slots: (.*)", child.out())[1]

    def is_refused(name):
        child = guest.attempt(name, 1, second, "--slots=overlapping")
        check(child.wait(60) == 2 and "relaxed ordering" in child.err(), "slots overlap without a proof:", child)

    stand_in.write_bytes(space)
    with configuration(second, stand_in):
        why = told("switched", "overlapping")
    check("relaxed ordering: " in why and " off" in why, why)
    check(not stand_in.read_bytes()[control] & RELAXED, "it says so, but relaxed ordering is on:", why)

    stand_in.write_bytes(space)
    with configuration(second, stand_in, "ro"):
        is_refused("on-refused")
        why = told("on", "separate")
        check("not proven" in why, why)
        why = told("on-insisted", "separate", insist)
        check("not proven" in why, why)

    with configuration(second, "/dev/null"):
        is_refused("hidden-refused")
        why = told("hidden", "separate")
        check("not proven" in why, why)
        why = told("hidden-insisted", "overlapping", insist)
        check("on your word" in why, why)
    return {"found on": "switched off", "stays on": "separate", "out of reach": "separate"}
