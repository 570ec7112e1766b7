"""Frames are lost before lmd: every datagram whose frames all came is delivered, and there is no silence.

The other end of a veth is an ordinary kernel, at whose egress nftables leads frames away by chance. (If it dropped
them, that kernel would notice, and keep the rest of the datagram.) A packet socket at lmd's end counts the frames of
each datagram that came.
"""

import collections
import contextlib
import os
import socket
import struct
import threading
import time
import unittest

import netns
from linux import SO_RCVBUFFORCE
from lmd import VethWire, Wire, is_good, needs, payload, udp, veth

SIZE, FRAMES = 64_000, 44
# 100 Mb/s.
PAUSE = SIZE * 8 / 100e6
SECONDS = float(os.environ.get("LM_LOSS_SECONDS") or 3)
# Of 100,000 frames.
LOST = (0, 100, 1000)
SOL_PACKET, PACKET_STATISTICS = 263, 6


class Lossy:
    """Counts what comes to `here`, and what is delivered there."""

    def packets(self):
        """A packet socket at lmd's end of the wire."""
        with netns.inside(self.here):
            made = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0800))
        made.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 256 << 20)
        made.settimeout(0.5)
        made.bind(("v0", 0x0800))
        return made

    @contextlib.contextmanager
    def losing(self, in_100_000):
        """Meanwhile this share of the frames is led away, if it is any."""
        if not in_100_000:
            yield
            return
        self.lose(in_100_000)
        try:
            yield
        finally:
            self.nft("delete table netdev t")

    def lossy(self, in_100_000):
        """Sends, and returns the datagrams whose frames all came, those that were delivered, the longest silence in
        seconds, and the frames that never came."""
        came, sending, times, wrong = collections.Counter(), [True], [], []

        def count(sock):
            while True:
                try:
                    head = sock.recv(64)
                except TimeoutError:
                    if sending[0]:
                        continue
                    return
                if head[23] == 17 and struct.unpack_from("!H", head, 20)[0] & 0x3fff:
                    came[head[18:20]] += 1

        def hear(sock):
            while True:
                try:
                    data = sock.recv(70_000)
                except TimeoutError:
                    return
                times.append(time.monotonic())
                if len(data) != SIZE or not is_good(data):
                    wrong.append(data)

        with self.losing(in_100_000), self.packets() as seen, udp(self.here, self.HERE) as ear, \
                udp(self.there, self.THERE) as mouth:
            threads = [threading.Thread(target=count, args=(seen,)), threading.Thread(target=hear, args=(ear,))]
            for thread in threads:
                thread.start()
            began, sent = time.monotonic(), 0
            while (due := began + sent * PAUSE) < began + SECONDS:
                time.sleep(max(0, due - time.monotonic()))
                mouth.sendto(payload(SIZE, sent), ear.getsockname())
                sent += 1
            ended = time.monotonic()
            threads[1].join()
            sending[0] = False
            threads[0].join()
            _, unseen = struct.unpack("II", seen.getsockopt(SOL_PACKET, PACKET_STATISTICS, 8))
        self.assertEqual(unseen, 0, "frames that the packet socket missed")
        self.assertFalse(wrong, "a datagram is not as it was sent")
        whole = sum(n == FRAMES for n in came.values())
        self.assertLessEqual(len(times), whole, "more were delivered than came")
        marks = [began, *times, ended]
        silence = max(later - earlier for earlier, later in zip(marks, marks[1:]))
        return sent, whole, len(times), silence, sent * FRAMES - came.total()

    def figures(self):
        """Of each share of lost frames, printed."""
        figures = [self.lossy(in_100_000) for in_100_000 in LOST]
        for in_100_000, (sent, whole, delivered, silence, lost) in zip(LOST, figures):
            print(f"    {in_100_000 / 1000:g} % of frames lost before it ({lost} of {sent * FRAMES}): of {sent} datagrams "
                  f"{whole} came whole, {delivered} were delivered ({100 * delivered / max(1, whole):.1f} %), longest "
                  f"silence {silence:.2f} s")
        return figures


class Loss(Lossy, VethWire):
    @needs("nft")
    def test_whole_datagrams_are_delivered(self):
        # The first datagram asks for addresses.
        self.exchange(sizes=(100,))
        figures = self.figures()
        told = self.counted()
        for in_100_000, (_, whole, delivered, silence, lost) in zip(LOST, figures):
            # On a busy machine the veth loses frames, too.
            self.assertTrue(lost or not in_100_000, "nothing was lost")
            # net_pcap's own buffer overflows where others take the processor.
            if "the device had no room" not in told:
                self.assertGreaterEqual(delivered, 0.98 * whole, told)
            self.assertLess(silence, 1, told)
        self.nothing_reassembled(self.here)


class Linux(Lossy, Wire):
    """The same without lmd, to compare with: nothing but the contents is asked for."""

    @needs("nft")
    @unittest.skipUnless("LM_LOSS_SECONDS" in os.environ, "LM_LOSS_SECONDS is not set")
    def test_linux_itself(self):
        veth((self.here, "v0", self.HERE), (self.there, "v1", self.THERE))
        self.exchange(sizes=(100,))
        self.figures()
