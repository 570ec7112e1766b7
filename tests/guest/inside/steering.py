"""82576: landing queues behind addresses of their own."""

import re

import cards
import wire
from flood import Flood, ordinary, stranger
from guest import A, B, PORT_A, PORT_B, check, note
from wire import sha256

LANDING = ("02:00:00:00:00:11", "02:00:00:00:00:12")
# Frames that queue 0 is to have heard of a flood.
ENOUGH = 1_000
OTHER, OTHER_PORT = "198.18.0.3", 7003
# Three that ask to be admitted, each on a card of its own: largest datagrams with an end tag, microseconds
# apart.
SENDERS = {A: PORT_A, OTHER: OTHER_PORT, "198.18.0.4": 7004}
ADMITTED, COUNT, INTERVAL = 65_499, 12, 2_700
# 64 flush frames and the next are so far apart, as four programs share a processor; the drain is as long as
# all of them.
ADMISSION = ("--ac=per-receiver", "--ac-flush-gap=2000")


def beside_a_flood(guest):
    """Ordinary traffic floods the card's own address while datagrams land on queue 1, not one of them
    copied.
    """
    third = cards.addresses()[0]
    sender, receiver = guest.devices()
    want = guest.sampled(2003)
    away = guest.launch("echo", 1, receiver, "--forward-mode=echo", f"--landing-mac={LANDING[0]}",
                        f"--eth-peer=0,{cards.mac(sender)}", prompt=True)
    to = wire.mac(re.search(r"MAC address: (\S+)", away.out())[1])
    home = guest.launch("ping", 0, sender, "--forward-mode=ping", guest.listed(want), f"--count={len(want)}",
                        f"--eth-peer=0,{LANDING[0]}", prompt=True)
    guest.tell(away, "start", "echo forwarding")
    with Flood(stranger(third, "igb"), ordinary(to)) as flood:
        guest.until(lambda: flood.sent > 100, "the stranger cannot send")
        guest.tell(home, "start", "Accumulated", guest.seconds)
        guest.until(lambda: flood.sent > 2 * ENOUGH, "the stranger is too slow:", flood.sent, seconds=60)
        # However much of it a full ring loses.
        guest.until(lambda: guest.counter(away, r"LM-RX-ordinary: +(\d+)") > ENOUGH,
                    "the flood does not reach queue 0:", flood.sent, away, seconds=60)
        proof = guest.tell(away, "show port info 0", "Landing writes")
    said = [line for line in proof.splitlines() if line.startswith("Landing address")]
    check(said and "proven by live frames" in said[0], f"the card does not steer: {said}:", away)
    guest.hears_its_card(away)
    for child in (away, home):
        guest.quit(child)
        guest.level(child)
    guest.expect(away, 1, want)
    summary = away.summary()
    # The two nodes' own ARP, which stays out of datagrams; of the flood, nothing.
    check(summary["foreign"] < 100, "strangers came to the landing queue:", summary)
    check(summary["ordinary"] > ENOUGH, "the flood did not reach queue 0:", summary, flood.sent)
    copied = guest.copies(away)
    bad = [p for p in home.summary()["ping"] if p["mismatched"]]
    check(not bad, "mismatched:", bad)
    return {"datagrams": summary["datagrams"], "copied bytes": copied, "flood": flood.sent,
            "ordinary": summary["ordinary"]}


def two_senders(guest):
    """Two cards send to two landing queues of a third, at once: nothing is copied on either."""
    one, two = cards.addresses()[:2]
    (receiver,) = guest.devices(3)[2:]
    want = guest.sampled(2003)
    away = guest.launch("echo", 1, receiver, "--forward-mode=echo", "--landing-mac=" + ",".join(LANDING),
                        prompt=True)
    senders = []
    for card, mac, ends in ((one, LANDING[0], (f"--tx-ip={A},{B}", f"--tx-udp={PORT_A},{PORT_B}")),
                            (two, LANDING[1], (f"--tx-ip={OTHER},{B}", f"--tx-udp={OTHER_PORT},{PORT_B}"))):
        senders.append(guest.launch(f"ping-{mac[-2:]}", 0, card, "--forward-mode=ping", guest.listed(want),
                                    f"--count={len(want)}", f"--eth-peer=0,{mac}", ends=ends, prompt=True))
    guest.tell(away, "start", "echo forwarding")
    for child in senders:
        guest.tell(child, "start", "ping forwarding")
    for child in senders:
        guest.until(lambda: "Accumulated" in child.out(), "it does not end:", child, seconds=guest.seconds)
    for child in (away, *senders):
        guest.quit(child)
        guest.level(child)
    for source in (f"{A}:{PORT_A}", f"{OTHER}:{OTHER_PORT}"):
        got = [(m["len"], m["sha256"]) for m in away.messages() if m["src"] == source]
        check(got == [(n, sha256(guest.pattern.payload(i, n))) for i, n in enumerate(want)],
              f"{len(got)} of {len(want)} datagrams of {source}, or others:", away)
    summary = away.summary()
    # The senders' answers to ARP, which are for the landing address, and what they come in between of.
    check(summary["foreign"] <= 8 and summary["copied_datagrams"] <= summary["foreign"], summary)
    return {"datagrams": summary["datagrams"], "copied datagrams": summary["copied_datagrams"]}


def admitted(guest):
    """Admission control gives two landing queues to three senders: two land at once, the third when one of
    them has ended, and as control messages go to queue 0, not a byte is copied, whoever asks meanwhile."""
    *cards_of_senders, receiver = guest.devices(4)
    away = guest.launch("rx", 1, receiver, "--forward-mode=rx", "--landing-mac=" + ",".join(LANDING),
                        *ADMISSION, layout="separate", prompt=True)
    # Pools get no broadcasts.
    known = "--eth-peer=0," + re.search(r"MAC address: (\S+)", away.out())[1]
    senders = []
    for card, (address, port) in zip(cards_of_senders, SENDERS.items()):
        senders.append(
            guest.launch(f"tx-{port}", 0, card, "--forward-mode=tx", f"--txsize={ADMITTED}",
                         f"--count={COUNT}", f"--tx-interval={INTERVAL}", known, *ADMISSION,
                         ends=(f"--tx-ip={address},{B}", f"--tx-udp={port},{PORT_B}"), layout="separate",
                         prompt=True))
    guest.tell(away, "start", "rx forwarding")
    guest.order("start", *senders)
    for child in senders:
        guest.until(lambda: "Accumulated" in child.out(), "it does not end:", child, seconds=guest.seconds)
    view = guest.tell(away, "show ac", "time to grant: ")
    note(view)
    for child in (away, *senders):
        guest.quit(child)
        guest.level(child)
    messages = away.messages()
    sources = [m["src"] for m in messages]
    for address, port in SENDERS.items():
        got = [(m["len"], m["sha256"]) for m in messages if m["src"] == f"{address}:{port}"]
        check(got == [(ADMITTED, sha256(guest.pattern.payload(i, ADMITTED))) for i in range(COUNT)],
              f"{len(got)} of {COUNT} datagrams of {address}, or others:", away)
    turns = sum(one != other for one, other in zip(sources, sources[1:]))
    check(turns >= COUNT // 2, "no two landed at once:", sources)
    opened, expired = (int(re.search(rf"{name}=(\d+)", view)[1]) for name in ("opened", "expired"))
    check(opened >= len(SENDERS) and expired == 0, "grants:", view)
    summary = away.summary()
    check(summary["ordinary"] > 0 and summary.drops() == {}, summary)
    check(summary["copied_bytes"] == 0, "copied on queues of their own:", summary)
    return {"datagrams": len(messages), "copied bytes": 0, "grants": opened, "changes of sender": turns}
