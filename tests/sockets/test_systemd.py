"""lmd as a service: a systemd of its own, as process 1 of name spaces that the test makes, starts the unit as it is
packaged. The file system is this machine's, under an overlay, so nothing of it is changed."""

import pathlib
import re
import subprocess
import unittest

from lmd import BINARY, Case, until
from testpmd import NO_HUGE, ROOT

SYSTEMD = pathlib.Path("/lib/systemd/systemd")
UNIT = ROOT / "meson-wrap/debian/lmd.service"
CAP_NET_ADMIN = 1 << 12
# A configuration with a port.
MEMIF = "eal = [{}]\n".format(", ".join(f'"{word}"' for word in (
    *NO_HUGE, "--no-pci", "--vdev=net_memif0,role=server,socket=/run/lmd/m0,socket-abstract=no")))
# What process 1 finds, and then itself. `$1` is an empty directory, `$2` lmd, `$3` its unit.
BEGIN = r"""
set -e
mount -t tmpfs none "$1"
mkdir "$1/upper" "$1/work" "$1/root"
mount -t overlay overlay -o "lowerdir=/,upperdir=$1/upper,workdir=$1/work" "$1/root"
cd "$1/root"
mount -t proc proc proc
mount -t sysfs sysfs sys
mount --rbind /dev dev
mount -t tmpfs tmpfs run
mount -t tmpfs tmpfs tmp
# One hierarchy is all that systemd needs.
mount -t tmpfs tmpfs sys/fs/cgroup
mkdir sys/fs/cgroup/systemd
mount -t cgroup -o none,name=systemd systemd sys/fs/cgroup/systemd 2>/dev/null || {
  umount sys/fs/cgroup
  mount -t cgroup2 cgroup2 sys/fs/cgroup
}
cp "$2" usr/sbin/lmd
rm -rf etc/systemd/system etc/systemd/system.conf.d
mkdir -p etc/systemd/system
cp "$3" etc/systemd/system/lmd.service
printf '[Unit]\nDefaultDependencies=no\nWants=systemd-journald.service\n' >etc/systemd/system/only.target
: >etc/machine-id
exec chroot . /usr/bin/env -i container=test PATH=/usr/sbin:/usr/bin:/sbin:/bin \
  /lib/systemd/systemd --system --unit=only.target --show-status=no
"""


@unittest.skipUnless(SYSTEMD.exists(), "there is no systemd on this machine")
class Service(Case):
    def setUp(self):
        super().setUp()
        root = self.where / "system"
        root.mkdir(parents=True)
        self.outer = subprocess.Popen(["unshare", "--mount", "--pid", "--fork", "--net", "--cgroup", "--uts", "--ipc",
                                       "--propagation", "private", "--kill-child", "sh", "-c", BEGIN, "sh", str(root),
                                       str(BINARY), str(UNIT)], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        self.addCleanup(self.end)
        self.root = root / "root"
        self.init = None
        # Not every machine lets us be process 1: with an overlay and name spaces for it.
        if not until(lambda: self.outer.poll() is not None or self.is_running(), 30):
            self.skipTest("systemd does not begin in name spaces here")
        if self.outer.poll() is not None:
            why = self.outer.stderr.read().decode().strip().splitlines()
            self.skipTest(f"no systemd in name spaces here: {why[:1]}")

    def end(self):
        self.outer.kill()
        self.outer.wait()
        self.outer.stderr.close()

    def is_running(self):
        """Whether systemd answers."""
        children = pathlib.Path(f"/proc/{self.outer.pid}/task/{self.outer.pid}/children").read_text().split()
        if not children:
            return False
        self.init = children[0]
        return self.tell("systemctl", "is-system-running")[1].strip() in ("running", "degraded")

    def tell(self, *words, text=None):
        """A command in there: its exit code and what it printed."""
        done = subprocess.run(["nsenter", "-t", self.init, "-m", "-p", "-n", "-C", "-u", "-i", "chroot", str(self.root),
                               "env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", *words], capture_output=True,
                              text=True, timeout=60, input=text)
        return done.returncode, done.stdout + done.stderr

    def configure(self, text):
        self.tell("sh", "-c", "cat >/etc/lmd.toml", text=text)

    def state(self):
        """What systemd says of the service."""
        said = self.tell("systemctl", "show", "lmd", "-p", "ActiveState,Result,ExecMainStatus,NRestarts,MainPID,StatusText")
        return dict(line.split("=", 1) for line in said[1].splitlines())

    def journal(self):
        return self.tell("journalctl", "-u", "lmd", "--no-pager", "-o", "cat")[1]

    def test_it_starts_survives_a_kill_and_ends(self):
        self.configure(MEMIF)
        self.assertEqual(self.tell("systemctl", "start", "lmd")[0], 0, self.journal())
        state = self.state()
        self.assertEqual((state["ActiveState"], state["StatusText"]), ("active", "lm0 is there"), self.journal())
        # Every thread has one right left, and cannot get another.
        _, text = self.tell("sh", "-c", f"cat /proc/{state['MainPID']}/task/*/status")
        rights = re.findall(r"^Cap(?:Prm|Eff):\s*(\w+)$", text, re.M)
        self.assertGreater(len(rights), 2, text)
        self.assertEqual({int(right, 16) for right in rights}, {CAP_NET_ADMIN})
        self.assertEqual(set(re.findall(r"^NoNewPrivs:\s*(\d)$", text, re.M)), {"1"})
        self.assertEqual(set(re.findall(r"^Seccomp:\s*(\d)$", text, re.M)), {"2"})
        code, said = self.tell("lmd", "status")
        self.assertEqual(code, 0, said)
        # It is killed: systemd starts it again, and the interface is the same.
        self.tell("ip", "addr", "add", "10.9.0.1/24", "dev", "lm0")
        before = self.tell("ip", "-o", "-4", "addr", "show", "lm0")[1]
        self.assertIn("10.9.0.1/24", before)
        self.tell("systemctl", "kill", "-s", "KILL", "lmd")
        self.assertTrue(until(lambda: self.state()["NRestarts"] == "1" and self.state()["ActiveState"] == "active", 20),
                        self.journal())
        self.assertNotEqual(self.state()["MainPID"], state["MainPID"])
        self.assertEqual(self.tell("ip", "-o", "-4", "addr", "show", "lm0")[1], before)
        # It ends in order.
        self.assertEqual(self.tell("systemctl", "stop", "lmd")[0], 0, self.journal())
        state = self.state()
        self.assertEqual((state["ActiveState"], state["Result"], state["ExecMainStatus"]), ("inactive", "success", "0"))
        back = re.findall(r"mbufs: (\d+) of (\d+) are back", self.journal())
        self.assertTrue(back and back[-1][0] == back[-1][1], self.journal())

    def test_what_was_taken_is_given_back_without_a_configuration(self):
        """The keys may be quoted. What is given back is what lmd wrote down, not what the file says at the end."""
        for quote in ('"', "'"):
            self.configure(f"{quote}eal{quote}" + MEMIF.removeprefix("eal"))
            self.assertEqual(self.tell("systemctl", "start", "lmd")[0], 0, self.journal())
            self.assertEqual(self.state()["ActiveState"], "active", self.journal())
            # None that can be given back, so that it is seen to be tried.
            self.tell("sh", "-c", "rm /etc/lmd.toml && echo { >/run/lmd/eth77.json")
            self.tell("systemctl", "stop", "lmd")
            self.assertIn("/run/lmd/eth77.json", self.journal())
            self.tell("sh", "-c", "rm /run/lmd/eth77.json")
            self.tell("systemctl", "reset-failed", "lmd")

    def test_a_wrong_option_is_not_tried_again(self):
        self.configure(MEMIF + 'mtu = "large"\n')
        self.assertNotEqual(self.tell("systemctl", "start", "lmd")[0], 0)
        state = self.state()
        self.assertEqual((state["ActiveState"], state["ExecMainStatus"], state["NRestarts"]), ("failed", "2", "0"))
        self.assertIn("mtu", self.journal())

    def test_without_a_card_there_is_nothing_to_do(self):
        self.configure((ROOT / "meson-wrap/debian/lmd.toml").read_text())
        self.assertEqual(self.tell("systemctl", "start", "lmd")[0], 0)
        state = self.state()
        self.assertEqual((state["ActiveState"], state["MainPID"]), ("inactive", "0"))
        self.assertIn("nothing to do", self.journal())
