"""82576: Linux keeps the card with its ordinary queues, LM lands on a virtual function of the same card."""

import json
import re
import socket
import subprocess
import threading

import cards
from guest import B, PORT_B, check
from kernelpeer import SPACE, Peer
from netns import inside, ip

HOST, OTHER = "host", "198.18.0.3"
TCP_PORT, TCP_BYTES, PINGS = 5001, 1 << 18, 20
PATIENCE = 60


class Transfer(threading.Thread):
    """Bytes through TCP from the peer to the card's own address and back."""

    def __init__(self):
        super().__init__(daemon=True)
        with inside(HOST):
            self.server = socket.create_server((OTHER, TCP_PORT))
        with inside(SPACE):
            self.client = socket.socket()
        for s in (self.server, self.client):
            s.settimeout(PATIENCE)
        self.sent = bytes((i * 7 ^ i >> 8) & 255 for i in range(TCP_BYTES))
        self.got = b""

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


def beside_ping_and_tcp(guest):
    """Datagrams land on the virtual function, while ping and TCP go through the card's own queue."""
    peer_card, shared = cards.addresses()
    function = cards.virtual_function(shared, "52:54:00:00:01:02")
    cards.load("vfio_iommu_type1")
    cards.bind(function, "vfio-pci")
    peer = Peer(peer_card, "igb")
    name = cards.interface(shared)
    ip("netns", "add", HOST)
    ip("link", "set", name, "netns", HOST)
    ip("-n", HOST, "addr", "add", f"{OTHER}/24", "dev", name)
    ip("-n", HOST, "link", "set", name, "up")
    there = json.loads(peer.run("ip", "-j", "link", "show", peer.name))[0]["address"]
    child = guest.launch("echo", 1, function, "--forward-mode=echo", "--slots=separate", f"--eth-peer=0,{there}",
                         prompt=True)
    guest.tell(child, "start", "echo forwarding")
    want = guest.sampled(2003)
    transfer = Transfer()
    ping = subprocess.Popen(["ip", "netns", "exec", SPACE, "ping", "-c", str(PINGS), "-W", "5", OTHER],
                            stdout=subprocess.PIPE, text=True)
    transfer.start()
    rounds = 0
    with peer.socket() as s:
        s.connect((B, PORT_B))
        while not rounds or transfer.is_alive() or ping.poll() is None:
            for i, n in enumerate(want):
                payload = guest.pattern.payload(i, n)
                s.send(payload)
                got = s.recv(1 << 16)
                check(got == payload, f"the echo of datagram {i}, {n} bytes, is {len(got)} others:", child)
            rounds += 1
    transfer.join(PATIENCE)
    check(transfer.got == transfer.sent, f"{len(transfer.got)} of {TCP_BYTES} bytes came back through TCP, or others")
    said = ping.communicate()[0]
    received = int(re.search(r"(\d+) packets received", said)[1])
    check(received >= PINGS - 1, said)
    guest.quit(child)
    guest.expect(child, 1, want, rounds)
    guest.level(child)
    guest.copies(child)
    return {"datagrams": child.summary()["datagrams"], "TCP bytes": TCP_BYTES, "pings": received}
