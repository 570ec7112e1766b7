"""CPU time that the host gave to others while we wanted it (steal in /proc/stat): figures say how much there was."""

import pathlib


def _ticks():
    """Of all CPUs: what was stolen, and all."""
    words = pathlib.Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]
    numbers = [int(word) for word in words]
    return numbers[7] if len(numbers) > 7 else 0, sum(numbers)


class Steal:
    """Since it was made."""

    def __init__(self):
        self.began = _ticks()

    def percent(self):
        stolen, all_of_it = (now - then for now, then in zip(_ticks(), self.began))
        return 100 * stolen / max(all_of_it, 1)
