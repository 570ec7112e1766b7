"""virtio-user: dpdk-testpmd is the vhost end, and gives every frame back.

Slots stay separate: the vhost library puts copies of up to 256 bytes off to the end of a burst (to the end of
what is left of four frames each, with the packed ring), and a small last fragment's headers would be written
over the end of the fragment before it.
"""

import os
import shutil
import subprocess
import tempfile
import time
import unittest

import sizes
from testpmd import NO_HUGE, Case, prefix

BACKEND = shutil.which("dpdk-testpmd")
OURS, MAC = "198.18.0.1", "02:00:00:00:00:0a"


@unittest.skipUnless(BACKEND or os.environ.get("LM_TOOLS") == "must",
                     "needs dpdk-testpmd, which comes with dpdk-dev")
class VirtioUser(Case):
    def setUp(self):
        super().setUp()
        self.assertTrue(BACKEND, "no dpdk-testpmd: install dpdk-dev")
        self.socket = os.path.join(tempfile.gettempdir(), f"lme{os.getpid()}-{id(self):x}.vhost")
        words = [
            BACKEND, "-l", "0,1", *NO_HUGE[:-1], "256", "--no-pci", "--no-telemetry",
            f"--file-prefix={prefix()}", f"--vdev=net_vhost0,iface={self.socket}", "--", "--forward-mode=io",
            "--auto-start", "--total-num-mbufs=4096", "--stats-period=60"
        ]
        with open(self.where / "vhost", "wb") as out:
            self.backend = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                                            start_new_session=True)
        self.addCleanup(self.end_backend)
        until = time.monotonic() + 20
        while not os.path.exists(self.socket):
            self.assertIsNone(self.backend.poll(), (self.where / "vhost").read_text())
            self.assertLess(time.monotonic(), until, "the vhost end does not come up")
            time.sleep(0.02)

    def end_backend(self):
        self.backend.terminate()
        try:
            self.backend.wait(10)
        except subprocess.TimeoutExpired:
            self.backend.kill()
            self.backend.wait()
        if os.path.exists(self.socket):
            os.unlink(self.socket)

    def device(self, **arguments):
        words = {"path": self.socket, "mac": MAC, **arguments}
        return ("--vdev=net_virtio_user0," + ",".join(f"{k}={v}" for k, v in words.items()),)

    def all_come_back(self, *options, **ring):
        want = sizes.boundaries()
        child = self.launch("lm", self.device(mrg_rxbuf=0, queue_size=512, **ring), "--forward-mode=ping",
                            f"--tx-ip={OURS},{OURS}", "--tx-udp=9000,9000", f"--eth-peer=0,{MAC}",
                            sizes.listed(want), f"--count={2 * len(want)}", "--stop-after-idle=3000",
                            *options)
        summary = child.fine(90).summary()
        self.assertEqual((summary["sent_datagrams"], summary["datagrams"]), (2 * len(want), 2 * len(want)),
                         str(child))
        self.assertEqual((summary.drops(), summary["lost"], summary["mismatched"]), ({}, 0, 0), str(child))
        # What comes in pieces is copied together when it is compared.
        copied = sum(m["copied"] > 0 for m in child.messages())
        self.assertEqual(summary["copied_datagrams"], copied + summary["joined"])
        self.pools_are_level(summary)
        return child

    def test_packed_ring(self):
        self.all_come_back(packed_vq=1)

    def test_split_ring(self):
        self.all_come_back()

    def test_overlapping_slots_are_not_to_be_had(self):
        child = self.launch("lm", self.device(mrg_rxbuf=0, packed_vq=1), "--forward-mode=rx",
                            "--slots=overlapping")
        self.assertEqual(child.wait(30), 2, str(child))
        self.assertIn("256 bytes", child.err())

    def test_mergeable_buffers_are_refused(self):
        child = self.launch("lm", self.device(packed_vq=1), "--forward-mode=rx")
        self.assertEqual(child.wait(30), 2, str(child))
        self.assertIn("mergeable", child.err())


if __name__ == "__main__":
    unittest.main()
