"""82576: ping and TCP go through its ordinary queue while datagrams land. The queue is Linux's, which leaves
LM a virtual function, or LM's, which leaves the frames to Linux."""

import re
import socket
import subprocess
import threading

import cards
from guest import A, B, PORT_B, check
from kernelpeer import SINGLE, Peer
from netns import inside

HOST, OTHER = "host", "198.18.0.3"
TCP_PORT, TCP_BYTES, PINGS = 5001, 1 << 18, 8
PATIENCE = 60
LANDING = "02:00:00:00:00:11"
TAP = "ordinary"


class Host(Peer):
    """The node behind the ordinary queue."""

    def __init__(self, name, mac=None):
        self.settle(name, HOST, OTHER, mac)


class Traffic(threading.Thread):
    """Pings from the peer to the card's own address, and bytes through TCP there and back."""

    def __init__(self, peer):
        super().__init__(daemon=True)
        with inside(HOST):
            self.server = socket.create_server((OTHER, TCP_PORT))
        with inside(peer.space):
            self.client = socket.socket()
        for s in (self.server, self.client):
            s.settimeout(PATIENCE)
        self.sent = bytes((i * 7 ^ i >> 8) & 255 for i in range(TCP_BYTES))
        self.got = b""
        self.ping = subprocess.Popen(
            ["ip", "netns", "exec", peer.space, "ping", "-c",
             str(PINGS), "-W", "5", OTHER], stdout=subprocess.PIPE, text=True)
        self.start()

    def run(self):
        echo = threading.Thread(target=self._echo, daemon=True)
        echo.start()
        self.client.connect((OTHER, TCP_PORT))
        sender = threading.Thread(target=self.client.sendall, args=(self.sent,), daemon=True)
        sender.start()
        while len(self.got) < TCP_BYTES:
            part = self.client.recv(1 << 16)
            if not part:
                break
            self.got += part

    def _echo(self):
        connection, _ = self.server.accept()
        connection.settimeout(PATIENCE)
        left = TCP_BYTES
        while left:
            part = connection.recv(1 << 16)
            connection.sendall(part)
            left -= len(part)

    def goes_on(self):
        return self.is_alive() or self.ping.poll() is None

    def arrived(self):
        """All of it did: figures."""
        self.join(PATIENCE)
        check(self.got == self.sent, f"{len(self.got)} of {TCP_BYTES} bytes came back through TCP, or others")
        said = self.ping.communicate()[0]
        received = int(re.search(r"(\d+) packets received", said)[1])
        check(received >= PINGS - 1, said)
        return {"TCP bytes": TCP_BYTES, "pings": received}


def on_a_function(guest):
    """Linux keeps the card with its ordinary queues, datagrams of a socket land on its virtual function."""
    peer_card, shared = cards.addresses()
    function = cards.virtual_function(shared, "52:54:00:00:01:02")
    cards.load("vfio_iommu_type1")
    cards.bind(function, "vfio-pci")
    peer = Peer(peer_card, "igb")
    Host(cards.interface(shared))
    child = guest.launch("echo", 1, function, "--forward-mode=echo", "--slots=separate",
                         f"--eth-peer=0,{peer.mac()}", prompt=True, log=guest.logs_all)
    guest.tell(child, "start", "echo forwarding")
    want = guest.sampled(2003)
    traffic = Traffic(peer)
    rounds = 0
    with peer.socket() as s:
        s.connect((B, PORT_B))
        while not rounds or traffic.goes_on():
            for i, n in enumerate(want):
                payload = guest.pattern.payload(i, n)
                s.send(payload)
                got = s.recv(1 << 16)
                check(got == payload, f"the echo of datagram {i}, {n} bytes, is {len(got)} others:", child)
            rounds += 1
    figures = traffic.arrived()
    guest.quit(child)
    guest.expect(child, 1, want, rounds)
    guest.level(child)
    guest.copies(child, rounds * sum(n > SINGLE for n in want))
    return {"datagrams": child.summary()["datagrams"], **figures}


def on_queue_0(guest):
    """LM has the card: datagrams land on queue 1 without a copy, and what comes to queue 0 goes on to Linux
    by a tap, and what Linux sends goes out."""
    cards.load("tun")
    sender, receiver = guest.devices()
    peer = Peer(cards.addresses()[0], "igb")
    want = guest.sampled(2003)
    away = guest.launch("echo", 1, receiver, "--forward-mode=echo", f"--landing-mac={LANDING}",
                        "--ordinary-port=1", f"--eth-peer=0,{cards.mac(sender)}",
                        eal=(f"--vdev=net_tap0,iface={TAP}", ), prompt=True)
    host = Host(TAP, cards.mac(receiver))
    peer.knows(OTHER, cards.mac(receiver))
    host.knows(A, peer.mac())
    home = guest.launch("ping", 0, sender, "--forward-mode=ping", guest.listed(want), f"--count={len(want)}",
                        f"--eth-peer=0,{LANDING}", prompt=True)
    guest.tell(away, "start", "echo forwarding")
    traffic = Traffic(peer)
    rounds = 0
    while not rounds or traffic.goes_on():
        guest.tell(home, "start", "Accumulated", guest.seconds)
        rounds += 1
    figures = traffic.arrived()
    proof = guest.tell(away, "show port info 0", "Landing writes")
    check("proven by live frames" in proof, proof)
    for child in (home, away):
        guest.quit(child)
        guest.level(child)
    guest.expect(away, 1, want, rounds)
    # The hub has all frames for all cards, and this one lands them all: what a stranger comes in between of
    # is lost.
    bad = [p for p in home.summary()["ping"] if p["mismatched"]]
    check(not bad, "mismatched:", bad)
    check(away.summary()["ordinary"] > PINGS, "nothing came to queue 0:", away.summary())
    return {"datagrams": away.summary()["datagrams"], "copied bytes": guest.copies(away),
            "ordinary": away.summary()["ordinary"], **figures}
