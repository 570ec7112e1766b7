"""What lmd refuses: one line, exit code 2, and nothing is changed."""

import os
import subprocess

import netns
from lmd import BINARY, Lmd, Wire, show, skip_unless_root
from testpmd import NO_HUGE, prefix


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
                ([], "-a PCI"),
                (["--vdev=net_null0", "--vdev=net_null1"], "several ports"),
                (["--vdev=net_ring0"], "net_ring"),
                (["--vdev=net_af_packet0,iface=lo"], "defragment"),
                (["--vdev=net_pcap0,iface=nowhere"], "nowhere"),
                (["--vdev=net_null0", "--frobnicate"], "frobnicate")):
            self.assertIn(told, self.refused(eal))
            self.assertNotIn("lm0", show(self.here, "link"))

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

    def test_rights(self):
        words = ["ip", "netns", "exec", self.here, "setpriv", "--reuid=65534", "--regid=65534", "--clear-groups",
                 str(BINARY), *NO_HUGE, "--no-pci", "--no-telemetry", f"--file-prefix={prefix()}", "--vdev=net_null0"]
        done = subprocess.run(words, capture_output=True, text=True, timeout=20,
                              env={**os.environ, "XDG_RUNTIME_DIR": str(self.where)})
        self.assertEqual((done.returncode, done.stdout), (2, ""), done.stderr)
        self.assertIn("CAP_NET_ADMIN", done.stderr)
        self.assertEqual(len(done.stderr.splitlines()), 1, done.stderr)
