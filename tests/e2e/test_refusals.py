"""What is refused, and what is said: the README's table, row by row, and the kinds that its rows stand
for.
"""

import os
import pathlib
import re
import shlex
import struct
import subprocess
import unittest

import wire
from testpmd import (BINARY, HUGE_VA, HUGEPAGES, NO_HUGE, ROOT, RUNTIME, Case, dpdk_release, free_hugepages,
                     prefix)

ROW = re.compile(r"^\| `([^`]+)` \| `([^`]+)`( \(exit code 1\))? \|$", re.MULTILINE)
ONE_LINE = re.compile(r"lm-testpmd: [^\n]+\n")
# A device on which nothing comes.
SILENT = "--vdev=net_null0,no-rx=1"
DIGITS = "00112233445566778899aabbccddeeff"


def pcap(frames, link=1, magic=0xa1b2c3d4, order="<", whole=None):
    """A capture file's bytes."""
    file = struct.pack(order + "IHHiIII", magic, 2, 4, 0, 0, 65535, link)
    for frame in frames:
        file += struct.pack(order + "IIII", 0, 0, len(frame), whole or len(frame)) + frame
    return file


def pcapng(frames, link=1, order="<"):
    def block(kind, body):
        body += b"\0" * (-len(body) % 4)
        return struct.pack(order + "II", kind,
                           len(body) + 12) + body + struct.pack(order + "I",
                                                                len(body) + 12)

    file = block(0x0a0d0d0a, struct.pack(order + "IHHq", 0x1a2b3c4d, 1, 0, -1)) + block(
        1, struct.pack(order + "HHI", link, 0, 0))
    for frame in frames:
        file += block(6, struct.pack(order + "IIIII", 0, 0, 0, len(frame), len(frame)) + frame)
    return file


class Place(Case):
    """A folder with files that are right and wrong."""

    def setUp(self):
        super().setUp()
        self.frames = wire.kernel_frames(wire.Flow(), 1, b"x" * 100) + wire.kernel_frames(
            wire.Flow(), 2, b"y" * 100)
        whole = pcap(self.frames)
        for name, data in (("frames.pcap", whole), ("cooked.pcap", pcap(self.frames, link=113)),
                           ("cut.pcap", whole[:-1]), ("text", b"no capture at all"),
                           ("short.key", DIGITS.encode()), ("open.key", bytes(range(32)))):
            (self.where / name).write_bytes(data)
        (self.where / "short.key").chmod(0o600)
        (self.where / "open.key").chmod(0o644)

    def run_it(self, words, memory=NO_HUGE, seconds=30):
        """Its exit code and what it wrote to standard error. `words`: EAL's part, dashes, and its own."""
        words = list(words)
        if "--" not in words:
            words.append("--")
        name = prefix()
        try:
            done = subprocess.run([
                BINARY, "-l", "0", *memory, "--no-pci", "--no-telemetry", f"--file-prefix={name}", *words,
                "--stop-after-idle=200"
            ], cwd=self.where, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=seconds)
        finally:
            for left in pathlib.Path(HUGEPAGES).glob(f"{name}map_*"):
                left.unlink()
            subprocess.run(["rm", "-rf", f"{RUNTIME}/{name}"], check=True)
        return done.returncode, done.stderr

    def refuse(self, words, *says, **how):
        code, told = self.run_it(words, **how)
        self.assertEqual(code, 2, told)
        self.assertTrue(ONE_LINE.fullmatch(told), f"not one line: {told!r}")
        for word in says:
            self.assertIn(word, told)
        return told


class Readme(Place):
    def test_the_table_is_what_the_program_says(self):
        section = (ROOT / "README.md").read_text().split("\n## Refused\n", 1)[1].split("\n## ", 1)[0]
        rows = ROW.findall(section)
        self.assertGreaterEqual(len(rows), 16)
        self.assertEqual(len(rows), section.count("\n| `--"), "a row that cannot be read")
        for given, says, incomplete in rows:
            with self.subTest(given=given):
                words = shlex.split(given.replace(" --ac ", " --ac=exclusive "))
                if "net_af_packet" in given and os.geteuid() != 0:
                    continue
                memory = NO_HUGE
                if "zero-copy=yes" in given:
                    if free_hugepages() < 64:
                        continue
                    words.remove("--single-file-segments")
                    memory = HUGE_VA
                if incomplete:
                    code, told = self.run_it(words, memory=memory)
                    self.assertEqual(code, 1, told)
                    self.assertEqual(told.count(says), 2, "at the start and at the end")
                else:
                    self.refuse(words, says, memory=memory)


class Devices(Place):
    def test_whatever_dpdk_takes_for_infinite_rx(self):
        for value in ("1", "2", "01", "+1", "1x", " 1", "4294967297", "0,infinite_rx=1"):
            with self.subTest(value=value):
                self.refuse([f"--vdev=net_pcap0,rx_pcap=frames.pcap,infinite_rx={value}"], "net_pcap",
                            "infinite_rx")
        for value in ("0", "x", "-1"):
            with self.subTest(value=value):
                self.assertEqual(self.run_it([f"--vdev=net_pcap0,rx_pcap=frames.pcap,infinite_rx={value}"]),
                                 (0, ""))

    def test_keys_that_a_driver_does_not_know(self):
        for device, key in (("net_memif0,id=0,rolle=server",
                             "rolle"), ("net_tap0,ifname=x", "ifname"), ("net_null0,siz=64", "siz"),
                            ("net_pcap0,rx_pcap=frames.pcap,tx-pcap=x",
                             "tx-pcap"), ("net_virtio_user0,path=/x,mrg_rxbuff=0", "mrg_rxbuff")):
            for spelling in ([f"--vdev={device}"], ["--vdev", device], [f"--vde={device}"]):
                with self.subTest(words=spelling):
                    self.refuse(spelling, f'"{key}"', "it takes")

    def test_buffers_shorter_than_a_frame(self):
        for args, mtu, needs in (("bsize=1513", 1500, 1514), ("role=server,bsize=1024", 1500, 1514),
                                 ("role=client", 2035, 2049), ("bsize=9013", 9000,
                                                               9014), ("bsize=2048,bsize=600", 1492, 1506)):
            for mode in ("rx", "tx"):
                with self.subTest(args=args, mtu=mtu, mode=mode):
                    self.refuse([f"--vdev=net_memif0,{args}", "--", f"--mtu={mtu}", f"--forward-mode={mode}"],
                                f"bsize={needs}")

    def test_an_mtu_that_a_device_does_not_take(self):
        if os.geteuid() != 0:
            self.skipTest("not root: no net_tap, and no interface to send by")
        # From 23.03 on net_tap takes jumbo frames.
        if dpdk_release() < (23, 3):
            self.refuse(["--vdev=net_tap0", "--", "--mtu=1505"], "net_tap takes no MTU of 1505: 1504 is the most")
        name = f"lmd{os.getpid()}"
        subprocess.run(["ip", "link", "add", name, "mtu", "1420", "type", "veth", "peer", "name", f"{name}p"],
                       check=True)
        self.addCleanup(subprocess.run, ["ip", "link", "del", name], check=True)
        subprocess.run(["ip", "link", "set", name, "up"], check=True)
        for args in (f"iface={name}", f"rx_iface=lo,tx_iface={name}"):
            self.refuse([f"--vdev=net_pcap0,{args}"],
                        f"net_pcap's {name} takes no MTU of 1500: 1420 is the most")

    def test_a_second_capture_of_a_device(self):
        self.refuse(["--vdev=net_pcap0,rx_pcap=frames.pcap,rx_pcap=cut.pcap"], "2 captures", "--vdev")

    def test_files_that_would_be_overwritten(self):
        os.link(self.where / "frames.pcap", self.where / "hard.pcap")
        os.symlink("frames.pcap", self.where / "soft.pcap")
        for other in ("frames.pcap", "./frames.pcap", "hard.pcap", "soft.pcap", self.where / "frames.pcap"):
            for words in ([f"--vdev=net_pcap0,rx_pcap=frames.pcap,tx_pcap={other}"],
                          ["--vdev=net_pcap0,rx_pcap=frames.pcap", f"--vdev=net_pcap1,tx_pcap={other}"],
                          ["--vdev=net_pcap0,rx_pcap=frames.pcap", "--", f"--summary={other}"],
                          ["--vdev=net_pcap0,rx_pcap=frames.pcap", "--", f"--message-log={other}"]):
                with self.subTest(words=words):
                    before = (self.where / "frames.pcap").read_bytes()
                    self.refuse(words, "one file")
                    self.assertEqual((self.where / "frames.pcap").read_bytes(), before, "it is as it was")
        self.refuse(
            ["--vdev=net_pcap0,rx_pcap=frames.pcap,tx_pcap=new.pcap", "--vdev=net_pcap1,tx_pcap=./new.pcap"],
            "one file")
        self.assertFalse((self.where / "new.pcap").exists())
        self.assertEqual(self.run_it(["--vdev=net_pcap0,rx_pcap=frames.pcap,tx_pcap=new.pcap"]), (0, ""))


class Captures(Place):
    def receive(self, data):
        (self.where / "it.pcap").write_bytes(data)
        return self.run_it(["--vdev=net_pcap0,rx_pcap=it.pcap"])

    def test_link_types_by_name_in_every_dialect(self):
        for link, name in ((113, "LINUX_SLL"), (101, "RAW"), (105, "IEEE802_11"), (276, "LINUX_SLL2"),
                           (9999, "link type 9999")):
            for data in (pcap(self.frames, link), pcap(self.frames, link,
                                                       order=">"), pcap(self.frames, link, magic=0xa1b23c4d),
                         pcapng(self.frames, link), pcapng(self.frames, link, order=">")):
                with self.subTest(link=link, begins=data[:4].hex()):
                    code, told = self.receive(data)
                    self.assertEqual(code, 2, told)
                    self.assertIn(f"its frames are {name}, not Ethernet", told)

    def test_what_is_whole_ends_well_and_what_is_cut_does_not(self):
        for data in (pcap(self.frames), pcap(self.frames,
                                             order=">"), pcap(self.frames, magic=0xa1b23c4d, order=">"),
                     pcapng(self.frames), pcapng(self.frames, order=">"), pcap([])):
            with self.subTest(begins=data[:4].hex()):
                self.assertEqual(self.receive(data), (0, ""))
                if len(data) > 24:
                    code, told = self.receive(data[:-5])
                    self.assertEqual(code, 1, told)
                    self.assertEqual(told.count("it is cut: it ends within a record, behind 1 whole frames"),
                                     2, told)
        code, told = self.receive(pcap(self.frames, whole=1514))
        self.assertEqual(code, 1, told)
        self.assertIn("2 of 2 frames are cut", told)

    def test_what_is_no_capture(self):
        for data in (b"", b"abc", b"text, and more of it than a header has", pcap([])[:23]):
            with self.subTest(data=data):
                code, told = self.receive(data)
                self.assertEqual(code, 2, told)
                self.assertIn("it is no capture", told)


class Files(Place):
    def key(self, data, mode=0o600):
        path = self.where / "key"
        path.write_bytes(data)
        path.chmod(mode)
        return [SILENT, "--", "--ac=exclusive", "--ac-key-file=key"]

    def test_keys(self):
        whole = DIGITS.encode() * 2
        for good in (whole, whole + b"\n", whole.upper(), bytes(range(32))):
            with self.subTest(key=good):
                self.assertEqual(self.run_it(self.key(good)), (0, ""))
        for bad in (b"", DIGITS.encode(), DIGITS.encode()[:31] + b"\n", whole + b"\r\n", whole + b"\n\n",
                    b" " + whole, whole[:-1], whole + b"0", b"+1" * 32, b"0x" * 32, bytes(31), bytes(33),
                    bytes(64)):
            with self.subTest(key=bad):
                self.refuse(self.key(bad), "32 bytes, or 64 hexadecimal digits")
        for mode in (0o640, 0o604, 0o660, 0o666, 0o620):
            with self.subTest(mode=oct(mode)):
                self.refuse(self.key(whole, mode), f"mode {mode:04o}", "chmod 600")

    def test_what_is_no_regular_file(self):
        os.mkfifo(self.where / "pipe")
        for path in ("/dev/zero", "/dev/tty", ".", "pipe"):
            for words in (["--ac=exclusive", f"--ac-key-file={path}"], [f"--cmdline-file={path}"]):
                with self.subTest(path=path, option=words[-1]):
                    self.refuse(["--vdev=net_null0", "--", *words], words[-1].split("=")[0], seconds=10)

    def test_command_files_are_bounded_text(self):
        path = self.where / "commands"
        with open(path, "wb") as file:
            file.truncate((16 << 20) + 1)
        self.refuse(["--vdev=net_null0", "--", "--cmdline-file=commands"], "longer than 16777216 bytes")
        path.write_bytes(b"\xff\xfe")
        self.refuse(["--vdev=net_null0", "--", "--cmdline-file=commands"], "UTF-8")

    def test_a_name_that_is_no_text(self):
        self.refuse([SILENT, "--", b"--summary=\xff\xfe"], "--summary=", "UTF-8")
        self.assertEqual([path for path in self.where.iterdir() if path.name.startswith("\ufffd")], [])

    def test_regions(self):
        for value in ("0", "1", "-1", "16T", "17592186044416", "9223372036854775808", "18446744073709551615",
                      "4MB", "4.5M", "x", ""):
            with self.subTest(region=value):
                self.refuse(["--vdev=net_null0", "--", f"--region={value}"], "131072 to ")
        for value in ("8M", "8388608", "8192K"):
            with self.subTest(region=value):
                self.assertEqual(self.run_it([SILENT, "--", f"--region={value}"]), (0, ""))


class Mtu(Place):
    def test_a_sender_of_another_mtu_is_told_of_once(self):
        for mtu, named in ((1467, "1460 to 1467"), (1492, "1492 to 1499"), (1499, "1492 to 1499")):
            for layout in ("overlapping", "separate"):
                with self.subTest(mtu=mtu, layout=layout):
                    send = [
                        "--vdev=net_pcap0,tx_pcap=sent.pcap", "--", "--forward-mode=tx", f"--mtu={mtu}",
                        "--count=60", "--txsize=7168", "--eth-peer=0,02:00:00:00:00:02"
                    ]
                    self.assertEqual(self.run_it(send), (0, ""))
                    code, told = self.run_it(
                        ["--vdev=net_pcap0,rx_pcap=sent.pcap", "--", f"--slots={layout}"])
                    self.assertEqual(code, 0, told)
                    self.assertEqual(told.count("cuts its datagrams for an MTU of"), 1, told)
                    self.assertIn(f"an MTU of {named}, and the MTU here is 1500", told)

    def test_one_of_the_same_fragments_is_not(self):
        for mtu in (1500, 1507):
            send = [
                "--vdev=net_pcap0,tx_pcap=sent.pcap", "--", "--forward-mode=tx", f"--mtu={mtu}", "--count=20",
                "--txsize=7168", "--eth-peer=0,02:00:00:00:00:02"
            ]
            self.assertEqual(self.run_it(send), (0, ""))
            self.assertEqual(self.run_it(["--vdev=net_pcap0,rx_pcap=sent.pcap"]), (0, ""))


if __name__ == "__main__":
    unittest.main()
