"""Each hazard is met on purpose: what must not be done is refused, what must be put right is, what cannot be proven is
not relied on."""

import re
import struct
import subprocess
import time

import cards
import wire
from flood import Flood, oversize, tagged
from guest import check, note
from life import in_order, numbers
from pingpong import ping_and_echo

SIZES = (7168, 100, 4432, 1472, 16_384, 2000, 65_507, 1446, 5912)


def mac_of(child):
    return wire.mac(re.search(r"MAC address: (\S+)", child.out())[1])


def verdict(child):
    """Why its slots may overlap, or may not."""
    return re.search(r"Landing slots: (.*)", child.out())[1]


def refused(guest):
    """Overlapping slots are refused in one line that says why; without asking for them, all is well."""
    first, second = guest.devices()
    child = guest.attempt("refused", 1, second, "--slots=overlapping")
    check(child.wait(60) == 2, "it was not refused:", child)
    check(guest.scenario.given["why"] in child.err(), "it does not say why:", child)
    guest.children.remove(child)
    return ping_and_echo(guest)


def strangers(guest):
    """A sender, a receiver, and a stranger who floods the receiver's landing queue with frames that reach into the
    payload above their slot, if they are let in."""
    third = cards.addresses()[0]
    sender, receiver = guest.devices()
    count = 20_000 if guest.full else 2_000
    away = guest.launch("rx", 1, receiver, "--forward-mode=rx", prompt=True)
    home = guest.launch("tx", 0, sender, "--forward-mode=tx", "--txsize=" + ",".join(map(str, SIZES)),
                        f"--count={count}", "--burst=4", prompt=True)
    to = mac_of(away)
    guest.tell(away, "start", "rx forwarding")
    with Flood(third, guest.scenario.cards[0], tagged(to) + oversize(to)) as flood:
        guest.until(lambda: flood.sent > 100, "the stranger cannot send")
        # A start may come before its frames do.
        time.sleep(2)
        guest.tell(home, "start", "Accumulated", guest.seconds)
        note("all is sent")
        guest.until(lambda: flood.sent > 2_000, "the stranger is too slow:", flood.sent, seconds=60)
    guest.tell(away, "stop", "Done.")
    for child in (home, away):
        guest.quit(child)
        guest.level(child)
    summary = away.summary()
    delivered = in_order(away, numbers(guest, SIZES, count))
    check(delivered > 0, "nothing was delivered:", summary)
    check(summary["foreign"] > 500, "the stranger was not heard:", flood.sent, summary)
    return {"sent": count, "delivered": delivered, "wrong": 0, "strangers": flood.sent, "foreign": summary["foreign"],
            "copied": summary["copied_datagrams"], "dropped": sum(summary.drops().values())}


def express_control(address):
    """Where the device control word of a PCI Express function is, and what it says."""
    space = (cards.DEVICES / address / "config").read_bytes()
    at = space[0x34]
    while at:
        if space[at] == 0x10:
            return at + 8, struct.unpack_from("<H", space, at + 8)[0]
        at = space[at + 1]
    raise LookupError(f"{address} has no PCI Express capability")


RELAXED = 0x10


def set_relaxed(address, on):
    at, word = express_control(address)
    with open(cards.DEVICES / address / "config", "r+b", buffering=0) as config:
        config.seek(at)
        config.write(struct.pack("<H", word | RELAXED if on else word & ~RELAXED))
    check(bool(express_control(address)[1] & RELAXED) == on, f"relaxed ordering of {address} cannot be set to {on}")


def relaxed(guest):
    """Relaxed ordering is on: it is switched off, and frames overlap. Configuration space is out of reach: nothing is
    proven, and they don't, unless the user insists."""
    first, second = guest.devices()
    set_relaxed(second, True)
    seen = guest.launch("seen", 1, second, "--forward-mode=rx", prompt=True)
    check("switched off" in verdict(seen), "it does not say that it switched it off:", seen)
    check(not express_control(second)[1] & RELAXED, "relaxed ordering is still on")
    guest.quit(seen)

    hidden = cards.DEVICES / second / "config"
    subprocess.run(["mount", "-o", "bind", "/dev/null", hidden.resolve()], check=True)
    doubted = guest.attempt("doubted", 1, second, "--slots=overlapping")
    check(doubted.wait(60) == 2, "slots overlap without a proof:", doubted)
    guest.children.remove(doubted)
    careful = guest.launch("careful", 1, second, "--forward-mode=rx", layout="separate", prompt=True)
    check("not proven" in verdict(careful), careful)
    guest.quit(careful)
    insisted = guest.launch("insisted", 1, second, "--forward-mode=rx", "--unsafe-relaxed-ordering=assume-off",
                            layout="overlapping", prompt=True)
    check("on your word" in verdict(insisted), insisted)
    guest.quit(insisted)
    return {"switched off": "yes", "without proof": "separate", "on the user's word": "overlapping"}
