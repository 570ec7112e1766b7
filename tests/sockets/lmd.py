"""lmd as a child process, the wires that its tests have, and payloads that tell when they are wrong."""

import contextlib
import hashlib
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import time
import unittest

import netns
from linux import IP_MTU_DISCOVER, SO_RCVBUFFORCE
from testpmd import NO_HUGE, ROOT, Case, Failed, Testpmd, prefix

BINARY = pathlib.Path(os.environ.get("LM_LMD") or ROOT / "target/release/lmd")
MAX_PAYLOAD = 65_507
# Around each border: a frame, what Linux gives in one piece, the longest datagram.
SIZES = (0, 1, 16, 100, 1471, 1472, 1473, 1480, 2952, 2953, 8000, 20_000, 64_000, 65_491, 65_492, 65_493, 65_500,
         65_506, MAX_PAYLOAD)


class Lmd(Testpmd):
    """One lmd in a name space."""

    def __init__(self, where, eal, *options, netns=None, file_prefix=None, core=0, telemetry=False,
                 before=()):
        self.where = pathlib.Path(where)
        self.where.mkdir(parents=True, exist_ok=True)
        self.prefix = file_prefix or prefix()
        unseen = [] if telemetry else ["--no-telemetry"]
        words = [str(BINARY), "-l", str(core), *NO_HUGE, *unseen, f"--file-prefix={self.prefix}", "--no-pci"]
        # What others do on this machine is not what is tested.
        self._launch(["nice", "-n", "-10", *before, *words, *eal, "--", *options], netns)

    def ready(self, name="lm0"):
        return self.await_text(f"{name}: ")


def core(n):
    """The n-th CPU that we may use, or the last one."""
    mine = sorted(os.sched_getaffinity(0))
    return mine[min(n, len(mine) - 1)]


def show(namespace, *words):
    """What ip says in a name space."""
    return subprocess.run(["ip", "-n", namespace, *words], check=True, capture_output=True, text=True, timeout=20).stdout


def run(namespace, *words, seconds=60):
    """A command in a name space: its exit code and what it printed."""
    done = subprocess.run(["ip", "netns", "exec", namespace, *words], capture_output=True, text=True, timeout=seconds)
    return done.returncode, done.stdout + done.stderr


def until(what, seconds=5.0, pause=0.02):
    """Waits until something is true, and returns whether it is."""
    end = time.monotonic() + seconds
    while not what():
        if time.monotonic() > end:
            return False
        time.sleep(pause)
    return True


def payload(size, seed):
    """Bytes of this size that tell whether they are the right ones, if there is room for that."""
    if size < 24:
        return bytes((seed + i) & 255 for i in range(size))
    text = f"{seed}:".encode()
    body = hashlib.shake_128(text).digest(size - 16)
    return hashlib.md5(body).digest() + body


# What lmd calls datagrams that went in forward order.
FORWARD = "of the datagrams to the wire went first fragment first"


def is_good(data):
    return len(data) < 24 or hashlib.md5(data[16:]).digest() == data[:16]


def udp(namespace, address="", port=0, options=()):
    """A socket in a name space, with room for what a test sends at once."""
    with netns.inside(namespace):
        made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    made.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 16 << 20)
    made.settimeout(2)
    for level, name, value in options:
        made.setsockopt(level, name, value)
    made.bind((address, port))
    return made


def veth(*ends, offloads=False):
    """A veth between two ends: a name space, a name, and an address or None. Without offloads the kernel sends what a
    wire would carry."""
    (space, name, _), (peer_space, peer_name, _) = ends
    netns.ip("link", "add", name, "netns", space, "type", "veth", "peer", "name", peer_name, "netns", peer_space)
    for space, name, address in ends:
        if not offloads:
            run(space, "ethtool", "-K", name, "tso", "off", "gso", "off", "gro", "off", "tx", "off", "rx", "off")
        if address:
            netns.ip("-n", space, "addr", "add", f"{address}/24", "dev", name)
        netns.ip("-n", space, "link", "set", name, "up")


class Wire(Case):
    """Two name spaces, `here` and `there`, and addresses in them. `here` has an lmd."""

    HERE, THERE = "10.77.0.1", "10.77.0.2"

    def setUp(self):
        super().setUp()
        self.spaces = []
        self.here, self.there = self.space("a"), self.space("b")

    def space(self, letter):
        name = f"{prefix()}{letter}"
        netns.ip("netns", "add", name)
        self.addCleanup(lambda: subprocess.run(["ip", "netns", "del", name], capture_output=True))
        netns.ip("-n", name, "link", "set", "lo", "up")
        self.spaces.append(name)
        return name

    def lmd(self, name, netns, eal, *options, core=0, telemetry=False, before=()):
        child = Lmd(self.where / name, eal, *options, netns=netns, core=core, telemetry=telemetry, before=before)
        self.children.append(child)
        return child

    def receive(self, sock, n):
        """So many datagrams, each of which must be right."""
        got = []
        for _ in range(n):
            try:
                data, sender = sock.recvfrom(70_000)
            except TimeoutError:
                self.fail(f"only {len(got)} of {n} datagrams arrived; {self.counted()}")
            self.assertTrue(is_good(data), f"{len(data)} bytes are not those that were sent")
            got.append((data, sender))
        return got

    def exchange(self, sizes=SIZES, rounds=1, mtu_discover=None):
        """Sends datagrams of all sizes both ways, and looks at each."""
        options = [(socket.IPPROTO_IP, IP_MTU_DISCOVER, mtu_discover)] if mtu_discover is not None else []
        ends = [udp(self.here, self.HERE, options=options), udp(self.there, self.THERE, options=options)]
        with contextlib.ExitStack() as stack:
            for end in ends:
                stack.enter_context(end)
            for turn in range(rounds):
                for size in sizes:
                    for sender, receiver in (ends, ends[::-1]):
                        sent = payload(size, size + turn)
                        sender.sendto(sent, receiver.getsockname())
                        [(data, who)] = self.receive(receiver, 1)
                        self.assertEqual(data, sent, f"{size} bytes")
                        self.assertEqual(who, sender.getsockname())

    def said(self):
        return "\n".join(str(child) for child in self.children)

    def counted(self):
        """The same, when all of them have ended and said what they counted."""
        for child in self.children:
            child.signal(signal.SIGTERM)
        until(lambda: not any(child.running() for child in self.children), 2)
        return self.said()

    def busy(self):
        """CPU that all lmd have used, in seconds."""
        ticks = 0
        for child in self.children:
            # The child of `ip netns exec` and `nice` is lmd itself: they replace themselves.
            fields = pathlib.Path(f"/proc/{child.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
            ticks += int(fields[11]) + int(fields[12])
        return ticks / os.sysconf("SC_CLK_TCK")

    def lose(self, in_100_000):
        """From now on so many of 100,000 UDP frames from `there` do not arrive. They are led away, not dropped: a kernel
        that drops its own frames notices, and keeps the rest of the datagram."""
        self.nft('add table netdev t; add chain netdev t c { type filter hook egress device "v1" priority 0; }; '
                 f'add rule netdev t c ip protocol udp numgen random mod 100000 < {in_100_000} counter fwd to "lo"')

    def nft(self, rule):
        code, said = run(self.there, "nft", rule)
        self.assertEqual(code, 0, said)

    def nothing_reassembled(self, namespace):
        """The kernel has put no fragments together."""
        self.assertEqual(netns.counters("Ip", namespace)["ReasmReqds"], 0, f"fragments in {namespace}")

    def iperf3(self, server, address, client, *words):
        """A run of iperf3 from one name space to another: the sums that it gives at the end."""
        ear = subprocess.Popen(["ip", "netns", "exec", server, "iperf3", "-s", "-1", "--forceflush"],
                               stdout=subprocess.PIPE, text=True)
        try:
            # It listens when it has printed two lines.
            ear.stdout.readline()
            ear.stdout.readline()
            code, said = run(client, "iperf3", "-c", address, "-J", *words)
            self.assertEqual(code, 0, f"{said}; {self.said()}")
            return json.JSONDecoder().raw_decode(said)[0]["end"]
        finally:
            ear.kill()
            ear.wait()
            ear.stdout.close()

    def rate(self, server, address, client, seconds=2):
        """TCP from one name space to another, in Mb/s."""
        end = self.iperf3(server, address, client, "-t", str(seconds))
        return end["sum_received"]["bits_per_second"] / 1e6

    def tally(self, child):
        """What one that has ended counted. It had all its mbufs then."""
        mbufs = re.search(r"mbufs: (\d+) of (\d+) are back in the landing pool, (\d+) are out", child.out())
        self.assertTrue(mbufs and mbufs[1] == mbufs[2] != "0" and mbufs[3] == "0", child)
        counted = {}
        for line in child.out().splitlines():
            number, _, name = line.strip().partition(" ")
            if number.isdigit():
                counted[name] = int(number)
        return counted


class MemifWire(Wire):
    """Two lmd over net_memif."""

    def setUp(self):
        super().setUp()
        self.socket = self.where / "s"
        self.server = self.start_server()
        self.client = self.start_client()
        for namespace, address in ((self.here, self.HERE), (self.there, self.THERE)):
            netns.ip("-n", namespace, "addr", "add", f"{address}/24", "dev", "lm0")
            netns.ip("-n", namespace, "route", "add", "224.0.0.0/4", "dev", "lm0")
        self.settled()

    def behind(self):
        """A name space that `there` routes to, by a veth, and its address."""
        behind = self.space("c")
        veth((self.there, "w0", "10.90.0.1"), (behind, "w1", "10.90.0.2"), offloads=True)
        with netns.inside(self.there):
            # This thread is in the name space, and /proc/sys is its own.
            pathlib.Path("/proc/sys/net/ipv4/ip_forward").write_text("1")
        netns.ip("-n", behind, "route", "add", "default", "via", "10.90.0.1")
        netns.ip("-n", self.here, "route", "add", "10.90.0.0/24", "via", self.THERE)
        self.settled()
        return behind, "10.90.0.2"

    def settled(self):
        for namespace in (self.here, self.there):
            if not until(lambda: is_settled(namespace)):
                raise Failed(f"lm0 in {namespace}: {show(namespace, 'addr')} {show(namespace, 'route')}; {self.said()}")

    def start_server(self, *options):
        eal = f"--vdev=net_memif0,role=server,socket={self.socket},socket-abstract=no,mac=02:00:00:00:00:0a"
        return self.lmd("server", self.here, [eal], *options, core=core(0)).ready()

    def start_client(self, *options):
        eal = f"--vdev=net_memif0,role=client,socket={self.socket},socket-abstract=no,mac=02:00:00:00:00:0b"
        return self.lmd("client", self.there, [eal], *options, core=core(1)).ready()


def is_settled(namespace):
    """Whether lm0 has a carrier, and its routes their MTU."""
    return "LOWER_UP" in show(namespace, "link", "show", "lm0") and all(
        "mtu" in route for route in show(namespace, "-4", "route", "show", "dev", "lm0").splitlines())


class VethWire(Wire):
    """An lmd over net_pcap on one end of a veth; the kernel has the other, and offloads nothing."""

    def setUp(self):
        super().setUp()
        veth((self.here, "v0", None), (self.there, "v1", self.THERE))
        netns.ip("-n", self.there, "route", "add", "224.0.0.0/4", "dev", "v1")
        # Else the kernel answers for lm0's address there, too, and the other end may send past lmd.
        netns.ip("-n", self.here, "link", "set", "v0", "arp", "off")
        self.daemon = self.lmd("lmd", self.here, ["--vdev=net_pcap0,iface=v0"], core=core(0)).ready()
        netns.ip("-n", self.here, "addr", "add", f"{self.HERE}/24", "dev", "lm0")
        netns.ip("-n", self.here, "route", "add", "224.0.0.0/4", "dev", "lm0")
        if not until(lambda: is_settled(self.here)):
            raise Failed(f"lm0: {show(self.here, 'addr')} {show(self.here, 'route')}; {self.said()}")


def needs(program):
    """Skips a test on a machine without this program."""
    return unittest.skipUnless(shutil.which(program), f"there is no {program}")


def skip_unless_root():
    if os.geteuid():
        raise unittest.SkipTest("not root")
