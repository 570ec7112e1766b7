"""What goes wrong before it begins is one line and exit code 2; signals, the prompt and the command file."""

import os
import pathlib
import pty
import re
import select
import signal
import subprocess
import termios
import time
import unittest

import wire
from testpmd import BINARY, HUGEPAGES, NO_HUGE, RUNTIME, Case, Failed, free_hugepages

NULL = ("--vdev=net_null0",)
ONE_LINE = re.compile(r"lm-testpmd: [^\n]+\n")


class Wrong(Case):
    """One line on standard error that says what to do, exit code 2, and nothing left behind."""

    def refuse(self, eal, *options, says, memory=NO_HUGE, **how):
        child = self.launch("refused", eal, *options, memory=memory, reports=False, **how)
        code = child.wait(20)
        err = child.err()
        self.assertTrue(ONE_LINE.fullmatch(err), f"not one line: {child}")
        for word in (says,) if isinstance(says, str) else says:
            self.assertIn(word, err)
        self.assertEqual(code, 2, str(child))
        return err

    def test_an_unknown_option(self):
        self.refuse(NULL, "--frobnicate", says=("--frobnicate", "--help"))

    def test_values_out_of_range(self):
        for option, says in (("--burst=0", "burst"), ("--burst=513", "512"), ("--forward-mode=io",
                                                                              "rx, tx, ping, echo"),
                             ("--txsize=0", "65507"), ("--txsize=65508", "65507"), ("--txsize=9-1", "65507"),
                             ("--mtu=575", "576..=9216"), ("--mtu=9217", "576..=9216"),
                             ("--eth-peer=0,zz", "PORT,MAC"), ("--tx-ip=1.2.3.4", "SRC,DST"),
                             ("--tx-udp=9,70000", "SRC,DST"), ("--require=luck", "headers, checksum, tags"),
                             ("--slots=wide", "overlapping or separate"), ("--checksum=half", "full or zero"),
                             ("--rxd=0", "rxd"), ("--count=-1", "whole number"),
                             ("--rxd=\x1b[2J", "\\u{1b}[2J"), ("--reassembly=0", "1..=256"),
                             ("--reassembly=257", "1..=256"),
                             ("--count=0", "count"), ("--total-num-mbufs=10", "544"), ("stray", "stray"),
                             ):
            with self.subTest(option=option):
                self.refuse(NULL, option, says=says)

    def test_a_wrong_eal_option(self):
        self.refuse((*NULL, "--no-such-eal-option"), says="--no-such-eal-option")

    def test_a_stray_word_before_the_dashes(self):
        self.refuse((*NULL, "stray"), says="stray")

    def test_no_ports(self):
        self.refuse((), says=("no port", "--vdev"))

    def test_the_version_of_dpdk_does_not_explain_why_there_are_no_ports(self):
        err = self.refuse(("-v",), says=("no port", "give it a device before --"))
        self.assertNotIn("RTE Version", err)

    def test_a_card_that_is_not_there(self):
        self.refuse(("-a", "ffff:ff:1f.7"), says=("there is no PCI device ffff:ff:1f.7",))

    def test_a_device_that_is_misspelt(self):
        self.refuse(("--vdev=net_tab0",), says=("net_tab0", "--vdev a driver's name with a number"))

    def test_an_unknown_port(self):
        self.refuse(NULL, "--eth-peer=7,02:00:00:00:00:01", says=("port 7", "0"))

    def test_an_unknown_device(self):
        self.refuse(("--vdev=net_nonsense0",), says="net_nonsense0")

    def test_a_missing_capture_file(self):
        self.refuse((f"--vdev=net_pcap0,rx_pcap={self.where}/missing.pcap",), says="missing.pcap")

    def test_devices_that_do_not_honour_posted_buffers(self):
        path = self.where / "x.pcap"
        wire.write_pcap(path, [wire.arp(wire.Flow())])
        self.refuse((f"--vdev=net_pcap0,rx_pcap={path},infinite_rx=1",), says=("net_pcap", "infinite_rx"))
        self.refuse(("--vdev=net_ring0",), says=("net_ring", "net_memif"))
        if os.geteuid() == 0:
            self.refuse(("--vdev=net_af_packet0,iface=lo",), says=("net_af_packet", "defragment"))

    def test_files_that_cannot_be_written_or_read(self):
        for option in ("--message-log", "--summary", "--cmdline-file"):
            with self.subTest(option=option):
                self.refuse(NULL, f"{option}=/no/such/directory/file", says="/no/such/directory/file")

    def test_not_enough_memory_without_hugepages(self):
        self.refuse(NULL, memory=("--no-huge", "-m", "8"), says="-m")

    def test_not_enough_memory_for_reassembly(self):
        self.refuse(NULL, "--reassembly=256", memory=("--no-huge", "-m", "24"),
                    says=("--reassembly=256", "288 buffers", "-m"))

    @unittest.skipUnless(free_hugepages(), "there are no hugepages")
    def test_more_hugepages_than_there_are(self):
        total = int(pathlib.Path("/proc/sys/vm/nr_hugepages").read_text())
        self.refuse(NULL, memory=("-m", str(total * 2 + 64)), says="hugepages")

    def test_hugepages_in_a_place_where_there_are_none(self):
        self.refuse((*NULL, f"--huge-dir={self.where}"), memory=("-m", "64"), says="hugepages")

    @unittest.skipUnless(free_hugepages() >= 64, "there are no hugepages")
    def test_the_same_file_prefix_twice(self):
        first = self.launch("first", NULL, memory=("-m", "64"), reports=False).await_text("Port 0:")
        self.refuse(NULL, memory=("-m", "64"), file_prefix=first.prefix, says="--file-prefix")
        self.assertEqual(first.stop(), 0, "the first one goes on")

    def test_a_socket_that_somebody_listens_on(self):
        path = f"/tmp/lme{os.getpid()}-busy.sock"
        self.addCleanup(lambda: os.path.exists(path) and os.unlink(path))
        eal = (f"--vdev=net_memif0,role=server,id=0,socket-abstract=no,socket={path}",)
        first = self.launch("first", eal, reports=False).await_text("Port 0:")
        self.refuse(eal, says=path)
        self.assertEqual(first.stop(), 0)

    def test_a_server_that_is_not_there(self):
        eal = (
            f"--vdev=net_memif0,role=client,id=0,socket-abstract=no,socket=/tmp/lme{os.getpid()}-none.sock", )
        self.refuse(eal, says=eal[0].rsplit("=", 1)[1])

    def test_nothing_is_left_of_what_was_refused(self):
        child = self.launch("refused", (), reports=False, memory=NO_HUGE)
        child.wait(20)
        self.assertEqual(list(pathlib.Path(HUGEPAGES).glob(f"{child.prefix}map_*")), [])
        self.assertLessEqual(len(list(pathlib.Path(RUNTIME, child.prefix).glob("*"))), 8)

    def test_help_and_version(self):
        for words, says in ((["--", "--help"], "--forward-mode"), (["--version"], "lm-testpmd "), (["--help"],
                                                                                                   "EAL")):
            done = subprocess.run([BINARY, *words], capture_output=True, text=True, timeout=20)
            self.assertEqual(done.returncode, 0, words)
            self.assertIn(says, done.stdout, words)


class Terminal:
    """A pseudo terminal with lm-testpmd on it."""

    def __init__(self, case, *options, eal=NULL):
        self.master, self.slave = pty.openpty()
        self.before = termios.tcgetattr(self.slave)
        self.child = case.launch("pty", eal, *options, stdin=self.slave, stdout=self.slave)
        self.seen = ""
        case.addCleanup(self.close)

    def close(self):
        for fd in (self.master, self.slave):
            os.close(fd)

    def read(self, seconds):
        if select.select([self.master], [], [], seconds)[0]:
            self.seen += os.read(self.master, 1 << 16).decode(errors="replace")
            return True
        return False

    def expect(self, text, seconds=15):
        """Reads on until this text is there, and gives what came up to it."""
        until = time.monotonic() + seconds
        while text not in self.seen:
            left = until - time.monotonic()
            if left <= 0 or not self.read(left):
                raise Failed(f"no {text!r} on the terminal:\n{self.seen}")
        before, self.seen = self.seen.split(text, 1)
        return before

    def type(self, line):
        os.write(self.master, line.encode() + b"\r")

    def ask(self, line):
        """Types a command at the prompt and gives what it answers, up to the next prompt."""
        self.type(line)
        self.expect(line)
        return self.expect("testpmd> ")

    def wait(self, seconds=15):
        """Its exit code. What it writes is read meanwhile, or it would block."""
        until = time.monotonic() + seconds
        while self.child.running() and time.monotonic() < until:
            self.read(0.05)
        code = self.child.wait(1)
        while self.read(0.1):
            pass
        return code

    def is_restored(self):
        return termios.tcgetattr(self.slave) == self.before


class Signals(Case):
    def end_by(self, number):
        child = self.launch("rx", NULL, "--forward-mode=rx").await_text("rx forwarding on ports 0")
        child.signal(number)
        self.assertEqual(child.wait(10), 0, str(child))
        self.assertIn("Accumulated forward statistics for all ports", child.out())
        self.assertIn("Bye...", child.out())
        summary = child.summary()
        self.assertEqual(summary["forward_mode"], "rx")
        self.pools_are_level(summary)

    def test_sigint_ends_it_in_order(self):
        self.end_by(signal.SIGINT)

    def test_sigterm_ends_it_in_order(self):
        self.end_by(signal.SIGTERM)

    def test_a_signal_while_sending_at_full_speed(self):
        child = self.launch("tx", NULL, "--forward-mode=tx",
                            "--txsize=1-65507").await_text("tx forwarding on ports 0")
        time.sleep(0.3)
        self.assertEqual(child.stop(), 0, str(child))
        summary = child.summary()
        self.assertGreater(summary["sent_datagrams"], 0)
        self.pools_are_level(summary)

    def test_a_second_signal_ends_it_at_once(self):
        # The first one can't be done with quickly: the main thread writes to a pipe that nobody reads.
        reader, writer = os.pipe()
        child = self.launch("tx", NULL, "--forward-mode=rx", "--stats-period=1", stdout=writer)
        self.addCleanup(os.close, reader)
        until = time.monotonic() + 15
        text = b""
        while b"forwarding on ports 0" not in text and time.monotonic() < until:
            text += os.read(reader, 4096)
        os.set_blocking(writer, False)
        try:
            while True:
                os.write(writer, b"." * 4096)
        except BlockingIOError:
            pass
        os.set_blocking(writer, True)
        os.close(writer)
        child.signal(signal.SIGINT)
        time.sleep(0.5)
        self.assertTrue(child.running(), "it should hang in its statistics: nobody reads them")
        began = time.monotonic()
        child.signal(signal.SIGINT)
        code = child.wait(5)
        self.assertLess(time.monotonic() - began, 1)
        self.assertEqual(code, 128 + signal.SIGINT)

    def test_the_terminal_is_restored_after_a_signal(self):
        for number in (signal.SIGINT, signal.SIGTERM):
            with self.subTest(signal=number):
                terminal = Terminal(self, "-i")
                terminal.expect("testpmd> ")
                self.assertFalse(terminal.is_restored(),
                                 "the prompt edits its line: the terminal is in raw mode")
                terminal.child.signal(number)
                self.assertEqual(terminal.wait(), 0, terminal.seen)
                self.assertTrue(terminal.is_restored(), "the terminal is as it was")
                self.assertIn("Bye...", terminal.seen)

    def test_the_terminal_is_restored_after_two_signals(self):
        terminal = Terminal(self, "-i", "--forward-mode=tx", "-a")
        terminal.expect("testpmd> ")
        terminal.child.signal(signal.SIGINT)
        terminal.child.signal(signal.SIGINT)
        self.assertIn(terminal.wait(), (0, 128 + signal.SIGINT))
        self.assertTrue(terminal.is_restored())

    def test_control_c_at_the_prompt(self):
        terminal = Terminal(self, "-i")
        terminal.expect("testpmd> ")
        os.write(terminal.master, b"\x03")
        self.assertEqual(terminal.wait(), 0, terminal.seen)
        self.assertTrue(terminal.is_restored())

    def test_enter_ends_it_without_a_prompt(self):
        child = self.launch("rx", NULL, "--forward-mode=rx", stdin=subprocess.PIPE)
        child.await_text("rx forwarding on ports 0")
        time.sleep(0.2)
        self.assertTrue(child.running())
        child.process.stdin.write(b"\n")
        child.process.stdin.close()
        self.assertEqual(child.wait(10), 0)

    def test_statistics_come_in_time(self):
        child = self.launch("tx", NULL, "--forward-mode=tx",
                            "--stats-period=1").await_text("NIC statistics for port 0")
        child.await_text("LM-TX-datagrams")
        self.assertEqual(child.stop(), 0)

    def test_it_ends_when_it_is_idle(self):
        began = time.monotonic()
        self.launch("rx", NULL, "--forward-mode=tx", "--count=5", "--stop-after-idle=200").fine(15)
        self.assertLess(time.monotonic() - began, 10)


class Prompt(Case):
    def test_every_command(self):
        path = self.where / "frames.pcap"
        wire.write_pcap(path, wire.kernel_frames(wire.Flow(), 1, b"x" * 3000) + [wire.arp(wire.Flow())])
        eal = (f"--vdev=net_pcap0,rx_pcap={path},tx_pcap={self.where}/out.pcap",)
        terminal = Terminal(self, "-i", "--slots=separate", eal=eal)
        terminal.expect("testpmd> ")
        help_text = terminal.ask("help")
        for command in ("start", "stop", "quit", "port start", "port stop", "show port info",
                        "show port stats", "show port xstats", "clear port stats", "clear port xstats",
                        "show config", "show lm stats", "show lm region", "set fwd", "set burst",
                        "set txsize", "set verbose"):
            self.assertIn(command, help_text)
        self.assertIn("net_pcap", terminal.ask("show port info 0"))
        self.assertIn("rx forwarding", terminal.ask("show config fwd"))
        self.assertIn("RX desc=512", terminal.ask("show config rxtx"))
        self.assertIn("burst set to 4", terminal.ask("set burst 4"))
        self.assertIn("verbose level from 0 to 1", terminal.ask("set verbose 1"))
        self.assertIn("not started", terminal.ask("stop"))
        self.assertIn("rx forwarding on ports 0", terminal.ask("start"))
        self.assertIn("stop it first", terminal.ask("start"))
        time.sleep(0.3)
        stats = terminal.ask("show lm stats 0")
        self.assertRegex(stats, r"LM-RX-datagrams: 1 .*bytes: 3000")
        self.assertRegex(stats, r"LM-RX-copied: +0 .*foreign: 1")
        self.assertRegex(stats, r"LM-RX-in-pieces: +1 .*later: 0")
        self.assertRegex(terminal.ask("show port stats 0"), r"RX-packets: 4")
        self.assertIn("rx_good_packets: 4", terminal.ask("show port xstats 0"))
        region = terminal.ask("show lm region")
        self.assertIn("landing region of port 0", region)
        self.assertRegex(region, r"wraps: \d+ .*refused: 0")
        self.assertIn("stop", terminal.ask("port stop 0").lower(), "not while forwarding runs")
        self.assertIn("Accumulated forward statistics", terminal.ask("stop"))
        self.assertIn("cleared", terminal.ask("clear port stats 0"))
        self.assertRegex(terminal.ask("show port stats all"), r"RX-packets: 0")
        self.assertIn("cleared", terminal.ask("clear port xstats all"))
        self.assertIn("Set tx packet forwarding mode", terminal.ask("set fwd tx"))
        self.assertIn("64,7168", terminal.ask("set txsize 64,7168"))
        self.assertIn("Done", terminal.ask("port stop 0"))
        self.assertIn("No port is started", terminal.ask("start"))
        self.assertIn("Done", terminal.ask("port start 0"))
        for wrong, says in (("nonsense", "Command not found"), ("set burst 0", "Bad arguments"),
                            ("set fwd io", "rx, tx, ping, echo"), ("set txsize 70000", "65507"),
                            ("show port info 9", "Invalid port 9"), ("port start 0", "already"),
                            ("show port info", "Bad arguments")):
            self.assertIn(says, terminal.ask(wrong), wrong)
        terminal.type("quit")
        self.assertEqual(terminal.wait(), 0, terminal.seen)
        self.assertTrue(terminal.is_restored())
        self.assertIn("Bye...", terminal.seen)
        summary = terminal.child.summary()
        self.assertEqual((summary["datagrams"], summary["foreign"]), (1, 1))
        self.pools_are_level(summary)

    def test_completion_and_history(self):
        terminal = Terminal(self, "-i")
        terminal.expect("testpmd> ")
        os.write(terminal.master, b"show po\t")
        terminal.expect("show port")
        os.write(terminal.master, b"info 0\r")
        terminal.expect("net_null")
        terminal.expect("testpmd> ")
        os.write(terminal.master, b"\x1b[A")
        terminal.expect("show port info 0")
        os.write(terminal.master, b"\r")
        terminal.expect("net_null")
        terminal.expect("testpmd> ")
        os.write(terminal.master, b"\x04")
        self.assertEqual(terminal.wait(), 0, "the end of input is quit")
        self.assertTrue(terminal.is_restored())

    def test_a_command_file(self):
        path = self.where / "commands"
        path.write_text("# a comment\n\nset txsize 100\nset fwd tx\nshow config fwd\nnonsense\nquit\n")
        child = self.launch("file", NULL, f"--cmdline-file={path}").fine(15)
        self.assertIn("payload sizes=100", child.out())
        self.assertIn("Command not found: nonsense", child.err())
        self.assertIn("Bye...", child.out())

    def test_a_command_file_that_starts_and_goes_on(self):
        path = self.where / "commands"
        path.write_text("set fwd tx\nset txsize 100\nstart\n")
        child = self.launch("file", NULL, f"--cmdline-file={path}", "--count=10").fine(15)
        self.assertEqual(child.summary()["sent_datagrams"], 10)

    def test_commands_through_a_pipe(self):
        child = self.launch("pipe", NULL, "-i", "--eth-peer=0,02:00:00:00:00:01", stdin=subprocess.PIPE)
        child.process.stdin.write(b"set fwd tx\nshow config fwd\nstart\n")
        child.process.stdin.flush()
        child.await_text("tx forwarding on ports 0")
        time.sleep(0.2)
        child.process.stdin.write(b"show lm stats\nstop\nport stop all\nport start all\n")
        child.process.stdin.close()
        self.assertEqual(child.wait(15), 0, str(child))
        self.assertIn("tx forwarding", child.out())
        self.assertGreater(child.summary()["sent_datagrams"], 0)
        self.pools_are_level(child.summary())

    def test_ports_stop_and_start_while_nothing_is_lost(self):
        child = self.launch("pipe", NULL, "-i", "--forward-mode=tx", stdin=subprocess.PIPE)
        for _ in range(5):
            child.process.stdin.write(b"start\nstop\nport stop 0\nport start 0\n")
        child.process.stdin.close()
        self.assertEqual(child.wait(30), 0, str(child))
        self.assertEqual(child.err().count("lm-testpmd:"), 0, child.err())
        self.pools_are_level(child.summary())


if __name__ == "__main__":
    unittest.main()
