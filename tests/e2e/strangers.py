"""Frames that a landing queue should never see, and does: the cases of docs/strangers.md.

`all_cases` gives each case as frames to receive and the payloads that may be delivered. LM's own frames are
made by lm-testpmd itself, whose echo engine sends back any payload that it is given; the rest is made by
`wire`.
"""

import hashlib
import random
import struct
from dataclasses import dataclass, field

import wire
from testpmd import Testpmd
from wire import Flow, arp, ipv4, kernel_frames, tagged, tcp, udp

A = Flow(src="10.0.0.1", sport=7000, src_mac=wire.mac("02:00:00:00:00:01"))
B = Flow(src="10.0.0.2", sport=7001, src_mac=wire.mac("02:00:00:00:00:02"))
# The sender of the good datagram behind each case: no other has used up its share of the reassembler.
C = Flow(src="10.0.0.3", sport=7002, src_mac=wire.mac("02:00:00:00:00:03"))
STRIDE = wire.STRIDE
GOOD = 7168
SIZES = {
    "small": 100,
    "two": 2000,
    "three": 3500,
    "five": 7168,
    "twelve": 16_384,
    "full three": 3 * STRIDE - 8,
    "most": 65_507
}


def payload(name, length=GOOD):
    """Random bytes that belong to this name alone."""
    return hashlib.shake_128(f"{name}/{length}".encode()).digest(length)


@dataclass
class Case:
    """What arrives, what of it may be delivered (and how often), and options that the receiver needs."""

    name: str
    frames: list = field(default_factory=list)
    sent: list = field(default_factory=list)
    options: tuple = ()

    def add(self, frames, *sent):
        self.frames += frames
        self.sent += sent


class Maker:
    """LM's frames, from lm-testpmd."""

    def __init__(self, where):
        self.where = where
        self.made = 0
        self.wanted = []

    def frames(self, flow, payloads, *options):
        """The frames that LM sends for these payloads: a list for each, last fragment first."""
        self.made += 1
        where = self.where / f"maker{self.made}"
        where.mkdir(parents=True)
        question, answer = where / "question.pcap", where / "answer.pcap"
        back = flow.reversed()
        wire.write_pcap(question, [f for i, p in enumerate(payloads) for f in kernel_frames(back, i, p)])
        eal = (f"--vdev=net_pcap0,rx_pcap={question},tx_pcap={answer}",)
        echo = Testpmd(where, eal, "--forward-mode=echo", f"--tx-ip={flow.src},{flow.dst}",
                       f"--tx-udp={flow.sport},{flow.dport}", f"--eth-peer=0,{flow.dst_mac.hex(':')}",
                       "--slots=separate", "--burst=1", f"--count={len(payloads)}", "--stop-after-idle=2000",
                       *options)
        with echo:
            echo.fine()
        made = list(wire.by_datagram(wire.read_pcap(answer)))
        assert [wire.Packet.of(f[-1]).src for f in made] == [flow.src] * len(payloads), str(echo)
        for frames, want in zip(made, payloads):
            (whole,) = wire.reassemble(frames)
            assert whole.payload == want, f"the echo of {len(want)} bytes is not what was sent: {echo}"
        return made


def shuffled(frames, seed):
    frames = list(frames)
    random.Random(seed).shuffle(frames)
    return frames


def with_bits(frame, at, value):
    """A frame with other bytes at this place, whatever checksums say."""
    return frame[:at] + value + frame[at + len(value):]


def marked(frame, ecn):
    """A frame with this mark of explicit congestion notification (RFC 3168), and the header's checksum for
    it.
    """
    at = wire.ETHERNET
    head = bytearray(frame[at:at + 20])
    head[1] = head[1] & ~3 | ecn
    head[10:12] = b"\0\0"
    total = sum(struct.unpack("!10H", head))
    total = (total & 0xFFFF) + (total >> 16)
    total = (total & 0xFFFF) + (total >> 16)
    head[10:12] = struct.pack("!H", total ^ 0xFFFF)
    return with_bits(frame, at, bytes(head))


def fragment(name, offset, length, more, ident=900, flow=A):
    return ipv4(flow, payload(f"{name}{offset}", length), ident, offset, more)


def forged():
    """A payload in which each fragment begins and ends with headers that would close the run early."""
    data = bytearray(payload("forged"))
    for k in range(1, 5):
        start = k * STRIDE - wire.UDP
        data[start:start + 8] = struct.pack("!HHHH", A.sport, A.dport, GOOD + wire.UDP - k * STRIDE, 0)
        if k >= 2:
            whole = ipv4(A, bytes(STRIDE), 1, 0, True)
            data[start - wire.HEADERS:start] = whole[:wire.HEADERS]
    return bytes(data)


def in_turn(senders):
    """A kernel's datagram of each of so many senders, fragment by fragment: the frames and the payloads."""
    flows = [
        Flow(src=f"10.1.0.{i + 1}", sport=6000 + i, src_mac=wire.mac(f"02:00:00:00:01:{i + 1:02x}"))
        for i in range(senders)
    ]
    payloads = [payload(f"sender {i}") for i in range(senders)]
    datagrams = [kernel_frames(flow, 1100 + i, p) for i, (flow, p) in enumerate(zip(flows, payloads))]
    return [frame for turn in zip(*datagrams) for frame in turn], payloads


def all_cases(where):
    """Every case, and the good datagram that is received after each."""
    maker = Maker(where)
    names = list(SIZES) + [f"{n}{i}" for n in ("five", "most", "twelve") for i in range(2, 7)]
    size = {n: SIZES[n.rstrip("23456")] for n in names}
    load = {n: payload(n, size[n]) for n in names} | {"forged": forged()}
    lm = dict(zip(load, maker.frames(A, list(load.values()))))
    load["good"] = payload("good")
    (lm["good"],) = maker.frames(C, [load["good"]])
    other = maker.frames(B, [payload("b"), payload("b", 3000)])
    zero = maker.frames(A, [payload("zero")], "--checksum=zero")[0]
    kernel = {n: kernel_frames(A, 500 + i, p) for i, (n, p) in enumerate(load.items())}
    cases = []

    def case(name, *options):
        cases.append(Case(name, options=options))
        return cases[-1]

    def in_each_place(name, places, stranger):
        c = case(name)
        for i, at in enumerate(places):
            n = "five" if i == 0 else f"five{i + 1}"
            c.add(lm[n][:at] + [stranger] + lm[n][at:], load[n])

    # Strangers.
    in_each_place("ARP between two fragments", (1, 2, 3, 4), arp(B))
    in_each_place("ARP before and behind", (0, 5), arp(B))
    in_each_place("short TCP between two fragments", (1, 2, 3, 4), tcp(B, 200))
    in_each_place("TCP of 1,500 bytes between two fragments", (1, 2, 3, 4), tcp(B, 1500))
    in_each_place("TCP of 1,514 bytes between two fragments", (1, 2, 3, 4), tcp(B, 1514))
    in_each_place("TCP of 1,514 bytes before and behind", (0, 5), tcp(B, 1514))
    in_each_place("VLAN-tagged ARP between two fragments", (1, 2, 3, 4), tagged(arp(B)))
    in_each_place("IPv6 between two fragments", (1, 2, 3, 4),
                  wire.ethernet(B, 0x86DD, b"\x60" + bytes(59), pad=False))
    c = case("eight full TCP frames in a row inside a datagram")
    c.add(lm["five"][:2] + [tcp(B, 1514)] * 8 + lm["five"][2:], load["five"])
    c = case("full TCP frames in two places of a datagram")
    c.add(lm["twelve"][:3] + [tcp(B, 1514)] + lm["twelve"][3:7] + [tcp(B, 1514)] + lm["twelve"][7:],
          load["twelve"])
    for length in (1515, 1516, 1517, 1518):
        in_each_place(f"TCP of {length:,} bytes between, before and behind", (0, 1, 2, 3, 4, 5),
                      tcp(B, length))
    in_each_place("VLAN-tagged full frame between two fragments", (1, 2, 3, 4), tagged(tcp(B, 1514)))
    c = case("a full TCP frame before a datagram whose fragments are all full")
    c.add([tcp(B, 1514)] + kernel["full three"][::-1], load["full three"])
    c = case("datagrams for another address or port")
    for i, flow in enumerate((Flow(dst="10.0.0.253"), Flow(dport=53))):
        c.add(kernel_frames(flow, i, payload(f"elsewhere{i}", 100)), payload(f"elsewhere{i}", 100))
    c = case("frames of 14, 20 and 33 bytes")
    c.add([bytes(14), bytes(12) + b"\x08\0" + bytes(6), b"\xff" * 33])

    # Two senders.
    c = case("two senders, fragment by fragment")
    c.add([f for pair in zip(lm["five"], other[0]) for f in pair], load["five"], payload("b"))
    c = case("one datagram inside another")
    c.add(lm["five"][:2] + other[1] + lm["five"][2:], load["five"], payload("b", 3000))
    c = case("one datagram of one frame inside another")
    c.add(lm["five"][:2] + kernel_frames(B, 3, payload("b", 900)) + lm["five"][2:], load["five"],
          payload("b", 900))
    for senders in (17, 64, 200):
        frames, payloads = in_turn(senders)
        case(f"{senders} senders, fragment by fragment").add(frames, *payloads)

    # Order.
    for n, frames in (("small", 1), ("two", 2), ("three", 3), ("five", 5), ("twelve", 12), ("most", 45)):
        c = case(f"a kernel's datagram of {frames} frame{'s' * (frames > 1)}, forward")
        assert len(kernel[n]) == frames
        c.add(kernel[n], load[n])
    for n, frames in (("two", 2), ("three", 3), ("five", 5), ("most", 45)):
        c = case(f"another stack's datagram of {frames} frames, last first")
        c.add(kernel[n][::-1], load[n])
    c = case("LM's datagrams of 2, 5 and 45 frames, forward")
    for n in ("two", "five", "most"):
        c.add(lm[n][::-1], load[n])
    c = case("six of LM's datagrams of 5 frames, shuffled")
    for i in range(6):
        n = "five" if i == 0 else f"five{i + 1}"
        c.add(shuffled(lm[n], i), load[n])
    c = case("two of LM's datagrams of 45 frames, shuffled")
    for i, n in enumerate(("most", "most2")):
        c.add(shuffled(lm[n], i), load[n])
    c = case("six of a kernel's datagrams of 5 frames, shuffled")
    for i in range(6):
        n = "five" if i == 0 else f"five{i + 1}"
        c.add(shuffled(kernel[n], i), load[n])
    c = case("ends in place, the middle shuffled")
    for i, n in enumerate(("five", "twelve", "most")):
        c.add(lm[n][:1] + shuffled(lm[n][1:-1], i + 10) + lm[n][-1:], load[n])

    # Loss and doubles.
    c = case("each of 5 fragments lost in turn")
    for i in range(5):
        n = "five" if i == 0 else f"five{i + 1}"
        c.add(lm[n][:i] + lm[n][i + 1:])
    c = case("each of a kernel's 5 fragments lost in turn")
    for i in range(5):
        n = "five" if i == 0 else f"five{i + 1}"
        c.add(kernel[n][:i] + kernel[n][i + 1:])
    c = case("one of 45 fragments lost, three times")
    for n, i in (("most", 0), ("most2", 22), ("most3", 44)):
        c.add(lm[n][:i] + lm[n][i + 1:])
    c = case("each of 5 fragments twice in turn")
    for i in range(5):
        n = "five" if i == 0 else f"five{i + 1}"
        c.add(lm[n][:i + 1] + lm[n][i:], load[n])
    c = case("a whole datagram twice")
    c.add(lm["five"] * 2, load["five"], load["five"])
    for n, frames in (("five", 5), ("twelve", 12), ("most", 45)):
        c = case(f"halves of two datagrams of {frames} frames meet")
        cuts = range(1, frames) if frames < 45 else (1, 22, 44)
        for cut in cuts:
            first, second = (n, f"{n}2") if cut % 2 else (f"{n}3", f"{n}4")
            c.add(lm[first][:cut] + lm[second][cut:])
        assert len(lm[n]) == frames

    # What should not be.
    c = case("fragments that overlap in part")
    whole = udp(A, payload("overlap", 2000))
    c.add([ipv4(A, whole[:1480], 901, 0, True), ipv4(A, whole[1472:], 901, 1472, False)])
    c = case("a fragment twice with other bytes")
    frames = kernel_frames(A, 902, payload("conflict", 4000))
    c.add(frames[:2] + [ipv4(A, payload("other", 1480), 902, 1480, True)] + frames[2:])
    c = case("a fragment twice with the same bytes, a kernel's")
    frames = kernel_frames(A, 903, payload("again", 4000))
    c.add(frames[:2] + frames[1:], payload("again", 4000))
    c = case("fragments that disagree about the end")
    c.add([fragment("end", 0, 1480, True, 904), fragment("end", 1480, 100, False, 904),
           fragment("end", 1600, 100, False, 904)])
    c = case("fragments without payload")
    c.add([fragment("none", 0, 0, True, 905), fragment("none", 1480, 0, False, 906)])
    c = case("fragments of 8 to 24 bytes, padded to 60")
    c.add(kernel_frames(A, 907, payload("tiny", 50), stride=8), payload("tiny", 50))
    c.add(kernel_frames(A, 908, payload("tiny", 90), stride=24), payload("tiny", 90))
    c = case("a fragment that is no multiple of 8 bytes and not the last")
    c.add([fragment("odd", 0, 1471, True, 909), fragment("odd", 1480, 100, False, 909)])
    c = case("fragments beyond 65,535 bytes")
    c.add([fragment("beyond", 65_528, 8, False, 910)])
    c.add([fragment("beyond", 64_000, 1480, True, 911), fragment("beyond", 65_480, 100, False, 911)])
    c = case("a UDP length that is too small, too large or none, last fragment first")
    for i, claim in enumerate((0, 7, 8, 2000, 3007, 3009, 65_535)):
        c.add(kernel_frames(A, 920 + i, payload("claim", 3000), length=claim)[::-1])
    c = case("the same in forward order")
    for i, claim in enumerate((0, 7, 8, 2000, 3007, 3009, 65_535)):
        c.add(kernel_frames(A, 930 + i, payload("claim", 3000), length=claim))
    c = case("the same in one frame")
    for i, claim in enumerate((0, 7, 8, 107, 109, 65_535)):
        c.add(kernel_frames(A, 940 + i, payload("claim", 100), length=claim))
    c = case("a bit of the payload wrong in each of 5 fragments")
    for i in range(5):
        n = "five" if i == 0 else f"five{i + 1}"
        bad = with_bits(lm[n][i], 700, bytes([lm[n][i][700] ^ 1]))
        c.add(lm[n][:i] + [bad] + lm[n][i + 1:])
    c = case("a wrong UDP checksum, 1, 3 and 5 frames of a kernel's")
    for i, n in enumerate((100, 3500, 7168)):
        c.add(kernel_frames(A, 950 + i, payload("wrong", n), checksum=0x1234))
    c = case("a wrong IP header checksum in each of 5 fragments")
    for i in range(5):
        n = "five" if i == 0 else f"five{i + 1}"
        bad = with_bits(lm[n][i], 24, bytes([lm[n][i][24] ^ 0xFF]))
        c.add(lm[n][:i] + [bad] + lm[n][i + 1:], *([load[n]] if i < 4 else []))
    c = case("no UDP checksum")
    c.add(zero, payload("zero"))
    c = case("no UDP checksum, and `--require=headers,checksum,tags`", "--require=headers,checksum,tags")
    c.add(zero, payload("zero"))
    c = case("a kernel's of 1 and 5 frames, no UDP checksum")
    for i, n in enumerate((100, 7168)):
        c.add(kernel_frames(A, 960 + i, payload("unsummed", n), checksum=0), payload("unsummed", n))
    c = case("IP options, in one frame and in five")
    nops = b"\x01\x01\x01\x00"
    c.add(kernel_frames(A, 970, payload("options", 500), options=nops), payload("options", 500))
    c.add(kernel_frames(A, 971, payload("options", 5000), stride=1000, options=nops),
          payload("options", 5000))
    c = case("headers forged into the payload")
    c.add(lm["forged"], load["forged"])
    c = case("headers forged into the payload, and `--require=headers,checksum,tags`",
             "--require=headers,checksum,tags")
    c.add(lm["forged"], load["forged"])
    c = case("a kernel's datagram cut for an MTU of 1,000")
    c.add(kernel_frames(A, 972, payload("mtu", 5000), stride=976), payload("mtu", 5000))
    c = case("datagrams without payload")
    c.add(kernel_frames(A, 973, b""), b"")
    c.add(kernel_frames(A, 974, b""), b"")
    c = case(
        "a kernel's two datagrams of one identification, the first of one and the last of the other lost")
    c.add(kernel_frames(A, 975, payload("same id"))[1:] + kernel_frames(A, 975, payload("same id 2"))[:-1])
    c = case("a kernel's two datagrams of one identification, interleaved")
    pairs = zip(kernel_frames(A, 976, payload("same id 3")), kernel_frames(A, 976, payload("same id 4")))
    c.add([f for pair in pairs for f in pair])
    c = case("first fragments of 100 datagrams of one sender, and nothing more")
    for i in range(100):
        c.add(kernel_frames(A, 1000 + i, payload("flood", 3000))[:1])
    c = case("the same between the fragments of 10 other senders")
    frames, payloads = in_turn(10)
    for i, frame in enumerate(frames):
        c.add([kernel_frames(A, 2000 + 20 * i + k, payload("flood", 3000))[0] for k in range(20)] + [frame])
    c.sent += payloads
    c = case("fragments of one datagram that a router marked, and others that say it must not be")
    frames = kernel_frames(A, 977, payload("marks"))
    c.add([marked(f, 0b11 if i == 2 else 0b00) for i, f in enumerate(frames)])
    c = case("the same with a sender that allows it")
    frames = kernel_frames(A, 978, payload("marks 2"))
    c.add([marked(f, 0b11 if i == 2 else 0b10) for i, f in enumerate(frames)], payload("marks 2"))
    return cases, (lm["good"], load["good"])
