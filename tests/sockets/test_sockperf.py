"""sockperf through two lmd: every way of waiting for a socket, to one receiver and to a group. It compares what comes back
with what it sent.
"""

import os
import re
import statistics
import subprocess
import unittest

from lmd import MemifWire, core, needs, run, until, veth

GROUP = "239.7.7.8"
# Of the comparison with the kernel.
ROUNDS = int(os.environ.get("LM_SOCKPERF_ROUNDS") or 0)
# As its -F names them: select, poll, epoll; and recvfrom, which waits for one socket.
WAYS = {"s": 2, "p": 2, "e": 2, "r": 1}


class Sockperf(MemifWire):
    far = "lm0"

    def start(self, namespace, what, feed, way, *words):
        """A client or a server for the sockets in `feed`."""
        ours = self.HERE if namespace == self.here else self.THERE
        command = ["sockperf", what, "-f", str(feed), "-F", way, "--mc-rx-if", ours, "--mc-tx-if", ours, *words]
        with open(self.where / f"{feed.name}-{what}", "w") as out:
            child = subprocess.Popen(["ip", "netns", "exec", namespace, *command], stdout=out, stderr=subprocess.STDOUT)
        self.addCleanup(lambda: (child.kill(), child.wait()))
        return child

    @needs("sockperf")
    def test_all_ways(self):
        """All at once, each with its own ports: questions of 100 to 63,900 bytes for a second, and their answers."""
        feeds, port = {}, 11111
        for address in (self.THERE, GROUP):
            for way, sockets in WAYS.items():
                feed = feeds[address, way] = self.where / f"{address}-{way}"
                feed.write_text("".join(f"U:{address}:{port + n}\n" for n in range(sockets)))
                port += sockets
        for (_, way), feed in feeds.items():
            self.start(self.there, "server", feed, way)
        ports = port - 11111
        self.assertTrue(until(lambda: run(self.there, "ss", "-Huln")[1].count(":111") == ports), "not all servers listen")
        words = ("-t", "1", "-m", "32000", "-r", "31900", "--data-integrity")
        clients = [self.start(self.here, "ping-pong", feed, way, *words) for (_, way), feed in feeds.items()]
        for client, (which, feed) in zip(clients, feeds.items()):
            code = client.wait(20)
            said = (self.where / f"{feed.name}-ping-pong").read_text()
            self.assertEqual(code, 0, f"{which}: {said}; {self.said()}")
            self.assertIn("# dropped messages = 0; # duplicated messages = 0; # out-of-order messages = 0", said, which)
            self.assertGreater(int(re.search(r"Valid Duration.*ReceivedMessages=(\d+)", said)[1]), 0, which)
        self.nothing_reassembled(self.here)
        self.nothing_reassembled(self.there)


@unittest.skipUnless(ROUNDS, "LM_SOCKPERF_ROUNDS is not set")
class Latency(MemifWire):
    """One way, half of a round trip, through two lmd that sleep when they are idle, and through two kernels over a veth:
    one program and one lmd on each of two CPUs.
    """

    far = "lm0"

    def half(self, address, size):
        """The median in microseconds."""
        def words(cpu, *more):
            return ["taskset", "-c", str(core(cpu)), "sockperf", *more, "-i", address]

        server = subprocess.Popen(["ip", "netns", "exec", self.there, *words(1, "server")], stdout=subprocess.DEVNULL,
                                  stderr=subprocess.STDOUT)
        try:
            self.assertTrue(until(lambda: ":11111" in run(self.there, "ss", "-Huln")[1]), "no server")
            code, said = run(self.here, *words(0, "ping-pong", "-t", "2", "-m", str(size)))
        finally:
            server.kill()
            server.wait()
        self.assertEqual(code, 0, f"{said}; {self.said()}")
        return float(re.search(r"percentile 50.000 =\s+([\d.]+)", said)[1])

    @needs("sockperf")
    def test_latency(self):
        veth((self.here, "w0", "10.90.0.1"), (self.there, "w1", "10.90.0.2"))
        print(f"    client and one lmd on CPU {core(0)}, server and the other one on CPU {core(1)}")
        found = {}
        for _ in range(ROUNDS):
            for size in (64, 64_000):
                for wire, address in (("kernel", "10.90.0.2"), ("lmd", self.THERE)):
                    found.setdefault((size, wire), []).append(self.half(address, size))
        for size in (64, 64_000):
            kernel, ours = (statistics.median(found[size, wire]) for wire in ("kernel", "lmd"))
            print(f"    {size} bytes one way: kernel {kernel:.1f} µs, two lmd {ours:.1f} µs, {ours / kernel:.2f} times; "
                  f"all: {found[size, 'kernel']} {found[size, 'lmd']}")
