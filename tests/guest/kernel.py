"""The guests' kernel: Debian's, downloaded and unpacked, not installed."""

import lzma
import re
import subprocess

META = "linux-image-amd64"


class Kernel:
    """An unpacked kernel package."""

    def __init__(self, root, version):
        self.version = version
        self.compressed = root / f"boot/vmlinuz-{version}"
        self.modules = modules(root) / version
        self.bare = root / "vmlinux"
        listed = self.modules / "modules.builtin"
        self.built_in = {line.rsplit("/", 1)[-1].removesuffix(".ko").replace("-", "_")
                         for line in (listed.read_text().split() if listed.exists() else ())}

    def image(self):
        """What QEMU boots: the bare vmlinux if it can be had, since that starts 3 s sooner."""
        if not self.bare.exists():
            data = bare(self.compressed.read_bytes())
            if data is None:
                return self.compressed
            part = self.bare.with_suffix(".part")
            part.write_bytes(data)
            part.rename(self.bare)
        return self.bare

    def module(self, name):
        """A module's data and the names of those that it needs. Those in `built_in` have no file."""
        spellings = {name.replace("-", "_"), name.replace("_", "-")}
        for spelling in sorted(spellings):
            for path in self.modules.rglob(f"{spelling}.ko*"):
                data = path.read_bytes()
                if path.suffix == ".xz":
                    data = lzma.decompress(data)
                depends = re.search(rb"\0depends=([^\0]*)\0", data)
                return data, [d for d in (depends[1].decode() if depends else "").split(",") if d]
        raise FileNotFoundError(f"no module {name} in {self.modules}")


def modules(root):
    """Where an unpacked package has its modules: below /usr from Debian 13 on."""
    return next(path for path in (root / "usr/lib/modules", root / "lib/modules") if path.exists())


def bare(bzimage):
    """The ELF kernel inside a bzImage that is packed with xz, else None."""
    at = -1
    while (at := bzimage.find(b"\xfd7zXZ\0", at + 1)) >= 0:
        try:
            data = lzma.LZMADecompressor().decompress(bzimage[at:])
        except lzma.LZMAError:
            continue
        if data.startswith(b"\x7fELF"):
            return data
    return None


def fetch(cache):
    """The kernel in this directory, put there if it isn't yet."""
    root = cache / "kernel"
    if not root.exists():
        package = newest()
        print(f"lab: fetching {package}", flush=True)
        scratch = cache / "kernel.part"
        subprocess.run(["rm", "-rf", scratch], check=True)
        scratch.mkdir(parents=True)
        run(["apt-get", "download", package], cwd=scratch)
        (deb,) = scratch.glob("*.deb")
        run(["dpkg", "-x", deb, scratch])
        deb.unlink()
        scratch.rename(root)
    (version,) = (path.name for path in modules(root).iterdir())
    return Kernel(root, version)


def newest():
    """The package that the meta package stands for. (The cloud flavour lacks e1000, e1000e and igb.)"""
    text = run(["apt-cache", "show", "--no-all-versions", META])
    found = re.search(r"^Depends: (linux-image-[^\s,]+)", text, re.M)
    if not found:
        raise SystemExit(f"lab: apt knows no {META}: run apt-get update")
    return found[1]


def run(words, **how):
    done = subprocess.run(words, capture_output=True, text=True, **how)
    if done.returncode:
        raise SystemExit(f"lab: {' '.join(map(str, words))}: {done.stderr.strip()}")
    return done.stdout
