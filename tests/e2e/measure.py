"""`make measure`: lm-netpipe in all its places; tables, pictures and raw results.

    measure.py [--short] [--no-lab] [--only PLACE]...

Without --short it writes docs/results; with it, target/measure, and only sees to it that everything works: every
transport delivers, raw results and pictures are well-formed. A place that fails is told of, what there is of the others
is written, and the exit code is 1.

Raw results are JSON, compressed (`zcat memif.json.gz`): nobody reads them line by line.
"""

import argparse
import contextlib
import gzip
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import textwrap
import time
import xml.etree.ElementTree as xml

import netpipe
from netpipe import PORTED, cores
from testpmd import ROOT, Failed

ALL = (*PORTED, "udp", "udp-busy")
CHECKSUM = ("--checksum=full", "--require=headers,checksum")
TAGS = ("--checksum=zero", "--require=headers,checksum,tags")
# What tables show of all that is measured.
SHOWN = (1, 64, 1024, 1472, 7168, 11_832, 16_384, 65_507)
# Payload at 1 Gb/s on the wire, Mb/s: 8 bytes of preamble, 4 of check sequence and 12 of gap a frame.
WIRE = {7168: 960.1, 65_507: 961.6}


class Place:
    """A run of lm-netpipe."""

    def __init__(self, name, title, transports, options, short, mtu=1500, rounds=0):
        self.name, self.title, self.transports = name, title, transports
        self.options, self.short, self.mtu, self.rounds = options, short, mtu, rounds


SHORT = ("--sizes=1,64,7168,16384,65507", "--time=60", "--blocks=2", "--repetitions=400")
# Each transport has its own pair of processes, and with that the zero-copy client; they take turns so often.
ROUNDS = 9
TURN = ("--time=200", "--blocks=2")
PLACES = (
    Place("memif", "Two processes over net_memif (copying rings), kernel sockets over veth, all in one run",
          ALL, (*CHECKSUM, "--time=200", "--blocks=4"), SHORT),
    Place("zero-copy", "net_memif's zero-copy client, checksums computed and verified", PORTED,
          (*CHECKSUM, *TURN, "--sizes=64,1024,1472,4096,7168,11832,16384,65507"),
          ("--sizes=64,7168,65507", "--time=40", "--blocks=2"), rounds=ROUNDS),
    Place("zero-copy-tags", "The same without checksums: LM trusts its end tags on this link of two, the others trust anything",
          PORTED, (*TAGS, *TURN, "--sizes=64,1024,1472,4096,7168,11832,16384,65499"), None, rounds=ROUNDS),
    Place("paced", "A wire of 1 Gb/s: net_memif, paced by a token bucket outside the transports", ALL,
          (*CHECKSUM, "--test=stream", "--pace=1G", "--sizes=64,1024,1472,7168,11832,16384,65507", "--time=1000",
           "--blocks=3"), ("--test=stream", "--pace=1G", "--sizes=64,7168,65507", "--time=100", "--blocks=2")),
    Place("jumbo", "MTU 9000 over net_memif and veth", ("lm", "lm-copy", "ip-frag", "udp", "udp-busy"),
          (*CHECKSUM, "--mtu=9000", "--sizes=64,1024,7168,16384,32768,65507", "--time=300", "--blocks=4"),
          ("--mtu=9000", "--sizes=7168,65507", "--time=60", "--blocks=2"), mtu=9000),
)
# In the laboratory, if its tools are there.
LAB = ("netpipe-em", "netpipe-em-82574", "netpipe-igb", "jumbo-igb", "jumbo-em", "rx-mode-igb", "rx-mode-em", "rx-mode-em-82574")
LAB_ICOUNT = ("netpipe-em", "netpipe-igb", "cost-e1000", "cost-igb")


def write_raw(path, results):
    """The same results make the same file: no name and no time in it."""
    text = json.dumps(results, separators=(",", ":")) + "\n"
    path.write_bytes(gzip.compress(text.encode(), compresslevel=9, mtime=0))


def read_raw(path):
    return netpipe.Results(json.loads(gzip.decompress(path.read_bytes())))


def prose(text):
    """A paragraph in lines of the documents' width."""
    return textwrap.fill(text, 100, break_long_words=False, break_on_hyphens=False) + "\n"


def us(ns):
    return "" if ns is None else f"{ns / 1000:.2f}" if ns < 100_000 else f"{ns / 1000:.0f}"


def table(head, rows):
    yield "| " + " | ".join(head) + " |"
    yield "|" + "---|" * len(head)
    for row in rows:
        yield "| " + " | ".join(map(str, row)) + " |"
    yield ""


def sections(results):
    """A place's tables."""
    names, sizes = results.names(), [n for n in results.sizes() if n in SHOWN or len(results.sizes()) < 10]
    cells = lambda part, size, value: [value(c[part]) if (c := results.cell(t, size)) and part in c else ""
                                       for t in names]
    if any("ping_pong" in r for r in results["results"]):
        yield "Round trip, µs: median (p99).\n"
        show = lambda p: f"{us(p['median_ns'])} ({us(p['p99_ns'])})"
        yield from table(["bytes", *names], ([n, *cells("ping_pong", n, show)] for n in sizes))
        if len(names) > 1:
            yield f"Times {names[0]}'s.\n"
            rows = ([n, *(f"{m / base:.2f}" if (m := results.median(t, n)) else "" for t in names[1:])]
                    for n in sizes if (base := results.median(names[0], n)))
            yield from table(["bytes", *names[1:]], rows)
        yield "Work of both ends for a round trip, µs; bytes copied by receivers, %; lost.\n"
        both = lambda p, k: p["initiator"][k] + p["responder"][k]
        show = lambda p: (f"{us(both(p, 'work_ns') / max(p['count'], 1))}; "
                          f"{100 * both(p, 'copied_bytes') / max(both(p, 'bytes'), 1):.1f} %; {p['lost']}")
        yield from table(["bytes", *names], ([n, *cells("ping_pong", n, show)] for n in sizes))
    for kind, how in (("stream", ""), ("window", ", no more in flight than a ring takes")):
        if any(kind in r for r in results["results"]):
            yield f"One way{how}: payload received, Mb/s; lost, %; work of sender + receiver for a datagram, µs.\n"
            work = lambda s, end: us(s[end]["work_ns_per_datagram"] or 0)
            show = lambda s: (f"{s['mbps'] or 0:.1f}; {100 * s['loss']:.1f} %; "
                              f"{work(s, 'initiator')} + {work(s, 'responder')}")
            yield from table(["bytes", *names], ([n, *cells(kind, n, show)] for n in sizes))


def goals(found):
    """Each goal that is measured on this machine: what, the figure, the mark, and whether it is reached."""
    def ratio(place, a, b, size):
        r = found.get(place)
        x, y = (r.median(a, size), r.median(b, size)) if r else (None, None)
        return x / y if x and y else None

    def row(what, value, mark, least=True):
        if value is not None:
            reached = value >= mark if least else value <= mark
            yield what, f"{value:.2f}", f"{'≥' if least else '≤'} {mark}", "reached" if reached else "MISSED"

    for place, how in (("zero-copy", "checksums"), ("zero-copy-tags", "tags, no checksums")):
        yield from row(f"memif: rte_ip_frag + copy ÷ LM, 7168 B, {how}", ratio(place, "ip-frag", "lm", 7168), 2.5)
    yield from row("veth ÷ memif: kernel busy-poll ÷ LM, 7168 B, in one run", ratio("memif", "udp-busy", "lm", 7168), 20)
    for place, how in (("zero-copy", "checksums"), ("zero-copy-tags", "no checksums")):
        yield from row(f"LM ÷ bare DPDK ping-pong, 64 B, {how}", ratio(place, "lm", "bare", 64), 1.1, least=False)
    # Frames with LM's sums: what is left above them is LM's own. An EPYC's bare frames are the quicker ones.
    mark = 1.7 if "AMD" in pathlib.Path("/proc/cpuinfo").read_text() else 1.35
    for size in (64, 1024):
        yield from row(f"LM ÷ bare frames with LM's sums, {size} B", ratio("zero-copy", "lm", "bare-sum", size), mark, least=False)
    for place in ("zero-copy", "zero-copy-tags"):
        for size in found[place].sizes() if place in found else ():
            yield from row(f"one copy ÷ LM, {size} B, {place}", ratio(place, "lm-copy", "lm", size), 1.0)
    for size, limit in WIRE.items():
        if "paced" in found and (rate := found["paced"].stream("lm", size)):
            yield from row(f"paced 1 Gb/s: goodput ÷ wire limit ({limit} Mb/s), {size} B", rate / limit, 0.99)
    for size in WIRE:
        if "paced" in found:
            ends = [(found["paced"].cell(t, size) or {}).get("stream") for t in ("udp", "lm")]
            if all(ends):
                per = [sum(s[e]["work_ns"] for e in ("initiator", "responder")) / s["responder"]["bytes"] for s in ends]
                yield from row(f"paced 1 Gb/s: CPU work a byte, kernel UDP ÷ LM, {size} B (time, not instructions)",
                               per[0] / per[1], 10)


def well_formed(prefix):
    for path in pathlib.Path(prefix).parent.glob(pathlib.Path(prefix).name + "-*.svg"):
        root = xml.parse(path).getroot()
        if not root.tag.endswith("svg") or "NaN" in path.read_text():
            raise Failed(f"{path} is no picture")


def delivered(place, results, root):
    for name in place.transports:
        rows = [r for r in results["results"] if r["transport"] == name]
        got = all(r.get("ping_pong", {"count": 1})["count"] and r.get(kind, {"received": 1})["received"]
                  for r in rows for kind in ("stream", "window"))
        wrong = sum(r.get("ping_pong", {"wrong": 0})["wrong"] for r in rows)
        if not rows and (root or name in PORTED) or not got or wrong:
            raise Failed(f"{place.name}: {name} did not deliver: {rows}")


def machine(results):
    m = results["machine"]
    huge = "hugepages, zero-copy memif client" if netpipe.memory()[1] else "no hugepages: copying memif rings"
    return (f"{m['cpu']}, {os.cpu_count()} CPUs, TSC {m['tsc_hz'] / 1e9:.2f} GHz; {m['kernel']}; {m['dpdk']}; {m['program']}; "
            f"{huge}; ends on CPUs {cores()[0]} and {cores()[1]}")


def occasion():
    """Of what was just measured: when it ended is there already."""
    done = subprocess.run(["git", "-c", "safe.directory=*", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True)
    return {"commit": done.stdout.strip() or "unknown", "load": round(os.getloadavg()[0], 1)}


def measured_when(results):
    m = results["machine"]
    when = time.strftime("%Y-%m-%d %H:%M", time.gmtime(m["ended"]))
    return f"Commit {m.get('commit', 'unknown')}, {when} UTC, load average at the end {m.get('load', 'unknown')}"


def laboratory(names, *options):
    """The lines that the laboratory's scenarios print, and whether all were well."""
    words = ["tests/scripts/lab.sh", *options, *names, "--jobs", str(min(2, os.cpu_count() or 1))]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True)
    print(done.stdout, done.stderr, sep="", flush=True)
    return [line for line in done.stdout.splitlines() if line.startswith("lab ") and " ... " in line], done.returncode == 0


def lab_tables(lines):
    for line in lines:
        match = re.match(r"lab (\S+) \.\.\. (\w+) \(([\d.]+) s\) ?(.*)", line)
        if match:
            name, word, _, text = match.groups()
            yield f"### {name}: {word}\n"
            yield from (f"- {figure}" for figure in re.split(r", (?=[a-z])", text))
            yield ""


def measured(place, options, short, root, svg):
    """Runs a place, and sees that it delivered."""
    transports = place.transports if root else tuple(t for t in place.transports if t in PORTED)
    kernel = any(t not in PORTED for t in transports)
    with tempfile.TemporaryDirectory(prefix="lm-measure-") as where, contextlib.ExitStack() as stack:
        spaces = stack.enter_context(netpipe.veth(place.mtu)) if kernel else (None, None)
        if place.rounds:
            results = netpipe.in_turn(where, transports, *options, rounds=1 if short else place.rounds, seconds=600)
        else:
            results, _ = netpipe.run(where, transports, *options, namespaces=spaces, seconds=1800, svg=svg)
    delivered(place, results, root)
    if svg:
        well_formed(svg)
    return results


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--short", action="store_true")
    parser.add_argument("--no-lab", action="store_true")
    parser.add_argument("--only", action="append", default=[], help="places, or lab")
    arguments = parser.parse_args()
    if not netpipe.BINARY.exists():
        print(f"measure.py: there is no {netpipe.BINARY}: run make build first", file=sys.stderr)
        return 2
    root = os.geteuid() == 0
    out = ROOT / ("target/measure" if arguments.short else "docs/results")
    out.mkdir(parents=True, exist_ok=True)
    found, text, commands, failures = {}, [], [], []
    for place in PLACES:
        options = place.short if arguments.short else place.options
        path, svg = out / f"{place.name}.json.gz", None if place.rounds else str(out / place.name)
        if options is None:
            continue
        if not arguments.only or place.name in arguments.only:
            began = time.monotonic()
            try:
                results = measured(place, options, arguments.short, root, svg)
            except (Failed, OSError, KeyError, ValueError, subprocess.SubprocessError) as why:
                print(f"{place.name} ... FAILED ({time.monotonic() - began:.0f} s): {why}", flush=True)
                failures.append(place.name)
                continue
            results["machine"] |= occasion()
            results["machine"]["command"] = results["machine"]["command"].replace(f"{ROOT}/", "")
            write_raw(path, results)
            print(f"{place.name} ... ok ({time.monotonic() - began:.0f} s)", flush=True)
            time.sleep(netpipe.APART)
        elif path.exists():
            # What was measured before stays in the tables.
            results = read_raw(path)
        else:
            continue
        found[place.name] = results
        commands.append(results["machine"]["command"])
        text += [f"## {place.title}\n", f"`lm-netpipe {' '.join(options)}`\n", f"{measured_when(results)}.\n"]
        shown = [n for n in ("latency", "bandwidth", "stream", "window") if svg and pathlib.Path(f"{svg}-{n}.svg").exists()]
        text += [f"![{place.name}, {n}]({place.name}-{n}.svg)\n" for n in shown]
        text += sections(results)
    marks = list(goals(found))
    for mark in marks:
        print("{:<75} {:>8}  {:<7} {}".format(*mark))
    if found:
        head = ["# Measured by `make measure`\n", prose(machine(next(iter(found.values()))) + "."),
                prose("What the figures mean is in `../results.md`; the raw ones are in the `.json.gz` files beside this one "
                      "(`zcat`). The two wires are not the same: net_memif is memory that two processes share, veth is the "
                      "kernel's."), "## Goals measured in these runs\n",
                *table(["", "figure", "mark", ""], marks)]
        (out / "memif.md").write_text("\n".join([*head, *text, "## Commands\n", *(f"    {c}" for c in commands), ""]))
    if not arguments.short and not arguments.no_lab and (not arguments.only or "lab" in arguments.only):
        lines, well = laboratory(LAB, "--full")
        virtual, too = laboratory(LAB_ICOUNT, "--icount")
        failures += [] if well and too else ["laboratory"]
        head = ["# Measured in the laboratory\n",
                prose("Emulated cards in QEMU under TCG (docs/laboratory.md): ratios within a guest count, microseconds don't."),
                "## Real time\n"]
        (out / "laboratory.md").write_text("\n".join([*head, *lab_tables(lines), "## Virtual time: 1 ns an instruction\n",
                                                      *lab_tables(virtual)]))
    if failures:
        print(f"measure.py: not measured, see above: {', '.join(failures)}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
