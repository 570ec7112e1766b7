"""`make profile`: where the time of a round trip goes, for the goals that `make measure` misses.

    profile.py [--seconds N] [--only CASE]...

Each transport has a pair of lm-netpipe processes with net_memif's zero-copy client, both of which perf
samples by the CPU's clock while they exchange datagrams of one size. A sample counts for the innermost source
file of this workspace that it is in, inlined or not, else for its library. Writes docs/results/profile.md.
"""

import argparse
import collections
import contextlib
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import threading
import time

import netpipe
import testpmd
from measure import CHECKSUM, TAGS, measured_when, occasion, prose, table
from testpmd import ROOT, Failed

# Samples of each process a second.
RATE = 1999
CASES = (("7168-checksum", "7168 bytes, checksums computed and verified", 7168, CHECKSUM,
          ("lm", "lm-copy", "ip-frag")), ("7168-tags", "7168 bytes, tags, no checksums", 7168, TAGS,
                                          ("lm", "lm-copy", "ip-frag")),
         ("1024-tags", "1024 bytes, tags, no checksums", 1024, TAGS, ("lm", "lm-copy", "ip-frag")),
         ("64-tags", "64 bytes, tags, no checksums", 64, TAGS, ("lm", "lm-copy", "ip-frag", "bare")),
         ("7168-kernel", "7168 bytes, kernel sockets over veth, busy-polling", 7168, CHECKSUM,
          ("udp-busy", )),
         )
# What a source file is a part of, first match; the rest of the workspace is lm-netpipe's.
PARTS = (
    (r"lm/proto/src/checksum", "checksum, order digest, summing copy"),
    (r"lm/proto/src/(matcher|reassembler|repair|tag|intact)", "matcher, proof, reassembler"),
    (r"lm/engine/src/(receiver|message)", "receiver"),
    (r"lm/proto/src/(alf|layout|wire)|lm/engine/src/(sender|buffer)", "sender, headers"),
    (r"lm/proto/src/", "LM, other"),
    (r"pmd-e1000/", "landing pool, send pool"),
    (r"meson-wrap/", "bindings (rte)"),
    (r"apps/src/netpipe/transport", "the transport in lm-netpipe"),
    (r"apps/src/|tests/", "lm-netpipe: its loop, its meter"),
)
LIBRARIES = (
    (r"net_memif", "net_memif"),
    (r"librte_ip_frag", "librte_ip_frag"),
    (r"librte_", "DPDK, other"),
    (r"\[vdso\]", "reading the clock"),
    (r"\[(kernel|guest)|\.ko", "kernel"),
    (r"libc", "libc (memcpy)"),
)


def part(patterns, text, other):
    return next((name for pattern, name in patterns if re.search(pattern, text)), other)


class Program:
    """lm-netpipe's own code: which part an address of a process is in."""

    def __init__(self, path):
        self.path = str(path)
        self.segments = []
        for line in subprocess.run(["readelf", "-lW", path], capture_output=True, text=True,
                                   check=True).stdout.splitlines():
            if line.split()[:1] == ["LOAD"]:
                offset, virtual, _, size = (int(w, 16) for w in line.split()[1:5])
                self.segments.append((offset, size, virtual))

    def virtual(self, maps, ip):
        """Its address in the file's own terms."""
        for start, end, offset in maps:
            if start <= ip < end:
                offset += ip - start
                return next((offset - begin + virtual for begin, size, virtual in self.segments
                             if begin <= offset < begin + size), None)
        return None

    def maps(self, pid):
        found = []
        for line in pathlib.Path(f"/proc/{pid}/maps").read_text().splitlines():
            words = line.split()
            if words[-1] == self.path:
                start, end = (int(w, 16) for w in words[0].split("-"))
                found.append((start, end, int(words[2], 16)))
        return found

    def parts(self, addresses):
        """The part of each address."""
        addresses = sorted(addresses)
        text = "".join(f"{a:#x}\n" for a in addresses)
        done = subprocess.run(["addr2line", "-a", "-i", "-e", self.path], input=text, capture_output=True,
                              text=True, check=True)
        found, chain = {}, None
        for line in done.stdout.splitlines():
            if line.startswith("0x"):
                chain = found.setdefault(int(line, 16), [])
            else:
                chain.append(line)
        return {a: self.of(chain) for a, chain in found.items()}

    @staticmethod
    def of(chain):
        own = next((line for line in chain if str(ROOT) in line and ".cargo" not in line), None)
        if own is None:
            return "Rust's library, crates"
        return part(PARTS, own[own.index(str(ROOT)) + len(str(ROOT)) + 1:], "lm-netpipe: its loop, its meter")


class Sampler(threading.Thread):
    """perf beside a pair: samples of both processes for some seconds, once they are at it."""

    def __init__(self, seconds, data):
        super().__init__(daemon=True)
        self.seconds, self.data, self.why = seconds, data, None
        self.maps = {}

    def run(self):
        program = Program(netpipe.BINARY.resolve())
        pids, until = [], time.monotonic() + 30
        while len(pids) < 2 and time.monotonic() < until:
            time.sleep(0.2)
            # In a name space `ip` becomes lm-netpipe.
            pids = [pid for pid in testpmd.alive() if os.readlink(f"/proc/{pid}/exe") == program.path]
        time.sleep(1)
        self.maps = {pid: program.maps(pid) for pid in pids}
        done = subprocess.run([
            "perf", "record", "-q", "-e", "cpu-clock", "-F",
            str(RATE), "-p", ",".join(map(str, pids)), "-o", self.data, "--", "sleep",
            str(self.seconds)
        ], capture_output=True, text=True)
        self.why = done.stderr.strip() if done.returncode else None


def shares(data, maps):
    """Samples by part, and all of them."""
    text = subprocess.run(["perf", "script", "-i", data, "-F", "pid,ip,sym,dso"], capture_output=True,
                          text=True, check=True).stdout
    program, counted, own = Program(netpipe.BINARY.resolve()), collections.Counter(), collections.Counter()
    for line in text.splitlines():
        match = re.match(r"\s*(\d+)\s+([0-9a-f]+)\s.*\((.*)\)$", line)
        if not match:
            continue
        pid, ip, library = int(match[1]), int(match[2], 16), match[3]
        virtual = program.virtual(maps[pid], ip) if pid in maps and library == program.path else None
        if virtual is None:
            counted[part(LIBRARIES, library, library)] += 1
        else:
            own[virtual] += 1
    parts = program.parts(own)
    for address, n in own.items():
        counted[parts[address]] += n
    return counted


def measured(transport, size, options, seconds):
    """A pair's results, and its samples by part."""
    with tempfile.TemporaryDirectory(prefix="lm-profile-") as where:
        data = f"{where}/perf.data"
        sampler = Sampler(seconds, data)
        sampler.start()
        spaces = contextlib.nullcontext((None, None)) if transport in netpipe.PORTED else netpipe.veth()
        more = (f"--sizes={size}", "--test=ping-pong", f"--time={1000 * (seconds + 4)}",
                "--repetitions=100000000", "--blocks=1")
        with spaces as names:
            results, _ = netpipe.run(where, (transport,), *options, *more, namespaces=names)
        sampler.join(60)
        if sampler.why or not sampler.maps:
            raise Failed(f"perf: {sampler.why or 'it found no processes'}")
        return results, shares(data, sampler.maps)


def case(title, size, options, transports, seconds):
    """A table: µs of a round trip by part, of both ends together."""
    columns, order, last = {}, collections.Counter(), None
    for transport in transports:
        last, counted = measured(transport, size, options, seconds)
        cell = last.cell(transport, size)["ping_pong"]
        # Two CPUs are busy for the length of a round trip, in which each also waits for the other.
        both = 2 * cell["all_median_ns"] / 1000
        total = sum(counted.values())
        columns[transport] = {name: both * n / total for name, n in counted.items()}
        columns[transport]["round trip, median"] = both / 2
        order.update({name: n / total for name, n in counted.items()})
    names = [name for name, share in order.most_common() if share >= 0.01] + ["round trip, median"]
    rows = ([name, *(f"{columns[t].get(name, 0):.2f}" for t in transports)] for name in names)
    last["machine"] |= occasion()
    yield f"## {title}\n"
    yield f"{measured_when(last)}.\n"
    yield from table(["µs", *transports], rows)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=int, default=4)
    parser.add_argument("--only", action="append", default=[], help="cases")
    arguments = parser.parse_args()
    chosen = [c for c in CASES if not arguments.only or c[0] in arguments.only]
    head = [
        "# Where the time of a round trip goes\n",
        prose(
            "`make profile` samples both ends with `perf record -e cpu-clock`. The tables have µs by part, both ends "
            "together. The columns sum up to twice the round trip, since each end also waits for the other, in polls of "
            "`net_memif` and of the clock. A sample counts for the innermost source file of this workspace.")
    ]
    text = []
    for _, title, size, options, transports in chosen:
        lines = list(case(title, size, options, transports, arguments.seconds))
        print(*lines, sep="\n", flush=True)
        text += lines
    if not arguments.only:
        (ROOT / "docs/results/profile.md").write_text("\n".join([*head, *text]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
