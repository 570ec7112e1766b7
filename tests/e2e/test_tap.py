"""net_tap: the Linux kernel is the peer, in both directions. Each test has a network name space of its
own.
"""

import json
import os
import re
import socket
import subprocess
import time
import unittest

import netns
import sizes
import wire
from linux import SO_RCVBUFFORCE
from netns import inside, ip
from testpmd import Case, Failed

KERNEL, LM = "198.18.0.1", "198.18.0.2"
KERNEL_PORT, LM_PORT = 7000, 9000
SEED = 5
OURS = (f"--tx-ip={LM},{KERNEL}", f"--tx-udp={LM_PORT},{KERNEL_PORT}", f"--seed={SEED}")


def can_have_name_spaces():
    if os.geteuid() or not os.path.exists("/dev/net/tun"):
        return False
    name = f"lme{os.getpid()}probe"
    try:
        ip("netns", "add", name)
        ip("netns", "del", name)
    except (OSError, subprocess.SubprocessError):
        return False
    return True


class Pacer:
    """A sender that waits until the reader of a tap has taken nearly all of what was sent before."""

    # The queue takes 500.
    FRAMES = 150

    def __init__(self, counters, interface):
        self.counters, self.interface = counters, interface
        self.due = self.taken()

    def taken(self):
        """Frames that the reader has taken."""
        self.counters.seek(0)
        line = next(line for line in self.counters if line.strip().startswith(f"{self.interface}:"))
        return int(line.split(":")[1].split()[9])

    def send(self, s, payload, to):
        s.sendto(payload, to)
        self.due += -(-(len(payload) + wire.UDP) // wire.STRIDE)
        self.wait(self.FRAMES)

    def wait(self, left):
        until = time.monotonic() + 10
        while (waiting := self.due - self.taken()) > left:
            if time.monotonic() > until:
                raise Failed(f"{waiting} frames wait in the tap's queue, nobody takes them")
            time.sleep(0.0005)


@unittest.skipUnless(can_have_name_spaces(), "needs root and network name spaces")
class Tap(Case):
    def setUp(self):
        super().setUp()
        self.namespace = f"lme{os.getpid()}-{id(self) & 0xFFFFFF:x}"
        ip("netns", "add", self.namespace)
        self.addCleanup(ip, "netns", "del", self.namespace)
        # Only what the tests send: no router solicitations.
        self.sysctl("net.ipv6.conf.all.disable_ipv6=1", "net.ipv6.conf.default.disable_ipv6=1")

    def sysctl(self, *settings):
        subprocess.run(["ip", "netns", "exec", self.namespace, "sysctl", "-qw", *settings], check=True,
                       timeout=20)

    def start(self, *options):
        """lm-testpmd at its prompt, on a tap device that has an address; `start` begins."""
        eal = ("--vdev=net_tap0,iface=lmtap0",)
        child = self.launch("lm", eal, "-i", *OURS, *options, netns=self.namespace, stdin=subprocess.PIPE)
        child.await_text("Port 0:")
        ip("-n", self.namespace, "addr", "add", f"{KERNEL}/24", "dev", "lmtap0")
        ip("-n", self.namespace, "link", "set", "lmtap0", "up", "mtu", "1500")
        return child

    def tell(self, child, line):
        child.process.stdin.write(line.encode() + b"\n")
        child.process.stdin.flush()

    def knows(self, child):
        """The kernel knows the address already: what waits for an answer to ARP is kept up to a bound and
        then lost.
        """
        mac = re.search(r"Port 0: *([0-9A-Fa-f:]{17})", child.out() + child.err()).group(1)
        ip("-n", self.namespace, "neigh", "replace", LM, "lladdr", mac, "dev", "lmtap0", "nud", "permanent")

    def socket(self):
        with inside(self.namespace):
            s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        s.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 64 << 20)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 << 20)
        s.bind((KERNEL, KERNEL_PORT))
        s.settimeout(5)
        self.addCleanup(s.close)
        return s

    def interface(self, counter):
        """A counter of the kernel's side."""
        with inside(self.namespace):
            text = subprocess.run(["ip", "-s", "-j", "link", "show", "lmtap0"], capture_output=True,
                                  check=True, timeout=20).stdout
        stats = json.loads(text)[0]["stats64"]
        side, name = counter.split(".")
        return stats[side][name]

    def pacer(self):
        """Keeps what is sent within the tap's short queue in the kernel: what that drops has nothing to do
        with us.
        """
        with inside(self.namespace):
            counters = open("/proc/thread-self/net/dev", encoding="ascii")
        self.addCleanup(counters.close)
        return Pacer(counters, "lmtap0")

    def finish(self, child):
        """Ends it at its prompt."""
        child.process.stdin.close()
        if code := child.wait(20):
            raise Failed(f"exit code {code}: {child}")
        return child.summary()

    def frag_counters(self):
        """The name space's reassembly statistics."""
        return netns.counters("Ip", self.namespace)


class LmSends(Tap):
    def receive_all(self, child, want):
        s = self.socket()
        self.tell(child, "start")
        pattern = wire.Pattern(SEED)
        for i, n in enumerate(want):
            try:
                got, source = s.recvfrom(1 << 16)
            except TimeoutError:
                raise Failed(
                    f"datagram {i} of {n} bytes does not arrive: {self.frag_counters()}: {child}") from None
            self.assertEqual(source, (LM, LM_PORT))
            self.assertTrue(got == pattern.payload(i, n),
                            f"datagram {i}: {len(got)} bytes, not the {n} that were sent")

    def test_every_kind_of_size_arrives_in_a_socket(self):
        want = sizes.boundaries() + list(range(1, 65_508, 257)) + [65_507]
        child = self.start("--forward-mode=tx", sizes.listed(want), f"--count={len(want)}")
        self.receive_all(child, want)
        summary = self.finish(child)
        self.assertEqual(summary["sent_datagrams"], len(want))
        self.pools_are_level(summary)
        counters = self.frag_counters()
        self.assertEqual((counters["ReasmFails"], counters["InHdrErrors"]), (0, 0), counters)

    def test_it_asks_for_the_kernels_address_and_answers(self):
        child = self.start("--forward-mode=tx", "--txsize=7168", "--count=3")
        self.receive_all(child, [7168] * 3)
        with inside(self.namespace):
            table = subprocess.run(["ip", "neigh", "show", LM], capture_output=True, text=True,
                                   timeout=20).stdout
        self.finish(child)
        self.assertIn("lladdr", table, "the kernel learnt our address from the question")
        self.assertNotIn("nobody answers", child.err())

    def test_without_a_checksum_it_warns_and_the_kernel_takes_it(self):
        child = self.start("--forward-mode=tx", "--txsize=64,7168,65507", "--count=3", "--checksum=zero")
        self.receive_all(child, [64, 7168, 65_507])
        self.finish(child)
        self.assertIn("RFC 4963", child.err())


class TheKernelSends(Tap):
    def run_one(self, want, *options):
        """Sends datagrams of these sizes; they are delivered, or counted as dropped, and nothing else is."""
        child = self.start("--forward-mode=rx", *options)
        self.tell(child, "start")
        self.knows(child)
        s = self.socket()
        payloads = [os.urandom(n) for n in want]
        pacer = self.pacer()
        for p in payloads:
            pacer.send(s, p, (LM, LM_PORT))
        pacer.wait(0)
        time.sleep(1.3)
        self.assertEqual(self.interface("tx.dropped"), 0, "the tap's queue in the kernel was too short")
        summary = self.finish(child)
        sent = {wire.sha256(p): p for p in payloads}
        messages = child.messages()
        for m in messages:
            self.assertIn(m["sha256"], sent, f"{m} was never sent: {child}")
            self.assertEqual((m["src"], m["dst"]), (f"{KERNEL}:{KERNEL_PORT}", f"{LM}:{LM_PORT}"))
        delivered = [m["sha256"] for m in messages]
        self.assertEqual(len(set(delivered)), len(delivered), "a datagram was delivered twice")
        self.pools_are_level(summary)
        missing = [len(p) for digest, p in sent.items() if digest not in set(delivered)]
        self.explained(missing, summary, child)
        return missing, messages, summary

    def explained(self, missing, summary, child):
        """Counters tell of each missing datagram: of itself, or of its frames."""
        drops = summary.drops()
        frames = sum(-(-(n + wire.UDP) // wire.STRIDE) for n in missing)
        by_frame = drops.pop("lost_frame", 0) + drops.pop("discarded", 0)
        by_datagram = sum(drops.values())
        what = f"{len(missing)} datagrams of {frames} frames are missing; {summary.drops()}: {child}"
        self.assertLessEqual(by_datagram, len(missing), what)
        self.assertLessEqual(by_frame, frames, what)
        if missing:
            self.assertGreaterEqual(by_datagram * 45 + by_frame, frames, what)
        else:
            self.assertEqual(summary.drops(), {}, what)

    SIZES = sizes.boundaries() + list(range(1, 65_508, 641))

    def all_of_them(self, slots, *options):
        """Everything is delivered. What came in more than one frame lies in pieces, or was copied where it had
        to be looked for in slots that overlap.
        """
        missing, messages, summary = self.run_one(self.SIZES, f"--slots={slots}", *options)
        self.assertEqual(missing, [], summary.drops())
        several = sum(n > 1472 for n in self.SIZES)
        pieces, copied = (several, 0) if slots == "separate" else (0, several)
        self.assertEqual(sum(m["pieces"] > 1 for m in messages), pieces)
        self.assertEqual((summary["copied_datagrams"], summary["pieces"]), (copied, pieces))
        return messages

    def test_separate_slots_take_everything_in_pieces(self):
        messages = self.all_of_them("separate")
        self.assertEqual({m["whole_by"] for m in messages}, {"headers"})

    def test_separate_slots_with_burst_1(self):
        self.all_of_them("separate", "--burst=1")

    def test_overlapping_slots_with_burst_1_take_everything(self):
        self.all_of_them("overlapping", "--burst=1")

    def test_overlapping_slots_with_burst_32_count_what_they_lose(self):
        missing, messages, _ = self.run_one(self.SIZES, "--slots=overlapping", "--burst=32")
        # Which ones is a matter of timing: a frame that is followed by a long one in its burst has no headers
        # left.
        self.assertLess(len(missing), len(self.SIZES))
        print(f"    {len(missing)} of {len(self.SIZES)} lost and counted", flush=True)

    def test_the_default_layout_delivers_nothing_wrong_at_full_speed(self):
        child = self.start("--forward-mode=rx")
        self.tell(child, "start")
        s = self.socket()
        payloads = [os.urandom(n) for n in (65_507, 7168, 100, 2000, 16_384) * 60]
        for p in payloads:
            s.sendto(p, (LM, LM_PORT))
        time.sleep(1.3)
        summary = self.finish(child)
        sent = {wire.sha256(p) for p in payloads}
        messages = child.messages()
        self.assertEqual([m for m in messages if m["sha256"] not in sent], [])
        self.assertGreater(len(messages), 0)
        self.pools_are_level(summary)


class Longer(Tap):
    def test_frames_that_are_too_long_are_seen(self):
        """A kernel with another MTU: the device throws its frames away, or the receiver does, and the summary
        says so.
        """
        child = self.start("--forward-mode=rx")
        ip("-n", self.namespace, "link", "set", "lmtap0", "mtu", "9000")
        self.tell(child, "start")
        self.knows(child)
        s = self.socket()
        # There is room for a VLAN tag and a frame check sequence, so two bytes too many are no loss.
        for n in (1474, 3000, 100, 8000):
            s.sendto(bytes(n), (LM, LM_PORT))
        time.sleep(1.3)
        self.tell(child, "clear port stats 0")
        summary = self.finish(child)
        self.assertEqual([m["len"] for m in child.messages()], [1474, 100])
        self.assertEqual(summary["rx_errors"] + sum(summary["dropped"].values()), 2, str(child))
        self.assertRegex(child.out(), r"Device: RX-missed: 0 RX-errors: 2 RX-nombuf: 0 TX-errors: 0")
        self.pools_are_level(summary)


class Echo(Tap):
    def converse(self, want, must_all, *options):
        child = self.start("--forward-mode=echo", *options)
        self.tell(child, "start")
        s = self.socket()
        s.connect((LM, LM_PORT))
        s.settimeout(2 if must_all else 0.2)
        lost = []
        for n in want:
            p = os.urandom(n)
            s.send(p)
            try:
                got = s.recv(1 << 16)
            except TimeoutError:
                lost.append(n)
                if must_all or not child.running():
                    break
                continue
            self.assertTrue(got == p, f"the echo of {n} bytes is {len(got)} others")
        time.sleep(1.3 if lost else 0)
        summary = self.finish(child)
        self.assertTrue(not lost or not must_all, f"no echo of {lost}; {summary.drops()}: {child}")
        self.assertEqual(summary["sent_datagrams"],
                         summary["datagrams"] - summary["ignored"] - summary["send_dropped"])
        self.assertEqual(len(want) - len(lost), summary["datagrams"], f"{summary.drops()}: {child}")
        if lost:
            self.assertGreater(sum(summary.drops().values()), 0)
        self.pools_are_level(summary)
        return lost

    WANT = sizes.boundaries() + list(range(1, 65_508, 1279))

    def test_separate_slots(self):
        self.converse(self.WANT, True, "--slots=separate")

    def test_overlapping_slots_burst_1(self):
        self.converse(self.WANT, True, "--slots=overlapping", "--burst=1")

    def test_overlapping_slots_burst_32(self):
        lost = self.converse(self.WANT, False, "--slots=overlapping", "--burst=32")
        self.assertEqual([n for n in lost if n <= 2952], [])

    def test_the_kernel_pings_nobody_but_arp_is_answered(self):
        child = self.start("--forward-mode=rx")
        self.tell(child, "start")
        s = self.socket()
        s.sendto(b"x", (LM, LM_PORT))
        until = time.monotonic() + 5
        table = ""
        while "REACHABLE" not in table and time.monotonic() < until:
            with inside(self.namespace):
                table = subprocess.run(["ip", "neigh", "show", LM], capture_output=True, text=True,
                                       timeout=20).stdout
            time.sleep(0.05)
        self.assertIn("REACHABLE", table, str(child))
        self.finish(child)
        self.assertEqual([m["len"] for m in child.messages()], [1])


if __name__ == "__main__":
    unittest.main()
