"""A copy of the tree in which code can be changed: what the laboratory's mutants and the core's have in
common.

The copy has what is not committed, too. The tree itself is not touched.
"""

import contextlib
import os
import pathlib
import shutil
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[2]
# Where everything is built.
TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR") or ROOT / "target").resolve()


def stale(edits, tree):
    """Why these can't be made in this tree, (file, what is there, what is put in its place): the code is not
    what it was.
    """
    def why(name, old):
        count = (tree / name).read_text().count(old) if (tree / name).is_file() else 0
        return "" if count == 1 else f"{name} has {count} times {old!r}: the mutant is stale"
    return "; ".join(filter(None, (why(name, old) for name, old, _ in edits)))


def copy(tree):
    """The tree as it is, but files that have not changed keep their time, so that little is built again."""
    tree.mkdir(parents=True, exist_ok=True)
    listed = subprocess.run(["git", "-c", "safe.directory=*", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=ROOT,
                            check=True, capture_output=True, text=True).stdout
    names = {name for name in listed.split("\0") if name and (ROOT / name).is_file()}
    for path in [p for p in tree.rglob("*") if p.is_file() and str(p.relative_to(tree)) not in names]:
        path.unlink()
    for name in names:
        _write(tree / name, (ROOT / name).read_bytes())
        shutil.copymode(ROOT / name, tree / name)


def _write(path, data):
    if not path.exists() or path.read_bytes() != data:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


@contextlib.contextmanager
def edited(edits, tree):
    """The tree with these edits in it, for as long as that is needed."""
    originals = {}
    for name, old, new in edits:
        path = tree / name
        text = path.read_text()
        originals.setdefault(path, text)
        path.write_text(text.replace(old, new))
    try:
        yield
    finally:
        for path, text in originals.items():
            path.write_text(text)
