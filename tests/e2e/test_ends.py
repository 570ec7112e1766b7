"""How lm-testpmd ends: what is lost is an exit code, no output holds it up, and nothing of a run is left
behind.
"""

import contextlib
import os
import pathlib
import pty
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
import unittest

import wire
from test_errors import NULL, ONE_LINE
from test_memif import Pair
from testpmd import (BINARY, HUGE_VA, HUGEPAGES, NO_HUGE, ROOT, Case, dead_hugepages, free_hugepages,
                     hugepages_or_why)

FLOW = wire.Flow()


class Kept(Case):
    """One that receives out of a capture file."""

    def capture(self, frames, name="in.pcap"):
        path = self.where / name
        wire.write_pcap(path, frames)
        return (f"--vdev=net_pcap0,rx_pcap={path},tx_pcap={self.where}/out.pcap",)

    def datagrams(self, n, size=100):
        frames = [
            wire.ipv4(FLOW, wire.udp(FLOW,
                                     i.to_bytes(4, "big") * (size // 4)), ident=i) for i in range(n)
        ]
        return self.capture(frames)

    def fails(self, child, *says, code=1, seconds=20):
        """It ends with this code, and the last thing that it says has these words."""
        self.assertEqual(child.wait(seconds), code, str(child))
        line = child.err().splitlines()[-1]
        self.assertTrue(ONE_LINE.fullmatch(line + "\n"), line)
        for word in says:
            self.assertIn(word, line)


class Output(Kept):
    def test_a_full_disk(self):
        eal = self.datagrams(20)
        for option in ("--message-log", "--summary"):
            with self.subTest(option=option):
                child = self.launch(option, eal, "--slots=separate", "--stop-after-idle=300",
                                    f"{option}=/dev/full", reports=False)
                self.fails(child, "/dev/full is not complete", "No space left")
        with open("/dev/full", "wb") as full:
            child = self.launch("stdout", eal, "--stop-after-idle=300", stdout=full, reports=False)
            self.assertEqual(child.wait(20), 1)

    def test_a_fifo_that_nobody_reads(self):
        for option in ("--message-log", "--summary"):
            with self.subTest(option=option):
                path = self.where / option.strip("-")
                os.mkfifo(path)
                child = self.launch(option, NULL, "--stop-after-idle=300", f"{option}={path}", reports=False)
                self.fails(child, str(path), "start its reader first", code=2, seconds=5)

    def test_a_fifo_that_is_read(self):
        path = self.where / "fifo"
        os.mkfifo(path)
        lines = []
        reader = threading.Thread(target=lambda: lines.extend(path.read_text().splitlines()))
        reader.start()
        time.sleep(0.2)
        self.launch("rx", self.datagrams(3000), "--slots=separate", "--stop-after-idle=300",
                    f"--message-log={path}", log=False).fine(20)
        reader.join(5)
        self.assertEqual(len(lines), 3000)

    def test_a_reader_that_stops_reading_does_not_stop_the_data(self):
        path = self.where / "fifo"
        os.mkfifo(path)
        # A reader that never reads.
        reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        self.addCleanup(os.close, reader)
        child = self.launch("rx", self.datagrams(3000), "--slots=separate", "--stop-after-idle=300",
                            f"--message-log={path}", log=False)
        self.fails(child, str(path), "is not complete", "of 3000 lines are missing")
        summary = child.summary()
        self.assertEqual(summary["datagrams"], 3000, "all was received")
        self.assertLess(summary["elapsed_ns"], 2e9)
        self.pools_are_level(summary)

    def test_a_full_pipe_does_not_stop_the_data(self):
        # Verbose lines of 5000 datagrams are more than a pipe holds.
        commands = self.where / "commands"
        commands.write_text("set verbose 1\nstart\n")
        reader, writer = os.pipe()
        eal = self.datagrams(5000)
        child = self.launch("rx", eal, "--slots=separate", f"--cmdline-file={commands}",
                            "--stop-after-idle=60000", log=True, stdout=writer)
        os.close(writer)
        until = time.monotonic() + 15
        while time.monotonic() < until and not self.has_lines(child, 5000):
            time.sleep(0.05)
        self.assertTrue(self.has_lines(child, 5000), "the data stopped when nobody read the output")
        text = []
        drain = threading.Thread(target=lambda: text.append(self.read_all(reader)))
        drain.start()
        self.assertEqual(child.stop(), 0)
        drain.join(5)
        shown = text[0].count(b" length=")
        lost = re.search(rb"(\d+) lines about datagrams are not shown", text[0])
        self.assertIsNotNone(lost, "what is not shown is said")
        self.assertEqual(shown + int(lost.group(1)), 5000)
        self.pools_are_level(child.summary())

    @staticmethod
    def has_lines(child, n):
        return child.log_path.exists() and child.log_path.read_bytes().count(b"\n") == n

    @staticmethod
    def read_all(fd):
        text = b""
        while part := os.read(fd, 1 << 16):
            text += part
        os.close(fd)
        return text


class Losses(Kept):
    def test_a_ping_that_loses_everything(self):
        eal = (f"--vdev=net_pcap0,tx_pcap={self.where}/out.pcap",)
        peer = "--eth-peer=0,02:00:00:00:00:01"
        for name, options in (("counted", ("--count=2",)), ("waiting", ("--stop-after-idle=300",)),
                              ("any", ("--count=1", "--max-loss=100"))):
            with self.subTest(name=name):
                child = self.launch(name, eal, "--forward-mode=ping", peer, *options)
                self.fails(child, "not one ping came back")
                self.pools_are_level(child.summary())
        child = self.launch("signal", eal, "--forward-mode=ping", peer).await_text("ping forwarding")
        time.sleep(1.5)
        child.signal(signal.SIGTERM)
        self.fails(child, "not one ping came back")

    def test_percentages_are_checked(self):
        for value in ("101", "-1", "+1", "1e1", "nan", "", "1%"):
            with self.subTest(value=value):
                child = self.launch("wrong", NULL, "--forward-mode=ping", f"--max-loss={value}",
                                    reports=False)
                self.fails(child, "0 to 100", code=2)
        child = self.launch("rx", NULL, "--max-loss=1", reports=False)
        self.fails(child, "--forward-mode=rx", code=2)


class MaxLoss(Pair):
    def test_too_many_lost(self):
        """The server goes away in the midst of the pings."""
        server = self.server(NO_HUGE, "--forward-mode=echo")
        client = self.client(NO_HUGE, "--forward-mode=ping", "--txsize=100", "--tx-interval=20000",
                             "--count=60", "--max-loss=1")
        time.sleep(1)
        server.signal(signal.SIGSTOP)
        time.sleep(2.5)
        server.signal(signal.SIGCONT)
        self.assertEqual(client.wait(30), 1, str(client))
        self.assertRegex(client.err().splitlines()[-1], r"of 60 pings \(.*--max-loss=1 may be")
        summary = client.summary()
        self.assertTrue(1 <= summary["lost"] < 60, summary["lost"])
        time.sleep(0.3)
        server.stop()

    def test_few_lost(self):
        server = self.server(NO_HUGE, "--forward-mode=echo")
        self.client(NO_HUGE, "--forward-mode=ping", "--txsize=100", "--count=50", "--max-loss=0.5").fine(20)
        time.sleep(0.3)
        self.assertEqual(server.stop(), 0)

    def test_a_peer_that_never_comes(self):
        began = time.monotonic()
        child = self.server(NO_HUGE, "--forward-mode=rx", "--stop-after-idle=500")
        self.assertEqual(child.wait(15), 0, str(child))
        self.assertTrue(5 < time.monotonic() - began < 10)
        self.assertIn("no link has come up", child.err())
        self.assertEqual(child.summary()["datagrams"], 0)

    def test_a_peer_that_goes_away(self):
        """What is to be sent waits for it, and that is nothing to stay for."""
        server = self.server(NO_HUGE, "--forward-mode=tx", "--stop-after-idle=1000")
        client = self.client(NO_HUGE, "--forward-mode=rx")
        client.await_text("rx forwarding")
        time.sleep(1)
        self.assertEqual(client.stop(), 0)
        self.assertGreater(client.summary()["datagrams"], 0)
        self.assertEqual(server.wait(10), 0, str(server))
        summary = server.summary()
        self.assertGreater(summary["unsent"], 0, "what waited for it is counted")
        self.assertLess(summary["unsent"], summary["sent_frames"])

    @unittest.skipUnless(*hugepages_or_why(64))
    def test_a_peer_that_is_killed_leaves_mbufs_with_the_zero_copy_driver(self):
        """net_memif never gives them back. That is known, and a user can do nothing about it."""
        server = self.server(HUGE_VA, "--forward-mode=rx")
        client = self.client(HUGE_VA, "--forward-mode=tx")
        client.await_text("tx forwarding")
        time.sleep(1)
        server.signal(signal.SIGKILL)
        server.process.wait(5)
        self.assertEqual(client.stop(), 0)
        self.assertGreater(client.summary()["unsent"] + client.summary()["sent_frames"], 0)
        for word in ("mbufs", "owners"):
            self.assertNotIn(word, client.err())

    def test_a_peer_that_comes_late_is_waited_for(self):
        server = self.server(NO_HUGE, "--forward-mode=echo", "--stop-after-idle=1000")
        time.sleep(2.5)
        self.client(NO_HUGE, "--forward-mode=ping", "--txsize=100", "--count=20").fine(20)
        self.assertEqual(server.wait(10), 0, str(server))
        self.assertEqual(server.summary()["datagrams"], 20)


@contextlib.contextmanager
def hangups(action):
    """What is launched here meets hangups in this way, however the tests were started: nohup makes all ignore them."""
    before = signal.signal(signal.SIGHUP, action)
    try:
        yield
    finally:
        signal.signal(signal.SIGHUP, before)


class Ends(Kept):
    def test_yield_after_does_not_keep_it_from_ending(self):
        for option in ("--yield-after=4294967295", "--yield-after=0"):
            with self.subTest(option=option):
                began = time.monotonic()
                self.launch("rx", self.datagrams(3), "--stop-after-idle=300", option).fine(10)
                self.assertLess(time.monotonic() - began, 6)

    def test_sighup_ends_it_in_order(self):
        with hangups(signal.SIG_DFL):
            child = self.launch("rx", NULL, "--forward-mode=tx")
        child.await_text("tx forwarding on ports 0")
        time.sleep(0.3)
        child.signal(signal.SIGHUP)
        self.assertEqual(child.wait(10), 0, str(child))
        self.assertIn("Accumulated forward statistics for all ports", child.out())
        summary = child.summary()
        self.assertGreater(summary["sent_datagrams"], 0)
        self.pools_are_level(summary)

    def test_a_terminal_that_is_closed_ends_it_in_order(self):
        for options in (("-i", "--forward-mode=tx", "-a"), ("--forward-mode=tx",)):
            with self.subTest(options=options):
                master, slave = pty.openpty()
                with hangups(signal.SIG_DFL):
                    child = self.launch("-".join(options), NULL, *options, stdin=slave, stdout=slave)
                os.close(slave)
                text = b""
                until = time.monotonic() + 15
                while b"forwarding on ports 0" not in text and time.monotonic() < until:
                    text += os.read(master, 1 << 16)
                time.sleep(0.3)
                os.close(master)
                # The session's leader gets it from the kernel; this one's terminal is not its own.
                child.signal(signal.SIGHUP)
                self.assertEqual(child.wait(10), 0, str(child))
                self.assertGreater(child.summary()["sent_datagrams"], 0)
                self.pools_are_level(child.summary())

    def test_under_nohup_it_stays(self):
        with hangups(signal.SIG_IGN):
            child = self.launch("rx", NULL, "--forward-mode=rx")
        child.await_text("rx forwarding on ports 0")
        child.signal(signal.SIGHUP)
        time.sleep(0.5)
        self.assertTrue(child.running())
        self.assertEqual(child.stop(), 0)


@unittest.skipUnless(free_hugepages() >= 64, "there are no hugepages")
class Hugepages(Case):
    def files(self, child):
        return sorted(pathlib.Path(HUGEPAGES).glob(f"{child.prefix}map_*"))

    def test_nothing_is_left_of_a_run_that_ended(self):
        for memory in (HUGE_VA, ("-m", "64"), ("-m", "64", "--legacy-mem")):
            with self.subTest(memory=memory):
                child = self.launch("rx", NULL, memory=memory).await_text("forwarding on ports 0")
                self.assertNotEqual(self.files(child), [])
                self.assertEqual(child.stop(), 0, str(child))
                self.assertEqual(self.files(child), [])
                self.assertNotIn("cannot be removed", child.err())

    def test_nothing_is_left_of_what_was_refused(self):
        for eal in ((), ("--vdev=net_nonsense0",), ("--vdev=net_ring0",)):
            with self.subTest(eal=eal):
                child = self.launch("refused", eal, memory=HUGE_VA, reports=False)
                self.assertEqual(child.wait(20), 2, str(child))
                self.assertEqual(self.files(child), [])

    def test_a_dead_run_is_found_and_named(self):
        dead = self.launch("dead", NULL, memory=HUGE_VA).await_text("forwarding on ports 0")
        living = self.launch("living", NULL, memory=HUGE_VA).await_text("forwarding on ports 0")
        dead.process.kill()
        dead.process.wait()
        self.assertNotEqual(self.files(dead), [])
        time.sleep(1.1)
        stem = f"{HUGEPAGES}/{dead.prefix}map_"
        self.assertEqual(dead_hugepages().get(stem), 32)
        self.assertNotIn(f"{HUGEPAGES}/{living.prefix}map_", dead_hugepages())
        script = subprocess.run([ROOT / "tests/scripts/hugepages.sh"], capture_output=True, text=True,
                                timeout=20)
        self.assertIn(f"{stem}* (1 files)", script.stdout)
        self.assertIn(f"{stem}* (32)", hugepages_or_why(1 << 30)[1])
        child = self.launch("next", NULL, memory=HUGE_VA).await_text("forwarding on ports 0")
        self.assertRegex(
            child.err(),
            rf"runs that had ended without removing them were taken back: .*{stem}\* \(1 files, 64 MB\)")
        self.assertNotIn(living.prefix, child.err())
        self.assertEqual((child.stop(), living.stop()), (0, 0))


class Demo(Case):
    def test_a_demo_that_fails_says_what_was_dropped_and_keeps_what_it_names(self):
        # An echo that does not, and few pings.
        wrapper = self.where / "lm-testpmd"
        wrapper.write_text(
            '#!/bin/bash\nargs=()\nfor a in "$@"; do case $a in --count=*) a=--count=2;; '
            f'--forward-mode=echo) a=--forward-mode=rx;; esac; args+=("$a"); done\nexec {BINARY} "${{args[@]}}"\n'
        )
        wrapper.chmod(0o755)
        done = subprocess.run([sys.executable, "-B", ROOT / "tests/e2e/demo.py"], capture_output=True,
                              text=True, timeout=60, env={
                                  **os.environ, "LM_TESTPMD": str(wrapper)
                              })
        self.assertEqual(done.returncode, 1, done.stdout + done.stderr)
        self.assertIn("not one ping came back", done.stderr)
        self.assertIn("dropped by ping: {'lost': 2}", done.stderr)
        self.assertIn("dropped by echo: nothing", done.stderr)
        folder = pathlib.Path(done.stderr.rsplit("what both ends wrote is in ", 1)[1].strip())
        self.addCleanup(shutil.rmtree, folder, ignore_errors=True)
        named = pathlib.Path(re.search(r"\(everything: (.*)\)", done.stderr).group(1))
        self.assertTrue(named.is_dir() and folder in named.parents, f"{named} in {folder}")
        self.assertTrue((named / "stderr").read_text())
        if not free_hugepages():
            self.assertIn("no zero-copy rings: ", done.stdout)


if __name__ == "__main__":
    unittest.main()
