"""The main job, shown: one process echoes, one pings, over net_memif. Every payload is compared byte by byte.

Each size is pinged in two ways on the same wire, in turns, in one run: *landing* (overlapping slots: no copy), and
*copying*, the conventional way (separate slots: every header is kept, each fragmented datagram is reassembled with one
copy), the same program otherwise. Round trips are medians of the rounds' medians.
"""

import argparse
import os
import shutil
import statistics
import sys
import tempfile
import time

from testpmd import HUGE_VA, NO_HUGE, Failed, Testpmd, free_hugepages

SIZES = (64, 7168, 16384, 65507)
SLOTS = {"landing": "overlapping", "copying": "separate"}
A, B = "198.18.0.1", "198.18.0.2"
MAC_A, MAC_B = "02:00:00:00:00:0a", "02:00:00:00:00:0b"
# Two ends that close at the same moment crash net_memif of DPDK 22.11, in EAL's interrupt thread.
APART = 0.3
# Copied at the region's end at most, of the largest datagrams that land.
COPIED_AT_MOST = 0.02


def fragments(size):
    """Of a datagram as LM cuts it: UDP header, payload, and 8 bytes of end tag where they fit."""
    tag = 8 if size + 16 <= 65515 else 0
    return -(-(size + 8 + tag) // 1480)


def pair(where, size, way, count, zero_copy):
    """One run of both processes: the pinger's and the echoer's summary."""
    memory = HUGE_VA if zero_copy else NO_HUGE
    socket = os.path.join(where, "memif.sock")
    slots = f"--slots={SLOTS[way]}"

    def start(name, role, core, mine, peer, *options):
        extra = ",zero-copy=yes" if zero_copy and role == "client" else ""
        mac = MAC_A if role == "server" else MAC_B
        vdev = f"--vdev=net_memif0,role={role},id=0,socket={socket},socket-abstract=no,rsize=10,mac={mac}{extra}"
        home = os.path.join(where, name)
        eth = f"--eth-peer=0,{MAC_B if role == 'server' else MAC_A}"
        return Testpmd(home, (vdev,), slots, f"--tx-ip={mine},{peer}", eth, f"--summary={home}/summary.json", *options,
                       memory=memory, core=core, reports=False)

    with start("echo", "server", 0, A, B, "--forward-mode=echo") as echo:
        echo.await_text("Port 0:")
        with start("ping", "client", 1, B, A, "--forward-mode=ping", f"--txsize={size}", f"--count={count}") as ping:
            ping.fine()
            time.sleep(APART)
            echo.stop()
            both = ping.summary(), echo.summary()
    shutil.rmtree(where)
    os.mkdir(where)
    return both


def measure(where, rounds, count, zero_copy):
    """Figures by size and way, the two ways in turns."""
    figures = {}
    for size in SIZES:
        for turn in range(rounds):
            for way in (SLOTS if turn % 2 == 0 else reversed(SLOTS)):
                ping, echo = pair(where, size, way, count, zero_copy)
                if ping["mismatched"] or ping["lost"] or len(ping["ping"]) != 1:
                    raise Failed(f"{size} bytes, {way}: {ping['mismatched']} mismatched, {ping['lost']} lost")
                f = figures.setdefault((size, way), {"rtt": [], "p99": [], "received": 0, "copied": 0, "bytes": 0})
                f["rtt"].append(ping["ping"][0]["median_ns"] / 1000)
                f["p99"].append(ping["ping"][0]["p99_ns"] / 1000)
                for end in (ping, echo):
                    f["received"] += end["datagrams"]
                    f["copied"] += end["copied_datagrams"]
                    f["bytes"] += end["copied_bytes"]
    return figures


def table(figures):
    """Printed; whether the promises are kept."""
    print(f"{'bytes':>6} {'frag-':>5} {'way':<8} {'round trip, us':>15} {'Mb/s':>7} {'datagrams':>9} {'copied':>13} {'bytes':>11}")
    print(f"{'':>6} {'ments':>5} {'':<8} {'median':>7} {'p99':>7} {'':>7} {'received':>9} {'datagrams':>13} {'copied':>11}")
    kept = True
    for size in SIZES:
        medians = {}
        for way in SLOTS:
            f = figures[size, way]
            rtt = medians[way] = statistics.median(f["rtt"])
            share = f["copied"] / f["received"]
            print(f"{size:>6} {fragments(size):>5} {way:<8} {rtt:>7.2f} {statistics.median(f['p99']):>7.2f} "
                  f"{2 * 8 * size / rtt:>7.0f} {f['received']:>9} {f['copied']:>6} {share:>6.1%} {f['bytes']:>11}")
            if way == "landing" and share > COPIED_AT_MOST:
                kept = False
                print(f"       more than {COPIED_AT_MOST:.0%} were copied")
        print(f"{'':>12} copying / landing: {medians['copying'] / medians['landing']:.2f}")
    return kept


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="times that each way is measured")
    parser.add_argument("--count", type=int, default=2000, help="round trips a time")
    args = parser.parse_args()
    zero_copy = free_hugepages() >= 2 * 64 // 2
    wire = "zero-copy client, hugepages" if zero_copy else "no hugepages: the client copies into shared memory"
    print(f"net_memif between two processes ({wire}), {args.rounds} x {args.count} round trips a row, every payload compared")
    with tempfile.TemporaryDirectory(prefix="lmd") as where:
        try:
            room = os.path.join(where, "pair")
            os.mkdir(room)
            kept = table(measure(room, args.rounds, args.count, zero_copy))
        except Failed as e:
            print(f"demo: {e}", file=sys.stderr)
            return 1
    print("landing: the payload is used where the device put it. A copied one lay across the end of the landing region.")
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
