"""ssh through two lmd: OpenSSH's client and server, unmodified."""

import hashlib
import shutil
import subprocess

from lmd import MemifWire, needs, run, until
from test_tcp import CUT

# What sshd does not find on every machine: its directory, and an account that may log in without a password. These are in
# the mount name space that `ip netns exec` makes, so nothing of the machine's is changed.
SERVE = 'mount -t tmpfs none /run && mkdir /run/sshd && mount --bind "$1/shadow" /etc/shadow && exec "$2" -D -e -f "$1/config"'
PORT = "2222"
MEGABYTES = 8


class Ssh(MemifWire):
    far = "lm0"

    def keys(self):
        """A key for the server and one for the user. Returns what is sent."""
        self.home = self.where / "ssh"
        self.home.mkdir(parents=True)
        for name in ("host", "user"):
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", self.home / name], check=True)
        (self.home / "authorized").write_bytes((self.home / "user.pub").read_bytes())
        (self.home / "shadow").write_text("root:*:19000:0:99999:7:::\n")
        data = hashlib.shake_128(b"ssh").digest(MEGABYTES << 20)
        return data

    def serve(self, namespace, address):
        """A server in a name space that listens."""
        (self.home / "config").write_text("".join(f"{line}\n" for line in (
            f"ListenAddress {address}:{PORT}", f"HostKey {self.home}/host", f"AuthorizedKeysFile {self.home}/authorized",
            "StrictModes no", "PermitRootLogin prohibit-password", "PasswordAuthentication no",
            "KbdInteractiveAuthentication no", f"PidFile {self.home}/pid", "Subsystem sftp internal-sftp")))
        # It wants to be called by its whole path.
        sshd = shutil.which("sshd")
        with open(self.home / "server", "w") as out:
            child = subprocess.Popen(["ip", "netns", "exec", namespace, "sh", "-c", SERVE, "sh", str(self.home), sshd],
                                     stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT)
        self.addCleanup(lambda: (child.kill(), child.wait()))
        self.assertTrue(until(lambda: f":{PORT}" in run(namespace, "ss", "-tln")[1]), (self.home / "server").read_text())

    def ssh(self, namespace, *words, stdin=None, program="ssh"):
        """What a client in a name space gets."""
        options = ("-F", "none", "-i", str(self.home / "user"), "-o", f"UserKnownHostsFile={self.home}/known",
                   "-o", "StrictHostKeyChecking=yes", "-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes", "-o", f"Port={PORT}")
        done = subprocess.run(["ip", "netns", "exec", namespace, program, *options, *words], input=stdin or b"",
                              capture_output=True, timeout=60)
        self.assertEqual(done.returncode, 0, f"{words}: {done.stderr.decode()} {(self.home / 'server').read_text()}")
        return done.stdout

    @needs("sshd")
    @needs("ssh")
    def test_sessions_and_files(self):
        """From either end: a command, a file each way through `cat`, and by scp. All bytes are compared."""
        data = self.keys()
        for server, address, client in ((self.there, self.THERE, self.here), (self.here, self.HERE, self.there)):
            self.serve(server, address)
            host = (self.home / "host.pub").read_text()
            (self.home / "known").write_text(f"[{address}]:{PORT} {host}")
            to = f"root@{address}"
            said = self.ssh(client, to, 'echo "$SSH_CONNECTION"; exit 0').decode().split()
            ours = self.HERE if address == self.THERE else self.THERE
            self.assertEqual((said[0], said[2:]), (ours, [address, PORT]))
            stored = self.home / f"stored-{address}"
            self.ssh(client, to, f"cat >{stored}", stdin=data)
            self.assertTrue(stored.read_bytes() == data, "other bytes arrived at the server")
            self.assertTrue(self.ssh(client, to, f"cat {stored}") == data, "other bytes came back")
            copied = self.home / f"copied-{address}"
            self.ssh(client, f"{to}:{stored}", str(copied), program="scp")
            self.assertTrue(copied.read_bytes() == data, "other bytes were copied")
        self.counted()
        for child in (self.server, self.client):
            self.assertGreater(self.tally(child)[CUT], 100, child)
