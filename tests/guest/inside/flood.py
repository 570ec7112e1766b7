"""A stranger on the wire: a packet socket that sends what no LM sends, on a card of its own or whatever
interface there is.
"""

import socket
import threading

import cards
import wire
from netns import ip

# Room for frames of 1518 bytes, which are more than an MTU of 1500 needs.
MTU = 1504
# Between two bursts others have their turn: there is one processor.
BURST, PAUSE = 4, 0.001


def stranger(address, model):
    """The interface of a card that Linux's driver has."""
    cards.bind(address, cards.LINUX[model])
    name = cards.interface(address)
    ip("link", "set", name, "mtu", str(MTU))
    ip("link", "set", name, "up")
    return name


class Flood:
    """Sends its frames on an interface, over and over, until it is stopped."""

    def __init__(self, name, frames, burst=BURST):
        self.name, self.frames, self.burst, self.sent = name, frames, burst, 0
        self.over = threading.Event()
        self.thread = threading.Thread(target=self._send, daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.thread.join()

    def _send(self):
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as s:
            s.bind((self.name, 0))
            # Who waits for room can't be stopped: a node that polls no more leaves none.
            s.setblocking(False)
            while not self.over.wait(PAUSE):
                for _ in range(self.burst):
                    try:
                        s.send(self.frames[self.sent % len(self.frames)])
                        self.sent += 1
                    except OSError:
                        # The link is not up yet, or the queue is full.
                        break


STRANGER = wire.Flow(src="198.18.0.77", dst="198.18.0.2", src_mac=wire.mac("52:54:00:00:00:77"))


# A datagram in one frame.
IN_A_VLAN = bytes(range(200))


def tagged(to):
    """Frames in a VLAN, of all lengths that an untagged link lets through with 4 bytes more, and a
    datagram.
    """
    flow = wire.Flow(src=STRANGER.src, dst=STRANGER.dst, src_mac=STRANGER.src_mac, dst_mac=to)
    frames = [wire.tcp(flow, n) for n in (60, 200, 1497, 1511, 1512, 1513, 1514)]
    return [wire.tagged(frame) for frame in (*frames, *wire.kernel_frames(flow, 9, IN_A_VLAN))]


def oversize(to):
    """Frames of one to four bytes more than an MTU of 1500 has, which 8254x let in."""
    flow = wire.Flow(src=STRANGER.src, dst=STRANGER.dst, src_mac=STRANGER.src_mac, dst_mac=to)
    return [wire.tcp(flow, n) for n in (1515, 1516, 1517, 1518)]


def ordinary(to):
    """What a node receives all day."""
    flow = wire.Flow(src=STRANGER.src, dst=STRANGER.dst, src_mac=STRANGER.src_mac, dst_mac=to)
    return [wire.tcp(flow, n) for n in (60, 1514, 590, 1514)] + wire.kernel_frames(flow, 9, bytes(3000))
