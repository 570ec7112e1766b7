"""Frames that few send: they are answered, or lost and counted, and others pass."""

import re
import socket
import struct
import time

import netns
import wire
from lmd import VethWire, payload, run, show, udp, until

ETH_P_ALL = 3
PACKET_OUTGOING = 4
NEVER = "lost: the device never took the frame"


def packets(namespace, name):
    """A socket for the frames of an interface."""
    with netns.inside(namespace):
        made = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
    made.bind((name, ETH_P_ALL))
    return made


def tagged(frame, *tags):
    """A frame in VLANs, each with its type and number, the outer one first."""
    return frame[:12] + b"".join(struct.pack("!HH", *tag) for tag in tags) + frame[12:]


class OddFrames(VethWire):
    def passes(self):
        """Datagrams that fit still cross, from here."""
        with udp(self.here, self.HERE) as mouth, udp(self.there, self.THERE) as ear:
            for i in range(5):
                mouth.sendto(payload(1000, i), ear.getsockname())
                self.receive(ear, 1)

    def ended(self):
        self.assertEqual(self.daemon.stop(), 0)
        return self.tally(self.daemon)

    def test_an_interface_whose_mtu_is_smaller(self):
        """net_pcap gives a frame back that the kernel does not send, as if there was no room for it."""
        self.passes()
        netns.ip("-n", self.here, "link", "set", "v0", "mtu", "1400")
        for size in (1450, 1450, 20_000):
            code, _ = run(self.here, "ping", "-c", "1", "-W", "1", "-s", str(size), self.THERE)
            self.assertNotEqual(code, 0, "it does not fit")
        self.passes()
        self.assertGreaterEqual(self.ended()[NEVER], 2 + 13)
        self.assertIn("does not take a frame of", self.daemon.err())

    def test_a_full_frame_with_two_tags(self):
        """The kernel has room for one tag beside the MTU, and not for two."""
        self.passes()
        with packets(self.here, "lm0") as mouth:
            frame = wire.ethernet(wire.Flow(), 0x88b5, bytes(1500))
            for _ in range(20):
                mouth.send(tagged(frame, (0x88a8, 5), (0x8100, 6)))
        self.passes()
        self.assertEqual(self.ended()[NEVER], 20)

    def test_fragments_of_two_vlans_are_no_packet(self):
        """Addresses and identification are the same; only fragments of one VLAN are put together."""
        macs = [show(space, "-o", "link", "show", name).split("link/ether ")[1].split()[0]
                for space, name in ((self.there, "v1"), (self.here, "lm0"))]
        flow = wire.Flow(self.THERE, self.HERE, 7000, 9000, *map(wire.mac, macs))
        body = bytes(range(256)) * 8
        with packets(self.there, "v1") as mouth, packets(self.here, "lm0") as ear:
            ear.settimeout(0.5)

            def whole():
                """The payloads of the whole packets that the kernel gets until there is none for half a second."""
                payloads = []
                try:
                    while True:
                        frame, (_, _, kind, _, _) = ear.recvfrom(70_000)
                        if kind != PACKET_OUTGOING and len(frame) > len(body):
                            payloads.append(frame[-len(body):])
                except TimeoutError:
                    return payloads

            ident = 0
            for protocol in (200, wire.PROTO_UDP):
                parts = (0, body[:1200], True), (1200, body[1200:], False)
                for first, second, is_one in (((5,), (5,), True), ((5,), (6,), False), ((5,), (), False), ((), (6,), False),
                                              ((5, 6), (5, 6), True), ((5, 6), (5, 7), False), ((5,), (0xe005,), True)):
                    ident += 1
                    for tags, (offset, data, more) in zip((first, second), parts):
                        frame = wire.ipv4(flow, data, ident, offset, more, protocol)
                        mouth.send(tagged(frame, *((0x8100, tag) for tag in tags)))
                    self.assertEqual(whole(), [body] * is_one, f"{protocol}: {first} and {second}")
            # Packets of all VLANs at once, each with a payload of its own.
            time.sleep(1.2)
            vlans = (), (5,), (6,), (5, 6), (5, 7)
            bodies = [bytes([i]) * len(body) for i in range(len(vlans))]
            for begin, end in ((0, 1200), (1200, len(body))):
                for tags, data in zip(vlans, bodies):
                    frame = wire.ipv4(flow, data[begin:end], 999, begin, begin == 0, 200)
                    mouth.send(tagged(frame, *((0x8100, tag) for tag in tags)))
            got = sorted(whole())
            self.assertTrue(got == bodies, [(data[:1], len(data)) for data in got])
        # The same packets do no harm to those that follow.
        self.passes()

    def test_ipv6_by_a_bridge_is_told_the_mtu(self):
        """The kernel knows the wire's MTU for lm0 itself, and not for what is on top of it."""
        netns.ip("-n", self.here, "link", "add", "br0", "type", "bridge")
        netns.ip("-n", self.here, "addr", "flush", "dev", "lm0")
        netns.ip("-n", self.here, "link", "set", "lm0", "master", "br0")
        netns.ip("-n", self.here, "link", "set", "br0", "up")
        for space, name, address in ((self.here, "br0", "fd77::1"), (self.there, "v1", "fd77::2")):
            netns.ip("-n", space, "addr", "add", f"{address}/64", "dev", name, "nodad")
        ping = lambda size: run(self.here, "ping", "-6", "-c", "1", "-W", "1", "-s", str(size), "fd77::2")
        self.assertTrue(until(lambda: ping(56)[0] == 0), self.said())
        for size in (1453, 3000, 20_000):
            # The first one is answered by the MTU.
            self.assertTrue(until(lambda: ping(size)[0] == 0), f"{size}: {ping(size)}; {self.said()}")
        # A group's sender is told, too: then ping, which does not want its packets cut, knows the MTU.
        group = lambda: run(self.here, "ping", "-6", "-c", "1", "-W", "1", "-s", "2900", "ff02::1%br0")
        told = lambda: re.search(r"(?i)message too long, mtu[:=] ?1500", "".join(map(str, group())))
        self.assertTrue(until(told), group())
        counted = self.ended()
        self.assertGreaterEqual(counted["senders told so"], 1, counted)
        self.assertEqual(counted.get("lost: cannot be sent on this wire", 0), 0, counted)
