"""How long a grant takes, next to a plain datagram of the same size and its echo, on the same two cards. Each
grant is for one datagram on an idle port, which lands without a copy."""

import re
import time

from guest import A, B, check, note

# A lm-testpmd with nothing to send gives its grant back after 5 ms, with flush frames for the ring behind it,
# which both nodes handle on the one processor for some 2 ms. The next datagram comes later than that: each
# needs a grant of its own, on an idle port.
SIZE, DATA, COUNT, INTERVAL, MOST = 96, 7168, 50, 12_000, 1.5
LOAD = (f"--count={COUNT}", f"--tx-interval={INTERVAL}")
UNITS = {"ns": 1e-3, "µs": 1, "ms": 1e3, "s": 1e6}


def round_trip(guest):
    """Both medians, in virtual time, and their ratio."""
    one, other = guest.devices()
    away = guest.launch("echo", 1, other, "--forward-mode=echo", prompt=True)
    home = guest.launch("ping", 0, one, "--forward-mode=ping", *LOAD, f"--txsize={SIZE}", prompt=True)
    guest.warm()
    guest.tell(away, "start", "echo forwarding")
    guest.tell(home, "start", "Accumulated", guest.seconds)
    for child in (home, away):
        guest.quit(child)
        guest.level(child)
    (ping,) = home.summary()["ping"]
    check(ping["count"] >= COUNT * 0.9, "echoes are missing:", ping)
    plain = ping["median_ns"] / 1000

    away = guest.launch("rx", 1, other, "--forward-mode=rx", "--ac=per-receiver", layout="separate",
                        prompt=True)
    home = guest.launch("tx", 0, one, "--forward-mode=tx", "--ac=per-receiver", *LOAD, f"--txsize={DATA}",
                        layout="separate", prompt=True)
    guest.warm()
    guest.tell(away, "start", "rx forwarding")
    guest.tell(home, "start", "Accumulated", guest.seconds)
    guest.tell(home, "show ac", "time to grant: ")
    time.sleep(0.1)
    found = re.findall(r"time to grant: (\d+) grants, .*?median ([\d.]+)(ns|µs|ms|s),", home.out())
    check(found, "no grants:", home)
    count, median, unit = found[-1]
    grant = float(median) * UNITS[unit]
    figures = {"plain µs": plain, "grant µs": grant, "ratio": round(grant / plain, 2), "grants": int(count)}
    note(A, B, figures)
    for child in (home, away):
        guest.quit(child)
        guest.level(child)
    landed = away.messages()
    check(len(landed) == COUNT, f"{len(landed)} of {COUNT} datagrams:", away)
    check(all(m["len"] == DATA and m["copied"] == 0 for m in landed), "copied on an idle port:", landed)
    check(int(count) >= COUNT / 2, "too few grants:", figures)
    check(grant / plain <= MOST, f"a grant takes more than {MOST} times as long as a datagram and its echo:",
          figures)
    return figures
