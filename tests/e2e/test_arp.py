"""ARP with hostile and with dying neighbours: net_tap, whose other end is a raw socket instead of the
kernel's stack.

The socket plays every other node: it answers, lies, and sees where lm-testpmd's frames go.
"""

import os
import socket
import struct
import time
import unittest

import wire
from netns import inside, ip
from test_tap import can_have_name_spaces
from testpmd import Case

OURS, PEER, THIRD = "198.18.0.1", "198.18.0.2", "198.18.0.3"
OWNER, LIAR, HEIR = (bytes((2, 0xAA, 0, 0, 0, n)) for n in (1, 2, 3))
GROUP = bytes((1, 0, 0x5E, 0, 0, 1))
BROADCAST = wire.BROADCAST
ETH_P_ALL = 3
PACKET_OUTGOING = 4
REQUEST, REPLY = 1, 2
# A tap's queue takes 500 frames.
AT_ONCE = 100


def packet_socket(case, namespace, interface):
    """A socket that sees all that passes an interface in a name space."""
    with inside(namespace):
        made = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
    made.bind((interface, 0))
    case.addCleanup(made.close)
    return made


class Node(Case):
    """One lm-testpmd on a tap device, and a socket on the other end of it."""

    def setUp(self):
        super().setUp()
        if not can_have_name_spaces():
            self.skipTest("needs root and network name spaces")
        self.namespace = f"lme{os.getpid()}-{id(self) & 0xFFFFFF:x}"
        ip("netns", "add", self.namespace)
        self.addCleanup(ip, "netns", "del", self.namespace)

    def start(self, *options):
        eal = ("--vdev=net_tap0,iface=lmtap0",)
        self.child = self.launch("lm", eal, f"--tx-ip={OURS},{PEER}", *options, netns=self.namespace)
        self.child.await_text("Port 0:")
        # The kernel's stack keeps out of it.
        ip("-n", self.namespace, "link", "set", "lmtap0", "arp", "off", "up", "mtu", "1500")
        self.socket = packet_socket(self, self.namespace, "lmtap0")
        # Who has which address, and answers when it is asked.
        self.owners = {}
        # Where questions went to, and for what.
        self.questions = []
        self.mac = None

    def say(self, operation, mac, sender, target, to=None):
        body = struct.pack("!HHBBH", 1, wire.TYPE_IPV4, 6, 4, operation) + mac + socket.inet_aton(sender)
        body += (to or bytes(6)) + socket.inet_aton(target)
        source = mac if not mac[0] & 1 else LIAR
        frame = (to or BROADCAST) + source + struct.pack("!H", wire.TYPE_ARP) + body
        self.socket.send(self.pad(frame.ljust(wire.MIN_FRAME, b"\0")))

    def pad(self, frame):
        """An ARP frame with the padding that these nodes use: a kernel's."""
        return frame

    def announce(self, mac, address):
        self.say(REQUEST, mac, address, address)

    def frames(self, seconds):
        """What lm-testpmd sends in this time; what it asks for is answered meanwhile."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            self.socket.settimeout(left)
            try:
                frame, (_, _, kind, _, _) = self.socket.recvfrom(1 << 16)
            except TimeoutError:
                return
            if kind == PACKET_OUTGOING:
                continue
            to, ether_type = frame[:6], struct.unpack("!H", frame[12:14])[0]
            if ether_type == wire.TYPE_ARP and struct.unpack("!H", frame[20:22])[0] == REQUEST:
                self.mac, address = frame[6:12], socket.inet_ntoa(frame[38:42])
                self.questions.append((time.monotonic(), to, address))
                for mac in self.owners.get(address, ()):
                    if to in (BROADCAST, mac):
                        self.say(REPLY, mac, address, OURS, frame[6:12])
            yield to, ether_type, frame

    def watch(self, seconds, until=None):
        """Where its datagrams went, in order, without repetitions; ends early when the last went there."""
        went = []
        for to, ether_type, frame in self.frames(seconds):
            if ether_type == wire.TYPE_IPV4 and frame[23] == wire.PROTO_UDP:
                if went[-1:] != [to]:
                    went.append(to)
                if to == until:
                    break
        return went

    def tx(self, *options):
        """It sends, to the owner of its peer's address."""
        self.start("--forward-mode=tx", "--txsize=64", "--tx-interval=2000", *options)
        self.owners[PEER] = [OWNER]
        self.watch(10, until=OWNER)
        self.watch(0.1)
        self.questions.clear()

    def finish(self):
        self.assertEqual(self.child.stop(), 0, str(self.child))
        summary = self.child.summary()
        self.pools_are_level(summary)
        return summary


class Arp(Node):
    """What it makes of what they say."""

    def test_invented_senders_lock_nobody_out(self):
        self.start("--forward-mode=tx", "--txsize=64", "--tx-interval=2000")
        for i in range(1500):
            self.say(REQUEST, bytes((2, 0xBB, 0, 0, i >> 8, i & 255)), f"11.0.{i >> 8}.{i & 255}", OURS)
            if i % AT_ONCE == 0:
                self.watch(0.02)
        self.watch(0.5)
        self.say(REQUEST, OWNER, PEER, OURS)
        answered = [to for to, ether_type, _ in self.frames(1) if ether_type == wire.TYPE_ARP and to == OWNER]
        self.assertTrue(answered, f"the peer is not answered: {self.child}")
        # It says who it is, and that is believed at once.
        self.assertEqual(self.watch(2, until=OWNER)[-1], OWNER, str(self.child))
        self.assertGreater(self.finish()["arp"]["evicted"], 1000)

    def test_liars_move_nobody_who_answers(self):
        self.tx()
        lies = [
            lambda: self.say(REPLY, LIAR, PEER, OURS),
            lambda: self.say(REPLY, LIAR, PEER, OURS, self.mac),
            lambda: self.announce(LIAR, PEER),
            lambda: self.say(REQUEST, LIAR, PEER, OURS),
            lambda: self.say(REQUEST, LIAR, PEER, THIRD),
            lambda: self.say(REPLY, LIAR, PEER, THIRD),
            lambda: self.announce(GROUP, PEER),
            lambda: self.announce(BROADCAST, PEER),
            lambda: self.announce(bytes(6), PEER),
            lambda: self.announce(self.mac, PEER),
        ]
        for lie in lies:
            lie()
            self.assertEqual(self.watch(0.7), [OWNER], str(self.child))
        self.assertEqual({to for _, to, _ in self.questions}, {OWNER}, "the owner alone is asked")
        self.assertEqual(len(self.questions), 7)
        arp = self.finish()["arp"]
        self.assertEqual((arp["claims"], arp["moved"], arp["malformed"]), (7, 0, 3))

    def test_a_flood_of_claims_costs_two_questions_a_second(self):
        self.tx()
        until = time.monotonic() + 3
        while time.monotonic() < until:
            for mac in (LIAR, HEIR, OWNER):
                self.announce(mac, PEER)
            self.assertIn(self.watch(0.01), ([], [OWNER]), str(self.child))
        self.assertLessEqual(len(self.questions), 8)
        self.finish()

    def test_an_announcement_after_a_fail_over(self):
        self.tx()
        # A liar first, whom the owner answers; then it dies.
        self.announce(LIAR, PEER)
        self.watch(0.1)
        self.owners[PEER] = [HEIR]
        began = time.monotonic()
        self.announce(HEIR, PEER)
        went = self.watch(5, until=HEIR)
        took = time.monotonic() - began
        self.assertEqual(went, [OWNER, HEIR], str(self.child))
        self.assertGreater(took, 0.9, "the old one was given a second to answer")
        self.assertLess(took, 2, "it takes two seconds at most")
        self.assertGreaterEqual(sum(to == OWNER for at, to, _ in self.questions if at > began), 3)
        self.assertEqual(self.watch(1), [HEIR])
        self.assertEqual(self.finish()["arp"]["moved"], 1)
        self.assertIn("02:AA:00:00:00:03", self.child.err().upper())

    def test_a_fail_over_while_it_sends_all_that_it_can(self):
        self.start("--forward-mode=tx", "--txsize=7168")
        # What is sent is far too much for this socket: it sees ARP alone.
        self.socket.close()
        with inside(self.namespace):
            self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(wire.TYPE_ARP))
        self.socket.bind(("lmtap0", wire.TYPE_ARP))
        self.addCleanup(self.socket.close)
        self.owners[PEER] = [OWNER]
        for _ in self.frames(1):
            pass
        self.assertIn(BROADCAST, [to for _, to, _ in self.questions])
        self.owners[PEER] = [HEIR]
        self.questions.clear()
        began = time.monotonic()
        self.announce(HEIR, PEER)
        for to, _, _ in self.frames(5):
            if to == HEIR:
                break
        took = time.monotonic() - began
        self.assertEqual([to for _, to, _ in self.questions], [OWNER] * 3 + [HEIR])
        self.assertTrue(0.9 < took < 2, f"{took} s")
        self.assertEqual(self.finish()["arp"]["moved"], 1)

    def test_our_own_address_in_use_is_said_once(self):
        self.tx()
        for mac in (LIAR, HEIR, LIAR):
            self.announce(mac, OURS)
            self.say(REPLY, mac, OURS, PEER)
        # Who only asks whether it is free is told that it is not.
        self.say(REQUEST, HEIR, "0.0.0.0", OURS)
        answers = [
            f for to, kind, f in self.frames(1) if kind == wire.TYPE_ARP and to == HEIR and f[21] == REPLY
        ]
        self.assertEqual([socket.inet_ntoa(f[28:32]) for f in answers], [OURS])
        summary = self.finish()
        self.assertEqual(summary["arp"]["conflicts"], 6)
        lines = [line for line in self.child.err().upper().splitlines() if f"{OURS} IS OUR ADDRESS" in line]
        self.assertEqual(len(lines), 1, self.child.err())
        for mac in (LIAR, self.mac):
            self.assertIn(mac.hex(":").upper(), lines[0])
        self.assertIn("conflicts: 6", self.child.out())

    def test_what_nobody_asked_for_is_not_believed_later(self):
        self.start("--forward-mode=echo")
        self.owners[THIRD] = [OWNER]
        for _ in range(3):
            self.say(REPLY, LIAR, THIRD, OURS)
            self.announce(LIAR, THIRD)
            self.say(REQUEST, LIAR, THIRD, PEER)
        self.watch(0.2)
        flow = wire.Flow(THIRD, OURS, 7000, 9, OWNER, BROADCAST)
        self.socket.send(wire.ipv4(flow, wire.udp(flow, b"who is it?")))
        self.assertEqual(self.watch(3, until=OWNER), [OWNER], str(self.child))
        self.assertEqual([(to, what) for _, to, what in self.questions], [(BROADCAST, THIRD)])
        self.finish()

    def test_datagrams_of_invented_senders_are_a_bounded_number_of_questions(self):
        self.start("--forward-mode=echo")
        began = time.monotonic()
        for i in range(1500):
            flow = wire.Flow(f"11.0.{i >> 8}.{i & 255}", OURS, 7000, 9, LIAR, BROADCAST)
            self.socket.send(wire.ipv4(flow, wire.udp(flow, b"x"), ident=i))
            if i % AT_ONCE == 0:
                self.watch(0.01)
        self.watch(1)
        took = time.monotonic() - began
        self.assertLessEqual(len(self.questions), 101 + took * 1000)
        # And a real one still finds its way.
        self.owners[THIRD] = [OWNER]
        self.say(REQUEST, OWNER, THIRD, OURS)
        flow = wire.Flow(THIRD, OURS, 7000, 9, OWNER, BROADCAST)
        until = time.monotonic() + 5
        found = False
        while not found and time.monotonic() < until:
            self.socket.send(wire.ipv4(flow, wire.udp(flow, b"y")))
            found = OWNER in self.watch(0.7, until=OWNER)
        self.assertTrue(found, str(self.child))
        self.finish()


if __name__ == "__main__":
    unittest.main()
