"""Attacks through lm-testpmd: net_pcap for everything that order and lengths decide, net_memif for what a
device writes while it is read. `lm/proto/tests/attacks` has the same kinds, and more of each, without DPDK.

Nothing is delivered that was not sent, whole, whatever else a test asks for.
"""

import collections
import os
import shutil
import subprocess
import tempfile
import time
import unittest

import attacks
import wire
from attacks import SENDER, VICTIM, data, kernel
from testpmd import HUGE_VA, NO_HUGE, Case, free_hugepages, prefix

ADDRESSES = (f"--tx-ip={VICTIM.dst},{VICTIM.src}", f"--tx-udp={VICTIM.dport},{VICTIM.sport}")
# Milliseconds without a frame after which a receiver has all there is; and such that what is incomplete has
# been given up.
IDLE, PATIENT = 150, 1300
POLICIES = ("headers", "checksum", "headers,checksum", "headers,checksum,tags")
SEPARATE, OVERLAPPING = "--slots=separate", "--slots=overlapping"
# Megabytes that a large MTU takes.
LARGE = ("--no-huge", "-m", "256")
# Programs at once.
TOGETHER = 8


class Captures(Case):
    def start(self, frames, sent, *options, idle=IDLE, memory=NO_HUGE):
        """Begins to receive a capture file."""
        self.number = getattr(self, "number", 0) + 1
        path = self.where / f"{self.number}.pcap"
        wire.write_pcap(path, frames)
        child = self.launch(str(self.number), (f"--vdev=net_pcap0,rx_pcap={path}", ), "--forward-mode=rx",
                            *ADDRESSES, *options, f"--stop-after-idle={idle}", memory=memory,
                            core=self.number % 2)
        return child, path, sent

    def end(self, child, path, sent):
        """Payloads as they were delivered (by number in `sent`), and the summary."""
        summary = child.fine().summary()
        messages = child.messages()
        numbers = {wire.sha256(p): i for i, p in enumerate(sent)}
        wrong = [m for m in messages if m["sha256"] not in numbers]
        self.assertEqual(wrong, [], f"delivered, but never sent: {summary.drops()}: {child}")
        got = [numbers[m["sha256"]] for m in messages]
        self.assertEqual([m["len"] for m in messages], [len(sent[i]) for i in got], str(child))
        self.assertEqual(max(collections.Counter(got).values(), default=1), 1, f"delivered twice: {child}")
        self.assertEqual(summary["bytes"], sum(len(sent[i]) for i in got), str(child))
        self.pools_are_level(summary)
        path.unlink()
        return got, summary

    def receive(self, frames, sent, *options, **how):
        return self.end(*self.start(frames, sent, *options, **how))

    def together(self, runs):
        """Many runs, some at a time, as they wait most of it: (frames, sent, options, memory, how many have
        to come).
        """
        for at in range(0, len(runs), TOGETHER):
            some = runs[at:at + TOGETHER]
            begun = [
                self.start(frames, sent, *options, memory=memory) for frames, sent, options, memory, _ in some
            ]
            for (_, sent, options, _, least), one in zip(some, begun):
                got, summary = self.end(*one)
                missing = sorted(set(range(len(sent))) - set(got))[:9]
                self.assertGreaterEqual(len(got), least,
                                        f"of {len(sent)}, missing {missing}, {options}: {summary.drops()}")

    def all_of(self, frames, sent, *options, **how):
        got, summary = self.receive(frames, sent, *options, **how)
        what = f"{len(got)} of {len(sent)}, missing {sorted(set(range(len(sent))) - set(got))[:9]}, {options}"
        self.assertEqual(len(got), len(sent), f"{what}: {summary.drops()}")
        return summary


class AtAnyMtu(Captures):
    """What a kernel sends at an MTU whose payload is no multiple of 8: the longest frames are longer than a
    stride.
    """

    def at(self, mtu):
        stride, top = mtu - 20 & ~7, mtu - 28
        lengths = sorted({0, 1, 18, 19, 200, *range(stride - 43, stride - 6), *range(top - 8, top + 1)})
        fragments = [
            k * stride + top + d for k in (1, 2, 6) for d in (-9, -8, -1, 0, 1)
            if k * stride + top + d <= 65_507
        ]
        singles = [data(n, n) for n in lengths]
        several = [data(n, n) for n in fragments + [65_507]]
        frames = lambda payloads: [f for i, p in enumerate(payloads)
                                   for f in kernel(VICTIM, i, p, mtu)]  # noqa: E731
        both = singles + several
        runs = [(frames(both), both, (f"--mtu={mtu}", f"--require={policy}", *way), LARGE, len(both))
                for policy in ("headers", "headers,checksum")
                for way in ((SEPARATE, "--burst=1"), (SEPARATE, "--burst=32"), (OVERLAPPING, "--burst=1"))]
        self.together(runs)

    def test_lms_own(self):
        """and what LM sends, in either layout"""
        for mtu in (577, 1450, 9000):
            stride, path = mtu - 20 & ~7, self.where / "sent.pcap"
            sizes = [n for k in (1, 2, 5) for n in range(k * stride - 45, k * stride + 10) if n % 3 == k % 3]
            words = ("--forward-mode=tx", *ADDRESSES, "--eth-peer=0,02:00:00:00:00:02", f"--mtu={mtu}",
                     f"--count={len(sizes)}")
            sender = self.launch(f"tx{mtu}", (f"--vdev=net_pcap0,tx_pcap={path}",), *words,
                                 "--seed=3", "--txsize=" + ",".join(map(str, sizes)), memory=LARGE)
            sender.fine()
            pattern = wire.Pattern(3)
            sent, frames = [pattern.payload(i, n) for i, n in enumerate(sizes)], wire.read_pcap(path)
            self.together([(frames, sent, (f"--mtu={mtu}", slots, f"--burst={burst}"), LARGE, len(sent))
                           for slots in (OVERLAPPING, SEPARATE) for burst in (1, 32)])
            path.unlink()

    def test_the_longest_datagrams_of_one_frame(self):
        """each by itself, so that nothing comes behind it: whole in either layout, in any burst"""
        runs = []
        for mtu in (577, 1450, 1500, 9000):
            for length in range(mtu - 34, mtu - 27):
                payload = data(("single", mtu), length)
                runs += [(kernel(VICTIM, 1, payload,
                                 mtu), [payload], (f"--mtu={mtu}", slots, f"--burst={burst}"), LARGE, 1)
                         for slots in (OVERLAPPING, SEPARATE) for burst in (1, 32)]
        self.together(runs)

    def test_a_frame_beyond_the_mtu_is_whole_or_counted(self):
        for mtu, beyond in ((1500, 1), (1500, 4), (1500, 5), (1500, 18), (576, 1), (1450, 3), (9000, 1)):
            payload = data(beyond, mtu - 28 + beyond)
            frames = kernel(VICTIM, 1, payload, mtu + beyond)
            for slots in ("overlapping", "separate"):
                got, summary = self.receive(frames, [payload], f"--mtu={mtu}", f"--slots={slots}",
                                            memory=LARGE)
                self.assertTrue(got or summary.drops().get("oversize"),
                                f"{mtu}, {beyond}, {slots}: {summary.drops()}")


def at_mtu(mtu):
    return lambda self: self.at(mtu)


for size in (576, 1280, 1450, 1492, 9000):
    setattr(AtAnyMtu, f"test_a_kernels_at_{size}", at_mtu(size))


class Streams(Captures):
    """A kernel's datagrams of one length, in forward order, one behind the other."""

    COUNT = 100

    def stream(self, length):
        sent = [data((length, i), length) for i in range(self.COUNT)]
        return sent, [kernel(VICTIM, i, p) for i, p in enumerate(sent)]

    def of(self, length, policies):
        sent, datagrams = self.stream(length)
        runs = []
        for lost in (None, (0, 0), (3, 0), (3, 1)):
            frames = [f for i, d in enumerate(datagrams) for k, f in enumerate(d) if (i, k) != lost]
            for policy in policies:
                for layout, bursts in (("overlapping", (1, 4, 32)), ("separate", (32,))):
                    for burst in bursts:
                        options = (f"--slots={layout}", f"--burst={burst}", f"--require={policy}")
                        runs.append(
                            (frames, sent, options, NO_HUGE, self.least(length, lost, layout, burst, policy)))
        self.together(runs)

    def least(self, length, lost, layout, burst, policy):
        """How many have to come."""
        whole = self.COUNT - bool(lost)
        if "headers" in policy and (layout == "separate" or burst == 1):
            return whole
        # In step again within two datagrams; the last fragment's frame does not reach the first's headers.
        if 1473 <= length <= 2918 and "checksum" in policy:
            return whole - 2 * bool(lost)
        return 0

    def test_of_two_fragments(self):
        for length in (1473, 1500, 2000, 2900):
            self.of(length, ("headers,checksum",))

    def test_under_other_policies(self):
        self.of(2000, ("headers", "checksum", "headers,checksum,tags"))

    def test_of_other_lengths(self):
        for length in (2952, 3500, 7168):
            self.of(length, ("headers,checksum",))

    def test_two_datagrams(self):
        """the shortest stream, in one burst"""
        sent, datagrams = self.stream(2000)
        self.all_of(datagrams[0] + datagrams[1], sent[:2], OVERLAPPING, "--burst=32")


def checked(frame):
    """The same frame from a device that keeps the frame check sequence."""
    return frame + bytes.fromhex("deadbeef")


class LongFrames(Captures):
    """Frames of a kernel's datagrams that are longer than an overlapping slot, and yet of the MTU: a tag in
    front of the packet, or something behind it. The device spreads each over two slots."""

    SIZES = (18, 1400, 1469, 1472, 1473, 2000, 2960, 7168)

    def of(self, change):
        sent = [data(("long", n), n) for n in self.SIZES]
        frames = [change(f) for i, p in enumerate(sent) for f in kernel(VICTIM, i, p)]
        self.together([(frames, sent, (slots, f"--burst={burst}", f"--require={policy}"), NO_HUGE,
                        len(sent) if slots == SEPARATE or burst == 1 else 0)
                       for policy in ("headers", "headers,checksum")
                       for slots in (OVERLAPPING, SEPARATE) for burst in (1, 4, 32)])

    def test_priority_tags(self):
        """Within a burst the next full frame lies where the end of the payload was: nobody has that any
        more.
        """
        self.of(attacks.priority_tagged)

    def test_frame_check_sequences(self):
        """Within a burst short frames lose their headers to the next one, as without them."""
        self.of(checked)

    def test_one_frame_in_a_burst(self):
        """and nothing behind it"""
        runs = []
        for length in (1469, 1470, 1472):
            payload = data("long", length)
            for change in (attacks.priority_tagged, checked):
                runs += [([change(f) for f in kernel(VICTIM, 1, payload)], [payload],
                          (slots, f"--burst={burst}"), NO_HUGE, 1) for slots in (OVERLAPPING, SEPARATE)
                         for burst in (1, 32)]
        self.together(runs)


class Senders(Captures):
    """Many at once, fragment by fragment, in separate slots."""

    def test_all_of_them_are_received(self):
        for count in (16, 17, 40, 64):
            sent = [data(("flow", i), 7168) for i in range(count)]
            frames = attacks.interleaved(
                [kernel(f, i, p) for i, (f, p) in enumerate(zip(attacks.sources(count), sent))])
            for policy in POLICIES:
                if "headers" in policy or count == 17:
                    self.all_of(frames, sent, SEPARATE, f"--require={policy}")

    def interleaved(self, count):
        sent = [data(("flow", i), 7168) for i in range(count)]
        flows = attacks.sources(count)
        return attacks.interleaved([kernel(f, i, p) for i, (f, p) in enumerate(zip(flows, sent))]), sent

    def test_more_than_can_be_copied_wait_where_they_landed(self):
        frames, sent = self.interleaved(100)
        summary = self.all_of(frames, sent, SEPARATE)
        self.assertEqual((summary["pieces"], summary["copied_datagrams"]), (100, 0))

    def test_beyond_what_the_region_has_room_for_they_are_refused(self):
        frames, sent = self.interleaved(2500)
        got, summary = self.receive(frames, sent, SEPARATE, idle=PATIENT)
        self.assertGreaterEqual(len(set(got)), 64, summary.drops())
        self.assertGreater(sum(summary.drops().values()), 0)

    def test_one_source_has_its_share_and_no_more(self):
        sent = [data(("flow", i), 7168) for i in range(17)]
        good = attacks.interleaved(
            [kernel(f, i, p) for i, (f, p) in enumerate(zip(attacks.sources(17), sent))])
        begun = [kernel(SENDER, i, data(i, 7168))[0] for i in range(200)]
        self.all_of(begun + good, sent, SEPARATE, idle=PATIENT)
        mixed = attacks.interleaved([begun, good])
        self.all_of(mixed, sent, SEPARATE, idle=PATIENT)


class Marks(Captures):
    def test_a_mixture_that_loses_a_mark_is_dropped(self):
        """RFC 3168, section 5.3: Not-ECT and CE in one datagram"""
        payload = data("ecn", 7168)
        plain = kernel(VICTIM, 9, payload)
        for words, allowed in (((0, 0, 3, 0, 0), False), ((3, 3, 3, 3, 0), False), ((2, 1, 3, 2, 0), False),
                               ((2, 2, 3, 2, 2), True), ((1, 2, 1, 3, 2), True), ((0, 0, 0, 0, 0), True),
                               ((3, 3, 3, 3, 3), True)):
            frames = [attacks.marked(f, w) for f, w in zip(plain, words)]
            for order in (frames, frames[::-1]):
                got, summary = self.receive(order, [payload], SEPARATE)
                self.assertEqual((len(got), summary.drops()), (1, {}) if allowed else (0, {
                    "ecn": 1
                }), str(words))


class Contents(Captures):
    """An honest sender's contents, which somebody else chose, hold a datagram with its headers."""

    def test_nothing_comes_out_of_contents(self):
        cases = [(attacks.last_first, attacks.in_contents(n, at)) for n in (1, 2, 3) for at in (1, 3, 5)]
        cases += [(kernel, attacks.in_kernels_contents(at)) for at in (1, 2, 4)]
        sent = [contents for _, contents in cases]
        frames = [f for i, (cut, contents) in enumerate(cases) for f in cut(SENDER, i, contents)]
        runs = [(frames, sent, (f"--require={policy}", f"--burst={burst}", slots), NO_HUGE, 0)
                for policy in POLICIES for burst in (1, 4, 32) for slots in (OVERLAPPING, SEPARATE)]
        self.together(runs)


BACKEND = shutil.which("dpdk-testpmd")


@unittest.skipUnless(BACKEND or os.environ.get("LM_TOOLS") == "must",
                     "needs dpdk-testpmd, which comes with dpdk-dev")
class Wire(Case):
    """dpdk-testpmd plays frames out of a capture file into net_memif, in bursts; the client's ring is read
    while it is written.
    """

    MAC = "02:00:00:00:00:0b"

    def play(self, frames, burst, memory, *options):
        self.assertTrue(BACKEND, "no dpdk-testpmd: install dpdk-dev")
        socket = os.path.join(tempfile.gettempdir(), f"lma{os.getpid()}-{id(self):x}.sock")
        self.addCleanup(lambda: os.path.exists(socket) and os.unlink(socket))
        path = self.where / "frames.pcap"
        wire.write_pcap(path, frames)
        shared = f"id=0,socket={socket},socket-abstract=no,rsize=10"
        words = [
            BACKEND, "-l", "0,1", "--no-huge", "-m", "256", "--no-pci", "--no-telemetry",
            f"--file-prefix={prefix()}", f"--vdev=net_memif0,role=server,{shared}",
            f"--vdev=net_pcap0,rx_pcap={path}", "--", "-i", "--forward-mode=io", "--total-num-mbufs=4096",
            f"--burst={burst}", "--no-flush-rx"
        ]
        with open(self.where / "server", "wb") as out:
            server = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=out, stderr=out,
                                      start_new_session=True)
        self.addCleanup(self.end, server)
        until = time.monotonic() + 20
        # Its prompt comes when its ports are up. A zero-copy client asks once.
        while b"testpmd>" not in (self.where / "server").read_bytes():
            self.assertIsNone(server.poll(), (self.where / "server").read_text())
            self.assertLess(time.monotonic(), until, "the server does not come up")
            time.sleep(0.02)
        mode = ",zero-copy=yes" if memory is not NO_HUGE else ""
        client = self.launch("client", (f"--vdev=net_memif0,role=client,mac={self.MAC}{mode},{shared}", ),
                             "--forward-mode=rx", *ADDRESSES, *options, "--stop-after-idle=1000",
                             memory=memory, core=1)
        client.await_text("Port 0:")
        # Until they have shaken hands.
        time.sleep(0.7)
        server.stdin.write(b"start\n")
        server.stdin.flush()
        client.fine(60)
        time.sleep(0.3)
        self.end(server)
        return client

    def end(self, server):
        if server.poll() is None:
            server.terminate()
            try:
                server.wait(10)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()
        server.stdin.close()


def forged(memory, burst):
    def test(self):
        sent = [attacks.in_contents(n, at) for n in (1, 2) for at in (1, 3, 5)]
        frames = [f for i in range(120) for f in attacks.last_first(SENDER, i, sent[i % len(sent)])]
        client = self.play(frames, burst, memory, f"--burst={burst}")
        allowed = set(map(wire.sha256, sent))
        wrong = [m for m in client.messages() if m["sha256"] not in allowed]
        summary = client.summary()
        self.assertEqual(wrong, [], f"delivered, but never sent: {summary.drops()}: {client}")
        self.assertGreater(summary["frames"], len(frames) // 2, f"the frames did not come: {client}")
        self.assertEqual(summary["foreign"], 0, f"a frame was handed out that was none: {client}")

    return test


KINDS = {"plain": NO_HUGE}
if free_hugepages() >= 64:
    KINDS["zero-copy"] = HUGE_VA
for kind, where in KINDS.items():
    for size in (1, 4, 32) if where is HUGE_VA else (1, 32):
        setattr(Wire, f"test_forged, {kind} client, burst {size}", forged(where, size))

if __name__ == "__main__":
    unittest.main()
