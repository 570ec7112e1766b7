"""What lmd refuses: one line, exit code 2, and nothing is changed."""

import fcntl
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import unittest.mock

import netns
from lmd import BINARY, Lmd, Wire, run, show, skip_unless_root, until
from testpmd import NO_HUGE, ROOT, prefix


class Refused(Wire):
    def setUp(self):
        skip_unless_root()
        super().setUp()

    def refused(self, eal, *options, words=()):
        child = Lmd(self.where / "refused", [*words, *eal], *options, netns=self.here)
        self.children.append(child)
        self.assertEqual(child.wait(20), 2, child)
        self.assertEqual(child.out(), "")
        said = child.err().splitlines()
        self.assertEqual(len(said), 1, said)
        return said[0]

    def test_words(self):
        for options, told in (
                (["--interface=a/b"], "a/b"),
                (["--interface="], "1 to 15"),
                (["--interface=this-is-too-long"], "this-is-too-long"),
                (["--mtu=100"], "576..=9216"),
                (["--mac=nonsense"], "nonsense"),
                (["--mac=ff:ff:ff:ff:ff:ff"], "ff:ff"),
                (["--rx-mode=never"], "never"),
                (["--what"], "--what"),
                (["stray"], "stray")):
            self.assertIn(told, self.refused(["--vdev=net_null0"], *options))
            self.assertNotIn("lm0", show(self.here, "link"))

    def test_devices(self):
        """Neither an interface nor anything else is left behind."""
        for eal, told in (
                ([], "-a 0000:01:00.0"),
                (["--vdev=net_null0", "--vdev=net_null1"], "EAL has 2 ports"),
                (["--vdev=net_ring0"], "net_ring"),
                (["--vdev=net_af_packet0,iface=lo"], "defragment"),
                (["--vdev=net_pcap0,iface=nowhere"], "nowhere"),
                (["--vdev=net_null0", "--frobnicate"], "frobnicate")):
            self.assertIn(told, self.refused(eal))
            self.assertNotIn("lm0", show(self.here, "link"))

    def test_too_little_memory(self):
        """Wherever the start finds it: for the port, for what it puts together, for lmd's own pools."""
        found = set()
        for megabytes in (8, 16, 24, 28, 32, 34):
            said = self.refused(["-m", str(megabytes), "--vdev=net_null0"])
            self.assertIn("memory", said, megabytes)
            self.assertNotIn("lm0", show(self.here, "link"), said)
            found.add(said.split('"')[1].rstrip("0123456789"))
        self.assertLessEqual({"heads_", "lmd_tcp_heads"}, found)

    def test_interfaces(self):
        netns.ip("-n", self.here, "link", "add", "lm0", "type", "veth", "peer", "name", "other")
        before = show(self.here, "link")
        self.assertIn("no TAP", self.refused(["--vdev=net_null0"]))
        self.assertEqual(show(self.here, "link"), before)

    def test_a_second_one(self):
        first = self.lmd("first", self.here, ["--vdev=net_null0"]).ready()
        before = show(self.here, "link")
        self.assertIn("attached to it already", self.refused(["--vdev=net_null0"]))
        self.assertEqual(show(self.here, "link"), before)
        self.assertEqual(first.stop(), 0)

    def test_a_file_of_options(self):
        """A file is checked and used; what is wrong in it is refused with its name, and nothing is changed."""
        file = self.where / "lmd.toml"
        for text, told in (("frob = 1", "frob"), ("mtu = 100", "576..=9216"), ("eal = 1", "list"), ("mtu", "line 1")):
            file.write_text(text)
            for words in ([], ["--check"]):
                said = self.refused(["--vdev=net_null0", f"--config={file}", *words])
                self.assertIn(told, said)
                self.assertIn("lmd.toml", said)
        file.write_text('eal = ["--vdev=net_null0"]\ninterface = "lm7"\nmtu = 1400\n')
        before = show(self.here, "link")
        checked = self.lmd("checked", self.here, ["--check", f"--config={file}"])
        self.assertEqual(checked.wait(20), 0, checked)
        self.assertIn("lm7", checked.out())
        self.assertEqual(show(self.here, "link"), before)
        for options, mtu in (((), 1400), (("--mtu=1300",), 1300)):
            child = self.lmd(f"mtu{mtu}", self.here, [f"--config={file}"], *options).ready("lm7")
            self.assertIn(f"MTU {mtu}", child.out())
            self.assertEqual(child.stop(), 0)

    def test_a_check_gives_nothing_back(self):
        """`--check` does nothing, whatever else is asked for: the card that a file names stays where it is."""
        store = self.where / "store"
        store.mkdir()
        (store / "eth9.json").write_text("what an lmd has written that was killed")
        file = self.where / "lmd.toml"
        file.write_text('take-over = "eth9"\n')
        for words in (["--give-back"], ["--give-back=eth9"], ["--give-back", "--dry-run"]):
            done = subprocess.run([str(BINARY), "--check", f"--config={file}", *words], capture_output=True, text=True,
                                  timeout=20, env={**os.environ, "RUNTIME_DIRECTORY": str(store)})
            self.assertEqual((done.returncode, done.stderr), (0, ""), words)
            self.assertIn("what lmd is told is right", done.stdout)

    def test_every_mtu(self):
        """All that are allowed, also those below IPv6's least, which lm0 has then."""
        for mtu, ipv6 in ((576, 1280), (1279, 1280), (1281, 1281), (9216, 9216)):
            child = self.lmd(f"mtu{mtu}", self.here, ["--vdev=net_null0"], f"--mtu={mtu}").ready()
            self.assertEqual(run(self.here, "cat", "/proc/sys/net/ipv6/conf/lm0/mtu"), (0, f"{ipv6}\n"))
            self.assertEqual(child.stop(), 0, child)

    def test_an_interface_that_is_removed_or_renamed(self):
        """Without its interface lmd is of no use: it ends, so that whoever supervises it can start it anew."""
        child = self.lmd("gone", self.here, ["--vdev=net_null0"]).ready()
        netns.ip("-n", self.here, "link", "set", "lm0", "down")
        netns.ip("-n", self.here, "link", "set", "lm0", "name", "lm9")
        netns.ip("-n", self.here, "link", "set", "lm9", "up")
        mtu = lambda: run(self.here, "cat", "/proc/sys/net/ipv6/conf/lm9/mtu")[1]
        self.assertTrue(until(lambda: mtu() == "1500\n"), f"{mtu()} {child}")
        netns.ip("-n", self.here, "link", "del", "lm9")
        self.assertEqual(child.wait(10), 1, child)
        self.assertEqual(len(child.err().splitlines()), 1, child)
        self.assertIn("lm9 was removed", child.err())
        again = self.lmd("again", self.here, ["--vdev=net_null0"]).ready()
        self.assertEqual(again.stop(), 0)

    def test_a_supervisor_is_told(self):
        """Whoever started lmd learns by its socket, as systemd does, that it is there and that it ends."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ear:
            ear.bind(str(self.where / "n"))
            ear.settimeout(20)
            with unittest.mock.patch.dict(os.environ, NOTIFY_SOCKET=str(self.where / "n")):
                child = self.lmd("told", self.here, ["--vdev=net_null0"])
            self.assertEqual(ear.recv(100), b"READY=1\nSTATUS=lm0 is there")
            self.assertIn("lm0", show(self.here, "link"))
            self.assertEqual(child.stop(), 0)
            self.assertEqual(ear.recv(100), b"STOPPING=1")

    def test_telemetry(self):
        """DPDK's telemetry shows the port while lmd runs."""
        child = self.lmd("seen", self.here, ["--vdev=net_null0"], telemetry=True).ready()
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as dpdk:
            dpdk.settimeout(20)
            dpdk.connect(f"/var/run/dpdk/{child.prefix}/dpdk_telemetry.v2")
            dpdk.recv(1024)

            def ask(command):
                dpdk.send(command)
                [shown] = json.loads(dpdk.recv(1 << 16)).values()
                return shown

            shown = ask(b"/lm/port,0")
            self.assertTrue(until(lambda: ask(b"/lm/port,0")["link_up"] == 1), "lmd has a link")
            self.assertEqual((ask(b"/lm/ports"), ask(b"/lm/ports,")), ([0], [0]))
            for wrong in (b"/lm/ports,0", b"/lm/lmd,0", b"/lm/port,1", b"/lm/port,0,0", b"/lm/queue,0,1", b"/lm/peers,x"):
                self.assertIsNone(ask(wrong), wrong)
        self.assertEqual(shown["device"], "net_null0")
        self.assertLess(shown["age_ms"], 1000)
        self.assertIn("frames", shown)
        netns.ip("-n", self.here, "addr", "add", "10.77.0.1/24", "dev", "lm0")
        run(self.here, "ping", "-c", "1", "-W", "1", "10.77.0.2")
        status = [str(BINARY), "status", f"--file-prefix={child.prefix}"]
        done = subprocess.run(status, capture_output=True, text=True, timeout=20)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertRegex(done.stdout, r"(?m)^ *[1-9]\d* frames to the wire as they are$")
        self.assertIn("0 stations that are lm", done.stdout)
        self.assertEqual(child.stop(), 0)
        done = subprocess.run(status, capture_output=True, text=True, timeout=20)
        self.assertEqual((done.returncode, done.stdout, len(done.stderr.splitlines())), (2, "", 1), done.stderr)

    def test_take_over(self):
        """What is no card of the kernel's, or is in use otherwise, is not taken, and nothing is written."""
        netns.ip("-n", self.here, "link", "add", "v0", "type", "veth", "peer", "name", "v1")
        netns.ip("-n", self.here, "link", "add", "br0", "type", "bridge")
        netns.ip("-n", self.here, "link", "set", "v1", "master", "br0")
        for name in ("v0", "br0"):
            netns.ip("-n", self.here, "link", "set", name, "up")
        netns.ip("-n", self.here, "addr", "add", "10.77.0.1/24", "dev", "v0")
        netns.ip("-n", self.here, "route", "add", "default", "via", "10.77.0.2")
        before = show(self.here, "addr"), show(self.here, "route")
        store = self.where / "store"
        lmd = str(BINARY)
        (self.where / "lmd.toml").write_text('take-over = "v0"\n')
        (self.where / "none.toml").write_text("mtu = 1500\n")
        for words, code, told in (
                (["--take-over", "v0"], 2, ["no PCI card", "default route", "--force"]),
                (["--take-over=v0", "--force"], 2, ["no PCI card"]),
                (["--take-over", "v0", "--dry-run"], 2, ["no PCI card"]),
                (["--check", "--take-over", "v0"], 2, ["no PCI card"]),
                (["--config", str(self.where / "lmd.toml")], 2, ["no PCI card"]),
                (["--take-over", "v1"], 2, ["br0"]),
                (["--take-over", "br0"], 2, ["no PCI card"]),
                (["--take-over", "lo"], 2, ["no PCI card"]),
                (["--take-over", "nowhere"], 2, ["no such interface"]),
                (["--take-over", "lm0"], 2, ["no such interface"]),
                (["--take-over", "a/b"], 2, ["a/b"]),
                (["--take-over", "this-name-is-too-long"], 2, ["this-name-is-too-long"]),
                (["--take-over"], 2, ["--take-over"]),
                (["--take-over", "v0", "--vdev=net_null0"], 2, ["--vdev=net_null0"]),
                (["--force", "--vdev=net_null0"], 2, ["--force"]),
                (["--give-back", "nowhere"], 2, ["nowhere"]),
                (["--give-back", "a/b"], 2, ["a/b"]),
                (["--give-back", "v0"], 0, []),
                (["--give-back", "--config", str(self.where / "lmd.toml")], 0, []),
                (["--give-back", "--config", str(self.where / "none.toml")], 0, [])):
            done = subprocess.run(["ip", "netns", "exec", self.here, lmd, *words], capture_output=True, text=True,
                                  timeout=20, env={**os.environ, "RUNTIME_DIRECTORY": str(store)})
            self.assertEqual((done.returncode, len(done.stderr.splitlines())), (code, bool(code)), (words, done))
            for text in told:
                self.assertIn(text, done.stderr, words)
        self.assertEqual((show(self.here, "addr"), show(self.here, "route")), before)
        self.assertFalse(store.exists())
        store.mkdir()
        (store / "v0.json").write_text("{")
        for words in (["--take-over", "v0"], ["--give-back", "v0"]):
            done = subprocess.run([lmd, *words], capture_output=True, text=True, timeout=20,
                                  env={**os.environ, "RUNTIME_DIRECTORY": str(store)})
            self.assertEqual((done.returncode, len(done.stderr.splitlines())), (2, 1), done)
            self.assertIn("v0.json", done.stderr)

    def test_without_a_name_all_that_was_taken_is_given_back(self):
        """What was written down decides, not the configuration; what an lmd still has is left to it."""
        store = self.where / "all"
        store.mkdir()
        nothing = self.where / "nothing.toml"
        nothing.write_text("")

        def give_back(*words):
            return subprocess.run(["ip", "netns", "exec", self.here, str(BINARY), "--give-back", *words],
                                  capture_output=True, text=True, timeout=20,
                                  env={**os.environ, "RUNTIME_DIRECTORY": str(store)})

        for words in ([], ["--config", str(nothing)]):
            done = give_back(*words)
            self.assertEqual((done.returncode, done.stderr), (0, ""), words)
            self.assertIn("no card was taken over", done.stdout, words)
        text = (ROOT / "apps/takeover/testdata/eth0.json").read_text()
        for card in ("eth0", "eth1"):
            (store / f"{card}.json").write_text(text.replace('"eth0"', f'"{card}"'))
        done = give_back("--dry-run", "--config", str(nothing))
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        steps = done.stdout.splitlines()
        self.assertTrue(all(step.startswith("give back: ") for step in steps), steps)
        self.assertEqual(len(steps), 2 * len(give_back("eth1", "--dry-run").stdout.splitlines()))
        # As long as this process has both, nothing is given back.
        for card in ("eth0", "eth1"):
            lock = self.enterContext(open(store / f"{card}.lock", "w"))
            fcntl.flock(lock, fcntl.LOCK_EX)
        done = give_back()
        self.assertEqual((done.returncode, done.stdout.count("an lmd has it"), done.stderr), (0, 2, ""))
        self.assertEqual(sorted(path.name for path in store.glob("*.json")), ["eth0.json", "eth1.json"])

    def test_giving_back_waits_for_a_word(self):
        """Who waits to give a card back says if nobody told it to. Who tells holds signals until it has."""
        store = self.where / "told"
        store.mkdir()
        environment = {**os.environ, "RUNTIME_DIRECTORY": str(store)}
        for known in (False, True):
            if known:
                shutil.copy(ROOT / "apps/takeover/testdata/eth0.json", store)
            done = subprocess.run([str(BINARY), "--give-back=eth0", "--when-told"], stdin=subprocess.DEVNULL,
                                  capture_output=True, text=True, timeout=20, env=environment)
            self.assertEqual((done.returncode, done.stdout, len(done.stderr.splitlines())), (known, "", known), done)
            self.assertEqual("lmd --give-back eth0" in done.stderr, known, done)

        def signalled():
            signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGTERM, signal.SIGINT, signal.SIGHUP))
            os.kill(os.getpid(), signal.SIGTERM)

        # As lmd executes itself, with a signal that came just before; and without.
        script = 'sleep 0.2 >/dev/null 2>&1 & exec "$0" --give-back=eth0 --tell=$! --code=3'
        for before, code in ((signalled, -signal.SIGTERM), (None, 3)):
            end, pipe = os.pipe()
            done = subprocess.run(["sh", "-c", script, str(BINARY)], stdin=pipe, preexec_fn=before, capture_output=True,
                                  text=True, timeout=20, env=environment)
            os.close(pipe)
            with open(end, "rb") as told:
                self.assertEqual((done.returncode, done.stderr, told.read()), (code, "", b"g"))

    def test_status_finds_a_service(self):
        """A service has a folder of its own in /run: `lmd status` finds it from any environment."""
        folder = pathlib.Path(f"/run/lm-test-{prefix()}")
        folder.mkdir()
        self.addCleanup(shutil.rmtree, folder, ignore_errors=True)
        with unittest.mock.patch.dict(os.environ, RUNTIME_DIRECTORY=str(folder)):
            child = self.lmd("service", self.here, ["--vdev=net_null0"], telemetry=True).ready()
        self.assertTrue((folder / "dpdk" / child.prefix).is_dir())
        for known in (True, False):
            environment = {**os.environ, **({"RUNTIME_DIRECTORY": str(folder)} if known else {})}
            done = subprocess.run([str(BINARY), "status", f"--file-prefix={child.prefix}"], capture_output=True, text=True,
                                  timeout=20, env=environment)
            self.assertEqual((done.returncode, done.stderr), (0, ""), known)
            self.assertIn("frames to the wire as they are", done.stdout)
        self.assertEqual(child.stop(), 0)

    def test_capabilities_are_given_up(self):
        """In all threads, also with no more than the service's unit gives; routes are seen to all the same."""
        unit = (ROOT / "meson-wrap/debian/lmd.service").read_text()
        [allowed] = re.findall(r"(?m)^CapabilityBoundingSet=(.*)$", unit)
        few = ",".join(f"+{name.removeprefix('CAP_').lower()}" for name in allowed.split())
        for words in ([], ["setpriv", f"--bounding-set=-all,{few}"]):
            child = self.lmd("rights", self.here, ["--vdev=net_null0"], telemetry=True, before=words).ready()

            def sets():
                found = [path.read_text() for path in pathlib.Path(f"/proc/{child.process.pid}/task").glob("*/status")]
                return [re.findall(r"(?m)^Cap(?!Inh)\w+:\t(\w+)$|^NoNewPrivs:\t(\d)", text) for text in found]

            # Permitted, effective, bounding, ambient.
            only = [(f"{1 << 12:016x}", "")] * 3 + [(f"{0:016x}", ""), ("", "1")]
            self.assertTrue(until(lambda: all(one == only for one in sets())), sets())
            self.assertGreater(len(sets()), 3)
            netns.ip("-n", self.here, "addr", "add", "10.77.0.1/24", "dev", "lm0")
            self.assertTrue(until(lambda: "lock 65520" in show(self.here, "route")), self.said())
            self.assertEqual(child.stop(), 0, child)
            netns.ip("-n", self.here, "addr", "flush", "dev", "lm0")

    def test_rights(self):
        words = ["ip", "netns", "exec", self.here, "setpriv", "--reuid=65534", "--regid=65534", "--clear-groups",
                 str(BINARY), *NO_HUGE, "--no-pci", "--no-telemetry", f"--file-prefix={prefix()}", "--vdev=net_null0"]
        done = subprocess.run(words, capture_output=True, text=True, timeout=20,
                              env={**os.environ, "XDG_RUNTIME_DIR": str(self.where)})
        self.assertEqual((done.returncode, done.stdout), (2, ""), done.stderr)
        self.assertIn("CAP_NET_ADMIN", done.stderr)
        self.assertEqual(len(done.stderr.splitlines()), 1, done.stderr)
