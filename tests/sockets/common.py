"""What holds on every wire: tests that the classes of a wire inherit."""

import errno
import hashlib
import re
import socket
import threading

import netns
from linux import (DO, DONT, IP_MTU_DISCOVER, IP_RECVERR, IP_RECVTOS, IP_RECVTTL, MSG_ERRQUEUE, PROBE, SO_RCVBUFFORCE,
                   WANT)
from lmd import MAX_PAYLOAD, SIZES, payload, run, udp, until


class Common:
    """Programs with sockets, whatever is at the other end."""

    def test_ping_of_all_sizes(self):
        """Echoes of every length cross whole, both ways: ICMP is cut and put together like anything else."""
        for size in (0, 56, 1472, 1473, 8000, 20_000, 65_487, 65_488, 65_507):
            for namespace, to in ((self.here, self.THERE), (self.there, self.HERE)):
                code, said = run(namespace, "ping", "-c", "1", "-W", "2", "-s", str(size), to)
                self.assertEqual(code, 0, f"{size} bytes to {to}: {said}; {self.said()}")
        self.nothing_reassembled(self.here)

    def test_datagrams_of_all_sizes(self):
        """As programs send them, and with each way of asking for fragmentation."""
        for how in (None, WANT, DONT):
            self.exchange(mtu_discover=how)
        self.nothing_reassembled(self.here)

    def test_many_at_once(self):
        """Datagrams of 64,000 bytes of four senders, one behind the other, both ways: as many frames as the ring of
        any device here has room for."""
        # While a neighbour's address is asked for, a kernel keeps three of them.
        self.exchange(sizes=(100,))
        ends = [udp(self.here, self.HERE), udp(self.there, self.THERE)]
        for sender, receiver in (ends, ends[::-1]):
            sources = [udp(self.here if sender is ends[0] else self.there) for _ in range(4)]
            for turn in range(15):
                for i, source in enumerate(sources):
                    source.sendto(payload(64_000, 4 * turn + i), receiver.getsockname())
                got = self.receive(receiver, len(sources))
                self.assertEqual(len({who for _, who in got}), len(sources))
            for source in sources:
                source.close()
        for end in ends:
            end.close()
        self.nothing_reassembled(self.here)

    def test_multicast(self):
        """A group that is joined is heard, datagrams of all sizes, both ways; the time to live is the sender's."""
        group = "239.7.7.7"
        for sender, receiver, name in ((self.here, self.there, self.far), (self.there, self.here, "lm0")):
            ours = self.HERE if sender == self.here else self.THERE
            with udp(receiver, group, 7400) as ear, udp(sender, ours) as mouth:
                with netns.inside(receiver):
                    index = socket.if_nametoindex(name)
                join = socket.inet_aton(group) + bytes(4) + index.to_bytes(4, "little")
                ear.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, join)
                ear.setsockopt(socket.IPPROTO_IP, IP_RECVTTL, 1)
                mouth.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(ours))
                mouth.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, 3)
                for size in (100, 8000, 64_000, MAX_PAYLOAD):
                    sent = payload(size, size)

                    def arrives():
                        mouth.sendto(sent, (group, 7400))
                        try:
                            data, extra, _, _ = ear.recvmsg(70_000, 64)
                        except TimeoutError:
                            return None
                        return data, {kind: int.from_bytes(value[:4], "little") for _, kind, value in extra}

                    # A device's filter follows a join within a tenth of a second.
                    got = arrives() or arrives()
                    self.assertIsNotNone(got, f"{size} bytes to {group} from {sender}; {self.said()}")
                    self.assertEqual(got[0], sent)
                    self.assertEqual(got[1].get(2), self.ttl_of(receiver, size, 3), f"{size} bytes: time to live")

    def ttl_of(self, receiver, size, sent):
        """With which time to live a datagram arrives."""
        return sent

    def test_type_of_service(self):
        """The type of service is the sender's, for datagrams of any size."""
        ends = [udp(self.here, self.HERE), udp(self.there, self.THERE)]
        for sender, receiver in (ends, ends[::-1]):
            sender.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, 0xb8)
            receiver.setsockopt(socket.IPPROTO_IP, IP_RECVTOS, 1)
            for size in (100, 8000, 64_000):
                sender.sendto(payload(size, 1), receiver.getsockname())
                data, extra, _, _ = receiver.recvmsg(70_000, 64)
                self.assertEqual((len(data), extra[0][2][0]), (size, 0xb8))

        for end in ends:
            end.close()

    def test_dont_fragment_is_answered(self):
        """A connected socket that asks for DF learns the wire's MTU, and is refused at the call from then on."""
        for how in (DO, PROBE):
            with udp(self.here, self.HERE, options=[(socket.IPPROTO_IP, IP_MTU_DISCOVER, how)]) as sock:
                sock.connect((self.THERE, 9))
                self.assertEqual(sock.send(bytes(1472)), 1472)

                def refused():
                    try:
                        sock.send(bytes(8000))
                    except OSError as e:
                        return e.errno == errno.EMSGSIZE
                    return False

                self.assertTrue(until(refused), f"{how}: no EMSGSIZE; {self.said()}")
            options = [(socket.IPPROTO_IP, IP_MTU_DISCOVER, how), (socket.IPPROTO_IP, IP_RECVERR, 1)]
            with udp(self.here, self.HERE, options=options) as sock:
                told = []

                def learnt():
                    try:
                        sock.sendto(bytes(8000), (self.THERE, 9))
                    except OSError:
                        pass
                    try:
                        _, extra, _, _ = sock.recvmsg(2000, 512, MSG_ERRQUEUE)
                    except OSError:
                        return False
                    told.extend(int.from_bytes(value[8:12], "little") for _, kind, value in extra if kind == IP_RECVERR)
                    return bool(told)

                self.assertTrue(until(learnt), f"{how}: no error is queued; {self.said()}")
                self.assertEqual(told[0], 1500)

    def test_tcp(self):
        """Streams both ways, contents verified; segments fit the wire."""
        size = 20 << 20
        data = hashlib.shake_128(b"stream").digest(1 << 20) * (size >> 20)
        for server, address, client in ((self.there, self.THERE, self.here), (self.here, self.HERE, self.there)):
            with netns.inside(server):
                listener = socket.create_server((address, 0))
            received = hashlib.md5()

            def serve():
                connection, _ = listener.accept()
                connection.settimeout(30)
                with connection:
                    while chunk := connection.recv(1 << 16):
                        received.update(chunk)
                    connection.sendall(b"done")

            thread = threading.Thread(target=serve)
            thread.start()
            with netns.inside(client):
                sock = socket.socket()
            with sock:
                sock.settimeout(30)
                sock.connect(listener.getsockname())
                self.assertLessEqual(sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG), 1460)
                sock.sendall(data)
                sock.shutdown(socket.SHUT_WR)
                self.assertEqual(sock.recv(10), b"done")
            thread.join()
            listener.close()
            self.assertEqual(received.hexdigest(), hashlib.md5(data).hexdigest())

    def test_ipv6(self):
        """IPv6 is as on any interface of the wire's MTU."""
        for namespace, name, address in ((self.here, "lm0", "fd77::1"), (self.there, self.far, "fd77::2")):
            netns.ip("-n", namespace, "addr", "add", f"{address}/64", "dev", name, "nodad")
        for size in (56, 1452, 1453, 8000):
            code, said = run(self.here, "ping", "-6", "-c", "1", "-W", "3", "-s", str(size), "fd77::2")
            self.assertEqual(code, 0, f"{size}: {said}; {self.said()}")
        with netns.inside(self.there):
            server = socket.create_server(("fd77::2", 0), family=socket.AF_INET6)
        with netns.inside(self.here):
            client = socket.socket(socket.AF_INET6)
        with server, client:
            client.settimeout(10)
            client.connect(server.getsockname()[:2])
            self.assertLessEqual(client.getsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG), 1440)
            peer, _ = server.accept()
            with peer:
                peer.settimeout(10)
                client.sendall(bytes(100_000))
                got = 0
                while got < 100_000:
                    got += len(peer.recv(1 << 16))

    def test_who_does_not_read_harms_nobody_else(self):
        """A program that does not read fills its own buffer; another one's datagrams arrive meanwhile."""
        with udp(self.there, self.THERE) as mouth, udp(self.here, self.HERE) as deaf, udp(self.here, self.HERE) as ear:
            deaf.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 200_000)
            for i in range(50):
                mouth.sendto(payload(64_000, i), deaf.getsockname())
            for i in range(20):
                mouth.sendto(payload(64_000, i), ear.getsockname())
                self.receive(ear, 1)

    def test_routes_have_their_mtu(self):
        """What is added later gets its MTU, too: locked on the link, the wire's behind a gateway."""
        for words, wanted in (
                (("10.78.0.0/24", "dev", "lm0"), r"mtu lock 65520"),
                (("10.79.0.0/24", "via", self.THERE), r"mtu 1500"),
                (("10.80.0.0/24", "dev", "lm0", "mtu", "1400"), r"mtu 1400"),
                (("10.81.0.0/24", "via", self.THERE, "metric", "9"), r"metric 9 mtu 1500"),
                (("default", "via", self.THERE), r"mtu 1500")):
            netns.ip("-n", self.here, "route", "add", *words)

            def right():
                _, said = run(self.here, "ip", "-4", "route", "show", words[0])
                return re.search(wanted, said)

            self.assertTrue(until(right), f"{words}: {run(self.here, 'ip', '-4', 'route')[1]}; {self.said()}")

    def test_addresses_that_come_later(self):
        """A second address, and its route, while lmd runs."""
        netns.ip("-n", self.here, "addr", "add", "10.82.0.1/24", "dev", "lm0")
        netns.ip("-n", self.there, "addr", "add", "10.82.0.2/24", "dev", self.far)
        self.assertTrue(until(lambda: "lock" in run(self.here, "ip", "route", "show", "10.82.0.0/24")[1]))
        with udp(self.here, "10.82.0.1") as mouth, udp(self.there, "10.82.0.2") as ear:
            for size in SIZES:
                mouth.sendto(payload(size, 1), ear.getsockname())
                self.receive(ear, 1)
