"""Ordinary programs, unmodified."""

import subprocess

from lmd import MemifWire, needs, run


class Programs(MemifWire):
    far = "lm0"

    @needs("iperf3")
    def test_iperf3(self):
        """UDP of 64,000 bytes both ways, and TCP both ways."""
        for words in (("-u", "-l", "64000", "-b", "50M"), ("-u", "-l", "64000", "-b", "50M", "-R"), (), ("-R",)):
            end = self.iperf3(self.there, self.THERE, self.here, "-t", "1", *words)
            total = end["sum"] if "-u" in words else end["sum_received"]
            self.assertGreater(total["bytes"], 1 << 20, end)
        self.nothing_reassembled(self.here)
        self.nothing_reassembled(self.there)

    @needs("socat")
    def test_socat(self):
        """A file of 64 KB in one datagram, and in a stream."""
        sent, got = self.where / "sent", self.where / "got"
        sent.write_bytes(bytes(i * 7 % 251 for i in range(60_000)))
        for listen, connect in (("UDP-RECV:7000", "UDP-SENDTO"), ("TCP-LISTEN:7000", "TCP")):
            server = subprocess.Popen(["ip", "netns", "exec", self.there, "socat", "-b", "65536", "-T", "2", "-u", listen,
                                       f"CREATE:{got}"])
            try:
                script = f"sleep 0.5; socat -b 65536 -u OPEN:{sent} {connect}:{self.THERE}:7000"
                code, said = run(self.here, "sh", "-c", script)
                self.assertEqual(code, 0, said)
                self.assertEqual(server.wait(20), 0)
                self.assertEqual(got.read_bytes(), sent.read_bytes(), listen)
            finally:
                server.kill()
                server.wait()
