#!/usr/bin/env python3
"""vendor.py FOLDER: the crates of Cargo.lock, in FOLDER, for a build without a network.

Those that programs and library are built from or with on Linux are whole. Cargo wants to see the others as well, those
for other systems and for tests among them: of these it gets the manifest and an empty library.
"""

import json
import pathlib
import re
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
PLATFORM = "x86_64-unknown-linux-gnu"
BUILT = ("lm-apps", "liblm")
# The exit code if the crates cannot be had, which is so without a network.
NOT_HAD = 3
# What a manifest says of files that are not there.
TARGETS = re.compile(r"\[\[?(lib|bin|example|test|bench)\]?\]")


def run(*words, code=1):
    """What a command prints. If it fails, this program ends with that code and the last line that it said."""
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        last = (done.stderr.strip() or "nothing was said").splitlines()[-1].strip()
        print(f"vendor.py: {' '.join(words[:2])} failed: {last}", file=sys.stderr)
        sys.exit(code)
    return done.stdout


def needed():
    """Name and version of what is compiled."""
    found = set()
    for package in BUILT:
        tree = run("cargo", "tree", "--locked", "--edges", "normal,build", "--target", PLATFORM, "--prefix", "none",
                   "--format", "{p}", "-p", package)
        found |= {tuple(line.split()[:2]) for line in tree.splitlines() if line}
    return {(name, version.removeprefix("v")) for name, version in found}


def hollow(crate):
    """Leaves a manifest and an empty library of a crate."""
    manifest, kept = (crate / "Cargo.toml").read_text(), []
    keep = True
    for line in manifest.splitlines():
        if line.startswith("["):
            keep = not TARGETS.fullmatch(line.strip())
        if keep and not re.match(r"(auto[a-z]+|build|links|readme|license-file|default-run) *=", line):
            kept.append(line)
    checksum = json.loads((crate / ".cargo-checksum.json").read_text())
    shutil.rmtree(crate)
    (crate / "src").mkdir(parents=True)
    (crate / "src/lib.rs").touch()
    (crate / "Cargo.toml").write_text("\n".join(kept) + "\n")
    (crate / ".cargo-checksum.json").write_text(json.dumps({"files": {}, "package": checksum.get("package")}))


def without_binaries(crate):
    """Takes compiled files out of a crate, which tests have, and what dh_clean takes for an editor's."""
    said = json.loads((crate / ".cargo-checksum.json").read_text())
    for file in [f for f in said["files"] if f.endswith((".a", ".dll", ".exe", ".lib", ".orig", ".so"))]:
        (crate / file).unlink()
        del said["files"][file]
    (crate / ".cargo-checksum.json").write_text(json.dumps(said))


def main():
    if len(sys.argv) != 2:
        sys.exit("vendor.py: say the folder to make")
    folder = pathlib.Path(sys.argv[1])
    run("cargo", "vendor", "--locked", "--versioned-dirs", str(folder.resolve()), code=NOT_HAD)
    whole, of = needed(), 0
    for crate in sorted(folder.iterdir()):
        of += 1
        name, version = re.fullmatch(r"(.+?)-(\d+\.\d+\.\d+.*)", crate.name).groups()
        if (name, version) in whole:
            without_binaries(crate)
        else:
            hollow(crate)
    print(f"{len(whole)} crates are whole, of {of} that Cargo.lock has")


if __name__ == "__main__":
    main()
