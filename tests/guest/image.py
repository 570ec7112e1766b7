"""The guests' initramfs: busybox, Python, lm-testpmd and their libraries, DPDK's drivers, the kernel's
modules, and the scenarios. Built from what the machine has installed, and only when that has changed.
"""

import hashlib
import os
import pathlib
import py_compile
import subprocess
import sys
import tempfile

from cpio import Archive

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
E2E = ROOT / "tests/e2e"
# The system's, whichever runs this: the guest has its libraries.
PYTHON = "/usr/bin/python3"
PROGRAMS = (PYTHON, "/sbin/ip", "/sbin/tc", "/sbin/ethtool", "/usr/bin/setpriv")
APPLETS = ("sh", "mount", "umount", "mkdir", "chmod", "poweroff", "insmod", "cat", "ls", "dmesg", "sysctl",
           "ping", "sleep")
# EAL loads everything that lies in its drivers' directory, and aborts if one of them is there twice: just
# these.
DRIVERS = ("librte_net_e1000", "librte_mempool_ring", "librte_net_tap", "librte_bus_pci", "librte_bus_vdev")
MODULES = ("uio_pci_generic", "vfio_pci", "vfio_iommu_type1", "e1000", "e1000e", "igb", "veth", "tun",
           "bridge", "sch_tbf", "cls_u32", "virtio_pci", "virtio_net")
# The end-to-end tests' modules that scenarios use, too.
SHARED = ("netns", "netpipe", "sizes", "testpmd", "wire")
# Found by importing what guests run; these come late.
LATE = ("encodings.latin_1", "encodings.idna", "traceback", "tokenize")


class Image:
    """What lies where in the guest, from which file on the host."""

    def __init__(self, kernel, testpmd):
        self.files = {}
        self.links = {}
        self.kernel = kernel
        self.program("/bin/busybox")
        for applet in APPLETS:
            self.links[f"/usr/bin/{applet}"] = "busybox"
        for name in ("bin", "sbin", "lib", "lib64"):
            if os.path.islink(f"/{name}"):
                self.links[f"/{name}"] = os.readlink(f"/{name}")
        for path in PROGRAMS:
            self.program(path)
        self.drivers()
        self.program(str(testpmd), "/usr/bin/lm-testpmd")
        for name in ("lm-cost", "lm-netpipe", "lm-overrun", "lm-sockets", "lmd"):
            self.program(str(testpmd.with_name(name)), f"/usr/bin/{name}")
        shared = (HERE / "measured.py", HERE / "scenarios.py", *(E2E / f"{name}.py" for name in SHARED))
        for path in sorted([*shared, *HERE.glob("inside/*.py")]):
            self.add(path, f"/lab/{path.parent.name}/{path.name}")
        self.add(HERE / "inside/init", "/init")
        self.add(relax(testpmd.parent), "/lab/relax.so")
        self.python()

    def add(self, source, inside=None):
        """A file, or a symbolic link and what it points to; in directories as they really are."""
        source = pathlib.Path(source)
        inside = inside or str(source.parent.resolve() / source.name)
        if source.is_symlink() and inside.startswith("/usr"):
            self.links[inside] = os.readlink(source)
            self.add(source.parent.resolve() / os.readlink(source))
        else:
            self.files[inside] = source.resolve()

    def program(self, path, inside=None):
        """A program and its libraries."""
        self.add(path, inside)
        done = subprocess.run(["ldd", path], capture_output=True, text=True)
        for word in done.stdout.split():
            if word.startswith("/"):
                self.add(word)

    def drivers(self):
        libdir = subprocess.run(["pkg-config", "--variable=libdir", "libdpdk"], check=True,
                                capture_output=True, text=True).stdout.strip()
        for name in DRIVERS:
            found = sorted(pathlib.Path(libdir).glob(f"dpdk/pmds-*/{name}.so.*"))
            if not found:
                raise SystemExit(f"lab: no {name} below {libdir}/dpdk: is libdpdk-dev installed?")
            for path in found:
                self.program(str(path))

    def python(self):
        """The modules that the scenarios import, those of the standard library too."""
        mine = [f"import {p.stem}" for p in sorted((HERE / "inside").glob("*.py"))]
        mine += [f"import {name}" for name in LATE]
        code = "; ".join([*mine, "import sys; print(*{getattr(m, '__file__', None) or '' for m in "
                          "sys.modules.values()}, sep='\\n')"])
        paths = os.pathsep.join(map(str, (HERE / "inside", HERE, E2E)))
        found = subprocess.run([PYTHON, "-B", "-c", code], capture_output=True, text=True,
                               env={**os.environ, "PYTHONPATH": paths})
        if found.returncode:
            raise SystemExit(f"lab: {found.stderr}")
        for path in sorted(found.stdout.split()):
            if path.startswith("/usr/lib"):
                self.program(path) if path.endswith(".so") else self.add(path)

    def modules(self):
        """Each module and, in the order of loading, those that it needs before."""
        wanted, order = {}, []

        def want(name):
            name = name.replace("-", "_")
            if name not in wanted and name not in self.kernel.built_in:
                wanted[name], needs = self.kernel.module(name)
                for need in needs:
                    want(need)
                needs = (need.replace("-", "_") for need in needs)
                order.append(" ".join([name, *(n for n in needs if n not in self.kernel.built_in)]) + "\n")

        for name in MODULES:
            want(name)
        return wanted, "".join(order)

    def key(self):
        """What the archive depends on."""
        text = [self.kernel.version, *(f"{k} -> {v}" for k, v in sorted(self.links.items()))]
        for inside, source in sorted(self.files.items()):
            s = source.stat()
            text.append(f"{inside} {source} {s.st_size} {s.st_mtime_ns} {s.st_mode}")
        text += [p.read_text() for p in (HERE / "image.py", HERE / "cpio.py")]
        return hashlib.sha256("\n".join(text).encode()).hexdigest()

    def archive(self):
        archive = Archive()
        for inside in ("dev", "proc", "sys", "run/netns", "tmp", "var", "root", "etc"):
            archive.directory(inside)
        archive.link("var/run", "../run")
        for inside, source in self.files.items():
            archive.file(inside, source.read_bytes(), os.access(source, os.X_OK))
            if inside.endswith(".py"):
                archive.file(cached(inside), compiled(source, inside))
        for inside, target in self.links.items():
            archive.link(inside, target)
        modules, order = self.modules()
        for name, data in modules.items():
            archive.file(f"modules/{name}.ko", data)
        archive.file("modules/order", order.encode())
        return archive.bytes()


def cached(inside):
    """Where Python looks for a module's compiled form."""
    folder, _, name = inside.rpartition("/")
    return f"{folder}/__pycache__/{name[:-3]}.{sys.implementation.cache_tag}.pyc"


def compiled(source, inside):
    """A module in bytecode that is taken without a look at the source's time: compiling takes long in a
    guest.
    """
    with tempfile.TemporaryDirectory() as scratch:
        path = py_compile.compile(str(source), f"{scratch}/c", dfile=inside, doraise=True,
                                  invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH)
        return pathlib.Path(path).read_bytes()


def relax(where):
    """relax.c as a library, compiled if it has changed."""
    source, library = HERE / "relax.c", where / "relax.so"
    if not library.exists() or library.stat().st_mtime_ns < source.stat().st_mtime_ns:
        part = where / f"relax.{os.getpid()}"
        subprocess.run(["cc", "-O2", "-Wall", "-Werror", "-shared", "-fPIC", "-o", part, source], check=True)
        part.rename(library)
    return library


def build(cache, kernel, testpmd):
    """The initramfs in this directory, made anew if any of its parts has changed."""
    image, path, stamp = Image(kernel, testpmd), cache / "initramfs", cache / "initramfs.key"
    key = image.key()
    if not (path.exists() and stamp.exists() and stamp.read_text() == key):
        part = path.with_suffix(".part")
        part.write_bytes(image.archive())
        part.rename(path)
        stamp.write_text(key)
        print(f"lab: built {path} ({path.stat().st_size >> 20} MiB)", flush=True)
    return path
