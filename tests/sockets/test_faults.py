"""lmd is killed and started again; interfaces go down and up."""

import signal
import time

import netns
from lmd import MemifWire, VethWire, payload, show, udp, until


def traffic(mouth, ear, to, seconds):
    """Whether a datagram of 64,000 bytes arrives within this time; how long it took."""
    began = time.monotonic()
    ear.settimeout(0.05)
    while time.monotonic() - began < seconds:
        mouth.sendto(payload(64_000, 1), to)
        try:
            if ear.recv(70_000) == payload(64_000, 1):
                return time.monotonic() - began
        except TimeoutError:
            pass
    return None


class Killed(MemifWire):
    far = "lm0"

    def check(self, again):
        """One is killed in the midst of traffic and started again: sockets, addresses and routes stay."""
        for mouth, ear in ((udp(self.here, self.HERE), udp(self.there, self.THERE)),
                           (udp(self.there, self.THERE), udp(self.here, self.HERE))):
            self.exchange(sizes=(64_000,), rounds=5)
            for i in range(3):
                mouth.sendto(payload(64_000, i), ear.getsockname())
            before = [show(n, "addr", "show", "lm0").split()[0] + show(n, "route") for n in (self.here, self.there)]
            again()
            after = [show(n, "addr", "show", "lm0").split()[0] + show(n, "route") for n in (self.here, self.there)]
            self.assertEqual([text.replace(" linkdown", "") for text in after],
                             [text.replace(" linkdown", "") for text in before])
            took = traffic(mouth, ear, ear.getsockname(), 4)
            self.assertIsNotNone(took, self.said())
            self.assertLess(took, 2, "seconds until traffic went on")
            # The other way has to be there, too: a kernel drops what is sent before it has seen the carrier.
            self.settled()
            mouth.close()
            ear.close()

    def test_client(self):
        def again():
            self.client.signal(signal.SIGKILL)
            self.client.process.wait()
            self.client = self.start_client()
        self.check(again)

    def test_server(self):
        def again():
            self.server.signal(signal.SIGKILL)
            self.server.process.wait()
            self.server = self.start_server()
        self.check(again)


class Down(VethWire):
    far = "v1"

    def test_interface(self):
        """lm0 is set down and up: lmd goes on, idle meanwhile, and routes get their MTU again."""
        self.exchange(sizes=(64_000,))
        netns.ip("-n", self.here, "link", "set", "lm0", "down")
        time.sleep(0.3)
        netns.ip("-n", self.here, "link", "set", "lm0", "up")
        self.assertTrue(until(lambda: "lock 65520" in show(self.here, "route")), self.said())
        self.exchange(sizes=(100, 64_000))

    def test_second_start(self):
        """It ends in order, and the interface stays for the next one, with its addresses."""
        self.exchange(sizes=(64_000,))
        self.assertEqual(self.daemon.stop(), 0, self.daemon)
        self.assertIn(self.HERE, show(self.here, "addr", "show", "lm0"))
        self.daemon = self.lmd("again", self.here, ["--vdev=net_pcap0,iface=v0"]).ready()
        self.assertIn("found", self.daemon.out())
        self.assertTrue(until(lambda: "LOWER_UP" in show(self.here, "link", "show", "lm0")))
        self.exchange(sizes=(100, 64_000))
