"""LM on both cards: one pings, the other echoes. Each datagram is checked four times: by both programs, and
by the hashes that both log (by the one that pings, if all sizes are sent)."""

import cards
from guest import check

BURSTS = (1, 32)


def ping_and_echo(guest):
    first, second = guest.devices()
    want = guest.sampled()
    away = guest.launch("echo", 1, second, "--forward-mode=echo", *known(guest, 0), prompt=True,
                        log=guest.logs_all)
    home = guest.launch("ping", 0, first, "--forward-mode=ping", guest.listed(want), f"--count={len(want)}",
                        *known(guest, 1), prompt=True, log=guest.logs_all)
    guest.tell(away, "start", "echo forwarding")
    for burst in BURSTS:
        for child in (away, home):
            guest.tell(child, f"set burst {burst}", "burst set to")
        guest.tell(home, "start", "Accumulated", guest.seconds)
        for child in (away, home):
            guest.none_dropped(child, f"in bursts of {burst}")
    figures = {"datagrams": 0, "frames": 0, "copied bytes": 0, "bounced": 0, "late": 0}
    for number, child in ((0, home), (1, away)):
        guest.hears_its_card(child)
        guest.quit(child)
        guest.expect(child, number, want, len(BURSTS))
        guest.level(child)
        summary = child.summary()
        # On a busy host an echo may come more than a second late, and was taken for lost: the log alone tells
        # that it was right.
        late = summary["late"] if guest.logs_all else 0
        bad = [p for p in summary["ping"] if p["lost"] or p["mismatched"]]
        check((sum(p["lost"] for p in bad), summary["mismatched"]) == (late, 0), "lost or mismatched:", bad,
              home, away)
        figures["datagrams"] += summary["datagrams"]
        figures["frames"] += summary["frames"]
        figures["copied bytes"] += guest.copies(child)
        figures["bounced"] += summary["bounced"]
        figures["late"] += summary["late"]
    return {"slots": guest.scenario.layout, **figures}


def known(guest, peer):
    """Others ask for their peer's address; a virtual function hears its own broadcasts, which an 82576 would
    not let it hear."""
    return (f"--eth-peer=0,{cards.virtual_mac(peer)}",) if guest.scenario.vf else ()
