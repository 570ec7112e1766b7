"""Frames that an attacker can send, or a kernel that nobody attacks with, in lists for capture files."""

import hashlib
import struct
from dataclasses import replace

import wire

# Who sends, and whose name is misused.
SENDER = wire.Flow(src="192.168.0.66", sport=666, dport=80)
VICTIM = wire.Flow()


def data(name, length):
    """Bytes that are told from any others."""
    return hashlib.shake_128(str(name).encode()).digest(length)


def kernel(flow, ident, payload, mtu=wire.MTU):
    """A UDP payload in frames as Linux cuts it, first fragment first: what is not the last is a multiple of 8
    bytes, and the last is as long as the MTU lets it be."""
    body, room, at, frames = wire.udp(flow, payload), mtu - wire.IPV4, 0, []
    while at < len(body):
        left = len(body) - at
        take = room & ~7 if left > room else left
        frames.append(wire.ipv4(flow, body[at:at + take], ident, at, take < left))
        at += take
    return frames


def marked(frame, tos):
    """The same frame with this type of service."""
    header = bytearray(frame[wire.ETHERNET:wire.HEADERS])
    header[1], header[10:12] = tos, b"\0\0"
    header[10:12] = struct.pack("!H", 0xFFFF - wire.ones_sum(bytes(header)))
    return frame[:wire.ETHERNET] + bytes(header) + frame[wire.HEADERS:]


def priority_tagged(frame, priority=5):
    """The same frame with a VLAN tag that names no VLAN (802.1Q)."""
    return frame[:12] + struct.pack("!HH", 0x8100, priority << 13) + frame[12:]


def interleaved(datagrams):
    """The first frame of each, then the second of each, and so on."""
    return [d[k] for k in range(max(map(len, datagrams))) for d in datagrams if k < len(d)]


def phantom(fragments):
    """What a datagram that nobody sends would leave in memory, headers first: so many full fragments."""
    payload = b"evil, out of file contents".ljust(fragments * wire.STRIDE - wire.UDP, b"!")
    body = wire.udp(VICTIM, payload)
    first = wire.ipv4(VICTIM, body[:wire.STRIDE], 7, 0, fragments > 1)
    return first[:wire.HEADERS] + body


def in_contents(fragments, at, length=8 * wire.STRIDE + 500):
    """Contents for an honest sender that cuts them as LM does, last fragment first: the phantom lies in them
    at this fragment.
    """
    contents, hidden = bytearray(data("contents", length)), phantom(fragments)
    start = at * wire.STRIDE - wire.UDP - wire.HEADERS
    contents[start:start + len(hidden)] = hidden
    return bytes(contents)


def in_kernels_contents(at, length=9 * wire.STRIDE):
    """The same for a kernel, first fragment first: the phantom's last fragment comes first, and its headers
    last.
    """
    contents, hidden = bytearray(data("contents", length)), phantom(2)
    headers, first, last = hidden[:wire.HEADERS], hidden[wire.HEADERS:][:wire.STRIDE], hidden[wire.HEADERS:][
        wire.STRIDE:]
    place = at * wire.STRIDE - wire.UDP
    contents[place:place + 2 * wire.STRIDE] = last + first
    end = place + 3 * wire.STRIDE
    contents[end - wire.HEADERS:end] = headers
    return bytes(contents)


def last_first(flow, ident, payload):
    """An honest datagram in frames, last fragment first, without a tag."""
    return kernel(flow, ident, payload)[::-1]


def sources(count):
    """So many flows of as many sources."""
    return [replace(VICTIM, src=f"10.0.{1 + i // 250}.{1 + i % 250}", sport=3000 + i) for i in range(count)]
