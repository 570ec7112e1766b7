"""A process's memory by its physical address, which is what a card is told."""

import pathlib
import struct

PAGE, HUGE = 1 << 12, 1 << 21
PRESENT, FRAME = 1 << 63, (1 << 55) - 1


def words(process, address, count):
    """64-bit words out of one of the huge pages that a process has mapped."""
    proc = pathlib.Path("/proc") / str(process)
    for page, frame in _huge(proc):
        if frame == address - address % HUGE:
            with open(proc / "mem", "rb", buffering=0) as memory:
                memory.seek(page + address % HUGE)
                return list(struct.unpack(f"<{count}Q", memory.read(8 * count)))
    raise LookupError(f"{address:#x} is in no huge page of process {process}")


def _huge(proc):
    """Where each huge page that can be written is, virtually and physically."""
    with open(proc / "pagemap", "rb", buffering=0) as pagemap:
        for line in (proc / "maps").read_text().splitlines():
            span, rights = line.split()[:2]
            begin, end = (int(bound, 16) for bound in span.split("-"))
            if not rights.startswith("rw") or begin % HUGE:
                continue
            for page in range(begin, end - HUGE + 1, HUGE):
                pagemap.seek(page // PAGE * 8)
                (entry,) = struct.unpack("<Q", pagemap.read(8))
                if entry & PRESENT:
                    yield page, (entry & FRAME) * PAGE
