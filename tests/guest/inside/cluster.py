"""Four nodes with an 82540EM each on one switch: who is admitted lands without a copy.

The switch is Linux's bridge with a port on every node's wire. Its ports send 400 Mbit/s, which the guest's one
processor can follow, and serve their senders in turn, frame by frame, as a switch does: fragments of several datagrams get
in between each other.
"""

import hashlib
import hmac
import re
import signal
import socket
import struct
import subprocess
import threading
import time

import cards
import wire
from guest import PORT_A, WORK, check, note
from netns import ip

NODES = 4
BRIDGE = "br0"
SIZE = 65_507
# Each sends as many, one every INTERVAL microseconds at most: three of them send 393 Mbit/s.
COUNT, INTERVAL = 24, 4_000
LOAD = (f"--tx-udp={PORT_A},{PORT_A}", f"--txsize={SIZE}", f"--count={COUNT}",
        f"--tx-interval={INTERVAL}", "--tx-stay")
KEY = "5a" * 32
# Milliseconds: the first octave of the histogram that is beyond a lease and its guard, 105.
LONG = 134.217728


def address(node):
    return f"198.18.0.{node}"


def run(*words):
    subprocess.run(words, check=True)


def switch():
    """Every first card is a port of the switch; the second is the node's."""
    found = cards.addresses()
    cards.load("bridge")
    cards.load("sch_tbf")
    run("sysctl", "-qw", "net.ipv6.conf.all.disable_ipv6=1", "net.ipv6.conf.default.disable_ipv6=1")
    ip("link", "add", BRIDGE, "type", "bridge", "mcast_snooping", "0")
    cards.load("virtio_pci")
    cards.load("virtio_net")
    for card in found[0::2]:
        (name,) = (d.name for d in cards.DEVICES.glob(f"{card}/virtio*/net/*"))
        ip("link", "set", name, "master", BRIDGE)
        ip("link", "set", name, "up")
        run("tc", "qdisc", "add", "dev", name, "root", "handle", "1:", "tbf", "rate", "400mbit", "burst", "6k", "limit", "4m")
        run("tc", "qdisc", "add", "dev", name, "parent", "1:", "fq_codel", "limit", "8000", "flows", "64", "quantum", "1514",
            "target", "10s", "interval", "20s", "noecn")
    ip("link", "set", BRIDGE, "up")
    nodes = found[1::2]
    for card in nodes:
        cards.bind(card, "uio_pci_generic")
    return nodes


class Cluster:
    """The nodes' programs, at their prompts: all send to the first, and the first to the second."""

    def __init__(self, guest, *options, layout):
        self.guest = guest
        self.children = []
        # What was delivered and copied before.
        self.seen = [0, 0]
        for i, card in enumerate(switch(), 1):
            child = guest.attempt(f"node{i}", 0, card, "-i", "--forward-mode=tx", *LOAD, *options,
                                  log=False, ends=(f"--tx-ip={address(i)},{address(2 if i == 1 else 1)}",), stdin=subprocess.PIPE)
            child.name = address(i)
            self.children.append(child)
        for child in self.children:
            child.await_text("slots=", 120)
            check(f"slots={layout}" in child.out(), f"no {layout} slots:", child)
        # The cards hear nothing for about a second.
        time.sleep(2)
        note("all are ready")

    def stats(self, child):
        text = self.guest.tell(child, "show lm stats 0", "LM-TX-datagrams")
        return int(re.search(r"LM-TX-datagrams:\s*(\d+)", text)[1])

    def ac(self, child):
        """What `show ac` says, and numbers out of it."""
        self.guest.tell(child, "show ac", "time to grant: ")
        text = child.out()[child.out().rindex("policy="):]
        found = {name: int(n) for name, n in re.findall(r"([a-z ]+)=(\d+)\b", text)}
        return text, {name.strip(): n for name, n in found.items()}

    def start(self, *which):
        for child in which or self.children:
            self.guest.tell(child, "start", "forwarding on")

    def stop(self, *which):
        for child in which or self.children:
            self.guest.tell(child, "stop", "Done.")

    def send_all(self, sent):
        """Everybody sends COUNT datagrams; `sent` says how many a node has sent so far."""
        before = [sent(child) for child in self.children]
        self.start()
        began = time.monotonic()
        for child, n in zip(self.children, before):
            self.guest.until(lambda: sent(child) >= n + COUNT, "it has not sent all:", child, seconds=self.guest.seconds)
        took = time.monotonic() - began
        # What is on its way arrives, and grants end.
        time.sleep(0.1)
        return took

    def delivered(self):
        """Datagrams that were delivered since the last time, and those of them that were copied. (What tx receives it has
        no use for; each datagram's UDP checksum was good.)"""
        found = [0, 0]
        for child in self.children:
            # The engine's line is the last, and not there if it has nothing to say.
            text = self.guest.tell(child, "show lm stats 0", "LM-TX-datagrams:")
            time.sleep(0.05)
            text = child.out()[child.out().rindex("LM statistics for port"):]
            ignored = re.search(r"ignored:\s*(\d+)", text)
            found[0] += int(ignored[1]) if ignored else 0
            found[1] += int(re.search(r"LM-RX-copied:\s*(\d+)", text)[1])
        new = [n - before for n, before in zip(found, self.seen)]
        self.seen = found
        return new

    def drops(self):
        total = {}
        for child in self.children:
            if child.process.returncode == 0:
                for reason, n in child.summary().drops().items():
                    total[reason] = total.get(reason, 0) + n
        return total

    def quit(self, *which):
        for child in which or self.children:
            self.guest.quit(child)
            self.guest.level(child)


def admitted(guest):
    """With admission control: everything lands; a stranger's forged messages change nothing; a node that dies with a grant
    costs the others a lease."""
    key = WORK / "key"
    WORK.mkdir(parents=True, exist_ok=True)
    key.write_text(KEY)
    cluster = Cluster(guest, "--ac=per-receiver", f"--ac-key-file={key}", layout="separate")
    granted = lambda child: cluster.ac(child)[1]["with a grant"]
    took = cluster.send_all(granted)
    views = [cluster.ac(child) for child in cluster.children]
    whole, copied = cluster.delivered()
    figures = {"sent": NODES * COUNT, "delivered": whole, "copied": copied, "virtual ms": round(took * 1000),
               "grants": sum(numbers["opened"] for _, numbers in views)}
    for text, _ in views:
        note(text)
    check(all(numbers["ordinary"] == 0 for _, numbers in views), "some went without a grant:", views)
    check(whole == NODES * COUNT, "not all was delivered:", figures)
    cluster.stop()

    with Forger(guest) as forger:
        cluster.send_all(granted)
    figures["forged"] = forger.sent
    after = [cluster.ac(child) for child in cluster.children]
    whole, copied = cluster.delivered()
    figures |= {"delivered beside it": whole, "copied beside it": copied}
    note(figures)
    for (text, now), (_, before) in zip(after, views):
        check(now["forged"] - before["forged"] > forger.sent // 2, "the forger was not heard:", forger.sent, text)
        check(now["expired"] == 0 and now["withdrawn"] == 0 and now["refused"] == 0 and now["replayed"] == 0, text)
    opened, taken = (sum(numbers[name] for _, numbers in after) for name in ("opened", "granted"))
    check(opened == taken, f"{opened} grants were given and {taken} taken")
    cluster.stop()

    receiver, holder, waits, _ = cluster.children
    cluster.start(receiver)
    holder.process.stdin.write(b"start\n")
    holder.process.stdin.flush()
    # In the midst of its datagrams.
    time.sleep(COUNT * INTERVAL / 2_000_000)
    holder.signal(signal.SIGSTOP)
    text, numbers = cluster.ac(receiver)
    check(f"Granted, held by {holder.name}" in text, "it holds no grant:", text)
    holder.process.kill()
    holder.process.wait()
    guest.children.remove(holder)
    slow, before = cluster.ac(waits)
    cluster.start(waits)
    guest.until(lambda: cluster.ac(waits)[1]["granted"] > before["granted"], "nobody goes on:", waits)
    text, after = cluster.ac(receiver)
    check(after["expired"] == numbers["expired"] + 1, text)
    text, _ = cluster.ac(waits)
    check(beyond(text) == beyond(slow), "it waited for longer than a lease:", slow, text)
    figures["others waited ms"] = f"below {LONG:.0f}"
    cluster.stop(receiver, waits)
    cluster.children.remove(holder)
    cluster.quit()
    figures["drops"] = cluster.drops() or "none"
    return figures


def beyond(text):
    """Grants that took longer than a lease, by the histogram of `show ac`."""
    octaves = re.findall(r"(\d+) in ([\d.]+)(ms|s) to", text)
    return sum(int(n) for n, at, unit in octaves if unit == "s" or float(at) >= LONG)


def without(guest):
    """The same load without admission control."""
    cluster = Cluster(guest, layout="overlapping")
    took = cluster.send_all(cluster.stats)
    cluster.stop()
    whole, copied = cluster.delivered()
    cluster.quit()
    drops = cluster.drops()
    figures = {"sent": NODES * COUNT, "delivered": whole, "copied": copied, "virtual ms": round(took * 1000), "drops": drops}
    note(figures)
    check(copied > 0 and whole < NODES * COUNT and drops, "no harm without admission control?", figures)
    return figures


class Forger:
    """A stranger at the switch who sends every kind of message in the nodes' names, signed with another key or not at
    all."""

    def __init__(self, guest):
        self.sent = 0
        self.over = threading.Event()
        self.thread = threading.Thread(target=self._send, daemon=True)
        self.frames = [frame for kind in range(1, 7) for node in range(1, NODES + 1) for frame in forged(kind, node)]

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.thread.join()

    def _send(self):
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as s:
            s.bind((BRIDGE, 0))
            while not self.over.wait(0.001):
                s.send(self.frames[self.sent % len(self.frames)])
                self.sent += 1


def forged(kind, node):
    """Broadcast frames in which `node` says so to its successor: unsigned, and signed with a key of zeros."""
    to = node % NODES + 1
    numbers = [int.from_bytes(socket.inet_aton(address(n)), "big") for n in (node, to)]
    about = numbers[1] if kind <= 2 else numbers[0]
    # A life far in the future, which would lock the true node out.
    life, now = 1 << 62, 1 << 40
    for flags in (0, 1):
        text = struct.pack("!2sBBBBBB10QIHH", b"AC", 1, kind, flags, 0, 7, 0, *numbers, life, now, 0, 0, about, SIZE, now, now,
                           100_000, 64, 0)
        if flags:
            text += hmac.new(bytes(32), text, hashlib.sha256).digest()[:16]
        flow = wire.Flow(src=address(node), dst="255.255.255.255", sport=19533, dport=19533,
                         src_mac=wire.mac("52:54:00:00:00:77"), dst_mac=wire.mac("ff:ff:ff:ff:ff:ff"))
        yield from wire.kernel_frames(flow, 9, text)
