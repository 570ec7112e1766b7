"""Runs the scenarios, each in a guest of its own: a line for each, the guest's log of those that failed, and
`N passed, N failed` last.

    lab.py [--full] [--icount] [SCENARIO]...      all of them without a name
"""

import argparse
import concurrent.futures
import dataclasses
import os
import pathlib
import signal
import sys
import time

# The end-to-end tests' modules.
sys.path.append(str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))

import image
import kernel
import qemu
import scenarios

ROOT = pathlib.Path(__file__).resolve().parents[2]
LOG_LINES = 150


def parse():
    parser = argparse.ArgumentParser()
    parser.add_argument("scenario", nargs="*")
    parser.add_argument("--full", action="store_true", help="every size")
    parser.add_argument("--icount", action="store_true", help="in reproducible virtual time")
    parser.add_argument("--list", action="store_true", help="what there is")
    parser.add_argument("--seconds", type=int, help="that a guest may take, other than the table says")
    parser.add_argument("--work", type=pathlib.Path,
                        help="where the image and the logs go, other than target/lab")
    parser.add_argument("--jobs", type=int, default=2, help="guests at a time")
    return parser.parse_args()


def figures(given):
    return ", ".join(f"{name} {value:,}" if isinstance(value, int) else f"{name} {value}"
                     for name, value in given.items())


def main():
    arguments = parse()
    chosen = [scenarios.named(name) for name in arguments.scenario] or scenarios.SCENARIOS
    if arguments.list:
        for scenario in chosen:
            print(f"{scenario.name:<22} {scenario.shows}")
        return 0
    if arguments.icount:
        for scenario in filter(lambda s: s.asks, chosen):
            print(
                f"lab {scenario.name} ... left out: QEMU pulls its cable, at no set virtual time; run it without --icount"
            )
        chosen = [s for s in chosen if not s.asks]
        if not chosen:
            return 2
    # Guests end with us.
    if arguments.seconds:
        chosen = [dataclasses.replace(s, seconds=arguments.seconds) for s in chosen]
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR") or ROOT / "target").resolve()
    cache = target / "lab"
    cache.mkdir(parents=True, exist_ok=True)
    debian = kernel.fetch(cache)
    boot = debian.image()
    testpmd = pathlib.Path(os.environ.get("LM_TESTPMD") or target / "release/lm-testpmd")
    work = arguments.work or cache
    work.mkdir(parents=True, exist_ok=True)
    initramfs = image.build(work, debian, testpmd)

    def attempt(scenario):
        began = time.monotonic()
        try:
            result = qemu.run(scenario, boot, initramfs, work / "run" / scenario.name, full=arguments.full,
                              icount=arguments.icount or scenario.icount)
            word, text = "ok", figures(result)
        except qemu.Failure as why:
            word, text = "FAIL", str(why).strip().splitlines()[-1]
        print(f"lab {scenario.name} ... {word} ({time.monotonic() - began:.1f} s) {text}", flush=True)
        return scenario, word

    with concurrent.futures.ThreadPoolExecutor(arguments.jobs) as pool:
        results = list(pool.map(attempt, chosen))
    failed = [scenario for scenario, word in results if word != "ok"]
    for scenario in failed:
        log = work / "run" / scenario.name / "console"
        lines = log.read_text(errors="replace").splitlines()
        print(f"\n---- {scenario.name} (everything: {log.parent})", *lines[-LOG_LINES:], sep="\n")
    print(f"\n{len(results) - len(failed)} passed, {len(failed)} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
