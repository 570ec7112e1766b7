"""An lmd over net_pcap on a veth, and an ordinary kernel at the other end."""

import netns
from common import Common
from lmd import VethWire, payload, udp


class Veth(Common, VethWire):
    far = "v1"

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
