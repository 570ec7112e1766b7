"""Payload sizes worth sending: every kind that the layout of fragments treats in its own way."""

from wire import MAX_PAYLOAD, STRIDE, UDP


def every_kind(sampled=1200):
    """More than 3,000 of them: all small ones, all boundaries, all last fragments near the guard, a
    sample.
    """
    sizes = list(range(1, STRIDE + 2))
    for k in range(1, 45):
        for base in (STRIDE * k, STRIDE * k - UDP):
            sizes += [base - 1, base, base + 1]
    # Last fragments of 1440..1480 bytes of IP payload, behind 0, 1, 2, 20 and 43 full ones.
    for full in (0, 1, 2, 20, 43):
        sizes += [full * STRIDE + last - UDP for last in range(1440, 1481)]
    sizes += range(65_499, MAX_PAYLOAD + 1)
    sizes += [7168, 16_384]
    # A stride that shares no factor with the others' spreads the sample over all remainders.
    step = MAX_PAYLOAD / sampled
    sizes += [1 + int(i * step) for i in range(sampled)]
    sizes += [MAX_PAYLOAD]
    assert all(1 <= n <= MAX_PAYLOAD for n in sizes)
    return sizes


def boundaries():
    """A few dozen: one or two of each kind."""
    sizes = [
        1, 2, 8, 17, 18, 19, 64, 1400, 1438, 1439, 1446, 1447, 1471, 1472, 1473, 2951, 2952, 2953, 7168,
        16_384
    ]
    sizes += [STRIDE * k - UDP + d for k in (3, 10, 22, 43, 44) for d in (-1, 0, 1)]
    sizes += [STRIDE * k + last - UDP for k in (1, 7) for last in (1440, 1446, 1447, 1472, 1473, 1479, 1480)]
    sizes += [30_000, 65_498, 65_499, 65_500, 65_506, MAX_PAYLOAD]
    return sizes


def listed(sizes):
    """As --txsize takes it."""
    return "--txsize=" + ",".join(map(str, sizes))
