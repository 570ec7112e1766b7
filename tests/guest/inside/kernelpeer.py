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
from netns import inside, ip, ip_counters

SPACE = "peer"
SO_RCVBUFFORCE = 33
# LM waits so long at most for an answer, and so does the socket.
PATIENCE = 5


class Peer:
    """A node with Linux's driver and sockets."""

    def __init__(self, address, model):
        cards.bind(address, cards.LINUX[model])
        self.name = cards.interface(address)
        ip("netns", "add", SPACE)
        ip("link", "set", self.name, "netns", SPACE)
        # Only what the scenario sends: no router solicitations.
        self.sysctl("net.ipv6.conf.all.disable_ipv6=1", "net.ipv6.conf.default.disable_ipv6=1")
        ip("-n", SPACE, "addr", "add", f"{A}/24", "dev", self.name)
        ip("-n", SPACE, "link", "set", self.name, "up")
        until = time.monotonic() + 10
        while not self.has_carrier():
            check(time.monotonic() < until, f"the link of {self.name} does not come up")
            time.sleep(0.05)

    def sysctl(self, *settings):
        subprocess.run(["ip", "netns", "exec", SPACE, "sysctl", "-qw", *settings], check=True)

    def has_carrier(self):
        return "LOWER_UP" in json.loads(self.run("ip", "-j", "link", "show", self.name))[0]["flags"]

    def run(self, *words):
        return subprocess.run(["ip", "netns", "exec", SPACE, *words], check=True, capture_output=True, text=True).stdout

    def socket(self):
        with inside(SPACE):
            s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        s.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 8 << 20)
        s.bind((A, PORT_A))
        s.settimeout(PATIENCE)
        return s

    def counters(self):
        return ip_counters(SPACE)


def wanted(guest):
    if guest.full:
        return list(range(1, wire.MAX_PAYLOAD + 1))
    return sizes.boundaries() + list(range(1, wire.MAX_PAYLOAD + 1, 1279))


def both_ways(guest):
    (card,) = guest.devices(1)
    peer = Peer(cards.addresses()[0], guest.scenario.cards[0])
    want = wanted(guest)
    figures = {"datagrams": 0, "copied bytes": 0}
    for burst in (1, 32):
        for how in (the_kernel_asks, lm_asks):
            child = how(guest, peer, card, want, burst)
            summary = child.summary()
            guest.level(child)
            check(summary["datagrams"] == len(want), summary, child)
            figures["datagrams"] += len(want)
            figures["copied bytes"] += guest.copies(child)
    check(peer.counters()["ReasmFails"] == 0, "the kernel could not reassemble:", peer.counters())
    return figures


def the_kernel_asks(guest, peer, card, want, burst):
    """A socket sends, LM receives in forward order and sends it back from where it lies, the socket compares."""
    child = guest.launch(f"echo{burst}", 1, card, "--forward-mode=echo", "--slots=separate", f"--burst={burst}")
    with peer.socket() as s:
        s.connect((B, PORT_B))
        guest.warm()
        for i, n in enumerate(want):
            payload = guest.pattern.payload(i, n)
            s.send(payload)
            got = s.recv(1 << 16)
            check(got == payload, f"the echo of datagram {i}, {n} bytes, is {len(got)} others:", child)
    check(child.stop(20) == 0, child)
    guest.expect(child, 1, want)
    return child


def lm_asks(guest, peer, card, want, burst):
    """LM sends, a socket receives, compares and sends it back."""
    wrong = []

    def answer(s):
        for i, n in enumerate(want):
            got, sender = s.recvfrom(1 << 16)
            if got != guest.pattern.payload(i, n):
                wrong.append((i, n, len(got)))
                return
            s.sendto(got, sender)

    with peer.socket() as s:
        s.settimeout(30)
        thread = threading.Thread(target=answer, args=(s,))
        thread.start()
        child = guest.launch(f"ping{burst}", 1, card, "--forward-mode=ping", "--slots=separate", f"--burst={burst}",
                             "--txsize=" + ",".join(map(str, want)), f"--count={len(want)}")
        child.fine(guest.scenario.seconds)
        thread.join()
    check(not wrong, "the socket received others (number, length, length received):", wrong, child)
    bad = [p for p in child.summary()["ping"] if p["lost"] or p["mismatched"]]
    check(not bad, "lost or mismatched:", bad, child)
    guest.expect(child, 1, want)
    return child
