"""Programs that look for the path's MTU themselves: probes of RFC 8899, and QUIC."""

import hashlib
import socket
import subprocess
import threading

import netns
from linux import IP_MTU_DISCOVER, PROBE
from lmd import MAX_PAYLOAD, MemifWire, VethWire, needs, payload, run, udp, until

# The most that a datagram of one frame carries.
WIRE = 1472


class Path:
    """Both ways, on every wire."""

    def test_probes(self):
        """Who sends probes that must not be cut finds the wire's size, whether or not it looks at errors, while other
        programs' large datagrams are whole."""
        for here, address, there, to in ((self.here, self.HERE, self.there, self.THERE),
                                         (self.there, self.THERE, self.here, self.HERE)):
            with udp(there, to) as ear:
                ear.settimeout(None)

                def answer():
                    while True:
                        data, who = ear.recvfrom(70_000)
                        if not data:
                            return
                        ear.sendto(len(data).to_bytes(4, "big"), who)

                thread = threading.Thread(target=answer)
                thread.start()
                options = [(socket.IPPROTO_IP, IP_MTU_DISCOVER, PROBE)]
                with udp(here, address, options=options) as mouth, udp(here, address) as other:
                    mouth.connect(ear.getsockname())
                    mouth.settimeout(0.2)
                    low, high = 1200, MAX_PAYLOAD
                    while low < high:
                        size = (low + high + 1) // 2
                        if self.passes(mouth, size):
                            low = size
                        else:
                            high = size - 1
                        other.sendto(payload(64_000, size), ear.getsockname())
                        self.assertEqual(int.from_bytes(other.recv(100), "big"), 64_000)
                    self.assertEqual(low, WIRE, f"from {here}; {self.said()}")
                    other.sendto(b"", ear.getsockname())
                thread.join()

    @staticmethod
    def passes(mouth, size):
        """Whether one of three probes of this size is answered. An error may be about an earlier one."""
        for _ in range(3):
            try:
                mouth.send(bytes(size))
                while int.from_bytes(mouth.recv(100), "big") != size:
                    pass
                return True
            except (OSError, TimeoutError):
                pass
        return False

    @needs("gtlsclient")
    @needs("gtlsserver")
    @needs("openssl")
    def test_quic(self):
        """A file of 5 MB by QUIC, from either end."""
        self.where.mkdir(parents=True, exist_ok=True)
        key, certificate = self.where / "key", self.where / "certificate"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                        "-subj", "/CN=lm", "-days", "2", "-keyout", str(key), "-out", str(certificate)], check=True,
                       capture_output=True)
        docs = self.where / "docs"
        docs.mkdir()
        data = hashlib.shake_128(b"quic").digest(5 << 20)
        (docs / "file").write_bytes(data)
        for here, there, to in ((self.here, self.there, self.THERE), (self.there, self.here, self.HERE)):
            got = self.where / f"got{there}"
            got.mkdir()
            words = ["gtlsserver", "-q", "-d", str(docs), to, "4433", str(key), str(certificate)]
            ear = subprocess.Popen(["ip", "netns", "exec", there, *words], stdout=subprocess.DEVNULL,
                                   stderr=subprocess.STDOUT)
            try:
                self.assertTrue(until(lambda: ":4433" in run(there, "ss", "-uln")[1]), "no server")
                code, said = run(here, "gtlsclient", "-q", "--exit-on-all-streams-close", "--timeout=10s",
                                 f"--download={got}", to, "4433", f"https://{to}/file")
                self.assertEqual(code, 0, f"{said}; {self.said()}")
                self.assertTrue((got / "file").read_bytes() == data, f"other bytes from {there}; {self.said()}")
            finally:
                ear.kill()
                ear.wait()


class MemifPath(Path, MemifWire):
    far = "lm0"


class VethPath(Path, VethWire):
    far = "v1"
