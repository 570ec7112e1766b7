"""Receive modes: nothing is slept through, sleeping saves the CPU, and whoever wants something is heard
meanwhile. net_tap has receive interrupts; the laboratory has those of cards."""

import os
import signal
import subprocess
import time
import unittest

import netpipe
import sizes
import test_tap
from netns import inside
from test_tap import LM, LM_PORT, OURS
from testpmd import Case, Failed

MODES = ("poll", "interrupt", "adaptive")
# Where interrupts are due, and no other frame ends a sleep.
IDLE = 1.5


class Modes(test_tap.Tap):
    def echo(self, s, n):
        p = os.urandom(n)
        s.send(p)
        try:
            got = s.recv(1 << 16)
        except TimeoutError:
            raise Failed(f"no echo of {n} bytes") from None
        self.assertTrue(got == p, f"the echo of {n} bytes is {len(got)} others")

    def life(self, mode):
        """Echoes at once and after pauses, and an idle spell; the part of the time that the loop had the
        CPU.
        """
        child = self.start("--forward-mode=echo", "--slots=separate", f"--rx-mode={mode}")
        self.tell(child, "start")
        s = self.socket()
        s.connect((LM, LM_PORT))
        for n in sizes.boundaries():
            self.echo(s, n)
        for pause in (0.0005, 0.0015, 0.003, 0.012):
            for _ in range(5):
                time.sleep(pause)
                self.echo(s, 7168)
        s.close()
        time.sleep(IDLE)
        self.tell(child, "show lm stats all")
        child.await_text("LM-RX-datagrams", 5)
        summary = self.finish(child)
        self.assertEqual(summary.drops(), {})
        self.assertEqual(summary["datagrams"], len(sizes.boundaries()) + 20)
        self.pools_are_level(summary)
        self.assertGreater(summary["elapsed_ns"], IDLE * 1e9)
        self.assertGreater(summary["cpu_ns"], 0)
        return summary["cpu_ns"] / summary["elapsed_ns"]

    def test_every_echo_comes_and_sleeping_saves_the_cpu(self):
        cpu = {mode: self.life(mode) for mode in MODES}
        print("    CPU of the loop: " + ", ".join(f"{mode} {100 * part:.1f} %" for mode, part in cpu.items()),
              flush=True)
        for mode in ("interrupt", "adaptive"):
            self.assertLess(cpu[mode], 0.25, cpu)

    def test_stop_and_start_again(self):
        child = self.start("--forward-mode=echo", "--slots=separate", "--rx-mode=interrupt")
        s = self.socket()
        s.connect((LM, LM_PORT))
        for _ in range(3):
            self.tell(child, "start")
            child.await_text("echo forwarding")
            self.knows(child)
            self.echo(s, 7168)
            self.tell(child, "stop")
            self.tell(child, "port stop 0")
            self.tell(child, "port start 0")
            time.sleep(0.3)
            subprocess.run(["ip", "-n", self.namespace, "link", "set", "lmtap0", "up"], check=True,
                           timeout=20)
        summary = self.finish(child)
        self.assertEqual(summary["datagrams"], 3, str(child))
        self.pools_are_level(summary)

    def test_the_pause_between_two_pings_is_slept(self):
        with inside(self.namespace):
            child = self.launch("lm", ("--vdev=net_tap0,iface=lmtap0", ), *OURS, "--forward-mode=tx",
                                "--txsize=64", "--tx-interval=20000", "--count=50", "--rx-mode=interrupt",
                                "--eth-peer=0,02:00:00:00:00:01", netns=self.namespace)
            child.fine(30)
        summary = child.summary()
        self.assertEqual(summary["sent_datagrams"], 50)
        # 49 intervals; who sleeps past its time would take longer.
        self.assertGreater(summary["elapsed_ns"], 0.97e9)
        self.assertLess(summary["cpu_ns"], summary["elapsed_ns"] / 4)

    def test_idle_ends_statistics_come_and_a_signal_is_heard(self):
        child = self.launch("idle", ("--vdev=net_tap0,iface=lmtap0", ), *OURS, "--rx-mode=interrupt",
                            "--stop-after-idle=1500", "--stats-period=1", netns=self.namespace)
        child.fine(20)
        self.assertIn("LM statistics for port 0", child.out())
        child = self.launch("signal", ("--vdev=net_tap0,iface=lmtap1", ), *OURS, "--rx-mode=adaptive",
                            netns=self.namespace)
        child.await_text("forwarding on")
        time.sleep(0.3)
        began = time.monotonic()
        child.signal(signal.SIGINT)
        self.assertEqual(child.wait(10), 0, str(child))
        self.assertLess(time.monotonic() - began, 5)


class Refused(Case):
    """Who cannot interrupt says so, and what to do."""

    def test_devices_without_an_interrupt(self):
        for vdev in ("net_null0", f"net_memif0,role=server,socket={self.where}/m,socket-abstract=no"):
            for mode in ("interrupt", "adaptive"):
                with self.subTest(vdev=vdev, mode=mode):
                    child = self.launch("refused", (f"--vdev={vdev}",), f"--rx-mode={mode}", reports=False)
                    self.assertEqual(child.wait(20), 2, str(child))
                    self.assertRegex(
                        child.err(),
                        r"\Alm-testpmd: [^\n]*cannot interrupt: [^\n]*no receive interrupt[^\n]*poll"
                        r"[^\n]*\n\Z")

    def test_netpipe_too(self):
        child = netpipe.Netpipe(self.where / "refused", ["--vdev=net_null0"], "--rx-mode=interrupt")
        self.children.append(child)
        self.assertEqual(child.wait(20), 2, str(child))
        self.assertIn("no receive interrupt", child.err())

    def test_words_that_are_none(self):
        for option, says in (("--rx-mode=sleep", "adaptive"), ("--rx-idle=never", "rx-idle")):
            child = self.launch("refused", ("--vdev=net_null0",), option, reports=False)
            self.assertEqual(child.wait(20), 2, str(child))
            self.assertIn(says, child.err())



if __name__ == "__main__":
    unittest.main()
