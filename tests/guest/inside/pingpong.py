"""LM on both cards: one pings, the other echoes. Each datagram is checked four times: by both programs, and by the
hashes that both log."""

from guest import check
from testpmd import Failed


def ping_and_echo(guest):
    first, second = guest.devices()
    want = guest.sampled()
    figures = {"datagrams": 0, "frames": 0, "copied bytes": 0, "bounced": 0}
    for burst in (1, 32):
        options = (f"--burst={burst}",)
        echo = guest.launch(f"echo{burst}", 1, second, "--forward-mode=echo", *options)
        ping = guest.launch(f"ping{burst}", 0, first, "--forward-mode=ping", listed(guest, want), f"--count={len(want)}",
                            *options)
        ping.fine(guest.scenario.seconds * (10 if guest.full else 1))
        if echo.stop(20):
            raise Failed(f"the echo did not end well: {echo}")
        summary = ping.summary()
        bad = [p for p in summary["ping"] if p["lost"] or p["mismatched"]]
        check(not bad, "lost or mismatched:", bad, ping, echo)
        for number, child in ((0, ping), (1, echo)):
            guest.expect(child, number, want)
            guest.level(child)
            figures["datagrams"] += child.summary()["datagrams"]
            figures["frames"] += child.summary()["frames"]
            figures["copied bytes"] += guest.copies(child)
            figures["bounced"] += child.summary()["bounced"]
    return {"slots": guest.scenario.layout, **figures}


def listed(guest, want):
    return "--txsize=1-65507/1" if guest.full else "--txsize=" + ",".join(map(str, want))
