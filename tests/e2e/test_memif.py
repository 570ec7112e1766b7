"""net_memif between two processes: tx to rx, ping to echo, with and without the zero-copy ring."""

import os
import random
import signal
import subprocess
import tempfile
import time
import unittest
from itertools import accumulate

import sizes
import wire
from testpmd import HUGE_VA, NO_HUGE, Case, free_hugepages, memories

SEED = 11
# Slots in a ring, as a power of two.
RING = 10
A, B = "198.18.0.1", "198.18.0.2"
MAC_A, MAC_B = "02:00:00:00:00:0a", "02:00:00:00:00:0b"
SERVER = (f"--tx-ip={A},{B}", "--tx-udp=7000,9000", f"--eth-peer=0,{MAC_B}")
CLIENT = (f"--tx-ip={B},{A}", "--tx-udp=9000,7000", f"--eth-peer=0,{MAC_A}")
# Two ends that close at the same moment crash net_memif of DPDK 22.11, in EAL's interrupt thread.
APART = 0.3
# Seconds that the frames of a datagram wait for one another.
PATIENCE = 1.0


class Pair(Case):
    """A server and a client with one socket."""

    def setUp(self):
        super().setUp()
        # A path that fits into a socket address, whatever the test is called.
        self.socket = os.path.join(tempfile.gettempdir(), f"lme{os.getpid()}-{id(self):x}.sock")
        self.addCleanup(lambda: os.path.exists(self.socket) and os.unlink(self.socket))

    def eal(self, role, **arguments):
        words = {
            "role": role,
            "id": 0,
            "socket": self.socket,
            "socket-abstract": "no",
            "rsize": RING,
            **arguments
        }
        return ("--vdev=net_memif0," + ",".join(f"{k}={v}" for k, v in words.items()),)

    def server(self, memory, *options, **how):
        mac = {"mac": MAC_A}
        return self.launch("server", self.eal("server", **mac), *SERVER, f"--seed={SEED}", *options,
                           memory=memory, **{
                               "core": 0,
                               **how
                           }).await_text("Port 0:")

    def client(self, memory, *options, core=1):
        mac = {"mac": MAC_B}
        if memory is not NO_HUGE:
            mac["zero-copy"] = "yes"
        return self.launch("client", self.eal("client", **mac), *CLIENT, f"--seed={SEED}", *options,
                           memory=memory, core=core)

    def pools_are_level(self, summary, memory):
        """Level, or all that misses is what the zero-copy driver had posted: net_memif never frees that (its
        memif_rx_queue_release, DPDK 22.11 to 24.11)."""
        posted = 0 if memory is NO_HUGE else 1 << RING
        missing = summary["pool_before"] - summary["pool_after"]
        self.assertTrue(0 <= missing <= posted, f"{missing} mbufs of the landing pool are missing")

    def check_log(self, child, want, source, destination):
        messages = child.messages()
        pattern = wire.Pattern(SEED)
        for i, (m, n) in enumerate(zip(messages, want)):
            self.assertEqual((m["len"], m["sha256"]), (n, wire.sha256(pattern.payload(i, n))),
                             f"datagram {i}: {child.summary().drops()}: {child}")
            self.assertEqual((m["src"], m["dst"]), (source, destination))
        self.assertEqual(len(messages), len(want), f"{child.summary().drops()}: {child}")
        return messages


    def lost_and_counted(self, child, summary, want):
        """What a sender that had not run for longer than frames wait may cost: what is delivered is as sent
        and in order, and what is not is counted."""
        lost = len(want) - summary["datagrams"]
        print(f"    {lost} of {len(want)} datagrams lost: {summary.drops()}", flush=True)
        self.assertGreater(summary.drops().get("lost_frame", 0), 0, str(child))
        pattern = wire.Pattern(SEED)
        due = ((n, wire.sha256(pattern.payload(i, n))) for i, n in enumerate(want))
        for m in child.messages():
            self.assertTrue(any((m["len"], m["sha256"]) == one for one in due),
                            f"{m} was not sent, or out of order")


class Memif(Pair):
    """What both ends say of thousands of datagrams: methods are added below."""


class ClientFirst(Pair):
    def test_a_client_that_is_there_before_its_server(self):
        client = self.client(NO_HUGE, "--forward-mode=ping", "--txsize=100,7168", "--count=20")
        time.sleep(0.5)
        server = self.server(NO_HUGE, "--forward-mode=echo")
        self.assertEqual(client.fine(30).summary()["datagrams"], 20)
        time.sleep(APART)
        self.assertEqual(server.stop(), 0)


class SlowServer(Pair):
    @unittest.skipIf("hugepages" not in memories(), "no hugepages")
    def test_a_server_that_has_no_cpu_when_it_is_asked(self):
        """A zero-copy client can't ask again: DPDK 22.11 closes EAL's files when it is stopped in the midst
        of the handshake.
        """
        server = self.server(HUGE_VA, "--forward-mode=echo")
        server.signal(signal.SIGSTOP)
        client = self.client(HUGE_VA, "--forward-mode=ping", "--txsize=100,7168", "--count=20")
        time.sleep(2)
        server.signal(signal.SIGCONT)
        self.assertEqual(client.fine(30).summary()["datagrams"], 20)
        time.sleep(APART)
        self.assertEqual(server.stop(), 0)


# Descriptors of a ring, with a burst that may be taken before the layout changes; and datagrams that are
# needed.
FIRST_SLOTS, FIRST_DATAGRAMS = 1024 + 32, 16


def pass_on(memory, *options, rounds=1, meanwhile=None):
    """What the server's tx engine sends, the client's rx engine receives; `meanwhile` is done to the
    server.
    """

    def test(self):
        once = sizes.every_kind(sampled=600)
        want = once * rounds
        # At its prompt the server stays until the client has gone.
        server = self.server(memory, "-i", "--forward-mode=tx", sizes.listed(once), f"--count={len(want)}",
                             stdin=subprocess.PIPE)
        client = self.client(memory, "--forward-mode=rx", f"--count={len(want)}", "--stop-after-idle=3000",
                             *options)
        server.process.stdin.write(b"start\n")
        server.process.stdin.flush()
        longest = meanwhile(server, client) if meanwhile else 0
        summary = client.fine(60).summary()
        time.sleep(APART)
        server.process.stdin.close()
        server.fine(20)
        if longest > 0.9 * PATIENCE and summary["datagrams"] < len(want):
            self.lost_and_counted(client, summary, want)
            return
        messages = self.check_log(client, want, f"{A}:7000", f"{B}:9000")
        self.assertEqual(summary.drops(), {})
        self.assertEqual(summary["frames"] - summary["foreign"], server.summary()["sent_frames"])
        # In separate slots they come in pieces.
        elsewhere = sum(m["copied"] > 0 or m["pieces"] > 1 for m in messages)
        if "--slots=separate" not in options:
            # One at each wrap of the region, which is mapped twice only where no other process writes to it.
            wraps = summary["frames"] * wire.STRIDE // (4 << 20) + 1 if memory is not NO_HUGE else 0
            # Slots overlap when LM's datagrams have said that LM alone sends, and a ring later.
            self.assertEqual((summary["to_overlapping"], summary["to_separate"]), (1, 0))
            frames = accumulate(m["fragments"] for m in messages if m["fragments"] > 1)
            first = sum(n <= FIRST_SLOTS for n in frames) + FIRST_DATAGRAMS
            self.assertLessEqual(elsewhere, wraps + first)
        self.pools_are_level(summary, memory)
        self.pools_are_level(server.summary(), NO_HUGE)

    return test


class Idle:
    """How long a process did not run before it ran again, at most, as far as one sees who looks now and
    then.
    """

    def __init__(self, pid):
        self.path = f"/proc/{pid}/schedstat"
        self.ran, self.since, self.longest = self.cpu_time(), time.monotonic(), 0

    def cpu_time(self):
        with open(self.path, encoding="ascii") as file:
            return int(file.read().split()[0])

    def look(self):
        ran, now = self.cpu_time(), time.monotonic()
        if ran != self.ran:
            self.longest = max(self.longest, now - self.since)
            self.ran, self.since = ran, now


def stopped_now_and_then(server, client):
    """The server's process loses the CPU again and again, wherever it is, for longer than a frame may be
    under way. The longest time in seconds for which it did not run: on a busy machine it waits for the CPU,
    too, and what it had begun to send is given up after PATIENCE."""
    rng = random.Random(1)
    # Not while they shake hands.
    while client.running() and not (client.log_path.exists() and client.log_path.stat().st_size):
        time.sleep(0.001)
    idle, began = Idle(server.process.pid), time.monotonic()
    while client.running() and time.monotonic() < began + 60:
        if time.monotonic() < began + 5:
            server.signal(signal.SIGSTOP)
            time.sleep(0.004)
            server.signal(signal.SIGCONT)
        time.sleep(rng.random() * 0.004)
        idle.look()
    print(f"    did not run for {idle.longest * 1000:.0f} ms at most", flush=True)
    return idle.longest


def ping_pong(memory, *options):
    """The client pings, the server echoes: every payload compared, at both ends."""

    def test(self):
        want = sizes.boundaries() * 4 + list(range(1, 65_508, 131))
        server = self.server(memory, "--forward-mode=echo", *options)
        client = self.client(memory, "--forward-mode=ping", sizes.listed(want), f"--count={len(want)}",
                             *options)
        client.fine(60)
        time.sleep(APART)
        self.assertEqual(server.stop(), 0, str(server))
        summary = client.summary()
        self.assertEqual(sum(p["count"] for p in summary["ping"]), len(want))
        self.assertEqual([p for p in summary["ping"] if p["lost"] or p["mismatched"]], [])
        self.check_log(client, want, f"{A}:7000", f"{B}:9000")
        self.check_log(server, want, f"{B}:9000", f"{A}:7000")
        for one in (summary, server.summary()):
            self.assertEqual(one.drops(), {})
            self.pools_are_level(one, memory)

    return test


KINDS = {"plain, --no-huge": NO_HUGE}
if free_hugepages() >= 64:
    KINDS["zero-copy client, hugepages"] = HUGE_VA

for name, memory in KINDS.items():
    for burst in (1, 32):
        setattr(Memif, f"test_tx_to_rx, {name}, burst {burst}", pass_on(memory, f"--burst={burst}"))
        setattr(Memif, f"test_ping_and_echo, {name}, burst {burst}", ping_pong(memory, f"--burst={burst}"))
    setattr(Memif, f"test_a_sender_that_is_stopped_now_and_then, {name}",
            pass_on(memory, rounds=6, meanwhile=stopped_now_and_then))
    setattr(Memif, f"test_tx_to_rx, {name}, separate slots", pass_on(memory, "--slots=separate"))
    setattr(Memif, f"test_ping_and_echo, {name}, separate slots", ping_pong(memory, "--slots=separate"))

if __name__ == "__main__":
    unittest.main()
