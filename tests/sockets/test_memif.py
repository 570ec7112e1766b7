"""Two lmd over net_memif: neither kernel sees a fragment."""

import re
import time

import netns
from common import Common
from lmd import FORWARD, MemifWire, payload, run, show, udp, until



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
