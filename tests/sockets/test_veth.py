"""An lmd over net_pcap on a veth, and an ordinary kernel at the other end."""

import socket

import netns
import wire
from common import Common
from lmd import FORWARD, VethWire, payload, udp

PACKET_OUTGOING = 4


class Veth(Common, VethWire):
    far = "v1"

    def test_a_kernel_gets_forward_order_and_the_mark(self):
        """The other end has said by ARP that it is none of ours; and lm0's kernel has said that it is."""
        with netns.inside(self.there):
            seen = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(wire.TYPE_ARP))
        with seen:
            seen.bind((self.far, wire.TYPE_ARP))
            netns.ip("-n", self.there, "neigh", "flush", "all")
            self.exchange()
            ours = []
            seen.settimeout(0.2)
            try:
                while True:
                    frame, (_, _, kind, _, _) = seen.recvfrom(2000)
                    if kind != PACKET_OUTGOING:
                        ours.append(frame)
            except TimeoutError:
                pass
        self.assertTrue(ours and all(frame == wire.marked(frame) for frame in ours), [f.hex() for f in ours])
        self.assertEqual(self.daemon.stop(), 0)
        counted = self.tally(self.daemon)
        self.assertGreater(counted[FORWARD], 0)
        self.assertEqual(counted[FORWARD], counted["datagrams to the wire, cut by LM"], counted)

    def test_what_is_for_others_stays_theirs(self):
        """A datagram in fragments to another hardware address does not reach a program here."""
        with udp(self.there, self.THERE) as mouth, udp(self.here, self.HERE) as ear:
            ear.settimeout(0.3)
            for mac, arrives in (("02:00:00:00:00:99", False), ("02:70:63:61:70:00", True)):
                netns.ip("-n", self.there, "neigh", "replace", self.HERE, "lladdr", mac, "dev", "v1")
                for size in (100, 8000, 64_000):
                    mouth.sendto(payload(size, 1), ear.getsockname())
                    if arrives:
                        self.receive(ear, 1)
                    else:
                        self.assertRaises(TimeoutError, ear.recv, 70_000)
