"""What a datagram costs its receiver, in instructions: LM, a bare loop and Linux on the same card, the same frames."""

import json
import subprocess

import cards
from guest import MEMORY, check, note

PROGRAM = "/usr/bin/lm-cost"
SIZES = (7168, 65507)
# Virtual time is reproducible: rounds differ by a few instructions.
ROUNDS = 7
# LM against a loop that receives and frees: the goal is 1.3.
MOST = 1.4
# The sender is on the first card, the receiver on the second.
ADDRESS = "198.18.0.2"


def measure(allowed, receiver, size, burst, *more):
    words = [PROGRAM, "-l", "0", *MEMORY, "--no-telemetry", "--file-prefix=cost"]
    for address in allowed:
        words += ["-a", address]
    words += ["--", "--receiver", receiver, "--size", str(size), "--burst", str(burst),
              "--rounds", str(ROUNDS), *more]
    done = subprocess.run(words, capture_output=True, text=True)
    check(done.returncode == 0, " ".join(words), done.stdout, done.stderr)
    figure = json.loads(done.stdout.strip().splitlines()[-1])
    # (A round in which a frame is lost ends the program.)
    check(figure["rounds"] == ROUNDS and figure["size"] == size, figure)
    note(receiver, size, burst, figure, done.stderr.strip())
    return round(figure["per_datagram"])


def table(guest):
    """All receivers at both sizes, each in a process of its own; frame by frame, too, in a full run."""
    figures = {}
    both = guest.devices(2)
    for size in SIZES:
        for receiver in ("bare", "lm", "lm-checksum"):
            for burst in (32, 1) if guest.full and receiver != "lm-checksum" else (32,):
                figures[f"{receiver} {size} burst {burst}"] = measure(both, receiver, size, burst)
    second = both[1]
    cards.bind(second, cards.LINUX[guest.scenario.cards[1]])
    name = cards.interface(second)
    subprocess.run(["ip", "addr", "add", f"{ADDRESS}/24", "dev", name], check=True)
    subprocess.run(["ip", "link", "set", name, "up"], check=True)
    with open(f"/sys/class/net/{name}/address") as text:
        mac = text.read().strip()
    for size in SIZES:
        figures[f"kernel {size}"] = measure(both[:1], "kernel", size, 32, "--mac", mac, "--to", ADDRESS)
    for size in SIZES:
        lm = figures[f"lm {size} burst 32"]
        bare, checked, kernel = (figures[f"{name} {size}{burst}"] for name, burst in (
            ("bare", " burst 32"), ("lm-checksum", " burst 32"), ("kernel", "")))
        # What does more costs more, bursts pay, and Linux is far behind: else it is not what it says that was measured.
        # (LM's pool is cheaper than the stock one, so a datagram of many fragments may cost it less than the bare loop.)
        check(0 < 0.9 * bare <= lm < checked < kernel and 10 * lm <= kernel, size, figures)
        check(lm <= MOST * bare, f"LM costs more than {MOST} times a bare loop at {size} bytes:", figures)
        for name in ("bare", "lm") if guest.full else ():
            check(figures[f"{name} {size} burst 32"] < figures[f"{name} {size} burst 1"], name, size, figures)
        figures[f"lm/bare {size}"] = f"{lm / figures[f'bare {size} burst 32']:.2f}"
        figures[f"kernel/lm {size}"] = f"{figures[f'kernel {size}'] / lm:.1f}"
    return figures
