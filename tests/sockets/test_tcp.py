"""TCP with and without long packets on lm0: what crosses, how fast, and what lmd counts."""

import json
import socket
import statistics
import subprocess
import threading
import time

import netns
from lmd import MemifWire, VethWire, core, run
from test_programs import needs

# What lmd calls them.
CUT, JOINED = "long TCP to the wire, in segments", "long TCP from the wire, of segments"


def bits(server, address, client, seconds=2, words=()):
    """What iperf3 sends from one name space to another, in Mb/s, and how often it sent something again."""
    ear = subprocess.Popen(["ip", "netns", "exec", server, "iperf3", "-s", "-1", "--forceflush"], stdout=subprocess.PIPE,
                           text=True)
    try:
        ear.stdout.readline()
        ear.stdout.readline()
        code, said = run(client, "iperf3", "-c", address, "-t", str(seconds), "-J", *words)
        end = json.JSONDecoder().raw_decode(said)[0]["end"] if code == 0 else said
        return end["sum_received"]["bits_per_second"] / 1e6, end["sum_sent"].get("retransmits", 0)
    finally:
        ear.kill()
        ear.wait()
        ear.stdout.close()


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


class Speed(MemifWire):
    far = "lm0"

    @needs("iperf3")
    def test_speed(self):
        """Mb/s both ways through two lmd, long packets on and off, one after the other; and a veth without offloads."""
        netns.ip("link", "add", "w0", "netns", self.here, "type", "veth", "peer", "name", "w1", "netns", self.there)
        for namespace, name, address in ((self.here, "w0", "10.90.0.1"), (self.there, "w1", "10.90.0.2")):
            run(namespace, "ethtool", "-K", name, "tso", "off", "gso", "off", "gro", "off", "tx", "off", "rx", "off")
            netns.ip("-n", namespace, "addr", "add", f"{address}/24", "dev", name)
            netns.ip("-n", namespace, "link", "set", name, "up")
        rates, trips = {}, {}
        for _ in range(2):
            for switch in ("on", "off"):
                self.restart(f"--tso={switch}", f"--gro={switch}")
                for way, (server, address, client) in {"to": (self.there, self.THERE, self.here),
                                                       "from": (self.here, self.HERE, self.there)}.items():
                    rates.setdefault((switch, way), []).append(bits(server, address, client)[0])
                trips.setdefault(switch, []).append(round_trips(self.there, self.THERE, self.here))
                counted = self.ended()
                for name in (CUT, JOINED):
                    self.assertEqual(counted.get(name, 0) > 0, switch == "on", counted)
                self.assertFalse([name for name in counted if name.startswith("lost")], counted)
            rates.setdefault(("veth", "to"), []).append(bits(self.there, "10.90.0.2", self.here)[0])
        for (which, way), all_of in rates.items():
            print(f"  TCP, {which}, {way} the server: {' '.join(f'{rate:.0f}' for rate in all_of)} Mb/s")
        for which, all_of in trips.items():
            print(f"  round trip of 64 bytes, {which}: {' '.join(f'{trip:.0f}' for trip in all_of)} µs")

    def restart(self, *options):
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
