"""Frames that the wire does not take, and that are no reason to take no others."""

import socket
import struct

import netns
from lmd import VethWire, payload, run, udp

ETH_P_ALL = 3
# The outer and the inner tag of a frame in two VLANs.
TAGS = struct.pack("!HHHH", 0x88a8, 5, 0x8100, 6)


class RefusedFrames(VethWire):
    """net_pcap gives a frame back that the kernel does not send, as if there was no room for it."""

    NEVER = "lost: the device never took the frame"

    def passes(self):
        """Datagrams that fit still cross, from here."""
        with udp(self.here, self.HERE) as mouth, udp(self.there, self.THERE) as ear:
            for i in range(5):
                mouth.sendto(payload(1000, i), ear.getsockname())
                self.receive(ear, 1)

    def refused(self):
        self.assertEqual(self.daemon.stop(), 0)
        self.assertIn("does not take a frame of", self.daemon.err())
        return self.tally(self.daemon)[self.NEVER]

    def test_an_interface_whose_mtu_is_smaller(self):
        self.passes()
        netns.ip("-n", self.here, "link", "set", "v0", "mtu", "1400")
        for size in (1450, 1450, 20_000):
            code, _ = run(self.here, "ping", "-c", "1", "-W", "1", "-s", str(size), self.THERE)
            self.assertNotEqual(code, 0, "it does not fit")
        self.passes()
        self.assertGreaterEqual(self.refused(), 2 + 13)

    def test_a_full_frame_with_two_tags(self):
        """The kernel has room for one tag beside the MTU, and not for two."""
        self.passes()
        with netns.inside(self.here):
            mouth = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
        with mouth:
            mouth.bind(("lm0", ETH_P_ALL))
            for _ in range(20):
                mouth.send(bytes.fromhex("020000000009" "020000000001") + TAGS + b"\x88\xb5" + bytes(1500))
        self.passes()
        self.assertEqual(self.refused(), 20)
