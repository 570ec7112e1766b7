"""The demo where it fails, or has not what it wants: what it says, and what it leaves to look at; and its table and
picture of given figures.
"""

import contextlib
import io
import pathlib
import re
import shutil
import unittest
import xml.etree.ElementTree as xml
from unittest import mock

import demo
import demo_picture
import steal
import testpmd
from testpmd import BINARY


def text_of(function):
    """What a function returns, and what it prints on either stream."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
        result = function()
    return result, out.getvalue()


class Pages(unittest.TestCase):
    """Hugepages that can be had are what counts, whatever is reserved in all."""

    def told(self, free, promised=0, dead=None):
        """What is said of 64 pages, if so many are free and so many of them are promised to others."""
        numbers = {"free_hugepages": free, "resv_hugepages": promised}
        with (mock.patch.object(testpmd.os.path, "ismount", return_value=True),
              mock.patch.object(testpmd.os, "access", return_value=True),
              mock.patch.object(testpmd, "kernel_counts", side_effect=numbers.__getitem__),
              mock.patch.object(testpmd, "dead_hugepages", return_value=dead or {})):
            return testpmd.hugepages_or_why(64)

    def test_free_ones_count(self):
        self.assertEqual(self.told(64), (True, ""))
        enough, why = self.told(63)
        self.assertFalse(enough)
        self.assertRegex(why, r"^64 hugepages are needed, 63 of \d+ are free: reserve more")

    def test_promised_ones_are_not_free(self):
        self.assertEqual(self.told(100, promised=36), (True, ""))
        enough, why = self.told(100, promised=37)
        self.assertFalse(enough)
        self.assertIn("63 of", why)

    def test_files_of_dead_runs_are_named(self):
        enough, why = self.told(10, dead={"/dev/hugepages/lme1x1map_": 54})
        self.assertFalse(enough)
        self.assertIn("/dev/hugepages/lme1x1map_* (54): remove them (rm)", why)


class Failing(unittest.TestCase):
    """What is told of a pair that did not do what it was asked to. One whose pings are lost is in `test_ends.py`."""

    def test_a_pair_that_does_not_end_tells_what_was_dropped_and_keeps_what_it_wrote(self):
        self.assertTrue(BINARY.exists(), f"there is no {BINARY}: run make build")
        # More round trips than there is time for.
        changed = {"ROUNDS": 1, "MODES": {"LM": demo.MODES["LM"]}, "SIZES": {65_507: 1 << 30}, "PATIENCE": 3}
        with (mock.patch.multiple(demo, **changed),
              mock.patch.object(demo, "hugepages_or_why", return_value=(False, "the test wants none"))):
            code, told = text_of(demo.main)
        found = re.search(r"^what both ends wrote is in (\S+)$", told, re.MULTILINE)
        self.assertTrue(found, told)
        folder = pathlib.Path(found[1])
        self.addCleanup(shutil.rmtree, folder)
        self.assertEqual(code, 1, told)
        self.assertIn("did not end within 3 s", told)
        self.assertRegex(told, r"(?m)^dropped by ping: ")
        self.assertRegex(told, r"(?m)^dropped by echo: ")
        self.assertNotIn("it has left no summary", told)
        for end in ("ping", "echo"):
            self.assertTrue(list(folder.glob(f"*-{end}/summary.json")), f"nothing of {end} in {folder}: {told}")

    def test_what_both_ends_dropped_stands_beside_what_was_lost(self):
        score = demo.Score(lost=7, datagrams=100, medians=[1.0])
        score.losses = {"ping": {"oversize": 88}, "echo": {}}
        line, = (line for line in demo.judge({("LM", 65_507): score}) if "lost" in line)
        self.assertEqual(line, "LM, 65507 bytes: 7 round trips were lost: dropped by ping: {'oversize': 88}; "
                               "dropped by echo: nothing")


class Shown(unittest.TestCase):
    """The table, the marks and the picture, of figures that are given."""

    def setUp(self):
        row = lambda name, size, median, p99: demo.Row(name, size, median, p99, 2 * p99, 9 * p99, median / 2, 0.0, 0, 0)
        self.rows = [row(name, size, size / 100 * factor, size / 40 * factor) for size in demo.SIZES
                     for factor, name in zip((9, 5, 1.5, 1.2, 1), demo.NAMES) if (name, size) not in
                     (("ip-frag", 16_384), ("ip-frag", 65_507))]

    def test_every_transport_has_a_line_and_a_bar(self):
        _, told = text_of(lambda: demo.show(self.rows, False, "the test has none", dict.fromkeys(demo.SIZES, 7)))
        lines = [line for line in told.splitlines() if "█" in line]
        self.assertEqual(len(lines), len(self.rows))
        self.assertIn("kernel UDP, busy-polling", lines[1])
        self.assertRegex(lines[0], r"^ +64 +7 .* 9\.00 +█{24}$")
        self.assertRegex(lines[4], r" LM .* 1\.00 +█{3}$")
        self.assertIn("nothing of it at 16384 and 65507 bytes", told)
        self.assertIn("another wire", told)

    def test_marks_are_held_against_the_worst_size(self):
        reached, copying = demo.tails(self.rows)
        self.assertIn("2.50, 2.50, 2.50, 2.50 (mark ≤ 2.5: reached)", reached)
        self.assertIn("0.83, 0.83, 0.83, 0.83 (mark ≤ 1.1: reached)", copying)
        next(r for r in self.rows if (r.name, r.size) == ("lm", 7168)).p99 *= 1.4
        self.assertTrue(all("missed" in line for line in demo.tails(self.rows)))

    def test_the_picture_has_a_bar_for_each(self):
        tree = xml.fromstring(demo_picture.svg(self.rows, demo.NAMES, "a < b & c"))
        space = "{http://www.w3.org/2000/svg}"
        # One is the ground.
        bars = [bar for bar in tree.iter(f"{space}rect")][1:]
        self.assertEqual(len(bars), len(self.rows))
        for bar in bars:
            self.assertTrue(0 < float(bar.get("width")) <= float(tree.get("width")))
        words = {t.text for t in tree.iter(f"{space}text")}
        self.assertTrue(set(demo.NAMES.values()) <= words)
        self.assertIn("make demo; a < b & c", words)

    def test_steal_is_a_part_of_all_time(self):
        self.assertTrue(0 <= steal.Steal().percent() <= 100)
