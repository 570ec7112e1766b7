"""TCP with and without long packets on lm0: what crosses, how fast, and what lmd counts."""

import hashlib
import pathlib
import random
import socket
import statistics
import threading
import time

import netns
from lmd import MemifWire, VethWire, is_settled, needs, run, until, veth

# What lmd calls them.
CUT, JOINED = "long TCP to the wire, in segments", "long TCP from the wire, of segments"


def round_trips(server, address, client, n=300):
    """The median round trip of 64 bytes, answered at once, in microseconds."""
    with netns.inside(server):
        listener = socket.create_server((address, 0))

    def serve():
        connection, _ = listener.accept()
        with connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            while data := connection.recv(64):
                connection.sendall(data)

    thread = threading.Thread(target=serve)
    thread.start()
    with netns.inside(client):
        sock = socket.create_connection(listener.getsockname())
    took = []
    with sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for i in range(n):
            began = time.perf_counter()
            sock.sendall(bytes(64))
            assert len(sock.recv(64)) == 64
            took.append(time.perf_counter() - began)
    thread.join()
    listener.close()
    return statistics.median(took) * 1e6


class Streams:
    """Contents, on every wire."""

    def test_many_connections(self):
        """Eight connections at once, both ways, in writes of all sizes: the bytes are right, and no kernel sees a checksum
        that is wrong."""
        listeners = []
        for namespace, address in ((self.here, self.HERE), (self.there, self.THERE)):
            with netns.inside(namespace):
                listeners.append(socket.create_server((address, 0)))
        sums = {}

        def send(sock, seed):
            dice, digest = random.Random(seed), hashlib.md5()
            with sock:
                for _ in range(150):
                    data = dice.randbytes(dice.choice((1, 100, 1448, 1449, 5000, 64_000)))
                    digest.update(data)
                    sock.sendall(data)
                sums[seed] = digest.digest()

        def receive(sock):
            digest, seed = hashlib.md5(), int.from_bytes(sock.recv(1), "big")
            with sock:
                while data := sock.recv(1 << 16):
                    digest.update(data)
            sums[-seed] = digest.digest()

        threads = []
        for seed in range(1, 9):
            with netns.inside(self.here if seed % 2 else self.there):
                sock = socket.create_connection(listeners[seed % 2].getsockname(), timeout=20)
            sock.sendall(bytes([seed]))
            peer, _ = listeners[seed % 2].accept()
            peer.settimeout(20)
            threads += [threading.Thread(target=send, args=(sock, seed)), threading.Thread(target=receive, args=(peer,))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for listener in listeners:
            listener.close()
        self.assertEqual(len(sums), 16, self.said())
        for seed in range(1, 9):
            self.assertEqual(sums[seed], sums[-seed], f"connection {seed}; {self.said()}")
        for namespace in (self.here, self.there):
            self.assertEqual(netns.counters("Tcp", namespace)["InCsumErrors"], 0, namespace)
        child = self.children[0]
        self.assertEqual(child.stop(), 0, child)
        counted = self.tally(child)
        self.assertTrue(counted.get(CUT) and counted.get(JOINED), counted)
        # A packet socket has no room for a burst that long, and TCP sends again.
        lost = [name for name in counted if name.startswith("lost") and "device" not in name]
        self.assertFalse(lost, counted)

    def test_small_segments(self):
        """A program that asks for segments of 100 bytes: one packet of the kernel's is hundreds of them."""
        for server, address, client in ((self.there, self.THERE, self.here), (self.here, self.HERE, self.there)):
            self.stream(server, address, client, 1 << 20, [(socket.IPPROTO_TCP, socket.TCP_MAXSEG, 100)])

    def stream(self, server, address, client, size, options=()):
        """A stream from a client to a server, whose bytes are looked at."""
        data = hashlib.shake_128(str(size).encode()).digest(size)
        got = netns.carried(data, server, address, client, 20, options)
        self.assertTrue(got == data, f"{len(got)} bytes of {size}, or other ones; {self.said()}")

    @needs("nft")
    def test_marks_of_congestion(self):
        """A mark in some segments of a stream reaches the program's kernel, which answers it, and the stream is whole."""
        for namespace in (self.here, self.there):
            with netns.inside(namespace):
                pathlib.Path("/proc/sys/net/ipv4/tcp_ecn").write_text("1")
        rule = "add table ip t; add chain ip t c { type filter hook postrouting priority 0; }; " \
               "add rule ip t c meta l4proto tcp ip ecn ect0 numgen inc mod 20 == 0 ip ecn set ce"
        code, said = run(self.there, "nft", rule)
        self.assertEqual(code, 0, said)
        self.stream(self.here, self.HERE, self.there, 2 << 20)
        with netns.inside(self.here):
            lines = [line.split()[1:] for line in pathlib.Path("/proc/thread-self/net/netstat").read_text().splitlines()
                     if line.startswith("IpExt:")]
        marks = dict(zip(lines[0], map(int, lines[1])))
        self.assertGreater(marks["InCEPkts"], 0, marks)
        self.assertGreater(marks["InECT0Pkts"], 0, marks)


class MemifStreams(Streams, MemifWire):
    far = "lm0"

    def test_what_is_routed_on(self):
        """What lmd joined and a kernel sends on to another interface is cut there, with checksums that are right."""
        behind, address = self.behind()
        run(behind, "ethtool", "-K", "w1", "rx", "off", "gro", "off")
        run(self.there, "ethtool", "-K", "w0", "tso", "off", "gso", "off", "tx", "off")
        for server, at, client in ((behind, address, self.here), (self.here, self.HERE, behind)):
            self.stream(server, at, client, 5 << 20)
        self.assertEqual(netns.counters("Tcp", behind)["InCsumErrors"], 0)
        self.assertEqual(netns.counters("Tcp", self.here)["InCsumErrors"], 0)


class VethStreams(Streams, VethWire):
    far = "v1"


class Speed(MemifWire):
    far = "lm0"

    @needs("iperf3")
    def test_speed(self):
        """Mb/s both ways through two lmd, long packets on and off, one after the other; and a veth without offloads."""
        veth((self.here, "w0", "10.90.0.1"), (self.there, "w1", "10.90.0.2"))
        rates, trips = {}, {}
        for _ in range(2):
            for switch in ("on", "off"):
                self.restart(f"--tso={switch}", f"--gro={switch}")
                for way, (server, address, client) in {"to": (self.there, self.THERE, self.here),
                                                       "from": (self.here, self.HERE, self.there)}.items():
                    rates.setdefault((switch, way), []).append(self.rate(server, address, client))
                trips.setdefault(switch, []).append(round_trips(self.there, self.THERE, self.here))
                counted = self.ended()
                for name in (CUT, JOINED):
                    self.assertEqual(counted.get(name, 0) > 0, switch == "on", counted)
                self.assertFalse([name for name in counted if name.startswith("lost")], counted)
            rates.setdefault(("veth", "to"), []).append(self.rate(self.there, "10.90.0.2", self.here))
        for (which, way), all_of in rates.items():
            print(f"  TCP, {which}, {way} the server: {' '.join(f'{rate:.0f}' for rate in all_of)} Mb/s")
        for which, all_of in trips.items():
            print(f"  round trip of 64 bytes, {which}: {' '.join(f'{trip:.0f}' for trip in all_of)} µs")

    def restart(self, *options):
        """Both lmd again, with these options."""
        for child in (self.client, self.server):
            if child.running():
                child.stop()
        self.server = self.start_server(*options)
        self.client = self.start_client(*options)
        self.settled()

    def ended(self):
        """What the server counted."""
        self.assertEqual(self.client.stop(), 0, self.client)
        self.assertEqual(self.server.stop(), 0, self.server)
        return self.tally(self.server)


class VethSpeed(VethWire):
    far = "v1"

    @needs("iperf3")
    def test_speed(self):
        """Mb/s to and from an ordinary kernel through one lmd, long packets on and off, one after the other."""
        rates = {}
        for switch in ("on", "off") * 2:
            self.assertEqual(self.daemon.stop(), 0, self.daemon)
            self.daemon = self.lmd("again", self.here, ["--vdev=net_pcap0,iface=v0"], f"--tso={switch}",
                                   f"--gro={switch}").ready()
            self.assertTrue(until(lambda: is_settled(self.here)), self.said())
            for way, (server, address, client) in {"out of lm0": (self.there, self.THERE, self.here),
                                                   "into lm0": (self.here, self.HERE, self.there)}.items():
                rates.setdefault((switch, way), []).append(self.rate(server, address, client, 1))
        for (which, way), all_of in rates.items():
            print(f"  TCP over net_pcap, {which}, {way}: {' '.join(f'{rate:.0f}' for rate in all_of)} Mb/s")
