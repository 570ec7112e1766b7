"""Two lmd over net_memif: neither kernel sees a fragment."""

import contextlib
import re
import socket
import time

import netns
from common import Common
from lmd import FORWARD, MemifWire, Wire, core, is_settled, payload, run, show, udp, until, veth

ETH_P_ALL = 3


class Admitted(MemifWire):
    """The same with admission control: each asks the other before large datagrams go."""

    far = "lm0"
    def start_server(self, *options):
        return super().start_server("--ac=per-receiver", *options)

    def start_client(self, *options):
        return super().start_client(*(options or ["--ac=per-receiver"]))

    def admitted(self, child):
        [line] = [line for line in child.out().splitlines() if "with a grant=" in line]
        return tuple(int(n) for n in re.findall(r"with a grant=(\d+) ordinary=(\d+)", line)[0])

    def test_datagrams_go_with_a_grant(self):
        """All of all sizes arrive, the large ones with a grant; the kernels hear nothing of it."""
        # lmd looks up its address ten times a second.
        time.sleep(0.3)
        self.exchange(rounds=2)
        ends = [udp(self.here, self.HERE), udp(self.there, self.THERE)]
        for sender, receiver in (ends, ends[::-1]):
            for i in range(20):
                sender.sendto(payload(64_000, i), receiver.getsockname())
                self.receive(receiver, 1)
        code, said = run(self.here, "ping", "-c", "3", "-i", "0.2", "-W", "2", self.THERE)
        self.assertEqual(code, 0, said)
        for namespace in (self.here, self.there):
            self.nothing_reassembled(namespace)
            self.assertEqual(netns.counters("Udp", namespace)["NoPorts"], 0, "control messages for the kernel")
        self.counted()
        for child in (self.server, self.client):
            granted, ordinary = self.admitted(child)
            self.assertGreater(granted, 40, child)
            counted = self.tally(child)
            self.assertEqual(counted.get("datagrams to the wire, without leave", 0), 0, counted)
            self.assertEqual(granted + ordinary, counted["datagrams to the wire, cut by LM"], child)

    def test_another_that_has_none(self):
        """A peer without --ac gets its datagrams all the same, after half a second."""
        self.client.stop()
        self.client = self.start_client("--ac=off")
        self.settled()
        ends = [udp(self.here, self.HERE), udp(self.there, self.THERE)]
        for i in range(30):
            ends[0].sendto(payload(64_000, i), ends[1].getsockname())
            self.receive(ends[1], 1)
        self.counted()
        self.assertGreater(self.tally(self.server).get("datagrams to the wire, without leave", 0), 0, self.server)


    def test_who_waits_holds_up_nothing_else(self):
        """More datagrams than may wait for leave: a ping behind them does not."""
        self.client.stop()
        self.client = self.start_client("--ac=off")
        self.settled()
        code, said = run(self.here, "ping", "-c", "1", "-W", "2", self.THERE)
        self.assertEqual(code, 0, said)
        ends = [udp(self.here, self.HERE), udp(self.there, self.THERE)]
        for i in range(18):
            ends[0].sendto(payload(64_000, i), ends[1].getsockname())
        code, said = run(self.here, "ping", "-c", "1", "-W", "2", self.THERE)
        self.assertEqual(code, 0, said)
        self.assertLess(float(re.search(r"time=([\d.]+)", said)[1]), 250, said)
        got = [data for data, _ in self.receive(ends[1], 18)]
        self.assertEqual(got, [payload(64_000, i) for i in range(18)])
        self.counted()
        self.assertEqual(self.tally(self.server)["datagrams to the wire, without leave"], 18, self.server)


class AdmittedByMac(Wire):
    """Two lmd with admission control over net_pcap on a veth, one with a MAC address that is not its device's."""

    def test_all_that_it_sends_is_from_its_address(self):
        """Questions and grants, too: who answers reaches it, and a switch knows one address of it."""
        veth((self.here, "v0", None), (self.there, "v1", None))
        both = ((self.here, "v0", self.HERE, "02:00:00:00:00:77"), (self.there, "v1", self.THERE, "02:70:63:61:70:00"))
        for i, (namespace, name, address, mac) in enumerate(both):
            netns.ip("-n", namespace, "link", "set", name, "arp", "off")
            words = () if name == "v1" else (f"--mac={mac}",)
            self.lmd(name, namespace, [f"--vdev=net_pcap0,iface={name}"], "--ac=per-receiver", *words, core=core(i)).ready()
            netns.ip("-n", namespace, "addr", "add", f"{address}/24", "dev", "lm0")
        for namespace in (self.here, self.there):
            self.assertTrue(until(lambda: is_settled(namespace)), self.said())
        time.sleep(0.3)
        with netns.inside(self.there):
            seen = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
            seen.bind(("v1", ETH_P_ALL))
            seen.setblocking(False)
        sources = {}
        with seen, udp(self.here, self.HERE) as near, udp(self.there, self.THERE) as far:
            for i in range(20):
                for mouth, ear in ((near, far), (far, near)):
                    mouth.sendto(payload(64_000, i), ear.getsockname())
                    self.receive(ear, 1)
                with contextlib.suppress(BlockingIOError):
                    while True:
                        frame, (_, _, kind, _, _) = seen.recvfrom(2000)
                        # The kernel has IPv6 on the veth.
                        if frame[12:14] == b"\x08\x00":
                            sources.setdefault(kind == socket.PACKET_OUTGOING, set()).add(frame[6:12].hex(":"))
        self.assertEqual(sources, {False: {both[0][3]}, True: {both[1][3]}}, self.said())
        self.counted()
        for child in self.children:
            [line] = [line for line in child.out().splitlines() if "with a grant=" in line]
            self.assertGreater(int(re.search(r"with a grant=(\d+)", line)[1]), 10, child)


class Memif(Common, MemifWire):
    far = "lm0"

    def test_neither_kernel_reassembles(self):
        self.exchange(rounds=3)
        self.nothing_reassembled(self.here)
        self.nothing_reassembled(self.there)
        code = self.server.stop()
        self.assertEqual(code, 0, self.server)
        counted = self.tally(self.server)
        self.assertGreater(counted.get("datagrams from the wire, whole", 0), 30, counted)
        self.assertGreater(counted.get("datagrams to the wire, cut by LM", 0), 30, counted)
        self.assertFalse([name for name in counted if name.startswith("lost")], counted)
        # Each has seen the other's mark in its kernel's ARP frames.
        self.assertNotIn(FORWARD, counted)

    def test_what_is_routed_on_is_cut_by_the_kernel(self):
        """A host behind the other one: whole datagrams are cut there, with checksums that are right."""
        behind, address = self.behind()
        with udp(self.here, self.HERE) as mouth, udp(behind, address) as ear:
            for size in (100, 1472, 1473, 8000, 64_000, 65_507):
                mouth.sendto(payload(size, size), ear.getsockname())
                [(data, sender)] = self.receive(ear, 1)
                self.assertEqual(data, payload(size, size))
                ear.sendto(data, sender)
                self.receive(mouth, 1)

    def test_carrier(self):
        """Who pulls the cable sees it on lm0, and who plugs it in again."""
        self.client.stop()
        self.assertTrue(until(lambda: "NO-CARRIER" in show(self.here, "link", "show", "lm0")), self.said())
        self.client = self.start_client()
        self.settled()
        self.exchange(sizes=(100, 64_000))

    def test_idle(self):
        """Without traffic both take little of a CPU."""
        time.sleep(0.5)

        def share():
            before, began = self.busy(), time.monotonic()
            time.sleep(3)
            return (self.busy() - before) / (time.monotonic() - began) / 2

        # What else runs on the machine makes each wake-up dearer: the least of several.
        shares = [share()]
        while min(shares) >= 0.03 and len(shares) < 5:
            shares.append(share())
        print(f"    {100 * min(shares):.1f} % of a CPU, each")
        self.assertLess(min(shares), 0.03, "of a CPU, each")
