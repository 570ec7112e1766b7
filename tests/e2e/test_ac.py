"""Admission control between two lm-testpmds over net_memif: who is admitted lands without a copy."""

import re
import signal
import subprocess
import time
import unittest

import wire
from test_memif import A, APART, B, CLIENT, MAC_B, SEED, Pair
from testpmd import NO_HUGE, Failed

SIZES, COUNT = (64, 7168, 65507), 300


class Admission(Pair):
    """The client sends, the server lands."""

    def key(self, text):
        path = self.where / f"key-{text[:4]}"
        path.touch(0o600)
        path.write_text(text)
        return f"--ac-key-file={path}"

    def pair(self, receiver, sender, count=COUNT, sizes=SIZES, **how):
        """Both at their prompts, forwarding."""
        server = self.server(NO_HUGE, "-i", "-a", "--forward-mode=rx", *receiver, stdin=subprocess.PIPE,
                             **how)
        client = self.client(NO_HUGE, "--forward-mode=tx", "--txsize=" + ",".join(map(str, sizes)),
                             f"--count={count}", *sender, **how)
        return server, client

    def ask(self, server, command, pattern):
        """An answer at the prompt, which may have to be asked for again."""
        until = time.monotonic() + 10
        while time.monotonic() < until:
            server.process.stdin.write(command.encode() + b"\n")
            server.process.stdin.flush()
            time.sleep(0.3)
            found = re.findall(pattern, server.out())
            if found:
                return found[-1]
        raise Failed(f"no answer to {command}: {server}")

    def leave(self, server):
        time.sleep(APART)
        server.process.stdin.close()
        server.fine(20)

    def through_once(self, server, client):
        """One datagram takes one grant, and the ring is through once; again only if the lease ran out on a
        busy machine.
        """
        through = int(self.ask(server, "show ac", r"rings through=([1-9]\d*)"))
        self.assertLessEqual(through, 1 + client.err().count("has ended before its time"),
                             f"{server}\n{client}")

    def all_landed(self, server, count=COUNT):
        """All of it landed, in one piece and without a copy. If the machine was so busy that a lease ran out
        while its holder was sending, slots were switched in the midst of a datagram: that one may be lost,
        counted, and those behind it come in pieces; what was delivered is right in any case."""
        expired = int(self.ask(server, "show ac", r"expired=(\d+)"))
        self.leave(server)
        sent = [SIZES[i % len(SIZES)] for i in range(count)]
        if not expired:
            self.assertEqual(
                [m for m in self.check_log(server, sent, f"{B}:9000", f"{A}:7000")
                 if m["copied"] or m["pieces"] > 1], [])
            self.assertEqual(server.summary().drops(), {})
        pattern, i, missing = wire.Pattern(SEED), 0, 0
        for m in server.messages():
            while i < count and (m["len"], m["sha256"]) != (sent[i], wire.sha256(pattern.payload(i,
                                                                                                 sent[i]))):
                i, missing = i + 1, missing + 1
            self.assertLess(i, count, f"{m} was not sent, or twice, or out of order: {server}")
            i += 1
        missing += count - i
        self.assertLessEqual(missing, 2 * expired, f"{server.summary().drops()}: {server}")
        self.pools_are_level(server.summary(), NO_HUGE)
        return expired

    def test_exclusive(self):
        self.admitted("exclusive")

    def test_per_receiver(self):
        self.admitted("per-receiver")

    def admitted(self, policy):
        server, client = self.pair((f"--ac={policy}",), (f"--ac={policy}",))
        client.fine(30)
        self.ask(server, "show ac", r"opened=([1-9]\d*)")
        self.all_landed(server)

    def test_one_datagram_on_an_idle_port(self):
        """It lands, and the ring goes back to separate slots behind it."""
        server, client = self.pair(("--ac=exclusive",), ("--ac=exclusive", "--tx-stay"), 1, (7168,))
        self.through_once(server, client)
        self.assertEqual(self.ask(server, "show ac", r"landing queue 0: (.*)"), "Closed, held by nobody")
        self.assertEqual(client.stop(), 0)
        self.leave(server)
        (message,) = server.messages()
        self.assertEqual((message["len"], message["copied"], message["pieces"]), (7168, 0, 1), message)
        self.assertEqual(server.summary().drops(), {})

    def test_a_drain_that_is_asked_for(self):
        """It ends by itself; whether the ring is through does not matter."""
        server, client = self.pair(("--ac=exclusive", "--ac-drain=20000"), ("--ac=exclusive",), count=30)
        client.fine(30)
        self.ask(server, "show ac", r"opened=([1-9]\d*)")
        self.ask(server, "show ac", r"landing queue 0: (Closed)")
        self.assertEqual(self.ask(server, "show ac", r"rings through=(\d+)"), "0")
        self.all_landed(server, 30)

    def test_flush_frames_a_few_at_a_time(self):
        """A ring still gets through, and later."""
        slow = ("--ac=exclusive", "--ac-flush-gap=1000")
        server, client = self.pair(slow, (*slow, "--tx-stay"), 1, (7168,))
        self.through_once(server, client)
        self.assertEqual(client.stop(), 0)
        self.leave(server)
        (message,) = server.messages()
        self.assertEqual((message["len"], message["copied"], message["pieces"]), (7168, 0, 1), message)

    def test_control_lcore(self):
        """Both ends run admission control on an lcore of its own, and do what they do without one."""
        server, client = self.pair(("--ac=per-receiver", "--ac-lcore=1"),
                                   ("--ac=per-receiver", "--ac-lcore=1"), core="0,1")
        client.fine(60)
        self.assertIn("admission control on lcore 1", server.out())
        self.ask(server, "show ac", r"opened=([1-9]\d*)")
        self.assertEqual(self.ask(server, "show ac", r"lost in channels=(\d+)"), "0")
        self.all_landed(server)
        self.assertIn("admission control on lcore 1", client.out())

    def test_control_lcore_that_is_not_there(self):
        child = self.launch("alone", ("--vdev=net_null0",), "--ac=exclusive", "--ac-lcore=1", reports=False)
        self.assertEqual(child.wait(20), 2)
        self.assertRegex(child.err().strip(), r"^[^\n]*--ac-lcore=1 is no worker lcore[^\n]*$")

    def test_with_a_key(self):
        key = self.key("ab" * 32)
        server, client = self.pair(("--ac=per-receiver", key), ("--ac=per-receiver", key))
        client.fine(30)
        self.assertEqual(self.ask(server, "show ac", r"forged=(\d+)"), "0")
        self.all_landed(server)

    def test_without_the_key_nothing_is_granted(self):
        server, client = self.pair(("--ac=per-receiver", self.key("ab" * 32)),
                                   ("--ac=per-receiver", self.key("cd" * 32)))
        time.sleep(2)
        self.ask(server, "show ac", r"forged=([1-9]\d*)")
        self.assertEqual(self.ask(server, "show ac", r"opened=(\d+)"), "0", str(server))
        self.assertEqual(client.stop(), 0)
        self.leave(server)
        self.assertEqual(server.messages(), [])

    def test_a_sender_that_comes_back(self):
        """With the number after its last, kept on disk, and with any number: it is asked to prove its life,
        and admitted.
        """
        server = self.server(NO_HUGE, "-i", "-a", "--forward-mode=rx", "--ac=per-receiver",
                             stdin=subprocess.PIPE)
        state, numbers, count = self.where / "state", [], 30
        for life, options in enumerate([(f"--ac-state={state}",), (f"--ac-state={state}",), ()]):
            client = self.launch(f"life-{life}", self.eal("client", mac=MAC_B), *CLIENT, f"--seed={SEED}",
                                 "--forward-mode=tx", "--txsize=7168", f"--count={count}",
                                 "--ac=per-receiver", *options, memory=NO_HUGE, core=1)
            client.fine(30)
            numbers.append(int(re.fullmatch(r"lm-ac-incarnation (\d+)\n", state.read_text())[1]))
            self.assertGreaterEqual(int(self.ask(server, "show ac", r"opened=([1-9]\d*)")), life + 1)
        self.assertEqual(numbers, [numbers[0], numbers[0] + 1, numbers[0] + 1])
        self.assertEqual(self.ask(server, "show ac", r"lives of others proven=([1-9]\d*)"), "2")
        self.leave(server)
        self.assertEqual(len(server.messages()), 3 * count, server)

    def test_a_state_file_that_is_none(self):
        """It is not written over."""
        for text in ("root:x:0:0\n", "lm-ac-incarnation -1\n"):
            path = self.where / "none"
            path.write_text(text)
            child = self.launch("alone", ("--vdev=net_null0", ), "--ac=exclusive", f"--ac-state={path}",
                                reports=False)
            self.assertEqual(child.wait(20), 2)
            self.assertRegex(child.err().strip(),
                             r"^[^\n]*--ac-state=[^\n]* not a state file of lm-testpmd[^\n]*$")
            self.assertEqual(path.read_text(), text)

    def test_a_stream_keeps_its_grant(self):
        """A sender that keeps its queue full renews its lease all the same, until a grant's longest time, 1
        s.
        """
        count = 15_000
        server, client = self.pair(("--ac=per-receiver",), ("--ac=per-receiver",), count=count)
        client.fine(30)
        leases = client.summary()["elapsed_ns"] // 90_000_000
        ended = client.err().count("has ended before its time")
        print(f"    sent in {leases} leases, {ended} ended before their time")
        self.all_landed(server, count)
        # On a busy machine one or another may.
        self.assertLess(ended, max(1, leases / 2), client)

    def test_a_sender_that_stops_with_the_grant(self):
        count = 30_000
        # On the quickest machine it takes three seconds.
        server, client = self.pair(("--ac=per-receiver", ), ("--ac=per-receiver", "--tx-interval=100"),
                                   count=count)
        self.ask(server, "show ac", r"opened=([1-9]\d*)")
        # The lease is 100 ms.
        while client.running() and not int(self.ask(server, "show ac", r"expired=(\d+)")):
            client.signal(signal.SIGSTOP)
            time.sleep(0.3)
            client.signal(signal.SIGCONT)
            time.sleep(0.01)
        client.fine(180)
        self.assertGreater(self.all_landed(server, count), 0, "it never had a grant when it was stopped")


if __name__ == "__main__":
    unittest.main()
