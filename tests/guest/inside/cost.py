"""What a datagram costs its receiver and its sender, in instructions: LM, a bare loop and Linux on the same
card, the same frames.

Work is counted, at whatever rate it is asked for: an emulated wire has no speed, polls that find nothing are
left out, and so is the time in which Linux has nothing to do. So the sum of both ends is what a byte costs
them at equal rate.
"""

import json
import pathlib
import subprocess

import cards
from guest import MEMORY, check, note

PROGRAM = "/usr/bin/lm-cost"
SIZES = (7168, 65507)
# Virtual time is reproducible: rounds differ by a few instructions.
ROUNDS = 7
# LM against a loop that receives and frees: the goal is 1.3. The loop costs 943 instructions on e1000 with DPDK
# 22.11 and 918 with 24.11, and LM the same with both. On igb, LM also keeps and compares the identification that
# the card reports of each frame.
MOST = 1.6
# What is sent to be received comes from the first card; the receiver, and Linux, have the second.
PEER, ADDRESS = "198.18.0.1", "198.18.0.2"
NOBODY = "02:00:00:00:00:99"
# Linux in both: with the checksum that LM's default policy has, too, and without, as where a tag is LM's
# proof.
SUMS = {"": "full", " no checksum": "zero"}


def measure(allowed, size, *what):
    words = [PROGRAM, "-l", "0", *MEMORY, "--no-telemetry", "--file-prefix=cost"]
    for address in allowed:
        words += ["-a", address]
    words += [*(() if allowed else ("--no-pci",)), "--", "--size", str(size), "--rounds", str(ROUNDS), *what]
    done = subprocess.run(words, capture_output=True, text=True)
    check(done.returncode == 0, " ".join(words), done.stdout, done.stderr)
    figure = json.loads(done.stdout.strip().splitlines()[-1])
    # (A round in which a frame is lost ends the program.)
    check(figure["rounds"] == ROUNDS and figure["size"] == size, figure)
    note(*what, size, figure, done.stderr.strip())
    return figure


def cost(*arguments):
    return round(measure(*arguments)["per_datagram"])


def received_by_polling(guest, both):
    """LM and a bare loop at both sizes, each in a process of its own; frame by frame, too, in a full run."""
    return {
        f"{receiver} {size} burst {burst}": cost(both, size, "--receiver", receiver, "--burst", str(burst))
        for size in SIZES
        for receiver in ("bare", "lm", "lm-checksum")
        for burst in ((32, 1) if guest.full and receiver != "lm-checksum" else (32, ))
    }


def sent_by_lm(both):
    """With a payload that is in its buffer, without a checksum and with one, and with one that is copied in
    and summed.
    """
    return {f"send {name} {size}": cost(both[:1], size, "--sender", sender, "--checksum", checksum)
            for size in SIZES for name, sender, checksum in (
                ("lm", "lm", "zero"), ("lm-checksum", "lm", "full"), ("lm-copies", "lm-copies", "full"))}


def linux(guest, both):
    """Linux on the second card, receiving and sending."""
    second = both[1]
    cards.bind(second, cards.LINUX[guest.scenario.cards[1]])
    name = cards.interface(second)
    # Only what is measured is sent: no router solicitations.
    subprocess.run(["sysctl", "-qw", f"net.ipv6.conf.{name}.disable_ipv6=1"], check=True)
    subprocess.run(["ip", "addr", "add", f"{ADDRESS}/24", "dev", name], check=True)
    subprocess.run(["ip", "link", "set", name, "up"], check=True)
    subprocess.run(["ip", "neigh", "replace", PEER, "lladdr", NOBODY, "dev", name], check=True)
    card = pathlib.Path("/sys/class/net") / name
    mac = (card / "address").read_text().strip()
    figures = {}
    for size in SIZES:
        for sums, checksum in SUMS.items():
            figures[f"kernel{sums} {size}"] = cost(both[:1], size, "--receiver", "kernel", "--checksum",
                                                   checksum, "--mac", mac, "--to", ADDRESS)
    for size in SIZES:
        for sums, checksum in SUMS.items():
            before = int((card / "statistics/tx_packets").read_text())
            figure = measure((), size, "--sender", "kernel", "--checksum", checksum, "--to", PEER)
            sent = int((card / "statistics/tx_packets").read_text()) - before
            rounds = figure["warm"] + ROUNDS
            check(sent == rounds * figure["datagrams"] * figure["fragments"], "the card has sent", sent,
                  "frames:", figure)
            figures[f"send kernel{sums} {size}"] = round(figure["per_datagram"])
    return figures


def table(guest):
    both = guest.devices(2)
    figures = received_by_polling(guest, both) | sent_by_lm(both) | linux(guest, both)
    for size in SIZES:
        lm = figures[f"lm {size} burst 32"]
        bare, checked, kernel = (figures[f"{name} {size}{burst}"] for name, burst in (
            ("bare", " burst 32"), ("lm-checksum", " burst 32"), ("kernel", "")))
        # What does more costs more, bursts pay, and Linux is far behind: else it is not what it says that was
        # measured. (LM's pool is cheaper than the stock one, so a datagram of many fragments may cost it less
        # than the bare loop.)
        check(0 < 0.9 * bare <= lm < checked < kernel and 10 * lm <= kernel, size, figures)
        check(lm <= MOST * bare, f"LM costs more than {MOST} times a bare loop at {size} bytes:", figures)
        for name in ("bare", "lm") if guest.full else ():
            check(figures[f"{name} {size} burst 32"] < figures[f"{name} {size} burst 1"], name, size, figures)
        send = {
            name: figures[f"send {name} {size}"]
            for name in ("lm", "lm-checksum", "lm-copies", "kernel", "kernel no checksum")
        }
        check(0 < send["lm"] < send["lm-checksum"] < send["lm-copies"] < send["kernel"], size, figures)
        figures[f"lm/bare {size}"] = f"{lm / bare:.2f}"
        figures[f"kernel/lm {size}"] = f"{kernel / lm:.1f}"
        # Both ends.
        ours, ours_checked, theirs = send["lm"] + lm, send["lm-checksum"] + checked, send["kernel"] + kernel
        unsummed = send["kernel no checksum"] + figures[f"kernel no checksum {size}"]
        for what, ratio in (("kernel/lm-checksum", theirs / ours_checked), ("kernel/lm", theirs / ours),
                            ("kernel no checksum/lm", unsummed / ours)):
            figures[f"both ends, {what} {size}"] = f"{ratio:.1f}"
    return figures
