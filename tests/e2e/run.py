"""Runs the tests: a line each, what failed in full at the end, and `N passed, N failed` last.

    run.py [--only TEXT]...      only tests whose name contains one of these texts
"""

import argparse
import pathlib
import signal
import sys
import time
import unittest

HERE = pathlib.Path(__file__).resolve().parent
# Quick ones first; those that need root and name spaces last.
MODULES = ("test_wire", "test_build", "test_errors", "test_ends", "test_refusals", "test_supply", "test_pcap",
           "test_strangers", "test_attacks", "test_memif", "test_demo", "test_virtio", "test_netpipe", "test_ac",
           "test_tap", "test_arp", "test_order", "test_rx_mode", "test_telemetry",
           "test_dissector")


class Lines(unittest.TestResult):
    """A line for each test, when it has ended."""

    def __init__(self):
        super().__init__()
        self.passed = 0
        self.details = []

    def startTest(self, test):
        super().startTest(test)
        self.began = time.monotonic()
        self.word = "ok"

    def stopTest(self, test):
        super().stopTest(test)
        self.passed += self.word == "ok"
        print(f"test {name(test)} ... {self.word} ({time.monotonic() - self.began:.1f} s)", flush=True)

    def _bad(self, test, error):
        self.word = "FAILED"
        self.details.append((name(test), self._exc_info_to_string(error, test)))

    def addFailure(self, test, error):
        super().addFailure(test, error)
        self._bad(test, error)

    def addError(self, test, error):
        super().addError(test, error)
        self._bad(test, error)

    def addSubTest(self, test, subtest, error):
        super().addSubTest(test, subtest, error)
        if error:
            self._bad(subtest, error)

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        self.word = f"skipped: {reason}"


def name(test):
    return test.id().replace("test_", "", 1)


def every(suite):
    for item in suite:
        if isinstance(item, unittest.TestSuite):
            yield from every(item)
        else:
            yield item


def main(here=HERE, modules=MODULES):
    parser = argparse.ArgumentParser()
    parser.add_argument("--only", action="append", default=[])
    only = parser.parse_args().only
    # Children end with us.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    sys.path.insert(0, str(here))
    result = Lines()
    loader = unittest.TestLoader()
    there = {path.stem for path in here.glob("test_*.py")}
    if there != set(modules):
        sys.exit(f"run.py: these files and the list of modules differ: {', '.join(sorted(there ^ set(modules)))}")
    for module in modules:
        chosen = [
            t for t in every(loader.loadTestsFromName(module)) if not only or any(o in name(t) for o in only)
        ]
        # The class that unittest makes of a set-up that fails is a test, too.
        unittest.TestSuite(chosen).run(result)
    for test, text in result.details:
        print(f"\n---- {test}\n{text}")
    if not result.testsRun:
        print(f"no test has a name that contains {' or '.join(only)}")
    failed = len({test for test, _ in result.details})
    print(f"\n{result.passed} passed, {failed} failed")
    return 1 if failed or not result.passed else 0


if __name__ == "__main__":
    sys.exit(main())
