"""What a datagram costs a machine with one processor when lmd has its card, and when Linux's own driver has
it: all of kernel, lmd and program, in instructions.

Both ends are in the guest, so the cost of the far end is measured, too, and taken off. lm-sockets runs rounds
of a few datagrams, one after the other, and counts all instructions but those in which the processor had
nothing to do. Its far end goes before everything else, as if it had a processor of its own. The far end
always has Linux's own driver. So

    away      = what it costs Linux to send a datagram to an address that nobody has: its card drops the frames
    received  = a datagram's way from the far end to a program here, less away
    far       = a datagram's way from Linux's driver here to a program at the far end, less away
    sent      = a datagram's way from here to a program at the far end, less far

Linux's rings have 256 descriptors, so a round is what such a ring holds. In virtual time each figure is the
same in each run of one image.
"""

import json
import signal
import subprocess

import cards
from cost import NOBODY
from guest import A, B, check, note
from kernelpeer import SPACE, Peer
from netns import ip
from takeover import Lmd, show

# An address that no card has.
AWAY = "198.18.0.77"
# Bytes of a datagram, and datagrams of a round.
WINDOWS = {64_000: 4, 8_000: 16, 1_400: 32, 64: 32}
# Rounds that may be on their way to the far end, and descriptors of its ring, which have room for them.
AHEAD, FAR_RING = 4, 1024
# What lmd may cost, as a part of what Linux costs. The aims are 0.5 and 0.6, and docs/lmd.md says why the first
# one is not reached.
MOST = {("received", 64_000): 0.9, ("sent", 64_000): 0.6}
# Nanoseconds that a window takes that goes to nobody, with the interrupts of the card that has sent it.
PAUSE = 4_000_000


def rounds(size, *words):
    done = subprocess.run(["lm-sockets", "--size", str(size), *map(str, words)], capture_output=True, text=True)
    check(done.returncode == 0, *words, done.stdout, done.stderr)
    figure = json.loads(done.stdout)
    note(*words, figure)
    return figure["mean"]


def way(size, *words):
    return rounds(size, "--window", WINDOWS[size], *words) / WINDOWS[size]


def there(size):
    # The far end's card holds interrupts back. Meanwhile there is more to send.
    return way(size, "--from", "-", "--to", A, "--at", SPACE, "--far", "receiver", "--ahead", AHEAD)


def here(size):
    return way(size, "--from", SPACE, "--to", B, "--at", "-", "--far", "sender")


def away(size):
    """A datagram to nobody, from the far end."""
    words = ("--from", SPACE, "--to", AWAY, "--pause", PAUSE)
    return (rounds(size, "--window", WINDOWS[size], *words) - rounds(size, "--window", 0, *words)) / WINDOWS[size]


def up(guest, name):
    ip("addr", "add", f"{B}/24", "dev", name)
    ip("link", "set", name, "up")
    guest.until(lambda: "LOWER_UP" in show("link", "show", name)[0]["flags"], f"the link of {name} stays down")


def meet():
    """The ends ask for each other's hardware addresses. Meanwhile a kernel keeps no more than a few datagrams."""
    for words in (("--from", SPACE, "--to", B, "--at", "-"), ("--from", "-", "--to", A, "--at", SPACE)):
        rounds(64, "--window", 1, "--rounds", 1, *words)


def table(guest):
    cards.load("tun")
    subprocess.run(["sysctl", "-qw", "net.ipv6.conf.all.disable_ipv6=1"], check=True)
    peer = Peer(cards.addresses()[0], guest.scenario.cards[0])
    peer.run("ethtool", "-G", peer.name, "rx", str(FAR_RING))
    guest.until(peer.has_carrier, f"the link of {peer.name} does not come up")
    peer.knows(AWAY, NOBODY)
    card, model = cards.addresses()[1], guest.scenario.cards[1]
    cards.bind(card, cards.LINUX[model])
    up(guest, cards.interface(card))
    meet()
    costs = {}
    for size in WINDOWS:
        off = away(size)
        costs["Linux", "sent", size] = off
        costs["Linux", "received", size] = here(size) - off
        costs["far", size] = there(size) - off
    (card,) = guest.devices(1)
    lmd = Lmd(guest, "lmd", "-a", card).ready()
    up(guest, "lm0")
    meet()
    for size in WINDOWS:
        costs["lmd", "received", size] = here(size) - costs["Linux", "sent", size]
        costs["lmd", "sent", size] = there(size) - costs["far", size]
    check(lmd.end(signal.SIGTERM) == 0, lmd)
    note(lmd)
    figures = {}
    for what in ("received", "sent"):
        for size in WINDOWS:
            ours, theirs = costs["lmd", what, size], costs["Linux", what, size]
            figures[f"{size} {what}: lmd"], figures[f"{size} {what}: Linux"] = round(ours), round(theirs)
            figures[f"{size} {what}: ratio"] = f"{ours / theirs:.2f}"
    note(json.dumps(figures, indent=1))
    for (what, size), most in MOST.items():
        ours, theirs = costs["lmd", what, size], costs["Linux", what, size]
        check(0 < ours <= most * theirs,
              f"{size} bytes {what}: lmd costs {ours:.0f}, more than {most} times Linux's {theirs:.0f}:", figures)
    return figures
