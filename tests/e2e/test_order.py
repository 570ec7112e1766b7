"""In which order fragments leave: in reverse to nodes of LM's, which say so in the padding of their ARP
frames and by their tags, and in forward order to kernels and groups (docs/wire.md).
"""

import re
import shutil
import subprocess
import time
import unittest

import netns
import strangers
import test_arp
import test_memif
import test_tap
import wire
from netns import inside
from testpmd import NO_HUGE, ROOT, Case

SRC, DST, GROUP = "198.18.0.1", "198.18.0.2", "239.1.2.3"
SIZE = 7168
FORWARD, REVERSE = "forward", "reverse"


def order_of(frames):
    """The order of one datagram's frames."""
    offsets = [wire.Packet.of(frame).offset for frame in frames]
    assert len(offsets) > 1, "one frame has no order"
    if offsets == sorted(offsets):
        return FORWARD
    return REVERSE if offsets == sorted(offsets, reverse=True) else str(offsets)


def orders(frames):
    """The order of each datagram's frames, which no other datagram's stand between."""
    runs = []
    for frame in frames:
        ident = wire.Packet.of(frame).ident
        if not runs or runs[-1][0] != ident:
            runs.append((ident, []))
        runs[-1][1].append(frame)
    return [order_of(run) for _, run in runs]


class InAFile(Case):
    """What a capture file says."""

    COUNT = 5

    def sent(self, to, *options):
        """The frames of five datagrams that are no ARP, and the summary."""
        path = self.where / "sent.pcap"
        sender = self.launch("tx", (f"--vdev=net_pcap0,tx_pcap={path}",), "--forward-mode=tx",
                             f"--tx-ip={SRC},{to}", f"--txsize={SIZE}", f"--count={self.COUNT}", "--seed=3",
                             *options).fine()
        frames = wire.read_pcap(path)
        datagrams = [f for f in frames if f[12:14] != b"\x08\x06"]
        pattern = wire.Pattern(3)
        self.assertEqual([d.payload for d in wire.reassemble(datagrams)],
                         [pattern.payload(i, SIZE) for i in range(self.COUNT)])
        summary = sender.summary()
        self.pools_are_level(summary)
        return datagrams, summary

    def check(self, order, to, *options):
        frames, summary = self.sent(to, *options)
        self.assertEqual(orders(frames), [order] * self.COUNT)
        self.assertEqual(summary["send_forward"], self.COUNT if order == FORWARD else 0)
        return frames

    def test_a_group_gets_forward_order(self):
        frames = self.check(FORWARD, GROUP)
        self.assertEqual({f[:6] for f in frames}, {bytes((1, 0, 0x5E, 1, 2, 3))})

    def test_everybody_gets_forward_order(self):
        self.check(FORWARD, "255.255.255.255")

    def test_a_group_in_reverse_if_that_is_asked_for(self):
        self.check(REVERSE, GROUP, "--order=reverse")

    def test_a_peer_that_never_spoke_gets_reverse_order(self):
        self.check(REVERSE, DST, "--eth-peer=0,02:00:00:00:00:02")

    def test_or_forward_order_if_that_is_asked_for(self):
        self.check(FORWARD, DST, "--eth-peer=0,02:00:00:00:00:02", "--order=forward")

    def test_the_statistics_tell(self):
        path = self.where / "told.pcap"
        sender = self.launch("tx", (f"--vdev=net_pcap0,tx_pcap={path}",), "--forward-mode=tx",
                             f"--tx-ip={SRC},{GROUP}", f"--txsize={SIZE},64", "--count=4").fine()
        # One frame has no order.
        self.assertRegex(sender.out(), r"LM-TX-forward: +2 ")

    @unittest.skipUnless(shutil.which("tshark"), "there is no tshark")
    def test_tshark_sees_arp_and_a_trailer(self):
        path = self.where / "asked.pcap"
        self.launch("tx", (f"--vdev=net_pcap0,tx_pcap={path}",), "--forward-mode=tx", f"--tx-ip={SRC},{DST}",
                    f"--txsize={SIZE}", "--count=1").fine()
        question = next(f for f in wire.read_pcap(path) if f[12:14] == b"\x08\x06")
        words = ["tshark", "-n", "-r", str(path), "-Y", "arp && !_ws.malformed", "-T", "fields"]
        for field in ("arp.opcode", "arp.src.proto_ipv4", "arp.dst.proto_ipv4", "eth.padding", "eth.trailer"):
            words += ["-e", field]
        out = subprocess.run(words, capture_output=True, text=True, timeout=60, check=True).stdout
        opcode, src, dst, padding, trailer = out.splitlines()[0].split("\t")
        self.assertEqual((opcode, src, dst), ("1", SRC, DST))
        mark = wire.mark(question[6:12], wire.ip(SRC))
        self.assertEqual(bytes.fromhex((padding + trailer).replace(":", "")), mark.ljust(18, b"\0"))

    def test_the_vectors_of_the_specification(self):
        rows = re.findall(r"^\| ([0-9a-f:]{17}) \| ([0-9.]+) \| ([0-9a-f ]{23}) \|$",
                          (ROOT / "docs/wire.md").read_text(), re.M)
        self.assertGreater(len(rows), 2)
        for mac, address, mark in rows:
            self.assertEqual(wire.mark(wire.mac(mac), wire.ip(address)), bytes.fromhex(mark))


class BetweenNodes(test_memif.Pair):
    """net_memif: two nodes of LM's that know each other by ARP alone."""

    COUNT = 300

    def one_way(self, slots, *options):
        """The server sends, and the client says nothing but ARP. Both summaries, and what was delivered."""
        addresses = ("--tx-udp=7000,9000", f"--seed={test_memif.SEED}")
        sizes = "--txsize=7168,65507,3000"
        a, b = test_memif.A, test_memif.B
        server = self.launch("server", self.eal("server", mac=test_memif.MAC_A), "-i", f"--tx-ip={a},{b}",
                             "--forward-mode=tx", sizes, f"--count={self.COUNT}", *addresses, *options,
                             stdin=subprocess.PIPE).await_text("Port 0:")
        client = self.launch("client", self.eal("client", mac=test_memif.MAC_B), f"--tx-ip={b},{a}",
                             "--forward-mode=rx", f"--count={self.COUNT}", "--stop-after-idle=3000",
                             f"--slots={slots}", "--tx-udp=9000,7000", core=1).await_text("Port 0:")
        server.process.stdin.write(b"start\n")
        server.process.stdin.flush()
        got = client.fine(60).summary()
        time.sleep(test_memif.APART)
        server.process.stdin.close()
        sent = server.fine(20).summary()
        messages = self.check_log(client, [(7168, 65507, 3000)[i % 3] for i in range(self.COUNT)],
                                  f"{a}:7000", f"{b}:9000")
        self.assertEqual(got["sent_datagrams"], 0, "nothing was ever sent back")
        self.assertGreater(sent["arp"]["asked"], 0, "the peer's address was asked for")
        self.assertNotIn("nobody answers", server.err())
        self.pools_are_level(got, NO_HUGE)
        self.pools_are_level(sent, NO_HUGE)
        return sent, got, messages

    def test_a_stream_that_is_never_answered_lands_without_a_copy(self):
        sent, got, messages = self.one_way("overlapping")
        self.assertEqual(sent["send_forward"], 0)
        self.assertEqual({(m["copied"], m["pieces"]) for m in messages}, {(0, 1)})
        self.assertEqual((got["copied_datagrams"], got.drops()), (0, {}))

    def test_in_forward_order_it_comes_in_pieces_and_nothing_is_lost(self):
        sent, got, messages = self.one_way("separate", "--order=forward")
        self.assertEqual(sent["send_forward"], self.COUNT)
        self.assertTrue(all((m["copied"], m["pieces"]) == (0, m["fragments"]) for m in messages))
        self.assertEqual((got["pieces"], got.drops()), (self.COUNT, {}))


class ToAKernel(test_tap.Tap):
    """net_tap: a socket of the kernel's, and a look at the wire."""

    def stream(self, *options):
        """The kernel gets three datagrams; the frames that it got, and the summary."""
        child = self.start("--forward-mode=tx", f"--txsize={SIZE}", "--count=3", *options)
        seen = test_arp.packet_socket(self, self.namespace, "lmtap0")
        s = self.socket()
        self.tell(child, "start")
        pattern = wire.Pattern(test_tap.SEED)
        for i in range(3):
            got, _ = s.recvfrom(1 << 16)
            self.assertEqual(got, pattern.payload(i, SIZE))
        with inside(self.namespace):
            table = subprocess.run(["ip", "neigh", "show", test_tap.LM], capture_output=True, text=True,
                                   timeout=20).stdout
        self.assertIn("lladdr", table, "the kernel took our question for what it is")
        # What is waited for has come. The device goes when its program ends.
        frames = []
        seen.settimeout(0.2)
        try:
            while True:
                frame, (_, _, kind, _, _) = seen.recvfrom(1 << 16)
                if kind != test_arp.PACKET_OUTGOING:
                    frames.append(frame)
        except TimeoutError:
            pass
        summary = self.finish(child)
        self.pools_are_level(summary)
        counters = netns.counters("Ip", self.namespace)
        self.assertEqual((counters["ReasmOKs"], counters["ReasmFails"]), (3, 0))
        questions = [f for f in frames if f[12:14] == b"\x08\x06"]
        self.assertGreater(len(questions), 0)
        self.assertEqual(questions, [wire.marked(f) for f in questions], "each of ours has the mark")
        return [f for f in frames if f[12:14] == b"\x08\x00"], summary

    def test_a_kernel_gets_forward_order(self):
        frames, summary = self.stream()
        self.assertEqual(orders(frames), [FORWARD] * 3)
        self.assertEqual(summary["send_forward"], 3)

    def test_a_kernel_gets_reverse_order_if_that_is_asked_for(self):
        frames, summary = self.stream("--order=reverse")
        self.assertEqual(orders(frames), [REVERSE] * 3)
        self.assertEqual(summary["send_forward"], 0)

    def test_a_kernel_that_asks_takes_the_answer_with_the_mark(self):
        child = self.start("--forward-mode=echo", "--slots=separate")
        self.tell(child, "start")
        s = self.socket()
        s.connect((test_tap.LM, test_tap.LM_PORT))
        for n in (64, SIZE, 65_507):
            s.send(bytes(n))
            self.assertEqual(s.recv(1 << 16), bytes(n))
        summary = self.finish(child)
        self.assertEqual((summary["sent_datagrams"], summary["send_forward"]), (3, 2))
        self.pools_are_level(summary)


class ToWhoeverSaysWhat(test_arp.Node):
    """net_tap with a socket that says of itself what it likes."""

    def begin(self, mark):
        """It streams to a peer that answers with this mark; a function of a frame."""
        self.mark = mark
        self.start("--forward-mode=tx", f"--txsize={SIZE}", "--tx-interval=3000")
        self.owners[test_arp.PEER] = [test_arp.OWNER]

    def pad(self, frame):
        return self.mark(frame)

    def becomes(self, order, seconds=5):
        """Waits until datagrams go in this order to their peer."""
        parts, last = {}, None
        for to, ether_type, frame in self.frames(seconds):
            if ether_type != wire.TYPE_IPV4 or to != test_arp.OWNER:
                continue
            packet = wire.Packet.of(frame)
            run = parts.setdefault(packet.ident, [])
            run.append(frame)
            if len(run) == -(-(SIZE + wire.UDP) // wire.STRIDE):
                last = order_of(parts.pop(packet.ident))
                if last == order:
                    return
        self.fail(f"it is {last} and never becomes {order}: {self.child}")

    def test_a_node_that_comes_back_as_a_kernel_and_again(self):
        self.begin(wire.marked)
        self.becomes(REVERSE)
        for mark, order in ((None, FORWARD), (wire.marked, REVERSE), (None, FORWARD)):
            self.mark = mark or (lambda frame: frame)
            # Whoever starts announces itself, or asks.
            self.announce(test_arp.OWNER, test_arp.PEER)
            self.becomes(order)
        self.assertGreater(self.finish()["send_forward"], 0)

    def test_who_sends_our_own_mark_back_is_a_kernel(self):
        self.begin(lambda frame: wire.with_mark(frame, wire.mark(self.mac, wire.ip(test_arp.OURS))))
        self.becomes(FORWARD)
        self.finish()

    def test_a_mark_of_another_version_is_none(self):
        self.begin(lambda frame: wire.with_mark(wire.marked(frame), b"LM\2"))
        self.becomes(FORWARD)
        self.finish()

    def test_a_tag_says_it_too(self):
        """As of a node behind a bridge that cuts padding."""
        self.begin(lambda frame: frame)
        self.becomes(FORWARD)
        flow = wire.Flow(test_arp.PEER, test_arp.OURS, 7000, 9000, test_arp.OWNER, self.mac)
        (frames,) = strangers.Maker(self.where / "maker").frames(flow, [b"x" * 5000])
        for frame in frames:
            self.socket.send(frame)
        self.becomes(REVERSE)
        self.announce(test_arp.OWNER, test_arp.PEER)
        self.becomes(FORWARD)
        self.finish()


if __name__ == "__main__":
    unittest.main()
