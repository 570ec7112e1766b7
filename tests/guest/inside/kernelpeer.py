"""Linux's own driver on the first card, in a network name space; LM on the second."""

import json
import socket
import subprocess
import threading
import time

import cards
import sizes
import wire
from guest import A, B, PORT_A, PORT_B, check
from netns import counters, inside, ip

SPACE = "peer"
SO_RCVBUFFORCE = 33
# LM waits so long at most for an answer, and so does the socket.
PATIENCE = 5
BURSTS = (1, 32)
# The largest payload of a datagram of Linux's in one frame.
SINGLE = 1472


class Peer:
    """A node with Linux's driver and sockets, in a name space of its own."""

    def __init__(self, address, model):
        cards.bind(address, cards.LINUX[model])
        self.settle(cards.interface(address), SPACE, A)

    def settle(self, name, space, own, mac=None):
        """An interface moves there and gets its address."""
        self.name, self.space = name, space
        ip("netns", "add", space)
        ip("link", "set", name, "netns", space)
        # Only what the scenario sends: no router solicitations.
        self.sysctl("net.ipv6.conf.all.disable_ipv6=1", "net.ipv6.conf.default.disable_ipv6=1")
        if mac:
            ip("-n", space, "link", "set", name, "address", mac)
        ip("-n", space, "addr", "add", f"{own}/24", "dev", name)
        ip("-n", space, "link", "set", name, "up")
        until = time.monotonic() + 10
        while not self.has_carrier():
            check(time.monotonic() < until, f"the link of {self.name} does not come up")
            time.sleep(0.05)

    def sysctl(self, *settings):
        subprocess.run(["ip", "netns", "exec", self.space, "sysctl", "-qw", *settings], check=True)

    def has_carrier(self):
        return "LOWER_UP" in json.loads(self.run("ip", "-j", "link", "show", self.name))[0]["flags"]

    def run(self, *words):
        return subprocess.run(["ip", "netns", "exec", self.space, *words], check=True, capture_output=True,
                              text=True).stdout

    def mac(self):
        return json.loads(self.run("ip", "-j", "link", "show", self.name))[0]["address"]

    def knows(self, address, mac):
        """Nobody answers for it."""
        ip("-n", self.space, "neigh", "replace", address, "lladdr", mac, "dev", self.name)

    def socket(self):
        with inside(self.space):
            s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        s.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 8 << 20)
        s.bind((A, PORT_A))
        s.settimeout(PATIENCE)
        return s

    def counters(self):
        return counters("Ip", self.space)


def wanted(guest):
    if guest.full:
        return list(range(1, wire.MAX_PAYLOAD + 1))
    return sizes.boundaries() + list(range(1, wire.MAX_PAYLOAD + 1, 1279))


def both_ways(guest):
    (card,) = guest.devices(1)
    peer = Peer(cards.addresses()[0], guest.scenario.cards[0])
    want = wanted(guest)
    figures = {"datagrams": 0, "copied bytes": 0}
    for how in (the_kernel_asks, lm_asks):
        child = how(guest, peer, card, want)
        guest.quit(child)
        # Whoever sent them, each end of the wire has its address.
        guest.expect(child, 1, want, len(BURSTS))
        guest.level(child)
        figures["datagrams"] += child.summary()["datagrams"]
        figures["copied bytes"] += guest.copies(child, len(BURSTS) * sum(n > SINGLE for n in want))
    check(peer.counters()["ReasmFails"] == 0, "the kernel could not reassemble:", peer.counters())
    return figures


def the_kernel_asks(guest, peer, card, want):
    """A socket sends, LM receives in forward order and sends it back from where it lies, the socket
    compares.
    """
    child = guest.launch("echo", 1, card, "--forward-mode=echo", "--slots=separate", prompt=True,
                         log=guest.logs_all)
    guest.tell(child, "start", "echo forwarding")
    guest.warm()
    with peer.socket() as s:
        s.connect((B, PORT_B))
        for burst in BURSTS:
            guest.tell(child, f"set burst {burst}", "burst set to")
            for i, n in enumerate(want):
                payload = guest.pattern.payload(i, n)
                s.send(payload)
                got = s.recv(1 << 16)
                check(got == payload, f"the echo of datagram {i}, {n} bytes, is {len(got)} others:", child)
    return child


def lm_asks(guest, peer, card, want):
    """LM sends, a socket receives, compares and sends it back."""
    wrong = []

    def answer(s):
        for i, n in list(enumerate(want)) * len(BURSTS):
            got, sender = s.recvfrom(1 << 16)
            if got != guest.pattern.payload(i, n):
                wrong.append((i, n, len(got)))
                return
            s.sendto(got, sender)

    with peer.socket() as s:
        s.settimeout(guest.seconds)
        thread = threading.Thread(target=answer, args=(s,))
        thread.start()
        child = guest.launch("ping", 1, card, "--forward-mode=ping", "--slots=separate", guest.listed(want),
                             f"--count={len(want)}", prompt=True, log=guest.logs_all)
        for burst in BURSTS:
            guest.tell(child, f"set burst {burst}", "burst set to")
            guest.tell(child, "start", "Accumulated", guest.seconds)
        thread.join()
    check(not wrong, "the socket received others (number, length, length received):", wrong, child)
    return child
