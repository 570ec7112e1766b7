"""Frames and capture files, written down once more: nothing here comes from the code under test.

Builders make what any IPv4 stack could send, and, on request, what none should. `Packet` takes a frame apart,
`reassemble` puts datagrams together from headers alone, `Pattern` makes lm-testpmd's payloads again.
"""

import hashlib
import ipaddress
import struct
from dataclasses import dataclass, replace

MTU = 1500
STRIDE = 1480
MAX_PAYLOAD = 65_507
ETHERNET, IPV4, UDP, TAG = 14, 20, 8, 8
HEADERS = ETHERNET + IPV4
MIN_FRAME = 60
# Where an ARP packet ends in its frame, and how long LM's mark behind it is.
ARP_END, MARK = 42, 8
# A last fragment that carries more IP payload than this reaches the header of the datagram that landed
# before.
GUARD = STRIDE - HEADERS

TYPE_IPV4, TYPE_ARP, TYPE_VLAN = 0x0800, 0x0806, 0x8100
PROTO_TCP, PROTO_UDP = 6, 17
BROADCAST = b"\xff" * 6


def mac(text):
    return bytes.fromhex(text.replace(":", ""))


def ip(text):
    return int(ipaddress.IPv4Address(text))


def sha256(payload):
    return hashlib.sha256(payload).hexdigest()


def ones_sum(data):
    """The one's-complement sum of 16-bit words (RFC 1071); an odd byte is padded with zero."""
    if len(data) % 2:
        data = data + b"\0"
    total = int.from_bytes(data, "big")
    # 2^16 is 1 modulo 65,535; a sum of zeroes stays 0, any other multiple is 0xffff.
    return total % 0xFFFF or (0xFFFF if total else 0)


@dataclass(frozen=True)
class Flow:
    """Who sends to whom."""

    src: str = "10.0.0.1"
    dst: str = "10.0.0.254"
    sport: int = 7000
    dport: int = 9000
    src_mac: bytes = bytes.fromhex("020000000001")
    dst_mac: bytes = bytes.fromhex("0200000000fe")

    def reversed(self):
        return Flow(self.dst, self.src, self.dport, self.sport, self.dst_mac, self.src_mac)

    def pseudo(self, length):
        return struct.pack("!IIBBH", ip(self.src), ip(self.dst), 0, PROTO_UDP, length)


def ethernet(flow, ether_type, payload, pad=True):
    frame = flow.dst_mac + flow.src_mac + struct.pack("!H", ether_type) + payload
    return frame.ljust(MIN_FRAME, b"\0") if pad else frame


def ipv4(flow, payload, ident=0, offset=0, more=False, protocol=PROTO_UDP, options=b"", bad_sum=False,
         total=None):
    """A frame around `payload`, which lies `offset` bytes into its datagram."""
    assert offset % 8 == 0 and len(options) % 4 == 0
    length = IPV4 + len(options) + len(payload) if total is None else total
    header = bytearray(
        struct.pack("!BBHHHBBHII", 0x45 + len(options) // 4, 0, length, ident, offset // 8
                    | (0x2000 if more else 0), 64, protocol, 0, ip(flow.src), ip(flow.dst)) + options)
    header[10:12] = struct.pack("!H", (0xFFFF - ones_sum(header)) ^ (0x5555 if bad_sum else 0))
    return ethernet(flow, TYPE_IPV4, bytes(header) + payload)


def udp(flow, payload, length=None, checksum=None):
    """A UDP datagram; `length` and `checksum` (0: none) replace the right ones."""
    right = UDP + len(payload)
    length = right if length is None else length
    head = struct.pack("!HHH", flow.sport, flow.dport, length)
    if checksum is None:
        checksum = 0xFFFF - ones_sum(flow.pseudo(right) + head + b"\0\0" + payload) or 0xFFFF
    return head + struct.pack("!H", checksum) + payload


def cut(flow, ident, datagram, stride=STRIDE, options=b""):
    """An IP payload as frames, first fragment first, as a kernel sends it."""
    starts = range(0, len(datagram), stride)
    return [ipv4(flow, datagram[at:at + stride], ident, at, at + stride < len(datagram), options=options)
            for at in starts]


def kernel_frames(flow, ident, payload, stride=STRIDE, options=b"", **wrong):
    """A UDP payload as frames, first fragment first, as a kernel sends it."""
    return cut(flow, ident, udp(flow, payload, **wrong), stride, options)


def arp(flow, operation=1, target_mac=b"\0" * 6):
    """Who has `dst`? Or, with operation 2, the answer."""
    body = struct.pack("!HHBBH", 1, TYPE_IPV4, 6, 4, operation)
    body += flow.src_mac + struct.pack("!I", ip(flow.src)) + target_mac + struct.pack("!I", ip(flow.dst))
    to = replace(flow, dst_mac=BROADCAST) if operation == 1 else flow
    return ethernet(to, TYPE_ARP, body)


def mix(z):
    """The output function of SplitMix64."""
    mask = (1 << 64) - 1
    z = ((z ^ z >> 30) * 0xBF58476D1CE4E5B9) & mask
    z = ((z ^ z >> 27) * 0x94D049BB133111EB) & mask
    return z ^ z >> 31


def mark(hardware, address):
    """LM's mark of the node with these addresses (docs/wire.md)."""
    digest = mix(mix(int.from_bytes(hardware, "big")) ^ address) >> 32
    return b"LM\1\0" + struct.pack("!I", digest)


def marked(frame):
    """An ARP frame with the mark of its sender."""
    return with_mark(frame, mark(frame[22:28], int.from_bytes(frame[28:32], "big")))


def with_mark(frame, bytes8):
    return frame[:ARP_END] + bytes8 + frame[ARP_END + len(bytes8):]


def mark_of(frame):
    """Where an ARP frame's mark stands."""
    return frame[ARP_END:ARP_END + MARK]


def tcp(flow, frame_len):
    """A TCP segment in a frame of this length."""
    data = bytes(i * 31 & 0xFF for i in range(max(frame_len - HEADERS - 20, 0)))
    head = struct.pack("!HHIIBBHHH", flow.sport, flow.dport, 1, 2, 0x50, 0x10, 1000, 0, 0)
    return ipv4(flow, head + data, 77, protocol=PROTO_TCP)


def tagged(frame, vlan=5):
    """The same frame in a VLAN (802.1Q)."""
    return frame[:12] + struct.pack("!HH", TYPE_VLAN, vlan) + frame[12:]


class NotIpv4(Exception):
    """A frame that is not a plain IPv4 packet."""


@dataclass(frozen=True)
class Packet:
    """A frame that holds an IPv4 packet."""

    src_mac: bytes
    dst_mac: bytes
    src: str
    dst: str
    ident: int
    protocol: int
    offset: int
    more: bool
    header_ok: bool
    payload: bytes
    # What follows the IP packet in the frame.
    trailer: bytes

    @classmethod
    def of(cls, frame):
        if len(frame) < HEADERS or frame[12:14] != b"\x08\0" or frame[14] >> 4 != 4:
            raise NotIpv4(frame[:HEADERS].hex())
        length = (frame[14] & 15) * 4
        total, ident, bits = struct.unpack("!HHH", frame[16:22])
        src, dst = (str(ipaddress.IPv4Address(frame[at:at + 4])) for at in (26, 30))
        header = frame[ETHERNET:ETHERNET + length]
        return cls(frame[6:12], frame[:6], src, dst, ident, frame[23], (bits & 0x1FFF) * 8,
                   bool(bits & 0x2000),
                   ones_sum(header) == 0xFFFF, frame[ETHERNET + length:ETHERNET + total],
                   frame[ETHERNET + total:])


@dataclass(frozen=True)
class Datagram:
    """A whole UDP datagram, with what came behind it in the IP payload."""

    src: str
    dst: str
    sport: int
    dport: int
    payload: bytes
    checksum: int
    checksum_ok: bool
    behind: bytes
    fragments: int


def datagram(src, dst, ip_payload, fragments):
    sport, dport, length, checksum = struct.unpack("!HHHH", ip_payload[:UDP])
    pseudo = struct.pack("!IIBBH", ip(src), ip(dst), 0, PROTO_UDP, length)
    right = ones_sum(pseudo + ip_payload[:length]) == 0xFFFF
    return Datagram(src, dst, sport, dport, ip_payload[UDP:length], checksum, right, ip_payload[length:],
                    fragments)


def reassemble(frames):
    """Datagrams in the order in which they become whole, by their headers alone; leftovers are an error."""
    open_ones = {}
    for frame in frames:
        p = Packet.of(frame)
        key = (p.src, p.dst, p.ident, p.protocol)
        pieces = open_ones.setdefault(key, {})
        assert p.offset not in pieces, f"fragment at {p.offset} twice"
        pieces[p.offset] = p
        end = next((q.offset + len(q.payload) for q in pieces.values() if not q.more), None)
        if end is not None and sum(len(q.payload) for q in pieces.values()) == end:
            body = b"".join(pieces[at].payload for at in sorted(pieces))
            assert len(body) == end and all(at in pieces or at == end for q in pieces.values()
                                            for at in (q.offset + len(q.payload),))
            del open_ones[key]
            yield datagram(p.src, p.dst, body, len(pieces))
    assert not open_ones, f"{len(open_ones)} datagrams are not whole"


def by_datagram(frames):
    """Frames as lists, one a datagram, if each datagram's frames come together and last first."""
    run = []
    for frame in frames:
        run.append(frame)
        if Packet.of(frame).offset == 0:
            yield run
            run = []
    assert not run, f"{len(run)} frames without a first fragment"


# Capture files: https://wiki.wireshark.org/Development/LibpcapFileFormat

MAGIC_MICRO, MAGIC_NANO = 0xA1B2C3D4, 0xA1B23C4D


def write_pcap(path, frames):
    with open(path, "wb") as out:
        out.write(struct.pack("<IHHiIII", MAGIC_MICRO, 2, 4, 0, 0, 1 << 18, 1))
        for i, frame in enumerate(frames):
            out.write(struct.pack("<IIII", i // 1_000_000, i % 1_000_000, len(frame), len(frame)) + frame)


def read_pcap(path):
    with open(path, "rb") as file:
        data = file.read()
    magic = struct.unpack("<I", data[:4])[0]
    assert magic in (MAGIC_MICRO, MAGIC_NANO), f"{path} is no capture file"
    assert struct.unpack("<I", data[20:24])[0] == 1, f"{path} is no Ethernet capture"
    at, frames = 24, []
    while at < len(data):
        kept, length = struct.unpack("<II", data[at + 8:at + 16])
        assert kept == length and at + 16 + kept <= len(data), f"frame {len(frames)} of {path} is cut short"
        frames.append(data[at + 16:at + 16 + kept])
        at += 16 + kept
    return frames


class Pattern:
    """lm-testpmd's payloads, from their description: a table of SplitMix64's output, and the datagram's
    number.
    """

    HALF = 1 << 16

    def __init__(self, seed):
        words, x, mask = [], seed, (1 << 64) - 1
        for _ in range(2 * self.HALF // 8):
            x = (x + 0x9E3779B97F4A7C15) & mask
            words.append(mix(x))
        self.table = struct.pack(f"<{len(words)}Q", *words)

    def payload(self, number, length):
        head = struct.pack("!Q", number) if length >= 8 else b""
        start = number * 40_503 % self.HALF
        return head + self.table[start:start + length - len(head)]
