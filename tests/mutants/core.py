"""Takes each guard of lm's core and of ac out, one at a time, and expects a test to fail: what does not fail
then is no proof.

    core.py [--list | --check] [MUTANT]...      all of them without a name

`core.toml` and `ac.toml` have them. The tree is copied (to target/core-mutants, with what is not committed),
and each test has to pass there before anything is taken out. A mutant that doesn't build proves nothing and
is a failure.
"""

import argparse
import os
import pathlib
import re
import shlex
import subprocess
import sys
import time
import tomllib
from dataclasses import dataclass

from scratch import ROOT, TARGET, copy, edited, stale

LISTS = [pathlib.Path(__file__).with_name(name) for name in ("core.toml", "ac.toml")]
# Seconds that a test may take: a mutant may make it run for ever.
LIMIT = 600


@dataclass(frozen=True)
class Mutant:
    """A guard that is taken out."""

    name: str
    # What is not done any more.
    without: str
    # (file, what is there, what is put in its place)
    edits: tuple
    # The words of `cargo test`.
    test: str
    # What the test says then, as a regular expression.
    says: str


def load():
    entries = [entry for path in LISTS for entry in tomllib.loads(path.read_text())["mutant"]]
    for entry in entries:
        unknown = entry.keys() - {"name", "without", "file", "old", "new", "more", "test", "says"}
        if unknown:
            raise SystemExit(f"core-mutants: {entry.get('name')}: what is {', '.join(sorted(unknown))}?")
    mutants = [
        Mutant(e["name"], e["without"], ((e["file"], e["old"], e["new"]), *((m["file"], m["old"], m["new"])
                                                                            for m in e.get("more", ()))),
               e["test"], e.get("says", "test result: FAILED")) for e in entries
    ]
    names = [m.name for m in mutants]
    if len(names) != len(set(names)):
        raise SystemExit("core-mutants: two have one name")
    return mutants


def why_not(mutant, tree):
    """Why this is no mutant, or not any more."""
    same = [name for name, old, new in mutant.edits if old == new]
    if same:
        return f"nothing is changed in {same[0]}"
    return stale(mutant.edits, tree)


class Workshop:
    def __init__(self):
        self.tree, self.target = TARGET / "core-mutants/tree", TARGET / "core-mutants/target"
        # Tests that pass as long as nothing is taken out, or what they said.
        self.sound = {}
        copy(self.tree)

    def cargo(self, words):
        # No two tests of a mutant need be told apart: its first failure is enough.
        environment = {**os.environ, "CARGO_TARGET_DIR": str(self.target), "RUST_BACKTRACE": "0"}
        try:
            done = subprocess.run(["cargo", "test", "--locked", *words], cwd=self.tree, env=environment,
                                  timeout=LIMIT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                                  errors="replace")
        except subprocess.TimeoutExpired:
            return 1, f"it did not end within {LIMIT} s"
        return done.returncode, done.stdout

    def run(self, test):
        """Whether it builds, whether it passes, and what it said."""
        words = shlex.split(test)
        build = words[:words.index("--")] if "--" in words else words
        code, said = self.cargo([*build, "--no-run"])
        if code:
            return False, False, said
        code, said = self.cargo(words)
        return True, code == 0, said

    def is_sound(self, test):
        if test not in self.sound:
            _, passes, said = self.run(test)
            # A filter that fits no test lets everything pass. Programs with a main of their own print only
            # how many passed.
            some = re.search(r"running [1-9]|\b[1-9]\d* passed", said)
            self.sound[test] = "" if passes and some else said if some else f"there is no such test: {said}"
        return self.sound[test]

    def attempt(self, mutant):
        """Whether its test fails as it should, and the words that it says."""
        why = why_not(mutant, self.tree)
        if why:
            return False, why
        why = self.is_sound(mutant.test)
        if why:
            return False, f"the test fails without it, too: {tail(why)}"
        with edited(mutant.edits, self.tree):
            builds, passes, said = self.run(mutant.test)
        if not builds:
            return False, f"it does not build: {tail(said)}"
        if passes:
            return False, "every test passes"
        found = re.search(mutant.says, said)
        failed = ", ".join(re.findall(r"^test (\S+) \.\.\. FAILED", said, re.MULTILINE))
        return bool(found), failed if found else f"no {mutant.says!r} in what it says: {tail(said)}"


def tail(text):
    return "\n".join(text.strip().splitlines()[-12:])


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("mutant", nargs="*")
    parser.add_argument("--list", action="store_true", help="what there is")
    parser.add_argument("--check", action="store_true",
                        help="only see that each guard is where it was: a second")
    arguments = parser.parse_args()
    mutants = load()
    unknown = set(arguments.mutant) - {m.name for m in mutants}
    if unknown:
        print(
            f"core-mutants: there is no {', '.join(sorted(unknown))}: there are {', '.join(m.name for m in mutants)}",
            file=sys.stderr)
        return 2
    chosen = [m for m in mutants if not arguments.mutant or m.name in arguments.mutant]
    if arguments.list:
        for mutant in chosen:
            print(f"{mutant.name:<24} {mutant.without}")
        return 0
    if arguments.check:
        whys = [f"core-mutants: {mutant.name}: {why}" for mutant in chosen if (why := why_not(mutant, ROOT))]
        print(*whys, sep="\n", end="\n" if whys else "")
        return 1 if whys else 0
    workshop = Workshop()
    bad = 0
    for mutant in chosen:
        began = time.monotonic()
        seen, said = workshop.attempt(mutant)
        bad += not seen
        print(
            f"without {mutant.name} ({mutant.without}): {'fails' if seen else 'DOES NOT FAIL AS IT SHOULD'} "
            f"({time.monotonic() - began:.0f} s): {said}", flush=True)
    print(f"\n{len(chosen) - bad} guards shown to be needed, {bad} not")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
