"""Runs the scenario that the kernel's command line names, and tells the host how it ended."""

import importlib
import pathlib
import signal
import sys
import time
import traceback

import scenarios
from guest import Guest, note
from host import Host


def too_long(*_):
    raise TimeoutError("the scenario takes too long")


def main():
    host = Host()
    words = dict(
        w.split("=", 1) for w in pathlib.Path("/proc/cmdline").read_text().split() if w.startswith("lm."))
    guest = None
    try:
        scenario = scenarios.named(words["lm.scenario"])
        # Before the host loses patience: so that logs are seen.
        signal.signal(signal.SIGALRM, too_long)
        signal.alarm(max(1, int(words["lm.seconds"]) - int(time.monotonic())))
        note(scenario.name)
        guest = Guest(scenario, host, "lm.full" in words, "lm.icount" in words)
        module, name = scenario.run.split(".")
        figures = getattr(importlib.import_module(module), name)(guest)
        if guest.icount:
            # The same to the nanosecond in each run on one image.
            figures["virtual ns"] = time.monotonic_ns()
        note("well")
        host.ended(figures)
    except BaseException as why:
        if guest:
            guest.logs()
        traceback.print_exc()
        sys.stderr.flush()
        host.ended({}, f"{type(why).__name__}: {why}".splitlines()[0])


if __name__ == "__main__":
    main()
