"""Four nodes with an 82540EM each on one switch: who is admitted lands without a copy.

The switch is Linux's bridge with a port on every node's wire. Its ports send 600 Mbit/s, counted as Ethernet
counts (24 bytes a frame more than Linux sees), and serve the senders in turn, frame by frame, as a switch
does whose senders send at wire speed: fragments of several datagrams get in between each other, what one
sender sends keeps its order.

The guest has one processor. While datagrams are on their way nothing but nodes and switch runs on it: a
receiver that is not polled for a ring's length of flush frames loses some, on any machine. So flush frames go
a few at a time. Nodes that find nothing to do sleep for some 60 microseconds of virtual time instead of
giving the processor away (relax.c).
"""

import os
import re
import signal
import subprocess
import time

import cards
from flood import Flood
from forged import forged
from guest import PORT_A, WORK, check, note
from netns import ip

NODES = 4
BRIDGE, RATE, GAP = "br0", "600mbit", "24"
# The largest that an end tag fits behind: what others get in between can be repaired.
SIZE = 65_499
# Each sends as many, one every so many microseconds at most: three of them send 528 Mbit/s. No two keep step.
COUNT, INTERVAL, APART = 8, 2_700, 150
# Seconds until somebody looks; and until what is on its way has arrived, and grants have ended.
PATIENCE, LOOKS, REST = 0.25, 40, 0.2
RING = 512
NODE = (f"--tx-udp={PORT_A},{PORT_A}", f"--txsize={SIZE}", "--tx-stay", f"--rxd={RING}")
KEY = "5a" * 32
# Milliseconds, the guard included.
LEASE = 100
# Microseconds between 64 flush frames and the next: all others have had their turn of the processor.
FLUSH_GAP = 4_000
UNITS = {"ns": 1e-6, "µs": 1e-3, "ms": 1, "s": 1e3}


def address(node):
    return f"198.18.0.{node}"


def run(*words):
    subprocess.run(words, check=True)


def switch():
    """Every first card is a port of the switch; the second is the node's."""
    found = cards.addresses()
    for module in ("bridge", "sch_tbf", "cls_u32", "virtio_pci", "virtio_net"):
        cards.load(module)
    run("sysctl", "-qw", "net.ipv6.conf.all.disable_ipv6=1", "net.ipv6.conf.default.disable_ipv6=1")
    ip("link", "add", BRIDGE, "type", "bridge", "mcast_snooping", "0")
    for card in found[0::2]:
        (name,) = (d.name for d in cards.DEVICES.glob(f"{card}/virtio*/net/*"))
        ip("link", "set", name, "master", BRIDGE)
        ip("link", "set", name, "up")
        run("tc", "qdisc", "add", "dev", name, "root", "handle", "1:", "stab", "overhead", GAP, "linklayer",
            "ethernet", "tbf", "rate", RATE, "burst", "6k", "limit", "4m")
        run("tc", "qdisc", "add", "dev", name, "parent", "1:", "handle", "2:", "fq_codel", "limit", "8000",
            "flows", "64", "quantum", "1514", "target", "10s", "interval", "20s", "noecn")
        for node in range(1, NODES + 1):
            run("tc", "filter", "add", "dev", name, "parent", "2:", "protocol", "ip", "prio", "1", "u32",
                "match", "ip", "src", f"{address(node)}/32", "flowid", f"2:{node}")
        # What no filter knows would be dropped: ARP, and everything then goes to everybody. (The flow's
        # number is hexadecimal, of 64.)
        run("tc", "filter", "add", "dev", name, "parent", "2:", "protocol", "all", "prio", "2", "u32",
            "match", "u32", "0", "0", "flowid", "2:10")
    ip("link", "set", BRIDGE, "up")
    nodes = found[1::2]
    for card in nodes:
        cards.bind(card, "uio_pci_generic")
    return nodes


def admission(policy="per-receiver"):
    """Options of admission control with a key."""
    key = WORK / "key"
    WORK.mkdir(parents=True, exist_ok=True)
    key.touch(0o600)
    key.write_text(KEY)
    return f"--ac={policy}", f"--ac-key-file={key}", f"--ac-flush-gap={FLUSH_GAP}"


class Cluster:
    """The nodes' programs, at their prompts. `to` says whom each sends to, `layout` how its slots lie at the
    start: its own choice under admission control, ours without."""

    def __init__(self, guest, to, *options, layout, count=COUNT):
        self.guest, self.count = guest, count
        self.children = []
        os.environ["LD_PRELOAD"] = "/lab/relax.so"
        layouts = [layout] * NODES if isinstance(layout, str) else layout
        for i, (card, others) in enumerate(zip(switch(), to), 1):
            slots = () if isinstance(layout, str) else (f"--slots={layouts[i - 1]}",)
            ends = (f"--tx-ip={address(i)},{address(others[0])}", "--tx-to=" + ",".join(map(address, others)))
            child = guest.attempt(f"node{i}", 0, card, "-i", "--forward-mode=tx", *NODE, f"--count={count}",
                                  f"--tx-interval={INTERVAL + i * APART}", *slots, *options, log=False,
                                  ends=ends, stdin=subprocess.PIPE)
            child.name = address(i)
            self.children.append(child)
        del os.environ["LD_PRELOAD"]
        for child, layout in zip(self.children, layouts):
            child.await_text("slots=", 120)
            check(f"slots={layout}" in child.out(), f"no {layout} slots:", child)
        # The cards hear nothing for about a second.
        time.sleep(2)
        note("all are ready")

    def order(self, command, *which):
        """Gives a command to these, or all, and does not wait for an answer."""
        self.guest.order(command, *(which or self.children))

    def answer(self, child, command, begins, ends):
        """What a command prints, from one word to another."""
        self.guest.tell(child, command, ends)
        time.sleep(0.05)
        text = child.out()
        return text[text.rindex(begins):]

    def ac(self, child):
        """What `show ac` says, and numbers out of it."""
        text = self.answer(child, "show ac", "policy=", "time to grant: ")
        found = {name.strip(): int(n) for name, n in re.findall(r"([a-z ]+)=(\d+)\b", text)}
        longest = re.search(r"longest ([\d.]+)(ns|µs|ms|s)\b", text)
        found["longest ms"] = float(longest[1]) * UNITS[longest[2]] if longest else 0
        return text, found

    def stats(self, child):
        """Datagrams sent, received (`tx` has no use for them; each one's checksum was good), and copied of
        those.
        """
        text = self.answer(child, "show lm stats 0", "LM statistics for port", "LM-TX-datagrams:")
        numbers = {
            name: int(n)
            for name, n in re.findall(r"(LM-TX-datagrams|LM-RX-copied|ignored|foreign):\s*(\d+)", text)
        }
        return numbers["LM-TX-datagrams"], numbers.get("ignored", 0), numbers["LM-RX-copied"]

    def send(self, sent, which=None):
        """They send all that they have; `sent` says how many datagrams a node has sent."""
        which = which or self.children
        self.order("start", *which)
        for _ in range(LOOKS):
            # Nothing is asked meanwhile.
            time.sleep(PATIENCE)
            numbers = [sent(child) for child in which]
            if min(numbers) >= self.count:
                break
        else:
            check(False, "not all have sent:", numbers, *which)
        time.sleep(REST)
        # Four nodes that poll leave little of a processor to who asks them.
        for child in which:
            self.guest.tell(child, "stop", "Done.")

    def send_admitted(self, alone=True):
        """Under admission control. What `show ac` says then, numbers of all nodes, and what was delivered:
        everything, if they are alone on their wires."""
        self.send(lambda child: self.ac(child)[1]["with a grant"])
        views, total, delivered, copied = self.look()
        figures = {
            "sent": total["with a grant"],
            "delivered": delivered,
            "copied": copied,
            "grants": total["opened"],
            "requests of others meanwhile": total["queued"]
        }
        note(figures)
        check(total["ordinary"] == 0, "some went without a grant:", total)
        check(delivered == figures["sent"] or not alone and 0 < delivered < figures["sent"],
              "not all was delivered:", figures)
        # One that comes when its applicant has gone on to another destination is given back.
        figures["given back unused"] = total["opened"] - total["granted"]
        check(figures["given back unused"] >= 0, "more grants were taken than given:", total)
        check(total["refused"] + total["expired"] + total["withdrawn"] == 0, total)
        return figures, views

    def look(self):
        """What `show ac` says at each node, its numbers summed up; datagrams delivered, and copied of
        those.
        """
        views = [self.ac(child) for child in self.children]
        for text, _ in views:
            note(text)
        total = {
            name: sum(numbers[name] for _, numbers in views)
            for name in ("with a grant", "ordinary", "granted", "opened", "queued", "refused", "expired",
                         "withdrawn", "replayed")
        }
        _, delivered, copied = map(sum, zip(*(self.stats(child) for child in self.children)))
        return views, total, delivered, copied

    def quit(self, *which):
        for child in which or self.children:
            self.guest.quit(child)
            self.guest.level(child)

    def lost_requests(self, most):
        """What was dropped can only be requests, whose headers were overwritten by a datagram that they fell
        into.
        """
        drops = self.drops()
        check(
            set(drops) <= {"lost_frame", "stranger_lost"} and sum(drops.values()) <= most,
            "more was dropped:", drops, most)
        return {"requests lost": sum(drops.values())}

    def drops(self):
        total = {}
        for child in self.children:
            for reason, n in child.summary().drops().items():
                total[reason] = total.get(reason, 0) + n
        return total


# Three send to the first, and all to each other.
MESH = ((2, 3), (1, 3), (1, 4), (1, 2))
# Three send to the first, and it to the second.
STAR = ((2,), (1,), (1,), (1,))


def admitted(guest):
    """With admission control all that is sent is delivered, and lands without a copy: but for datagrams that
    the request of another node fell into, of which each costs one at most. Its own headers may be lost to that; it is repeated."""
    cluster = Cluster(guest, MESH, *admission(), layout="separate")
    figures, _ = cluster.send_admitted()
    cluster.quit()
    meanwhile = figures["requests of others meanwhile"]
    check(figures["copied"] <= meanwhile, "copied for no reason:", figures)
    return figures | cluster.lost_requests(meanwhile)


def exclusive(guest):
    """The paper's policy: one node lands at a time, and all know which. What it admits lands without a copy,
    since nobody asks meanwhile; to nodes that do not land, datagrams go the ordinary way, and come in pieces. Two
    nodes may open at the same moment: one withdraws, and its messages and those of its applicant fall into
    what the other admits, at a copy each. An ordinary datagram that is on its way when a node opens can lie
    partly in separate and partly in overlapping slots: then it is lost, and counted: as a `timeout`, or by its
    frames where the datagram behind it closes them (`lost_frame`)."""
    cluster = Cluster(guest, MESH, *admission("exclusive"), layout="separate")

    def gone(child):
        numbers = cluster.ac(child)[1]
        return numbers["with a grant"] + numbers["ordinary"]
    cluster.send(gone)
    _, total, delivered, copied = cluster.look()
    cluster.quit()
    figures = {
        "admitted": total["with a grant"],
        "ordinary": total["ordinary"],
        "delivered": delivered,
        "copied": copied,
        "grants": total["opened"],
        "withdrawn": total["withdrawn"],
        "expired": total["expired"],
        **cluster.drops()
    }
    note(figures)
    lost = total["with a grant"] + total["ordinary"] - delivered
    counted = figures.get("timeout", 0) + figures.get("lost_frame", 0)
    check(lost <= min(total["opened"], counted), "not all was delivered:", figures)
    between = total["withdrawn"] + sum(figures.get(reason, 0) for reason in ("lost_frame", "stranger_lost"))
    check(total["with a grant"] > 0 and copied <= total["ordinary"] + between, "copied though admitted:",
          figures)
    return figures


def without(guest):
    """The same load without admission control, for long enough that no two senders can keep out of each
    other's way by chance: whatever moments they begin at, their datagrams drift through one another's. The
    first node lands all the same, and loses what the fragments of another get in between of. The others have
    separate slots, and get everything in pieces."""
    cluster = Cluster(guest, MESH, layout=("overlapping", *("separate",) * (NODES - 1)), count=3 * COUNT)
    cluster.send(lambda child: cluster.stats(child)[0])
    first, *others = (cluster.stats(child) for child in cluster.children)
    sent, delivered, copied = map(sum, zip(first, *others))
    cluster.quit()
    drops = cluster.drops()
    figures = {"sent": sent, "delivered": delivered, "delivered in overlapping slots": first[1],
               "in pieces in separate slots": sum(child.summary()["pieces"] for child in cluster.children[1:]),
               "copied in separate slots": copied - first[2], **drops}
    note(figures)
    to_others = sum(other[1] for other in others)
    check(delivered < sent and drops, "no loss without admission control?", figures)
    check(figures["in pieces in separate slots"] == to_others > 0, "not all in pieces:", figures)
    check(figures["copied in separate slots"] == 0, "copied, and nobody wanted one slice:", figures)
    return figures


def strangers(guest):
    """A stranger forges every kind of message: nothing changes hands, and every grant serves. Its frames fall
    into datagrams as anybody's on a port with one queue: such a datagram costs a copy, or is lost and counted."""
    cluster = Cluster(guest, MESH, *admission(), layout="separate")
    with Flood(BRIDGE, forged(NODES, address, SIZE), burst=1) as flood:
        figures, views = cluster.send_admitted(alone=False)
    figures["forged"] = flood.sent
    for text, numbers in views:
        check(numbers["forged"] > flood.sent // 10, "the forger was not heard:", flood.sent, text)
        # It has no key: whatever got past the MAC is the nodes' own, an answer to a challenge that was
        # answered already among it.
        check(numbers["stale"] + numbers["malformed"] == 0 and numbers["replayed"] <= numbers["unproven"],
              "it was believed:", text)
    cluster.quit()
    check(figures["delivered"] == figures["sent"] or cluster.drops(), "lost and not counted:", figures)
    return figures | cluster.drops()


def killed(guest):
    """A node is killed with its grant in hand: of two that wait for the same queue the first goes on within
    one lease, the other when the first is done."""
    cluster = Cluster(guest, STAR, *admission(), layout="separate")
    receiver, holder, *waiting = cluster.children
    cluster.order("start", receiver, holder)
    # In the midst of its datagrams, behind its flush frames.
    time.sleep((-(-RING // 64) * FLUSH_GAP + COUNT * INTERVAL / 2) / 1_000_000)
    holder.signal(signal.SIGSTOP)
    # Now it holds the grant for good.
    cluster.order("start", *waiting)
    text, before = cluster.ac(receiver)
    check(f"Granted, held by {holder.name}" in text, "it holds no grant:", text)
    holder.process.kill()
    holder.process.wait()
    guest.children.remove(holder)
    cluster.children.remove(holder)
    time.sleep(4 * PATIENCE)
    cluster.order("stop")
    text, after = cluster.ac(receiver)
    note(text)
    check(after["expired"] == before["expired"] + 1, "the lease did not run out:", text)
    waits = []
    for child in waiting:
        text, numbers = cluster.ac(child)
        note(text)
        check(numbers["with a grant"] > 0, "it does not go on:", text)
        waits.append(numbers["longest ms"])
    first = min(waits)
    check(first <= LEASE, "it waited for longer than a lease:", waits)
    cluster.quit()
    return {
        "first went on after ms": round(first, 2),
        "second after ms": round(max(waits), 2),
        "lease ms": LEASE
    }
