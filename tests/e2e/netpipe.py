"""lm-netpipe as two child processes, and the places that it is measured in.

Over net_memif every DPDK transport has a port of its own; kernel sockets have a veth pair between two name spaces, which
is another wire.
"""

import contextlib
import functools
import glob
import json
import os
import pathlib
import subprocess
import time

import netns
from testpmd import HUGE_VA, HUGEPAGES, NO_HUGE, ROOT, Testpmd, free_hugepages, prefix

BINARY = pathlib.Path(os.environ.get("LM_NETPIPE") or
                      pathlib.Path(os.environ.get("CARGO_TARGET_DIR") or ROOT / "target") / "release/lm-netpipe")
PORTED = ("lm", "lm-copy", "ip-frag", "bare", "bare-sum")
A, B = "198.18.9.1", "198.18.9.2"
UDP = (7700, 9700)
# Two ends that close at the same moment crash net_memif of DPDK 22.11.
APART = 0.3
MEGABYTES = 192


def mac(end, port):
    return f"02:00:00:00:{end:02x}:{port:02x}"


@functools.cache
def memory():
    """EAL options for what this machine has for two, and whether these are hugepages. Both ends are to have the same: it is asked
    once, before either of them takes any."""
    huge = free_hugepages() >= MEGABYTES
    kind = HUGE_VA if huge else NO_HUGE
    return ["-m" if w == "-m" else str(MEGABYTES) if w.isdigit() else w for w in kind], huge


class Netpipe(Testpmd):
    """One lm-netpipe; `eal` is None for one that has kernel sockets alone."""

    def __init__(self, where, eal, *options, core=0, namespace=None):
        self.where = pathlib.Path(where)
        self.where.mkdir(parents=True, exist_ok=True)
        self.prefix = prefix()
        words = [str(BINARY)]
        if eal is not None:
            words += ["-l", str(core), *memory()[0], "--no-telemetry", f"--file-prefix={self.prefix}", "--no-pci", *eal]
        elif not any(option.startswith("--core") for option in options):
            options = (*options, f"--core={core}")
        self._launch([*words, "--", *options], namespace)


def is_zero_copy(transports):
    """net_memif's zero-copy client closes EAL's own file descriptors when it is connected (DPDK 22.11): a second one in the
    process finds none. So there is one, if one port is all that is needed."""
    return memory()[1] and sum(t in PORTED for t in transports) == 1


def vdevs(where, transports, end, mtu=1500):
    """A net_memif port for each transport that needs one; the initiator, end 0, is the client."""
    zero_copy = ",zero-copy=yes" if is_zero_copy(transports) else ""
    found = []
    for i, _ in enumerate(t for t in transports if t in PORTED):
        role = f"client{zero_copy}" if end == 0 else "server"
        found.append(f"--vdev=net_memif{i},role={role},id={i},socket={where}/m{i},socket-abstract=no,rsize=10,"
                     f"mac={mac(end, i)}{',bsize=10240' if mtu > 2000 else ''}")
    return found


def ends(transports, end):
    """Addresses and peers."""
    (src, dst), (ours, theirs) = ((A, B), UDP) if end == 0 else ((B, A), UDP[::-1])
    ports = sum(t in PORTED for t in transports)
    return [f"--tx-ip={src},{dst}", f"--tx-udp={ours},{theirs}", "--kernel-wire=veth, another wire",
            *(f"--eth-peer={i},{mac(1 - end, i)}" for i in range(ports))]


def cores():
    mine = sorted(os.sched_getaffinity(0))
    return mine[0], mine[-1]


@contextlib.contextmanager
def veth(mtu=1500):
    """Two name spaces with a veth pair between them, offloads off; their names."""
    names = [f"{prefix()}{end}" for end in "ab"]
    made = []
    try:
        for name in names:
            netns.ip("netns", "add", name)
            made.append(name)
        devices = [f"v{name[-9:]}" for name in names]
        netns.ip("link", "add", devices[0], "netns", names[0], "type", "veth", "peer", "name", devices[1], "netns",
                 names[1])
        for name, device, address in zip(names, devices, (A, B)):
            netns.ip("-n", name, "addr", "add", f"{address}/24", "dev", device)
            netns.ip("-n", name, "link", "set", device, "mtu", str(mtu), "up")
            netns.ip("-n", name, "link", "set", "lo", "up")
            subprocess.run(["ip", "netns", "exec", name, "ethtool", "-K", device, "tx", "off", "rx", "off", "tso", "off",
                            "gso", "off", "gro", "off"], check=False, capture_output=True, timeout=20)
        yield names
    finally:
        for name in made:
            netns.ip("netns", "del", name)


def run(where, transports, *options, namespaces=(None, None), seconds=120, svg=None):
    """A responder and an initiator with these transports: what the latter wrote, and what it printed."""
    where = pathlib.Path(where)
    where.mkdir(parents=True, exist_ok=True)
    ported = any(t in PORTED for t in transports)
    words = [f"--transport={','.join(transports)}", *options]
    first, second = cores()
    mtu = next((int(o.split("=")[1]) for o in options if o.startswith("--mtu=")), 1500)
    eal = [vdevs(where, transports, end, mtu) if ported else None for end in (0, 1)]
    with Netpipe(where / "responder", eal[1], "--role=responder", "--once", *words, *ends(transports, 1), core=second,
                 namespace=namespaces[1]) as responder:
        responder.await_text("ready to answer", 40)
        more = [f"--svg={svg}"] if svg else []
        with Netpipe(where / "initiator", eal[0], *words, *ends(transports, 0), f"--json={where}/results.json", *more,
                     core=first, namespace=namespaces[0]) as initiator:
            initiator.fine(seconds)
        time.sleep(APART)
        responder.fine(20)
        for child in (initiator, responder):
            left = glob.glob(f"{HUGEPAGES}/{child.prefix}map_*")
            if left or "still used" in child.err():
                raise AssertionError(f"it holds hugepages by {left}, or names what holds EAL: {child}")
        return Results(json.loads((where / "results.json").read_text())), initiator.out()


def median(values):
    values = sorted(v for v in values if v is not None)
    return values[len(values) // 2] if values else None


def merged(runs):
    """What runs of the same sizes have found, as one: medians of all blocks, sums of what was counted."""
    first = runs[0]
    names, cells = {}, {}
    for run in runs:
        names.update({t["name"]: t for t in run["transports"]})
        for r in run["results"]:
            cells.setdefault((r["size"], r["transport"]), []).append(r)
    order = list(names)
    results = []
    for (size, name), parts in sorted(cells.items(), key=lambda item: (item[0][0], order.index(item[0][1]))):
        one = {"transport": name, "size": size}
        for kind in ("ping_pong", "ping_pong_anew", "stream", "window"):
            found = [part[kind] for part in parts if kind in part]
            if found:
                one[kind] = _sum(kind, size, found)
        results.append(one)
    return Results({**first, "complete": all(run["complete"] for run in runs), "transports": list(names.values()),
                    "results": results, "runs": len(runs)})


def _sum(kind, size, found):
    trips = kind.startswith("ping_pong")
    counted = ("count", "lost", "late", "wrong") if trips else ("sent", "received")
    one = {key: sum(f[key] for f in found) for key in counted}
    for end in ("initiator", "responder"):
        one[end] = {key: sum(f[end][key] or 0 for f in found) for key in found[0][end]}
        n = one[end]["datagrams"] if trips or end == "responder" else one["sent"]
        one[end]["work_ns_per_datagram"] = one[end]["work_ns"] / n if n else None
    if trips:
        blocks = [ns for f in found for ns in f["block_medians_ns"]]
        one |= {"block_medians_ns": blocks, "median_ns": median(blocks)}
        one["min_ns"] = min((f["min_ns"] for f in found if f["min_ns"]), default=None)
        one["max_ns"] = max((f["max_ns"] for f in found if f["max_ns"]), default=None)
        one |= {key: median(f[key] for f in found) for key in ("all_median_ns", "p99_ns", "p999_ns")}
        one["latency_us"] = one["median_ns"] and one["median_ns"] / 2000
        one["mbps"] = one["median_ns"] and size * 16e3 / one["median_ns"]
    else:
        blocks = [rate for f in found for rate in f["block_mbps"]]
        one |= {"block_mbps": blocks, "mbps": median(blocks), "loss": 1 - one["received"] / max(one["sent"], 1)}
    return one


def in_turn(where, transports, *options, rounds, **how):
    """Each transport in processes of its own, so that each has net_memif's zero-copy client; they take turns."""
    runs = []
    for turn in range(rounds):
        for name in transports:
            runs.append(run(pathlib.Path(where) / f"{turn}-{name}", (name,), *options, **how)[0])
            time.sleep(APART)
    return merged(runs)


class Results(dict):
    """What lm-netpipe wrote."""

    def cell(self, transport, size):
        return next((r for r in self["results"] if (r["transport"], r["size"]) == (transport, size)), None)

    def median(self, transport, size, anew=False):
        """Of a round trip, ns; `anew`: of those whose echo is summed anew, if they were measured."""
        cell = (self.cell(transport, size) or {}).get("ping_pong_anew" if anew else "ping_pong")
        return cell and cell["median_ns"]

    def stream(self, transport, size):
        """Payload received, Mb/s."""
        cell = self.cell(transport, size)
        return cell and cell["stream"]["mbps"]

    def window(self, transport, size):
        """The same with no more in flight than the receiver's ring takes."""
        cell = self.cell(transport, size)
        return cell and cell["window"]["mbps"]

    def sizes(self):
        return sorted({r["size"] for r in self["results"]})

    def names(self):
        return [t["name"] for t in self["transports"]]
