"""An lmd over net_pcap on a veth, and an ordinary kernel at the other end."""

import socket

import netns
import wire
from common import Common
from lmd import FORWARD, VethWire, payload, run, show, udp, until

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

    def test_routes_by_others_are_left(self):
        """lm0's routes get their MTU; others of the same prefix and metric stay, whichever came first."""
        netns.ip("-n", self.here, "link", "add", "w0", "type", "veth", "peer", "name", "w1")
        for name in ("w0", "w1"):
            netns.ip("-n", self.here, "link", "set", name, "up")
        for net, order in (("10.6.0", ("w0", "lm0")), ("10.8.0", ("lm0", "w0"))):
            for name in order:
                netns.ip("-n", self.here, "addr", "add", f"{net}.{2 if name == 'w0' else 3}/24", "dev", name)
                if name == "lm0":
                    self.assertTrue(until(lambda: "lock" in show(self.here, "route", "show", f"{net}.0/24", "dev", "lm0")))
        for gateway, name in (("10.6.0.9", "w0"), ("10.6.0.8", "lm0"), ("10.8.0.9", "w0")):
            netns.ip("-n", self.here, "route", "append", "default", "via", gateway, "dev", name)
        for words in ("10.6.0.0/24", "10.8.0.0/24", "default"):
            def right():
                ours = show(self.here, "-4", "route", "show", words, "dev", "lm0").splitlines()
                return len(ours) == 1 and "mtu" in ours[0]

            self.assertTrue(until(right), f"{show(self.here, 'route')}; {self.said()}")
            theirs = show(self.here, "-4", "route", "show", words, "dev", "w0").splitlines()
            self.assertEqual((len(theirs), "mtu" in str(theirs)), (2 if words == "default" else 1, False), theirs)
        # The kernel removes its own by itself, also those that lmd has touched.
        for name in ("lm0", "w0"):
            netns.ip("-n", self.here, "addr", "flush", "dev", name)
        self.assertEqual(show(self.here, "-4", "route", "show", "10.6.0.0/24"), "")

    def test_routes_that_have_gone_stay_away(self):
        """A route that was removed before lmd had heard of it is not made again."""
        batch = "".join(f"route {word} 10.7.{i}.0/24 dev lm0\n" for i in range(100) for word in ("add", "del"))
        code, said = run(self.here, "sh", "-c", f"printf '{batch}' | ip -batch -".replace("\n", "\\n"))
        self.assertEqual(code, 0, said)
        self.assertTrue(until(lambda: "10.7." not in show(self.here, "route")), show(self.here, "route"))
