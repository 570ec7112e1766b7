"""lmd on a card, Linux's own driver at the other end: programs with sockets, lmd killed, the cable pulled."""

import contextlib
import hashlib
import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import time

import cards
import wire
from guest import A, B, check, note
from kernelpeer import PORT_A, SO_RCVBUFFORCE, Peer
from netns import carried, counters, inside, ip
from takeover import Lmd, lasting, show

PORT_B, GROUP, EAR = 9100, "239.1.2.3", 7400
SO_SNDBUFFORCE = 32
HUGE = pathlib.Path("/dev/hugepages")
# Around each border: a frame, what Linux gives a TAP in one piece, the longest datagram.
SIZES = (0, 1, 64, 1471, 1472, 1473, 1480, 2952, 2953, 8000, 20_000, 64_000, 65_491, 65_492, 65_493, 65_506,
         wire.MAX_PAYLOAD)
ECHOES = (56, 1472, 1473, 8000, 65_507)
TCP_BYTES = 4 << 20
# Seconds in which a datagram arrives, on however busy a host.
PATIENCE = 20
# Seconds after the link is up in which traffic goes on.
MOST = {"igb": 1, "e1000": 2}


def free_pages():
    return int(re.search(r"HugePages_Free:\s+(\d+)", pathlib.Path("/proc/meminfo").read_text())[1])


def udp(space=None, address="", port=0):
    with inside(space):
        made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    for option in (SO_RCVBUFFORCE, SO_SNDBUFFORCE):
        made.setsockopt(socket.SOL_SOCKET, option, 8 << 20)
    made.bind((address, port))
    made.settimeout(PATIENCE)
    return made


class Node:
    """An lmd on the second card, and the peer on the first one."""

    def __init__(self, guest):
        self.guest = guest
        cards.load("tun")
        self.peer = Peer(cards.addresses()[0], guest.scenario.cards[0])
        (self.card,) = guest.devices(1)
        self.pages, self.starts = free_pages(), 0
        # What was sent while it might be lost, and so may come late.
        self.tried = set()
        self.start()
        for words in (("addr", "add", f"{B}/24", "dev", "lm0"), ("route", "add", "224.0.0.0/4", "dev", "lm0"),
                      ("route", "add", "10.99.0.0/16", "via", A)):
            ip(*words)
        ip("-n", self.peer.space, "route", "add", "224.0.0.0/4", "dev", self.peer.name)
        self.near, self.far = udp(None, B, PORT_B), udp(self.peer.space, A, PORT_A)

    def start(self):
        self.starts += 1
        self.lmd = Lmd(self.guest, f"lmd{self.starts}", "-a", self.card).ready()

    def has_carrier(self):
        return "LOWER_UP" in show("link", "show", "lm0")[0]["flags"]

    def settled(self):
        self.guest.until(self.has_carrier, "lm0 has no carrier:", self.lmd, seconds=20)
        self.guest.until(lambda: self.passes(100, 1, 0.3), "no datagram passes:", self.lmd, seconds=20)
        self.drain()

    def drain(self):
        for end in (self.near, self.far):
            end.settimeout(0.2)
            with contextlib.suppress(TimeoutError):
                while True:
                    end.recv(1 << 16)
            end.settimeout(PATIENCE)

    def passes(self, n, number, patience):
        """Whether a datagram comes there and back, whatever comes besides."""
        payload = self.guest.pattern.payload(number, n)
        self.tried.add(payload)
        ends = (self.far, self.near), (self.near, self.far)
        for sender, receiver in ends:
            receiver.settimeout(patience)
            try:
                sender.sendto(payload, receiver.getsockname())
                while receiver.recv(1 << 16) != payload:
                    pass
            except OSError:
                return False
            finally:
                receiver.settimeout(PATIENCE)
        return True

    def exchange(self, sizes=SIZES):
        """Datagrams of all sizes both ways, each of which is the one that was sent."""
        for i, n in enumerate(sizes):
            for sender, receiver in ((self.far, self.near), (self.near, self.far)):
                payload = self.guest.pattern.payload(i, n)
                sender.sendto(payload, receiver.getsockname())
                got = None
                while got != payload:
                    check(got is None or got in self.tried, f"{len(got or '')} bytes, but {n} were sent:", self.lmd)
                    try:
                        got, who = receiver.recvfrom(1 << 16)
                    except TimeoutError:
                        check(False, f"{n} bytes to {receiver.getsockname()} did not arrive:", self.lmd)
                check(who == sender.getsockname(), f"{n} bytes from {who}")
        return 2 * len(sizes)

    def stream(self, to_lmd):
        """A long transfer by TCP, whose bytes are looked at."""
        spaces = {True: (None, B, self.peer.space), False: (self.peer.space, A, None)}
        server, address, client = spaces[to_lmd]
        data = hashlib.shake_128(str(to_lmd).encode()).digest(TCP_BYTES)
        got = carried(data, server, address, client, 60)
        check(got == data, f"{len(got)} of {TCP_BYTES} bytes came by TCP, or others:", self.lmd)

    def echoes(self):
        for n in ECHOES:
            for where in ((*"ip netns exec".split(), self.peer.space), ()):
                to = B if where else A
                words = [*where, "ping", "-c", "1", "-W", "5", "-s", str(n), to]
                done = subprocess.run(words, capture_output=True, text=True)
                check(done.returncode == 0, f"no echo of {n} bytes from {to}:", done.stdout, done.stderr, self.lmd)

    def multicast(self):
        """A group that is joined is heard, both ways."""
        for space, name, mouth in ((None, "lm0", self.far), (self.peer.space, self.peer.name, self.near)):
            with udp(space, GROUP, EAR) as ear:
                with inside(space):
                    index = socket.if_nametoindex(name)
                join = socket.inet_aton(GROUP) + bytes(4) + index.to_bytes(4, "little")
                ear.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, join)
                ear.settimeout(1)
                for n in (64, 8000, 64_000):
                    payload = self.guest.pattern.payload(n, n)

                    def arrives():
                        mouth.sendto(payload, (GROUP, EAR))
                        try:
                            # What was sent before may be late.
                            while ear.recv(1 << 16) != payload:
                                pass
                        except TimeoutError:
                            return False
                        return True

                    # A card's filter follows a join a little later.
                    check(arrives() or arrives() or arrives(), f"{n} bytes to a group do not come to {name}:", self.lmd)

    def has(self):
        """What lm0 has that outlives lmd."""
        return {
            "addresses": [lasting(a) for a in show("addr", "show", "lm0")[0]["addr_info"]],
            "routes": [lasting(r) for family in ("-4", "-6") for r in show(family, "route", "show", "dev", "lm0")],
            "joined": GROUP in json.dumps(show("maddr", "show", "dev", "lm0")),
        }

    def goes_on(self):
        """Datagrams pass again, by the sockets that were there before: how many seconds after the link came up."""
        self.guest.until(self.has_carrier, "lm0 has no carrier:", self.lmd, seconds=20)
        began, number = time.monotonic(), 0
        while not self.passes(64_000, number, 0.1):
            number += 1
            check(time.monotonic() - began < 20, "no datagram passes any more:", self.lmd)
        took = time.monotonic() - began
        # In real time it depends on what else the host does.
        most = MOST[self.guest.scenario.model] if self.guest.icount else 20
        check(took < most, f"traffic goes on after {took:.1f} s:", self.lmd)
        self.drain()
        return took

    def end(self):
        """Ends lmd, and sees what is left. Returns what it has lost."""
        for end in (self.near, self.far):
            end.close()
        check(self.lmd.end(signal.SIGTERM) == 0, "no clean end:", self.lmd)
        note(self.lmd)
        left = [path.name for path in HUGE.iterdir()]
        check(not left, "hugepage files are left:", left)
        check(free_pages() == self.pages, f"{free_pages()} of {self.pages} hugepages are free:", self.lmd)
        counted = counters("Ip")["ReasmReqds"], counters("Udp")["InCsumErrors"], counters("Tcp")["InCsumErrors"]
        check(counted == (0, 0, 0), "the kernel has seen fragments, or wrong checksums:", counted, self.lmd)
        mbufs = re.search(r"mbufs: (\d+) of (\d+) are back in the landing pool, (\d+) are out", str(self.lmd))
        check(mbufs and mbufs[1] == mbufs[2] != "0" and mbufs[3] == "0", "mbufs are missing:", self.lmd)
        return {why: int(n) for n, why in re.findall(r"^ +(\d+) (lost: .+)$", str(self.lmd), re.M)}


def programs(guest):
    """Sockets, TCP, ping, multicast, a program that does not read, a kill."""
    node = Node(guest)
    node.settled()
    note("datagrams")
    figures = {"datagrams": node.exchange()}
    note("echoes")
    node.echoes()
    note("multicast")
    node.multicast()
    for to_lmd in (True, False):
        note("TCP", to_lmd)
        began = time.monotonic()
        node.stream(to_lmd)
        note(f"TCP {TCP_BYTES / 1e6 / (time.monotonic() - began):.1f} MB/s")
    note("full")
    figures |= full(node)
    note("kill")
    figures |= killed(node)
    node.exchange()
    lost = node.end()
    check(not lost, "lmd has lost", lost)
    return figures


def full(node):
    """A program that does not read fills its own buffer; what does not fit a TAP that nobody reads is counted."""
    with udp(None, B) as deaf:
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        before = counters("Udp")["RcvbufErrors"]
        for i in range(100):
            node.far.sendto(bytes(8000), deaf.getsockname())
            if i % 10 == 9:
                node.exchange((64, 8000))
        errors = counters("Udp")["RcvbufErrors"] - before
    check(errors > 90, "no datagram was refused by a full socket:", errors)
    statistics = pathlib.Path("/sys/class/net/lm0/statistics/tx_dropped")
    before = int(statistics.read_text())
    os.kill(node.lmd.process.pid, signal.SIGSTOP)
    sent = 0
    for _ in range(1500):
        with contextlib.suppress(OSError):
            node.near.sendto(bytes(64), (A, 5555))
            sent += 1
    dropped = int(statistics.read_text()) - before
    os.kill(node.lmd.process.pid, signal.SIGCONT)
    check(dropped >= 400, "a full TAP is not counted:", dropped, sent)
    node.drain()
    node.exchange()
    return {"full socket refused": errors, "full TAP dropped": dropped}


def killed(node):
    """lmd is killed in the midst of traffic and started again. Everything else stays, and goes on."""
    ear = udp(None, GROUP, EAR)
    join = socket.inet_aton(GROUP) + bytes(4) + socket.if_nametoindex("lm0").to_bytes(4, "little")
    ear.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, join)
    before, took = node.has(), []
    check(before["joined"] and len(before["addresses"]) > 0 and len(before["routes"]) > 2, before)
    for _ in range(2):
        for i in range(3):
            node.tried.add(payload := node.guest.pattern.payload(i, 64_000))
            for sender, receiver in ((node.far, node.near), (node.near, node.far)):
                sender.sendto(payload, receiver.getsockname())
        node.lmd.end(signal.SIGKILL)
        check(not node.has_carrier(), "lm0 has a carrier without lmd")
        check(node.has() == before, "without lmd lm0 has", node.has(), "and before", before)
        node.start()
        took.append(node.goes_on())
        check(node.has() == before, "with another lmd lm0 has", node.has(), "and before", before)
    node.far.sendto(b"group", (GROUP, EAR))
    check(ear.recv(100) == b"group", "the group is not heard any more:", node.lmd)
    ear.close()
    return {"traffic after a kill, ms after link-up": " ".join(f"{1000 * t:.0f}" for t in took)}


def link(guest):
    """The cable is pulled and plugged in again."""
    node = Node(guest)
    node.settled()
    node.exchange()
    before, took = node.has(), []
    for _ in range(2):
        guest.host.link(1, False)
        guest.until(lambda: not node.has_carrier(), "lm0 keeps its carrier:", node.lmd, seconds=20)
        node.tried.add(bytes(64_000))
        node.far.sendto(bytes(64_000), (B, PORT_B))
        with contextlib.suppress(OSError):
            node.near.sendto(bytes(64_000), (A, PORT_A))
        time.sleep(1)
        guest.host.link(1, True)
        took.append(node.goes_on())
        node.exchange()
        check(node.has() == before, "lm0 has", node.has(), "and before", before)
    lost = node.end()
    check(set(lost) <= {"lost: the link is down"}, "lmd has lost", lost)
    return {"ms after link-up": " ".join(f"{1000 * t:.0f}" for t in took)}
