"""Multicast groups on lm0: joined, left, and still heard when lmd was killed and started again."""

import ipaddress
import signal
import socket
import time

import netns
from lmd import VethWire, payload, udp, until

ETH_P_ALL = 3
PORT = 7400
# As reports name them (RFC 3376, 4.2.12; RFC 3810, 5.2.12).
LEFT, JOINED = 3, 4


def records(frame):
    """What a report of IGMPv3 or MLDv2 says of which groups."""
    if frame[12:14] == b"\x08\x00" and frame[23] == socket.IPPROTO_IGMP:
        report, kind, size = frame[14 + 4 * (frame[14] & 15):], 0x22, 4
    elif frame[12:14] == b"\x86\xdd" and frame[20] == 0 and frame[54] == socket.IPPROTO_ICMPV6:
        report, kind, size = frame[62:], 143, 16
    else:
        return
    if report[0] != kind:
        return
    at = 8
    for _ in range(int.from_bytes(report[6:8], "big")):
        yield report[at], ipaddress.ip_address(report[at + 4:at + 4 + size])
        at += 4 + size + size * int.from_bytes(report[at + 2:at + 4], "big")


class Groups(VethWire):
    far = "v1"

    # Two of each family: what is done to one does nothing to the other.
    GROUPS = "239.7.7.1", "239.7.7.2", "ff15::7:1", "ff15::7:2"

    def setUp(self):
        super().setUp()
        for namespace, name, address in ((self.here, "lm0", "fd77::1"), (self.there, self.far, "fd77::2")):
            netns.ip("-n", namespace, "addr", "add", f"{address}/64", "dev", name, "nodad")
        with netns.inside(self.there):
            self.wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
            self.wire.bind((self.far, ETH_P_ALL))
            self.wire.setblocking(False)
            self.mouth6 = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
            far = socket.if_nametoindex(self.far)
        self.mouth6.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, far)
        self.mouth = udp(self.there, self.THERE)
        self.mouth.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(self.THERE))
        with netns.inside(self.here):
            self.ours = socket.if_nametoindex("lm0")
            self.ears = {group: socket.socket(self.family(group), socket.SOCK_DGRAM) for group in self.GROUPS}
        for group, ear in self.ears.items():
            ear.bind((group, PORT))
            ear.settimeout(0.2)
        for each in (self.wire, self.mouth, self.mouth6, *self.ears.values()):
            self.addCleanup(each.close)
        # Links and addresses have settled, and their own groups are reported.
        time.sleep(0.3)
        self.reported()

    @staticmethod
    def family(group):
        return socket.AF_INET6 if ":" in group else socket.AF_INET

    def change(self, group, joins):
        """A program joins or leaves a group on lm0."""
        if ":" in group:
            what = socket.IPV6_JOIN_GROUP if joins else socket.IPV6_LEAVE_GROUP
            request = socket.inet_pton(socket.AF_INET6, group) + self.ours.to_bytes(4, "little")
            self.ears[group].setsockopt(socket.IPPROTO_IPV6, what, request)
        else:
            what = socket.IP_ADD_MEMBERSHIP if joins else socket.IP_DROP_MEMBERSHIP
            request = socket.inet_aton(group) + bytes(4) + self.ours.to_bytes(4, "little")
            self.ears[group].setsockopt(socket.IPPROTO_IP, what, request)

    def reported(self):
        """What reports on the wire say that have come from lm0 since the last look."""
        said = set()
        try:
            while True:
                frame, (_, _, kind, _, _) = self.wire.recvfrom(2000)
                if kind != socket.PACKET_OUTGOING:
                    said.update((what, str(group)) for what, group in records(frame))
        except BlockingIOError:
            return said

    def assert_reported(self, what, group):
        said = set()

        def is_there():
            said.update(self.reported())
            return (what, group) in said

        self.assertTrue(until(is_there), f"{what} {group} is not reported, but {said}; {self.said()}")

    def hears(self, group, attempt, patience=10):
        """Whether datagrams of all kinds to a group come to its program."""
        ear, mouth = self.ears[group], self.mouth6 if ":" in group else self.mouth
        for size in (100, 8000, 64_000):
            data = payload(size, attempt)

            def comes():
                mouth.sendto(data, (group, PORT))
                try:
                    return ear.recv(70_000) == data
                except TimeoutError:
                    return False

            if not any(comes() for _ in range(patience)):
                return False
        return True

    def assert_heard(self, groups, attempt):
        """These groups are heard, and no others."""
        for group in self.GROUPS:
            wanted = group in groups
            heard = self.hears(group, attempt, 10 if wanted else 1)
            self.assertEqual(heard, wanted, f"{group}, {attempt}; {self.said()}")

    def test_groups_are_followed_one_by_one(self):
        """Who joins is heard to do so on the wire, and hears; and so is who leaves, and hears no more. Joins outlive a
        killed lmd, and groups that are left while there is none stay left."""
        joined = []
        for i, group in enumerate(self.GROUPS):
            self.assert_heard(joined, 2 * i)
            self.change(group, True)
            self.assert_reported(JOINED, group)
            joined.append(group)
        self.assert_heard(joined, 20)
        for i, group in enumerate(self.GROUPS[::2]):
            self.change(group, False)
            self.assert_reported(LEFT, group)
            joined.remove(group)
            self.assert_heard(joined, 30 + i)

        self.daemon.signal(signal.SIGKILL)
        self.daemon.process.wait()
        self.daemon = self.lmd("again", self.here, ["--vdev=net_pcap0,iface=v0"]).ready()
        self.assertIn("found", self.daemon.out())
        self.assert_heard(joined, 40)
        # Also what is joined and left from now on.
        group = self.GROUPS[0]
        self.change(group, True)
        self.assert_reported(JOINED, group)
        self.assert_heard([*joined, group], 50)
        self.change(group, False)
        self.assert_reported(LEFT, group)
        self.assert_heard(joined, 60)

        self.daemon.signal(signal.SIGKILL)
        self.daemon.process.wait()
        left = joined.pop(0)
        self.change(left, False)
        self.daemon = self.lmd("at last", self.here, ["--vdev=net_pcap0,iface=v0"]).ready()
        self.assert_heard(joined, 70)
        self.nothing_reassembled(self.here)
