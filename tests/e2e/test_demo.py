"""The demo where it fails, or has not what it wants: what it says, and what it leaves to look at."""

import contextlib
import io
import pathlib
import re
import shutil
import unittest
from unittest import mock

import demo
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
