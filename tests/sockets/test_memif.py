"""Two lmd over net_memif: neither kernel sees a fragment."""

import os
import pathlib
import time

from common import Common
from lmd import FORWARD, MemifWire, payload, show, udp, until


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

        def seconds():
            ticks = 0
            for child in (self.server, self.client):
                # The first child of `ip netns exec` and `nice` is lmd itself: they replace themselves.
                fields = pathlib.Path(f"/proc/{child.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
                ticks += int(fields[11]) + int(fields[12])
            return ticks / os.sysconf("SC_CLK_TCK")

        before, began = seconds(), time.monotonic()
        time.sleep(3)
        share = (seconds() - before) / (time.monotonic() - began) / 2
        self.assertLess(share, 0.03, "of a CPU, each")
