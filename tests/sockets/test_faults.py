"""lmd is killed and started again; interfaces go down and up."""

import contextlib
import signal
import time

import netns
from lmd import MemifWire, VethWire, core, payload, show, udp, until


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


class Random(MemifWire):
    """Devices that have another MAC address at each start: lm0's stays."""

    far = "lm0"

    def start_server(self, *options, device=""):
        eal = f"--vdev=net_memif0,role=server,socket={self.socket},socket-abstract=no{device}"
        return self.lmd("server", self.here, [eal], *options, core=core(0)).ready()

    def start_client(self, *options):
        eal = f"--vdev=net_memif0,role=client,socket={self.socket},socket-abstract=no"
        return self.lmd("client", self.there, [eal], *options, core=core(1)).ready()

    def again(self, how, *options, device=""):
        """The server ends and starts again. Returns lm0's MAC address."""
        self.server.signal(how)
        self.server.process.wait()
        self.server = self.start_server(*options, device=device)
        self.settled()
        return mac(self.here)

    def test_it_stays(self):
        """Killed or ended, in the midst of traffic: a neighbour goes on, and asks for no address."""
        with udp(self.here, self.HERE) as ear, udp(self.there, self.THERE) as mouth:
            self.exchange(sizes=(100, 64_000))
            before = mac(self.here)
            netns.ip("-n", self.there, "neigh", "replace", self.HERE, "lladdr", before, "nud", "permanent", "dev", "lm0")
            for how in (signal.SIGKILL, signal.SIGTERM):
                for i in range(3):
                    mouth.sendto(payload(64_000, i), ear.getsockname())
                self.assertEqual(self.again(how), before, self.server)
                self.assertIn("found, and kept as it was", self.server.out())
                # What was sent before it ended.
                ear.setblocking(False)
                with contextlib.suppress(BlockingIOError):
                    while ear.recv(70_000):
                        pass
                took = traffic(mouth, ear, ear.getsockname(), 4)
                self.assertIsNotNone(took, self.said())
                self.assertLess(took, 2, "seconds until traffic went on")
                self.exchange(sizes=(100, 64_000))

    def test_one_that_is_asked_for(self):
        """By the device's arguments, or by an option; it is lm0's until another one is asked for. What a card had is
        not kept."""
        def passes():
            # A kernel may believe an address for some seconds more.
            netns.ip("-n", self.there, "neigh", "flush", "dev", "lm0")
            self.exchange(sizes=(100, 64_000))

        passes()
        at_first = mac(self.here)
        self.assertEqual(self.again(signal.SIGKILL, device=",mac=02:00:00:00:00:0a"), "02:00:00:00:00:0a", self.server)
        self.assertIn(f"its MAC address, which was {at_first}", self.server.out())
        passes()
        self.assertEqual(self.again(signal.SIGKILL), "02:00:00:00:00:0a", self.server)
        self.assertEqual(self.again(signal.SIGKILL, "--mac=02:00:00:00:00:77"), "02:00:00:00:00:77", self.server)
        passes()
        netns.ip("-n", self.here, "link", "set", "lm0", "address", "52:54:00:00:00:01")
        self.assertEqual(self.again(signal.SIGKILL), "52:54:00:00:00:01", self.server)
        netns.ip("-n", self.here, "link", "set", "lm0", "address", "00:1b:21:00:00:01")
        self.assertNotEqual(self.again(signal.SIGKILL), "00:1b:21:00:00:01", self.server)
        passes()


def mac(namespace):
    return show(namespace, "link", "show", "lm0").partition("link/ether ")[2].split()[0]


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
        # A device whose address is always the same gives lm0 that.
        netns.ip("-n", self.here, "link", "set", "lm0", "address", "02:00:00:00:00:42")
        self.daemon = self.lmd("again", self.here, ["--vdev=net_pcap0,iface=v0"]).ready()
        self.assertIn("found", self.daemon.out())
        self.assertEqual(mac(self.here), "02:70:63:61:70:00", self.daemon)
        self.assertTrue(until(lambda: "LOWER_UP" in show(self.here, "link", "show", "lm0")))
        self.exchange(sizes=(100, 64_000))
