"""The dissector of end tags (ac/wireshark/lm-tag.lua), against the vectors of docs/end-tag.md."""

import os
import pathlib
import re
import shutil
import struct
import subprocess
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "ac/wireshark/lm-tag.lua"
STRIDE = 1480


def vectors():
    rows = re.findall(r"^\| (\d+) \| (\d+) \| (\d+) \| ([0-9a-f]{16}) \| ([0-9a-f]{16}) \|$",
                      (ROOT / "docs/end-tag.md").read_text(), re.M)
    return [(int(size), int(at), int(length), tag) for size, at, length, *tags in rows for tag in tags]


def frames(size, at, length, tag):
    """The datagram of a vector as frames, the last one first."""
    payload = struct.pack("!HHHH", 7000, 9000, size + 8, 0xbeef) + bytes(size)
    payload = payload.ljust(at, b"\0") + bytes.fromhex(tag)
    assert len(payload) == length
    for start in reversed(range(0, length, STRIDE)):
        piece = payload[start:start + STRIDE]
        more = 0x2000 if start + STRIDE < length else 0
        ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(piece), 0x1234, more | start // 8, 64, 17, 0,
                         bytes((10, 0, 0, 1)), bytes((10, 0, 0, 2)))
        yield bytes(12) + b"\x08\0" + ip + piece


def capture(path, all_frames):
    with open(path, "wb") as file:
        file.write(struct.pack("<IHHIIII", 0xa1b2c3d4, 2, 4, 0, 0, 65535, 1))
        for number, frame in enumerate(all_frames):
            file.write(struct.pack("<IIII", number, 0, len(frame), len(frame)) + frame)


def user():
    """Words before a command. As root, tshark 4.4 and later runs no script of -X."""
    return ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"] if os.geteuid() == 0 else []


class Dissector(unittest.TestCase):
    def read(self, all_frames):
        with tempfile.TemporaryDirectory() as folder:
            # Every user may read it, whoever owns the tree, and write to it, for it is a home, too.
            os.chmod(folder, 0o777)
            capture(f"{folder}/tags.pcap", all_frames)
            script = shutil.copyfile(SCRIPT, f"{folder}/{SCRIPT.name}")
            for file in (f"{folder}/tags.pcap", script):
                os.chmod(file, 0o644)
            words = [*user(), "tshark", "-r", f"{folder}/tags.pcap", "-X", f"lua_script:{script}", "-T", "fields",
                     "-e", "lm_tag.good", "-e", "lm_tag.has_digest", "-e", "lm_tag.digest", "-Y", "lm_tag"]
            others = {k: v for k, v in os.environ.items() if k not in ("XDG_CONFIG_HOME", "WIRESHARK_PLUGIN_DIR")}
            ran = subprocess.run(words, capture_output=True, text=True, env={**others, "HOME": folder})
        self.assertEqual(ran.returncode, 0, ran.stderr)
        self.assertNotIn("Lua Error", ran.stdout + ran.stderr)
        return [line.split("\t") for line in ran.stdout.splitlines()]

    def setUp(self):
        if shutil.which("tshark") is None:
            self.assertNotEqual(os.environ.get("LM_TOOLS"), "must", "there is no tshark")
            self.skipTest("there is no tshark")

    def test_vectors(self):
        all_vectors = [v for v in vectors() if v[1] + 8 == v[2]]
        self.assertGreater(len(all_vectors), 10)
        for vector in all_vectors:
            with self.subTest(vector=vector):
                digest = vector[3].startswith("11")
                shown = self.read(frames(*vector))
                self.assertEqual(len(shown), 1, shown)
                self.assertIn(shown[0][0], ("1", "True"))
                self.assertIn(shown[0][1], ("1", "True") if digest else ("0", "False"))
                self.assertEqual(shown[0][2], "0xdeadbeef" if digest else "")

    def test_another_tag_is_bad(self):
        size, at, length, tag = vectors()[0]
        shown = self.read(frames(size, at, length, tag[:4] + "ffff" + tag[8:]))
        self.assertIn(shown[0][0], ("0", "False"))

    def test_no_tag(self):
        size, at, length, _ = vectors()[0]
        self.assertEqual(self.read(frames(size, at, length, "00" * 8)), [])


if __name__ == "__main__":
    unittest.main()
