"""Programs with DDS, the middleware under ROS 2: built, run in two name spaces, and what they printed."""

import collections
import os
import pathlib
import re
import shutil
import signal
import statistics
import subprocess
import unittest

import netns
from lmd import Wire, run
from testpmd import ROOT

SOURCES = pathlib.Path(__file__).resolve().parent / "dds"
BUILT = ROOT / "target/sockets"
# Where Cyclone DDS is installed. Debian has 0.10; another place may have a newer one.
CYCLONE = pathlib.Path(os.environ.get("LM_CYCLONE") or "/usr")
# What Debian calls the packages, and a file of each. Fast DDS has one name as version 3, and one as version 2.
PACKAGES = {"cyclone": {"cyclonedds-dev": f"{CYCLONE}/include/dds/dds.h", "cyclonedds-tools": f"{CYCLONE}/bin/idlc"},
            "fast": {"libfastdds-dev or libfastrtps-dev": "/usr/include/fastdds/dds/topic/TypeSupport.hpp"}}
DDSPERF = str(CYCLONE / "bin/ddsperf")
HZ, SIZE = 30, 1_000_000

# A program, how reliable its samples are, and its environment.
Case = collections.namedtuple("Case", "program how environment")
CASES = {"fast": Case("fast", "reliable", {}),
         "fast-best-effort": Case("fast", "best-effort", {}),
         "cyclone-64KB": Case("cyclone", "reliable", {"CYCLONEDDS_URI": f"file://{SOURCES}/whole.xml"}),
         "cyclone": Case("cyclone", "reliable", {})}

# What a run gave: samples sent, how many arrived, how many in each second, and the longest time without one.
Run = collections.namedtuple("Run", "sent got seconds silence")


def needs_dds(program):
    """A test is skipped without the packages. With LM_TOOLS=must it fails, if the suite has them."""
    lacks = [name for name, file in PACKAGES[program].items() if not pathlib.Path(file).exists()]
    if os.environ.get("LM_TOOLS") == "must" and lacks and all(available(name) for name in lacks):
        return lambda test: test
    return unittest.skipIf(lacks, f"there is no {' '.join(lacks)}")


def available(package):
    """Whether the suite has a package, or one of two."""
    if not shutil.which("apt-cache"):
        return False
    said = subprocess.run(["apt-cache", "policy", *package.split(" or ")], capture_output=True, text=True,
                          env={**os.environ, "LC_ALL": "C"}).stdout
    return any(version != "(none)" for version in re.findall(r"Candidate: (\S+)", said))


def built(program):
    """The program, compiled if it is older than its sources."""
    folder = BUILT / version() if program == "cyclone" else BUILT
    made = folder / program
    if made.exists() and made.stat().st_mtime > max(file.stat().st_mtime for file in SOURCES.iterdir()):
        return str(made)
    folder.mkdir(parents=True, exist_ok=True)
    if program == "cyclone":
        # It writes sample.c and sample.h.
        subprocess.run([CYCLONE / "bin/idlc", str(SOURCES / "sample.idl")], cwd=folder, check=True)
        words = ["cc", f"-I{folder}", f"-I{SOURCES}", str(SOURCES / "cyclone.c"), str(folder / "sample.c")]
        if CYCLONE != pathlib.Path("/usr"):
            words += [f"-I{CYCLONE}/include", f"-L{CYCLONE}/lib", f"-Wl,-rpath,{CYCLONE}/lib"]
        words.append("-lddsc")
    else:
        library = "fastrtps" if pathlib.Path("/usr/include/fastrtps").exists() else "fastdds"
        words = ["c++", str(SOURCES / "fast.cpp"), f"-l{library}", "-lfastcdr"]
    subprocess.run([*words, "-O2", "-Wall", "-Wextra", "-o", str(made)], check=True)
    return str(made)


def version():
    """Cyclone DDS's version, as its headers say."""
    text = (CYCLONE / "include/dds/version.h").read_text()
    return "cyclone-" + re.search(r'DDS_VERSION "([^"]+)"', text)[1]


class Dds(Wire):
    """Samples from one name space to another. Where frames are lost, the wire is a veth with v1 `there` and v0 `here`."""

    def unseen(self):
        """How many frames did not arrive."""
        return int(re.search(r"counter packets (\d+)", run(self.there, "nft", "list", "ruleset")[1])[1])

    def arrived(self):
        """How many frames have arrived at v0."""
        with netns.inside(self.here):
            lines = pathlib.Path("/proc/thread-self/net/dev").read_text().splitlines()
        [line] = [line for line in lines if line.strip().startswith("v0:")]
        return int(line.split()[2])

    def start(self, namespace, name, words, environment):
        """Each end has a /dev/shm of its own, as two machines have: what arrives has come over the wire. (`ip netns exec`
        gives each command mounts of its own.)"""
        self.where.mkdir(parents=True, exist_ok=True)
        with open(self.where / name, "wb") as out, open(self.where / f"{name}.err", "wb") as err:
            child = subprocess.Popen(["ip", "netns", "exec", namespace, "nice", "-n", "-10", "sh", "-c",
                                      'mount -t tmpfs none /dev/shm && exec "$@"', "sh", *words],
                                     env={**os.environ, **environment}, stdout=out, stderr=err)
        self.addCleanup(lambda: (child.kill(), child.wait()))
        return child

    def told(self):
        """What programs and lmd have said, if something went wrong."""
        programs = ((self.where / name).read_text()[-500:] for name in ("pub", "pub.err", "sub", "sub.err"))
        return "\n".join([*programs, self.said()])

    def lines(self, name):
        """What a program printed, but for a last line that it had no time to end."""
        text = (self.where / name).read_text()
        return [line.split() for line in text[:text.rfind("\n") + 1].splitlines()]

    def samples(self, case, seconds, sender, receiver):
        """Samples for so long, all looked at."""
        program = built(case.program)
        ear = self.start(receiver, "sub", [program, "sub", case.how], case.environment)
        words = [program, "pub", str(SIZE), str(HZ), str(seconds), case.how]
        mouth = self.start(sender, "pub", words, case.environment)
        self.assertEqual((mouth.wait(seconds + 30), ear.poll()), (0, None), self.told())
        ear.send_signal(signal.SIGTERM)
        ear.wait(10)
        sent = {int(number): float(at) for at, number in self.lines("pub")}
        self.assertEqual(len(sent), seconds * HZ)
        got = [(float(at), int(number)) for at, number, *_ in self.lines("sub")]
        for _, number, size, word in self.lines("sub"):
            self.assertEqual((size, word), (str(SIZE), "good"), f"sample {number}")
        numbers = [number for _, number in got]
        self.assertEqual(numbers, sorted(set(numbers)), "not in order, or twice")
        return figures(sent, got, seconds)

    def ddsperf(self, seconds):
        """The same by Cyclone DDS's own program, which says how many samples arrived in each second."""
        environment = CASES["cyclone-64KB"].environment
        ear = self.start(self.here, "sub", [DDSPERF, f"-D{seconds + 0.5}", "sub"], environment)
        words = [DDSPERF, f"-D{seconds + 2}", "pub", f"{HZ}Hz", "size", str(SIZE)]
        mouth = self.start(self.there, "pub", words, environment)
        self.assertEqual((ear.wait(seconds + 20), mouth.wait(seconds + 20)), (0, 0), self.told())
        said = (self.where / "sub").read_text()
        # It says nothing of a second without any.
        counts = [0] * seconds
        for second, n in re.findall(r" (\d+)\.\d+  size \d+ total \d+ lost \d+ delta (\d+) lost", said):
            if 1 <= int(second) <= seconds:
                counts[int(second) - 1] += int(n)
        silent = max(len(zeros) for zeros in "".join("0" if n == 0 else "1" for n in counts).split("1"))
        return Run(seconds * HZ, sum(counts), counts, silent)


def figures(sent, got, seconds):
    """What a run gave. Seconds begin between two samples, as they arrive."""
    began = sent[0]
    delay = statistics.median(at - sent[number] for at, number in got) if got else 0
    first = began + delay - 0.5 / HZ
    counts = [0] * seconds
    for at, _ in got:
        if 0 <= at - first < seconds:
            counts[int(at - first)] += 1
    marks = [began, *(at for at, _ in got if at < began + seconds), began + seconds]
    silence = max(later - earlier for earlier, later in zip(marks, marks[1:]))
    return Run(len(sent), len(got), counts, silence)
