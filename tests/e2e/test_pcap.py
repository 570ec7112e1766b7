"""net_pcap: what the tx engine writes, for tshark and for our own reader, and received again from the
file.
"""

import hashlib
import pathlib
import shutil
import subprocess
import tempfile
import unittest

import sizes
import wire
from testpmd import Case, Failed, Testpmd, memories

SEED = 7
SRC, DST, SPORT, DPORT = "198.18.0.1", "198.18.0.2", 7000, 9000
ADDRESSES = (f"--tx-ip={SRC},{DST}", f"--tx-udp={SPORT},{DPORT}", "--eth-peer=0,02:00:00:00:00:02")
# The receiver's own address comes first.
RECEIVER = (f"--tx-ip={DST},{SRC}", f"--tx-udp={DPORT},{SPORT}")


class Written:
    """A capture file that the tx engine wrote, once for all tests."""

    def __init__(self):
        self.where = pathlib.Path(tempfile.mkdtemp(prefix="lm-e2e-written-"))
        self.sizes = sizes.every_kind()
        self.path = self.where / "sent.pcap"
        eal = (f"--vdev=net_pcap0,tx_pcap={self.path}",)
        sender = Testpmd(self.where / "tx", eal, "--forward-mode=tx", *ADDRESSES, f"--seed={SEED}",
                         sizes.listed(self.sizes), f"--count={len(self.sizes)}")
        with sender:
            self.summary = sender.fine(120).summary()
        pattern = wire.Pattern(SEED)
        self.payloads = [pattern.payload(i, n) for i, n in enumerate(self.sizes)]
        self.digests = [wire.sha256(p) for p in self.payloads]


written = None


def setUpModule():
    global written
    written = Written()


def tearDownModule():
    if written:
        shutil.rmtree(written.where, ignore_errors=True)


class TheTxEngineWrites(Case):
    def test_tshark_reassembles_every_datagram(self):
        """length, UDP checksum and payload of each, as an independent judge has them"""
        self.assertGreaterEqual(len(written.sizes), 3000)
        words = [
            "tshark", "-n", "-r",
            str(written.path), "-o", "ip.defragment:TRUE", "-o", "udp.check_checksum:TRUE", "-o",
            "ip.check_checksum:TRUE", "-d", f"udp.port=={DPORT},data", "-Y", "udp", "-T", "fields"
        ]
        # Not udp.payload: that has the padding behind the datagram in it.
        for field in ("udp.length", "udp.checksum.status", "data.data"):
            words += ["-e", field]
        seen = 0
        with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as tshark:
            for seen, line in enumerate(tshark.stdout, 1):
                length, status, payload = line.rstrip("\n").split("\t")
                want = written.payloads[seen - 1]
                self.assertEqual((int(length), status), (len(want) + wire.UDP, "1"), f"datagram {seen}")
                self.assertEqual(
                    hashlib.sha256(bytes.fromhex(payload)).hexdigest(), written.digests[seen - 1],
                    f"datagram {seen} of {len(want)} bytes")
        self.assertEqual((tshark.returncode, seen), (0, len(written.sizes)))

    def test_no_ip_header_is_wrong_in_tshark(self):
        words = ["tshark", "-n", "-r", str(written.path), "-o", "ip.check_checksum:TRUE", "-Y",
                 "_ws.malformed || ip.checksum.status != 1 || ip.fragment.overlap || ip.fragment.error"]
        out = subprocess.run(words, capture_output=True, text=True, timeout=120, check=True).stdout
        self.assertEqual(out, "")

    def test_frames_are_laid_as_the_design_says(self):
        """last fragment first, full strides, the guard kept, nothing behind the payload but zeroes and the
        tag
        """
        datagrams = list(wire.by_datagram(wire.read_pcap(written.path)))
        self.assertEqual(len(datagrams), len(written.sizes))
        for want, frames in zip(written.payloads, datagrams):
            what = f"{len(want)} bytes"
            packets = [wire.Packet.of(f) for f in frames]
            self.assertEqual([p.offset for p in packets],
                             [wire.STRIDE * i for i in reversed(range(len(packets)))], what)
            self.assertEqual([p.more for p in packets], [i > 0 for i in range(len(packets))], what)
            self.assertTrue(all(len(p.payload) == wire.STRIDE for p in packets[1:]), what)
            self.assertEqual(len({(p.src, p.dst, p.ident, p.protocol) for p in packets}), 1, what)
            self.assertTrue(all(p.header_ok for p in packets), what)
            self.assertFalse(any(p.trailer for p in packets[1:]), what)
            self.assertLessEqual(len(packets[0].payload) + len(packets[0].trailer), wire.GUARD, what)
            (whole,) = wire.reassemble(frames)
            self.assertTrue(whole.payload == want, what)
            self.assertTrue(whole.checksum and whole.checksum_ok, what)
            self.assertEqual((whole.src, whole.dst, whole.sport, whole.dport), (SRC, DST, SPORT, DPORT))
            # Where the IP packet has no room for the tag, it's in the Ethernet frame's trailer.
            self.assertEqual(len(packets[0].trailer), 0 if len(want) <= 65_499 else wire.TAG, what)
            self.check_behind(whole.behind + packets[0].trailer, len(packets), what)

    def check_behind(self, behind, fragments, what):
        self.assertGreaterEqual(len(behind), wire.TAG, what)
        # One frame has no order.
        self.assertEqual(behind[-wire.TAG], 0x11 if fragments > 1 else 0x10, f"{what}: the first byte of a tag")
        behind = behind[:-wire.TAG]
        self.assertEqual(behind, bytes(len(behind)), f"{what}: padding")
        self.assertLessEqual(len(behind), wire.HEADERS + wire.TAG, f"{what}: padding")

    def test_the_summary_counts_what_was_written(self):
        self.assertEqual(written.summary["sent_datagrams"], len(written.sizes))
        self.assertEqual(written.summary["sent_bytes"], sum(written.sizes))
        self.assertEqual(written.summary["sent_frames"], len(wire.read_pcap(written.path)))

    def test_without_a_peer_it_asks_by_arp_and_then_broadcasts(self):
        path = self.where / "asked.pcap"
        self.launch("tx", (f"--vdev=net_pcap0,tx_pcap={path}",), "--forward-mode=tx", f"--tx-ip={SRC},{DST}",
                    "--txsize=3000", "--count=2").fine()
        frames = wire.read_pcap(path)
        asked = [f for f in frames if f[12:14] == b"\x08\x06"]
        self.assertTrue(asked and frames[0] == asked[0], "the first frame is a question")
        who_has = wire.marked(wire.arp(wire.Flow(src=SRC, dst=DST, src_mac=frames[0][6:12])))
        self.assertEqual(set(asked), {who_has})
        rest = [f for f in frames if f[12:14] != b"\x08\x06"]
        self.assertEqual([len(d.payload) for d in wire.reassemble(rest)], [3000, 3000])
        self.assertEqual({f[:6] for f in rest}, {wire.BROADCAST})

    def test_without_a_checksum_there_is_a_zero(self):
        path = self.where / "zero.pcap"
        sender = self.launch("tx", (f"--vdev=net_pcap0,tx_pcap={path}", ), "--forward-mode=tx", *ADDRESSES,
                             "--checksum=zero", "--txsize=64,7168,65507", "--count=3",
                             f"--seed={SEED}").fine()
        pattern = wire.Pattern(SEED)
        found = list(wire.reassemble(wire.read_pcap(path)))
        self.assertEqual([d.checksum for d in found], [0, 0, 0])
        self.assertEqual([d.payload for d in found],
                         [pattern.payload(i, n) for i, n in enumerate((64, 7168, 65507))])
        self.assertIn("RFC 4963", sender.out() + sender.err())


class ItIsReceivedFromTheFile(Case):
    """One test for each kind of memory and burst: every datagram, in order, byte for byte."""

    def receive(self, name, memory, *options):
        receiver = self.launch(name, (f"--vdev=net_pcap0,rx_pcap={written.path}", ), "--forward-mode=rx",
                               *RECEIVER, "--stop-after-idle=300", *options, memory=memory)
        summary = receiver.fine(120).summary()
        messages = receiver.messages()
        for i, (m, digest, size) in enumerate(zip(messages, written.digests, written.sizes)):
            if (m["sha256"], m["len"]) != (digest, size):
                raise Failed(f"message {i} is not the datagram that was sent, of {size} bytes: {m}; "
                             f"{summary.drops()}: {receiver}")
        self.assertEqual(len(messages), len(written.digests), f"{summary.drops()}: {receiver}")
        for m in messages:
            self.assertEqual((m["src"], m["dst"]), (f"{SRC}:{SPORT}", f"{DST}:{DPORT}"))
        self.assertEqual(summary.drops(), {})
        self.assertEqual(summary["datagrams"], len(messages))
        self.assertEqual(summary["bytes"], sum(written.sizes))
        self.assertEqual(summary["foreign"], 0)
        self.assertEqual(summary["frames"], written.summary["sent_frames"])
        copied = [m for m in messages if m["copied"]]
        self.assertEqual(summary["copied_datagrams"], len(copied))
        self.assertEqual(summary["copied_bytes"], sum(m["copied"] for m in copied))
        self.pools_are_level(summary)
        return summary


class OtherMtus(Case):
    """The same way there and back with other fragments."""

    def there_and_back(self, mtu):
        some = sizes.boundaries() + list(range(1, 65_508, 499))
        path = self.where / "sent.pcap"
        mtu = f"--mtu={mtu}"
        self.launch("tx", (f"--vdev=net_pcap0,tx_pcap={path}", ), "--forward-mode=tx", *ADDRESSES,
                    f"--seed={SEED}", mtu, sizes.listed(some), f"--count={len(some)}").fine()
        pattern = wire.Pattern(SEED)
        want = [pattern.payload(i, n) for i, n in enumerate(some)]
        self.assertEqual([d.payload for d in wire.reassemble(wire.read_pcap(path))], want)
        for burst in (1, 32):
            for layout in ("overlapping", "separate"):
                receiver = self.launch(f"rx-{burst}-{layout}", (f"--vdev=net_pcap0,rx_pcap={path}", ),
                                       "--forward-mode=rx", *RECEIVER, mtu, f"--burst={burst}",
                                       f"--slots={layout}", "--stop-after-idle=100").fine()
                summary = receiver.summary()
                self.assertEqual([m["sha256"] for m in receiver.messages()], list(map(wire.sha256, want)),
                                 f"{summary.drops()}: {receiver}")
                if layout == "overlapping":
                    self.assertEqual(summary["copied_datagrams"], 0)
                self.pools_are_level(summary)

    def test_576(self):
        self.there_and_back(576)

    def test_1280(self):
        self.there_and_back(1280)

    def test_1499(self):
        self.there_and_back(1499)

    def test_9000(self):
        self.there_and_back(9000)


class OneStreamBehindTheOther(Case):
    """LM's stream, a kernel's behind it, and LM's again: slots are laid by what arrives."""

    FLOW = wire.Flow("198.18.0.9", DST, 7009, DPORT)
    RING = 128

    def streams(self, size, burst):
        ours = [n for n in written.sizes if n > 1480][:400]
        where = self.where / "lm.pcap"
        self.launch("tx", (f"--vdev=net_pcap0,tx_pcap={where}", ), "--forward-mode=tx", *ADDRESSES, f"--seed={SEED}",
                    sizes.listed(ours), f"--count={len(ours)}").fine()
        lm = wire.read_pcap(where)
        theirs = [wire.sha256(b"%d" % i).encode() * 1024 for i in range(600)]
        theirs = [payload[:size] for payload in theirs]
        kernel = [frame for i, payload in enumerate(theirs) for frame in wire.kernel_frames(self.FLOW, i, payload)]
        path = self.where / "all.pcap"
        wire.write_pcap(path, [*lm, *kernel, *lm])
        child = self.launch("rx", (f"--vdev=net_pcap0,rx_pcap={path}", ), "--forward-mode=rx", *RECEIVER, f"--rxd={self.RING}",
                            f"--burst={burst}", "--stop-after-idle=300").fine()
        got = [m["sha256"] for m in child.messages()]
        pattern = wire.Pattern(SEED)
        want = [wire.sha256(pattern.payload(i, n)) for i, n in enumerate(ours)]
        summary = child.summary()
        # A full fragment behind LM's last datagram overwrites the header that says whose that is.
        first = want if got[:len(want)] == want else want[:-1]
        self.assertEqual(got[:len(first)], first, "LM's at first")
        self.assertEqual(got[-len(want):], want, "LM's at last")
        between = set(got[len(first):-len(want)])
        lost = [i for i, payload in enumerate(theirs) if wire.sha256(payload) not in between]
        frames = (max(lost, default=-1) + 1) * (len(kernel) // len(theirs))
        # What is in the ring, and what was taken before anybody knew.
        self.assertLessEqual(frames, self.RING + 45 + 2 * burst, summary)
        self.assertEqual((summary["to_overlapping"], summary["to_separate"]), (2, 1), summary)
        self.pools_are_level(summary)


def add_tests():
    """A method for each burst, layout and kind of memory."""

    def landing(memory, burst):
        def test(self):
            summary = self.receive("rx", memory, "--slots=overlapping", f"--burst={burst}")
            self.assertEqual((summary["copied_datagrams"], summary["pieces"]), (0, 0),
                             "net_pcap's region is mapped twice: there is no wrap")
        return test

    def wrapping(memory):
        def test(self):
            summary = self.receive("rx", memory, "--slots=overlapping", "--no-mirror")
            # A datagram at each wrap of the region, at most.
            wraps = summary["frames"] * wire.STRIDE / (4 << 20) + 1
            self.assertLessEqual(summary["copied_datagrams"], wraps)
            self.assertGreater(summary["copied_datagrams"], 0, "a copy at the wrap is shown")
        return test

    def separate(memory, burst):
        def test(self):
            summary = self.receive("rx", memory, "--slots=separate", f"--burst={burst}")
            # Longer than one frame, tag included: in pieces, none copied.
            several = sum(n + wire.UDP + wire.TAG > wire.GUARD for n in written.sizes)
            self.assertAlmostEqual(summary["pieces"], several, delta=wire.HEADERS + wire.TAG)
            self.assertEqual(summary["copied_datagrams"], 0)
        return test

    def by_what_arrives(memory, burst):
        def test(self):
            summary = self.receive("rx", memory, f"--burst={burst}")
            self.assertEqual((summary["to_overlapping"], summary["to_separate"]), (1, 0))
            # 16 datagrams, and a ring of 512 frames.
            self.assertLessEqual(summary["pieces"], 16 + 512 // 2 + burst)
            self.assertGreaterEqual(summary["pieces"], 16)
            # One has a part in both.
            self.assertLessEqual(summary["copied_datagrams"], 2)
        return test

    def stream(size, burst):
        return lambda self: self.streams(size, burst)

    for size in (1472, 2000, 7168, 20_000):
        setattr(OneStreamBehindTheOther, f"test_kernels_of_{size}", stream(size, 32))

    for name, memory in memories().items():
        for burst in (1, 32):
            setattr(ItIsReceivedFromTheFile, f"test_slots_are_laid_by_what_arrives, {name}, burst {burst}",
                    by_what_arrives(memory, burst))
            setattr(ItIsReceivedFromTheFile, f"test_whole_without_a_copy, {name}, burst {burst}",
                    landing(memory, burst))
        setattr(ItIsReceivedFromTheFile, f"test_copied_only_at_the_wrap, {name}", wrapping(memory))
        setattr(ItIsReceivedFromTheFile, f"test_separate_slots_in_pieces, {name}", separate(memory, 32))


add_tests()

if __name__ == "__main__":
    unittest.main()
