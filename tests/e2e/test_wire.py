"""The judge is judged: `wire` against published values, tshark's verdict and itself."""

import random
import subprocess
import unittest

import wire
from testpmd import Case


class Wire(Case):
    def test_the_sum_of_rfc_1071(self):
        self.assertEqual(wire.ones_sum(bytes.fromhex("0001f203f4f5f6f7")), 0xDDF2)
        self.assertEqual((wire.ones_sum(b""), wire.ones_sum(b"\xff\xff"), wire.ones_sum(b"\1")),
                         (0, 0xFFFF, 0x0100))

    def test_the_pattern_of_seed_0(self):
        self.assertEqual(wire.Pattern(0).payload(0, 7), 0xE220_A839_7B1D_CDAF.to_bytes(8, "little")[:7])

    def test_what_is_cut_can_be_put_together(self):
        rng = random.Random(1)
        for size in (0, 1, 1472, 1473, 65_507):
            data = rng.randbytes(size)
            frames = wire.kernel_frames(wire.Flow(), 7, data)
            rng.shuffle(frames)
            (back,) = wire.reassemble(frames)
            self.assertTrue(back.payload == data and back.checksum_ok and back.behind == b"", size)

    def test_tshark_agrees(self):
        path = self.where / "frames.pcap"
        flow = wire.Flow()
        frames = [f for i, n in enumerate((1, 18, 1472, 1473, 7168, 65_507))
                  for f in wire.kernel_frames(flow, i, bytes(i * 7 & 255 for i in range(n)))]
        frames += wire.kernel_frames(flow, 9, b"options", options=b"\x01\x01\x01\x00")
        frames += [wire.arp(flow), wire.arp(flow, 2), wire.tcp(flow, 200), wire.tagged(wire.arp(flow))]
        wire.write_pcap(path, frames)
        self.assertEqual(wire.read_pcap(path), frames)
        words = [
            "tshark", "-n", "-r",
            str(path), "-o", "ip.check_checksum:TRUE", "-o", "udp.check_checksum:TRUE", "-o",
            "ip.defragment:TRUE", "-T", "fields", "-e", "udp.checksum.status", "-e", "arp.opcode", "-e",
            "ip.checksum.status", "-e", "_ws.malformed"
        ]
        out = subprocess.run(words, capture_output=True, text=True, timeout=60, check=True).stdout
        rows = [line.split("\t") for line in out.splitlines()]
        self.assertEqual([r[0] for r in rows if r[0]], ["1"] * 7, "UDP checksums")
        self.assertEqual([r[1] for r in rows if r[1]], ["1", "2", "1"], "ARP")
        self.assertEqual({r[2] for r in rows if r[2]}, {"1"}, "IP checksums")
        self.assertEqual({r[3] for r in rows}, {""}, "malformed")


if __name__ == "__main__":
    unittest.main()
