"""What DPDK's telemetry shows of lm-testpmd, and the endpoint for Prometheus of docs/telemetry.md."""

import json
import os
import pathlib
import re
import socket
import subprocess
import sys
import tempfile
import time
import unittest
import urllib.request

from testpmd import BINARY

DOCUMENT = pathlib.Path(__file__).resolve().parents[2] / "docs/telemetry.md"
COMMANDS = ("/lm/ports", "/lm/port", "/lm/queue", "/lm/peers", "/lm/ac", "/lm/drops")


def socket_of(prefix):
    run = "/var/run" if os.geteuid() == 0 else os.environ.get("XDG_RUNTIME_DIR", "/tmp")
    return f"{run}/dpdk/{prefix}/dpdk_telemetry.v2"


class Ends(unittest.TestCase):
    """A server that echoes and a client that pings it, both seen from outside."""

    OPTIONS = ()

    def setUp(self):
        self.folder = tempfile.TemporaryDirectory(prefix="lmt")
        self.addCleanup(self.folder.cleanup)
        self.echo = self.launch("s", "server", "10.1.0.2,10.1.0.1", "7000,9000", "--forward-mode=echo")
        self.ping = self.launch("c", "client", "10.1.0.1,10.1.0.2", "9000,7000", "--forward-mode=ping",
                                "--txsize=7168")
        self.wait(self.echo, "/lm/port,0", lambda shown: shown.get("datagrams", 0) > 50)

    def launch(self, name, role, ip, udp, *options):
        prefix = f"lmt{os.getpid()}{name}"
        words = [str(BINARY), "-l", "0", "--no-huge", "-m", "256", "--no-pci", f"--file-prefix={prefix}",
                 f"--vdev=net_memif0,role={role},id=0,rsize=9,socket-abstract=no,socket={self.folder.name}/s",
                 "--", f"--tx-ip={ip}", f"--tx-udp={udp}", *self.OPTIONS, *options]
        process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL)
        self.addCleanup(self.end, process)
        if role == "server":
            self.await_path(f"{self.folder.name}/s")
        return prefix

    @staticmethod
    def end(process):
        process.terminate()
        process.wait(30)
        process.stdin.close()

    def await_path(self, path):
        until = time.monotonic() + 30
        while not os.path.exists(path):
            self.assertLess(time.monotonic(), until, path)
            time.sleep(0.05)

    def ask(self, prefix, command):
        self.await_path(socket_of(prefix))
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as dpdk:
            dpdk.settimeout(10)
            dpdk.connect(socket_of(prefix))
            self.assertIn("version", json.loads(dpdk.recv(1024)))
            dpdk.send(command.encode())
            return json.loads(dpdk.recv(1 << 16))[command.split(",")[0]]

    def wait(self, prefix, command, done):
        until = time.monotonic() + 30
        while True:
            shown = self.ask(prefix, command)
            if shown is not None and done(shown):
                return shown
            self.assertLess(time.monotonic(), until, shown)
            time.sleep(0.1)


class Telemetry(Ends):
    """Admission control is off."""

    def test_commands(self):
        self.assertLessEqual(set(COMMANDS), set(self.ask(self.echo, "/")))
        self.assertEqual(self.ask(self.echo, "/lm/ports"), [0])
        shown = self.ask(self.echo, "/lm/port,0")
        self.assertEqual((shown["device"], shown["address"], shown["link_up"]), ("net_memif0", "10.1.0.2", 1))
        self.assertLess(shown["age_ms"], 1000)
        self.assertEqual(shown["bytes"], 7168 * shown["datagrams"])
        queue = self.ask(self.echo, "/lm/queue,0,0")
        self.assertGreaterEqual(queue["datagrams"], shown["datagrams"])
        peers = self.ask(self.echo, "/lm/peers")
        self.assertIn("10.1.0.1", [peer["address"] for peer in peers.values()])
        self.assertEqual(len(peers), shown["peers"])
        self.assertEqual(self.ask(self.echo, "/lm/peers,0,0"), peers)
        self.assertEqual(self.ask(self.echo, f"/lm/peers,0,{len(peers)}"), {})
        drops = self.ask(self.echo, "/lm/drops")
        self.assertEqual(set(drops.values()), {0})
        self.assertEqual(len(drops), len(self.ask(self.echo, "/lm/drops,0")))
        self.assertFalse(self.ask(self.echo, "/lm/ac,0"), "it is off")
        self.assertEqual(list(self.ask(self.echo, "/lm/ac")), ["0"])
        for wrong in ("/lm/port", "/lm/port,1", "/lm/port,x", "/lm/port,0,0", "/lm/queue,0", "/lm/queue,0,1",
                      "/lm/peers,1", "/lm/peers,0,x", "/lm/peers,0,0,0"):
            self.assertIsNone(self.ask(self.echo, wrong), wrong)

    def test_readers_do_not_stop_the_data(self):
        before = self.ask(self.echo, "/lm/port,0")
        for _ in range(300):
            now = self.ask(self.echo, "/lm/port,0")
            self.assertGreaterEqual(now["datagrams"], before["datagrams"])
        self.assertGreater(now["datagrams"], before["datagrams"])

    def test_prometheus(self):
        code = re.search(r"```python\n(.*?)```", DOCUMENT.read_text(), re.S).group(1)
        self.assertLessEqual(len([line for line in code.splitlines() if line.strip()]), 30)
        path = pathlib.Path(self.folder.name) / "prometheus.py"
        path.write_text(code)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        endpoint = subprocess.Popen([sys.executable, str(path), socket_of(self.echo), str(port)],
                                    stderr=subprocess.DEVNULL)
        self.addCleanup(endpoint.wait)
        self.addCleanup(endpoint.kill)
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        until = time.monotonic() + 20
        while True:
            try:
                text = opener.open(f"http://127.0.0.1:{port}/metrics", timeout=5).read().decode()
                break
            except OSError:
                self.assertLess(time.monotonic(), until)
                time.sleep(0.1)
        self.assertRegex(text, r'(?m)^lm_datagrams\{port="0",device="net_memif0",address="10\.1\.0\.2"\} [1-9]')


class Admission(Ends):
    """Admission control is on, and run by the loop of the port."""

    OPTIONS = ("--ac=exclusive",)

    def test_counters(self):
        before = self.wait(self.ping, "/lm/ac,0", lambda shown: shown.get("sent_with_grant", 0) > 0)
        self.assertGreater(before["sent"], 0)
        self.assertGreater(before["received"], 0)
        self.assertEqual((before["malformed"], before["forged"]), (0, 0))
        later = self.wait(self.ping, "/lm/ac,0", lambda shown: shown["sent"] > before["sent"])
        self.assertEqual(set(later), set(before))
        for name in set(before) - {"destinations", "waiting"}:
            self.assertGreaterEqual(later[name], before[name], name)
        other = self.wait(self.echo, "/lm/ac,0", lambda shown: shown.get("received", 0) > 0)
        self.assertEqual(set(other), set(before))
        self.assertIsNone(self.ask(self.ping, "/lm/ac,1"))
        self.assertEqual({port: set(shown) for port, shown in self.ask(self.ping, "/lm/ac").items()},
                         {"0": set(before)})


if __name__ == "__main__":
    unittest.main()
