"""Network name spaces: commands and sockets in them."""

import contextlib
import ctypes
import os
import pathlib
import socket
import subprocess
import threading

CLONE_NEWNET = 0x40000000
LIBC = ctypes.CDLL(None, use_errno=True)


def ip(*words):
    subprocess.run(["ip", *words], check=True, capture_output=True, timeout=20)


@contextlib.contextmanager
def inside(namespace):
    """Sockets that are made here belong to the name space; None: to that of this program."""
    if namespace is None:
        yield
        return
    with open("/proc/thread-self/ns/net") as before, open(f"/run/netns/{namespace}") as target:
        if LIBC.setns(target.fileno(), CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), "setns")
        try:
            yield
        finally:
            if LIBC.setns(before.fileno(), CLONE_NEWNET):
                raise OSError(ctypes.get_errno(), "setns back")


def counters(kind, namespace=None):
    """What the kernel has counted of a protocol (Ip, Udp, Tcp) in a name space."""
    with inside(namespace):
        lines = pathlib.Path("/proc/thread-self/net/snmp").read_text().splitlines()
    names, values = (line.split()[1:] for line in lines if line.startswith(f"{kind}:"))
    return dict(zip(names, map(int, values)))


def carried(data, server, address, client, patience, options=()):
    """Sends these bytes by TCP from a client to a server, each in a name space, and returns those that came."""
    with inside(server):
        listener = socket.create_server((address, 0))
    with inside(client):
        sock = socket.socket()
    for option in options:
        sock.setsockopt(*option)
    sock.settimeout(patience)
    with sock, listener:
        sock.connect(listener.getsockname())
        peer, _ = listener.accept()
        peer.settimeout(patience)
        thread = threading.Thread(target=lambda: (sock.sendall(data), sock.shutdown(socket.SHUT_WR)))
        thread.start()
        got = bytearray()
        with peer:
            while part := peer.recv(1 << 18):
                got += part
        thread.join()
    return got
