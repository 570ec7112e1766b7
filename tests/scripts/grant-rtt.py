#!/usr/bin/env python3
"""grant-rtt.py [ROUNDS]: how long a grant takes, next to the round trip of a plain datagram of the same size,
between two lm-testpmds over net_memif. Both happen every seven milliseconds, and the kinds take turns; the
medians' ratio is held against
1.5, and printed, whatever it is. Two cores that nobody else uses: where others do, one round in three may be
theirs.
"""

import pathlib
import re
import statistics
import subprocess
import sys
import tempfile
import time

sys.path.append(str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))

from testpmd import NO_HUGE, Testpmd

COUNT, INTERVAL, SIZE, MOST = 300, 7000, 96, 1.5
A, B = "198.18.0.1", "198.18.0.2"
UNITS = {"ns": 1e-3, "µs": 1, "ms": 1e3, "s": 1e6}


def run(home, mode, away, *options):
    """The client's end of it: its prompt's answers and its summary."""
    with tempfile.TemporaryDirectory(prefix="lm-rtt-") as scratch:
        where = pathlib.Path(scratch)
        vdev = f"--vdev=net_memif0,id=0,socket={where / 's'},socket-abstract=no,rsize=10,role="
        server = Testpmd(where / "server", (f"{vdev}server,mac=02:00:00:00:00:0a", ), "-i", "-a",
                         f"--forward-mode={away}", f"--tx-ip={A},{B}", "--eth-peer=0,02:00:00:00:00:0b",
                         *options, memory=NO_HUGE, core=0, log=False, stdin=subprocess.PIPE)
        with server.await_text("Port 0:"):
            client = Testpmd(where / "client", (f"{vdev}client,mac=02:00:00:00:00:0b", ), "-i", "-a",
                             f"--forward-mode={mode}", f"--tx-ip={B},{A}", "--eth-peer=0,02:00:00:00:00:0a",
                             f"--txsize={SIZE}", f"--count={COUNT}", f"--tx-interval={INTERVAL}", *options,
                             memory=NO_HUGE, core=1, log=False, stdin=subprocess.PIPE)
            with client.await_text("Accumulated", 60):
                if options:
                    client.process.stdin.write(b"show ac\n")
                    client.process.stdin.flush()
                    client.await_text("time to grant")
                    time.sleep(0.1)
                client.process.stdin.close()
                client.fine(20)
                time.sleep(0.3)
                server.process.stdin.close()
                server.fine(20)
                return home(client)


def of_grants(client):
    found = re.search(
        r"time to grant: (\d+) grants, shortest ([\d.]+)(ns|µs|ms|s), median ([\d.]+)(ns|µs|ms|s),",
        client.out())
    count, shortest, unit, median, unit_too = found.groups()
    assert int(count) > COUNT / 2, client.out()
    return float(shortest) * UNITS[unit], float(median) * UNITS[unit_too]


def of_pings(client):
    (ping,) = client.summary()["ping"]
    assert ping["count"] > COUNT * 0.9, ping
    return ping["min_ns"] / 1000, ping["median_ns"] / 1000


def main():
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    plain, grants = [], []
    for _ in range(rounds):
        plain.append(run(of_pings, "ping", "echo"))
        grants.append(run(of_grants, "tx", "rx", "--ac=per-receiver"))
        print(
            "µs, shortest and median: plain {:.1f} {:.1f}, grant {:.1f} {:.1f}".format(
                *plain[-1], *grants[-1]), flush=True)
    ratios = []
    for at, name in enumerate(("shortest", "median")):
        one, other = (statistics.median(kind[at] for kind in kinds) for kinds in (plain, grants))
        ratios.append(other / one)
        print(
            f"{name} of {rounds} rounds of {COUNT}: plain {one:.1f} µs, grant {other:.1f} µs, ratio {ratios[-1]:.2f}"
        )
    print(f"median: at most {MOST} wanted: {'reached' if ratios[-1] <= MOST else 'MISSED'}")


if __name__ == "__main__":
    main()
