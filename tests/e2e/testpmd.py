"""lm-testpmd as a child process: started, watched, ended, and its reports read.

A process gets a file prefix of its own and a directory of its own; both go when it was fine, and the
directory stays when a test failed. Only processes that were started here are ended, by their handle.
"""

import atexit
import fcntl
import glob
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import tempfile
import time
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
BINARY = pathlib.Path(os.environ.get("LM_TESTPMD") or ROOT / "target/release/lm-testpmd")
HUGEPAGES = "/dev/hugepages"
RUNTIME = "/var/run/dpdk" if os.geteuid() == 0 else os.path.join(os.environ.get("XDG_RUNTIME_DIR", "/tmp"),
                                                                 "dpdk")

_serial = 0


def dpdk_release():
    """Year and month of the DPDK that the programs were built with."""
    version = subprocess.run(["pkg-config", "--modversion", "libdpdk"], check=True, capture_output=True,
                             text=True).stdout
    return tuple(int(n) for n in version.split(".")[:2])


def prefix():
    """A file prefix, and a name for anything else, that nobody else has."""
    global _serial
    _serial += 1
    return f"lme{os.getpid()}x{_serial}"


def kernel_counts(what):
    """So many 2 MiB hugepages, as the kernel counts them."""
    return int(pathlib.Path(f"/sys/kernel/mm/hugepages/hugepages-2048kB/{what}").read_text())


def free_hugepages():
    """2 MiB hugepages that can be had, or 0 if they are out of reach. Some that are free are promised to whoever has
    mapped them and not touched them yet."""
    if not os.path.ismount(HUGEPAGES) or not os.access(HUGEPAGES, os.W_OK):
        return 0
    try:
        return kernel_counts("free_hugepages") - kernel_counts("resv_hugepages")
    except OSError:
        return 0


def dead_hugepages():
    """Hugepages that files of no living process hold, by how the files' names begin. EAL locks its own while
    it lives; the next EAL that uses hugepages takes the others back."""
    held = {}
    for path in glob.glob(f"{HUGEPAGES}/*map_*"):
        try:
            # A younger one may be one that its EAL is about to lock.
            if time.time() - os.stat(path).st_mtime < 1:
                continue
            with open(path, "rb") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                pages = -(-os.fstat(file.fileno()).st_size // (2 << 20))
        except OSError:
            continue
        stem = path.rstrip("0123456789")
        held[stem] = held.get(stem, 0) + pages
    return held


def hugepages_or_why(want):
    """Whether so many hugepages can be had, and what keeps them from us, or is to be known about them; else
    "".
    """
    if not os.path.ismount(HUGEPAGES):
        return False, f"no hugepages are mounted at {HUGEPAGES}: tests/scripts/hugepages.sh, as root"
    if not os.access(HUGEPAGES, os.W_OK):
        return False, f"{HUGEPAGES} may not be written by this user"
    free, total = free_hugepages(), int(pathlib.Path("/proc/sys/vm/nr_hugepages").read_text())
    dead = dead_hugepages()
    names = ", ".join(f"{stem}* ({pages})" for stem, pages in sorted(dead.items()))
    told = f"{sum(dead.values())} of {total} hugepages are held by files of dead runs, {names}" if dead else ""
    if free >= want:
        return True, told
    why = f"{want} hugepages are needed, {free} of {total} are free"
    return False, f"{why}; {told}: remove them (rm), and start again" if told else f"{why}: reserve more (sysctl vm.nr_hugepages)"


# Megabytes of DPDK memory: lm-testpmd promises to run within 64.
MEGABYTES = 64

NO_HUGE = ("--no-huge", "-m", str(MEGABYTES))
HUGE_PA = ("-m", str(MEGABYTES), "--single-file-segments", "--iova-mode=pa")
HUGE_VA = ("-m", str(MEGABYTES), "--single-file-segments", "--iova-mode=va")


def memories():
    """Names and EAL options of the kinds of memory that this machine has."""
    kinds = {"no-huge": NO_HUGE}
    if free_hugepages() >= 2 * MEGABYTES // 2:
        kinds["hugepages"] = HUGE_VA
        if os.geteuid() == 0:
            kinds["hugepages, IOVA as PA"] = HUGE_PA
    return kinds


# Seconds in which one that is late may still write its summary.
GRACE = 5

# Those that may still run. They end with us, however we end.
_alive = []


def alive():
    """The process numbers of those that may still run."""
    return [child.process.pid for child in list(_alive)]


@atexit.register
def _end_all():
    for child in list(_alive):
        child.end()


class Failed(AssertionError):
    """lm-testpmd did not do what the test needs to go on."""


class Testpmd:
    """One lm-testpmd. `eal` are EAL options beyond the usual ones, `options` those behind `--`; `card` is the
    one PCI device that it may take."""

    def __init__(self, where, eal, *options, memory=NO_HUGE, core=0, netns=None, reports=True, log=True,
                 stdin=subprocess.DEVNULL, stdout=None, file_prefix=None, card=None):
        self.where = pathlib.Path(where)
        self.where.mkdir(parents=True, exist_ok=True)
        self.prefix = file_prefix or prefix()
        self.summary_path = self.where / "summary.json"
        self.log_path = self.where / "messages.jsonl"
        words = [str(BINARY), "-l", str(core), *memory, "--no-telemetry", f"--file-prefix={self.prefix}"]
        words += ["-a", card] if card else ["--no-pci"]
        words += [*eal, "--", *options]
        if reports:
            words.append(f"--summary={self.summary_path}")
        if reports and log:
            words.append(f"--message-log={self.log_path}")
        self._launch(words, netns, stdin, stdout)

    def _launch(self, words, netns=None, stdin=subprocess.DEVNULL, stdout=None):
        """Starts the process, in a name space if one is given."""
        if netns:
            words = ["ip", "netns", "exec", netns, *words]
        (self.where / "command").write_text(" ".join(words) + "\n")
        self.out_path, self.err_path = self.where / "stdout", self.where / "stderr"
        with open(self.out_path, "wb") as out, open(self.err_path, "wb") as err:
            self.process = subprocess.Popen(words, stdin=stdin, stdout=stdout or out, stderr=stdout or err,
                                            start_new_session=True)
        _alive.append(self)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.end()

    def out(self):
        return self.out_path.read_text(errors="replace")

    def err(self):
        return self.err_path.read_text(errors="replace")

    def running(self):
        return self.process.poll() is None

    def wait(self, seconds=60):
        """Its exit code. One that does not end in time is ended, and the test fails. It is asked to end before it is killed:
        then it still says what it counted."""
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.signal(signal.SIGTERM)
            try:
                self.process.wait(GRACE)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
            raise Failed(f"it did not end within {seconds} s: {self}") from None

    def signal(self, number):
        if self.running():
            os.kill(self.process.pid, number)

    def stop(self, seconds=10):
        """Ends it in order, and gives its exit code."""
        self.signal(signal.SIGTERM)
        return self.wait(seconds)

    def fine(self, seconds=60):
        """Waits until it ends by itself, with 0."""
        code = self.wait(seconds)
        if code:
            raise Failed(f"exit code {code}: {self}")
        return self

    def end(self):
        """Whatever happened: it does not run any more, and its hugepages are free."""
        if self.running():
            self.process.kill()
        self.process.wait()
        if self in _alive:
            _alive.remove(self)
        for left in glob.glob(f"{HUGEPAGES}/{self.prefix}map_*"):
            os.unlink(left)
        shutil.rmtree(f"{RUNTIME}/{self.prefix}", ignore_errors=True)

    def await_text(self, text, seconds=20):
        """Waits for a text on either stream."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            if text in self.out() or text in self.err():
                return self
            if not self.running():
                break
            time.sleep(0.02)
        raise Failed(f"no {text!r}: {self}")

    def summary(self):
        return Summary(json.loads(self.summary_path.read_text()))

    def messages(self):
        """The lines of the message log."""
        with open(self.log_path) as lines:
            return [json.loads(line) for line in lines]

    def __str__(self):
        tail = "\n".join((self.out() + self.err()).splitlines()[-25:])
        return f"{(self.where / 'command').read_text()}{tail}\n(everything: {self.where})"


class Summary(dict):
    """The JSON summary."""

    def drops(self):
        """Reasons that occurred, and how often."""
        return {reason: n for reason, n in self["dropped"].items() if n}

    def losses(self):
        """The same, with what the device, the engine and the sender lost."""
        names = ("missed", "rx_errors", "rx_nombuf", "tx_errors", "unsent", "ignored", "late", "send_dropped",
                 "lost", "mismatched")
        return {**{name: self[name] for name in names if self[name]}, **self.drops()}


class Case(unittest.TestCase):
    """A test with a directory that is kept if it fails, and children that end with it."""

    maxDiff = 2000

    def setUp(self):
        # Device arguments can't have commas in them.
        name = re.sub(r"\W+", "-", f"{type(self).__name__}-{self._testMethodName}")[:60]
        self.where = pathlib.Path(tempfile.mkdtemp(prefix=f"lm-e2e-{name}-"))
        self.children = []
        self.addCleanup(self._tidy)

    def _tidy(self):
        for child in self.children:
            child.end()
        result = self._outcome.result
        bad = [case for case, _ in result.failures + result.errors]
        if not any(case is self or getattr(case, "test_case", None) is self for case in bad):
            shutil.rmtree(self.where, ignore_errors=True)

    def launch(self, name, eal, *options, **how):
        """Starts one, in a directory of this name."""
        child = Testpmd(self.where / name, eal, *options, **how)
        self.children.append(child)
        return child

    def pools_are_level(self, summary):
        """Every mbuf and every slot came back."""
        self.assertEqual(summary["pool_before"], summary["pool_after"], "the pool's level before and after")
