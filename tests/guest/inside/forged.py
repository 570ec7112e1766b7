"""Control messages of a stranger who does not know the cluster's key."""

import hashlib
import hmac
import socket
import struct

import wire

PORT = 19533
KINDS = range(1, 7)
# A life far in the future, which would lock the true node out, and numbers beyond all others.
LIFE, NOW = 1 << 62, 1 << 40


def forged(nodes, address, size):
    """Broadcast frames, one for each kind, in which each node says so to the next: unsigned, and signed with
    a key of zeros.
    """
    return [frame for kind in KINDS for node in range(1, nodes + 1)
            for frame in _frames(kind, address(node), address(node % nodes + 1), size)]


def _frames(kind, from_, to, size):
    numbers = [int.from_bytes(socket.inet_aton(text), "big") for text in (from_, to)]
    about = numbers[1] if kind <= 2 else numbers[0]
    for flags in (0, 1):
        text = struct.pack("!2sBBBBBB10QIHH", b"AC", 1, kind, flags, 0, 7, 0, *numbers, LIFE, NOW, 0, 0,
                           about, size, NOW, NOW, 100_000, 64, 0)
        if flags:
            text += hmac.new(bytes(32), text, hashlib.sha256).digest()[:16]
        flow = wire.Flow(src=from_, dst="255.255.255.255", sport=PORT, dport=PORT,
                         src_mac=wire.mac("52:54:00:00:00:77"), dst_mac=wire.mac("ff:ff:ff:ff:ff:ff"))
        yield from wire.kernel_frames(flow, 9, text)
