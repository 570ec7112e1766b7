"""net_memif between two processes: tx to rx, ping to echo, with and without the zero-copy ring."""

import os
import tempfile
import unittest

import sizes
import wire
from testpmd import HUGE_VA, NO_HUGE, Case, free_hugepages

SEED = 11
A, B = "198.18.0.1", "198.18.0.2"
MAC_A, MAC_B = "02:00:00:00:00:0a", "02:00:00:00:00:0b"
SERVER = (f"--tx-ip={A},{B}", "--tx-udp=7000,9000", f"--eth-peer=0,{MAC_B}")
CLIENT = (f"--tx-ip={B},{A}", "--tx-udp=9000,7000", f"--eth-peer=0,{MAC_A}")


class Memif(Case):
    """A server and a client with one socket."""

    def setUp(self):
        super().setUp()
        # A path that fits into a socket address, whatever the test is called.
        self.socket = os.path.join(tempfile.gettempdir(), f"lme{os.getpid()}-{id(self):x}.sock")
        self.addCleanup(lambda: os.path.exists(self.socket) and os.unlink(self.socket))

    def eal(self, role, **arguments):
        words = {"role": role, "id": 0, "socket": self.socket, "socket-abstract": "no", "rsize": 10, **arguments}
        return ("--vdev=net_memif0," + ",".join(f"{k}={v}" for k, v in words.items()),)

    def server(self, memory, *options):
        mac = {"mac": MAC_A}
        return self.launch("server", self.eal("server", **mac), *SERVER, f"--seed={SEED}", *options, memory=memory,
                            core=0)

    def client(self, memory, *options):
        mac = {"mac": MAC_B}
        if memory is not NO_HUGE:
            mac["zero-copy"] = "yes"
        return self.launch("client", self.eal("client", **mac), *CLIENT, f"--seed={SEED}", *options, memory=memory,
                            core=1)

    def check_log(self, child, want, source, destination):
        messages = child.messages()
        pattern = wire.Pattern(SEED)
        for i, (m, n) in enumerate(zip(messages, want)):
            self.assertEqual((m["len"], m["sha256"]), (n, wire.sha256(pattern.payload(i, n))),
                             f"datagram {i}: {child.summary().drops()}: {child}")
            self.assertEqual((m["src"], m["dst"]), (source, destination))
        self.assertEqual(len(messages), len(want), f"{child.summary().drops()}: {child}")
        return messages


def pass_on(memory, *options):
    """What the server's tx engine sends, the client's rx engine receives."""

    def test(self):
        want = sizes.every_kind(sampled=600)
        server = self.server(memory, "--forward-mode=tx", sizes.listed(want), f"--count={len(want)}")
        client = self.client(memory, "--forward-mode=rx", f"--count={len(want)}", "--stop-after-idle=3000", *options)
        server.fine(90)
        summary = client.fine(30).summary()
        messages = self.check_log(client, want, f"{A}:7000", f"{B}:9000")
        self.assertEqual(summary.drops(), {})
        self.assertEqual(summary["frames"] - summary["foreign"], server.summary()["sent_frames"])
        copied = sum(m["copied"] > 0 for m in messages)
        if "--slots=separate" not in options:
            # One at each wrap of the region, which is mapped twice only where no other process writes to it.
            wraps = summary["frames"] * wire.STRIDE // (4 << 20) + 1 if memory is not NO_HUGE else 0
            self.assertLessEqual(copied, wraps)
        self.pools_are_level(summary)
        self.pools_are_level(server.summary())

    return test


def ping_pong(memory, *options):
    """The client pings, the server echoes: every payload compared, at both ends."""

    def test(self):
        want = sizes.boundaries() * 4 + list(range(1, 65_508, 131))
        server = self.server(memory, "--forward-mode=echo", *options)
        client = self.client(memory, "--forward-mode=ping", sizes.listed(want), f"--count={len(want)}", *options)
        client.fine(90)
        self.assertEqual(server.stop(), 0, str(server))
        summary = client.summary()
        self.assertEqual(sum(p["count"] for p in summary["ping"]), len(want))
        self.assertEqual([p for p in summary["ping"] if p["lost"] or p["mismatched"]], [])
        self.check_log(client, want, f"{A}:7000", f"{B}:9000")
        self.check_log(server, want, f"{B}:9000", f"{A}:7000")
        for one in (summary, server.summary()):
            self.assertEqual(one.drops(), {})
            self.pools_are_level(one)

    return test


KINDS = {"plain, --no-huge": NO_HUGE}
if free_hugepages() >= 64:
    KINDS["zero-copy client, hugepages"] = HUGE_VA

for name, memory in KINDS.items():
    for burst in (1, 32):
        setattr(Memif, f"test_tx_to_rx, {name}, burst {burst}", pass_on(memory, f"--burst={burst}"))
        setattr(Memif, f"test_ping_and_echo, {name}, burst {burst}", ping_pong(memory, f"--burst={burst}"))
    setattr(Memif, f"test_tx_to_rx, {name}, separate slots", pass_on(memory, "--slots=separate"))
    setattr(Memif, f"test_ping_and_echo, {name}, separate slots", ping_pong(memory, "--slots=separate"))

if __name__ == "__main__":
    unittest.main()
