"""What every scenario works with: the cards, lm-testpmd on them, and the question whether all that arrived is
right.
"""

import pathlib
import re
import subprocess
import sys
import time

import cards
import sizes
import wire
from scenarios import SEED
from testpmd import Failed, Testpmd

A, B = "198.18.0.1", "198.18.0.2"
PORT_A, PORT_B = 7000, 9000
# Who is who, for the one on the first card and the one on the second.
ENDS = ((f"--tx-ip={A},{B}", f"--tx-udp={PORT_A},{PORT_B}"), (f"--tx-ip={B},{A}",
                                                              f"--tx-udp={PORT_B},{PORT_A}"))
FLOWS = ((f"{B}:{PORT_B}", f"{A}:{PORT_A}"), (f"{A}:{PORT_A}", f"{B}:{PORT_B}"))
WORK = pathlib.Path("/tmp/lab")
MEMORY = ("-m", "64")
# Both ends share the guest's one processor.
SHARED = "--yield-after=0"


def note(*words):
    """A line on the console, with the time since the guest's start."""
    up = pathlib.Path("/proc/uptime").read_text().split()[0]
    print(f"[{up:>7}]", *words, flush=True)


def check(condition, *what):
    if not condition:
        raise Failed(" ".join(map(str, what)))


def shortened(text, line=300, all_of_it=60000):
    return "\n".join(word if len(word) < line else f"{word[:line]}..."
                     for word in text.splitlines())[-all_of_it:]


class Guest:
    def __init__(self, scenario, host, full, icount):
        self.scenario, self.host, self.full, self.icount = scenario, host, full, icount
        # What any part may take: the scenario as a whole is watched over by main.
        self.seconds = scenario.seconds * (60 if full else 10 if icount else 1)
        self.pattern = wire.Pattern(SEED)
        self.children = []

    def devices(self, count=2):
        """The last `count` devices of those that LM may have, bound to their driver."""
        driver = "vfio-pci" if self.scenario.vfio else "uio_pci_generic"
        if self.scenario.vfio:
            cards.load("vfio_iommu_type1")
        found = cards.addresses()
        if self.scenario.vf:
            found = [cards.virtual_function(a, cards.virtual_mac(i)) for i, a in enumerate(found)]
        for address in found[-count:]:
            cards.bind(address, driver)
        return found[-count:]

    def attempt(self, name, number, card, *options, ends=None, eal=(), **how):
        """lm-testpmd on a card, whatever may become of it; `number` tells which end of the wire it is."""
        note(name, *map(shortened, options))
        where = WORK / name
        where.mkdir(parents=True, exist_ok=True)
        commands = where / "commands"
        commands.write_text("show port info all\nshow config rxtx\n")
        child = Testpmd(where, (*self.eal(), *eal), *(ends or ENDS[number]), f"--seed={SEED}",
                        f"--cmdline-file={commands}", SHARED, *options, card=card, core=0, memory=MEMORY,
                        **how)
        self.children.append(child)
        return child

    def eal(self):
        """On QEMU's 82540EM, message-signalled interrupts don't tell of the link."""
        legacy = self.scenario.vfio and self.scenario.model in ("e1000", "e1000-82545em")
        return ("--vfio-intr=legacy",) if legacy else ()

    def launch(self, name, number, card, *options, prompt=False, layout=None, **how):
        """The same; what it says of its slots is held against what they should be."""
        if prompt:
            how["stdin"] = subprocess.PIPE
            options = ("-i", *options)
        asked = [option.split("=")[1] for option in options if option.startswith("--slots=")]
        layout = layout or (asked[0] if asked else self.scenario.layout)
        decides = [option for option in options if option.startswith(("--ac", "--landing-mac"))]
        if layout == "overlapping" and not asked and not decides:
            # By itself it would begin with separate slots. (It is refused where slots may not overlap.)
            options = (*options, "--slots=overlapping")
        child = self.attempt(name, number, card, *options, **how)
        child.await_text("slots=", 120)
        child.layout = re.search(r"slots=(\w+)", child.out())[1]
        check(child.layout == layout, f"{child.layout} slots where {layout} ones were expected:", child)
        note(name, "is ready")
        return child

    def hears_its_card(self, child):
        """An 82576's descriptors say the identification of each frame, and that is in use. (Linux sets a physical
        function so that they don't.) Those of em's cards have a sum only. QEMU's sums are zeroes: they were
        compared, and are off."""
        said = re.search(r"Landing card's words: (.*)", self.tell(child, "show port info 0", "Landing writes"))
        em = "identifications none; sums off, they are not what the frames say; sums are read in the receive ring"
        ids = {"igb": "identifications in use; sums off", "igb_vf": "identifications (off|being compared)",
               "e1000": em, "e1000e": em}
        wanted = ids.get(self.scenario.model, "none")
        check(said and re.match(wanted, said[1]), f"the card's words: {said and said[1]}, not {wanted}:", child)

    def warm(self):
        """e1000 hears nothing for about a second after its receiver is enabled. (LM's senders ask for an
        address until they get it, and need no pause.)"""
        if self.scenario.model.startswith("e1000"):
            time.sleep(1.5)

    def listed(self, want):
        """As --txsize takes it."""
        return "--txsize=1-65507/1" if self.full else sizes.listed(want)

    @property
    def logs_all(self):
        """Whether every datagram is written down with its hash: of all sizes it takes hours. (Where slots are
        separate the log alone tells how many datagrams have several frames.)"""
        return not self.full or self.scenario.layout == "separate"

    def sampled(self, step=1021):
        """Every kind of size, and a sample of all others; all there are in a full run."""
        if self.full:
            return list(range(1, wire.MAX_PAYLOAD + 1))
        return sizes.boundaries() + list(range(1, wire.MAX_PAYLOAD + 1, step))

    def expect(self, child, number, want, rounds=1):
        """What it received is exactly this, in this order, `rounds` times, by the hashes that it logged.
        (Without a log, as in a full run, so many datagrams of so many bytes; its peer compares each byte.)"""
        drops = child.summary().drops()
        check(drops == {}, drops, child)
        if not child.log_path.exists():
            got = [child.summary()[name] for name in ("datagrams", "bytes")]
            check(got == [len(want) * rounds, sum(want) * rounds], "datagrams and bytes:", got, child)
            return
        messages = child.messages()
        hashes = [wire.sha256(self.pattern.payload(i, n)) for i, n in enumerate(want)]
        want, hashes = want * rounds, hashes * rounds
        for i, (m, n) in enumerate(zip(messages, want)):
            check((m["len"], m["sha256"]) == (n, hashes[i]), f"datagram {i}: {m}, but {n} bytes were sent:",
                  child)
            check((m["src"], m["dst"]) == FLOWS[number], f"datagram {i}: {m}:", child)
        check(len(messages) == len(want), f"{len(messages)} of {len(want)} datagrams:", child)

    def copies(self, child, several=None):
        """Bytes that were copied; none where frames overlap. Where they don't, datagrams of several frames come
        in pieces, and are copied only by who wants one slice: without a log their number has to be known."""
        summary = child.summary()
        copied = summary["copied_bytes"]
        if child.log_path.exists():
            messages = child.messages()
            # The log is written before anybody wants one slice.
            check(copied == sum(m["copied"] for m in messages) or summary["joined"] > 0,
                  "not what was copied by the log:", summary)
            several = sum(m["fragments"] > 1 for m in messages)
        if child.layout == "overlapping":
            check(copied == 0, f"{copied} bytes were copied:", child)
        else:
            check(summary["pieces"] == several > 0, f"not {several} in pieces:", summary)
            check(summary["copied_datagrams"] == summary["joined"], "copied before anybody wanted it:", summary)
        # Frames at a break between two pages, in physical memory: one in a thousand. None behind an IOMMU.
        most = 0 if self.scenario.vfio else summary["frames"] // 1000 + 2
        check(summary["bounced"] <= most, f"{summary['bounced']} of {summary['frames']} frames bounced:",
              child)
        return copied

    def none_dropped(self, child, when):
        """It dropped no frame so far, by its own account: asked at its prompt, so that a failure tells why at
        once.
        """
        lines = self.tell(child, "show lm stats 0", "LM-TX-datagrams").splitlines()
        dropped = [" ".join(line.split()[1:]) for line in lines if "LM-RX-dropped" in line]
        check(not dropped, f"frames were dropped {when}: {', '.join(dropped)}:", child)

    def counter(self, child, pattern):
        """A number of `show lm stats`; one that is not shown is 0."""
        found = re.search(pattern, self.tell(child, "show lm stats 0", "LM-TX-datagrams"))
        return int(found[1]) if found else 0

    def level(self, child):
        """Every buffer came back."""
        summary = child.summary()
        check(summary["pool_before"] == summary["pool_after"], "the pool is not as full as before:", summary)

    def order(self, line, *children):
        """Gives a command at their prompts, and does not wait for an answer."""
        for child in children:
            child.process.stdin.write(line.encode() + b"\n")
            child.process.stdin.flush()

    def tell(self, child, line, answer, seconds=60):
        """Gives a command at the prompt, and waits for a text that was not there before."""
        before = len(child.out())
        self.order(line, child)
        self.until(lambda: answer in child.out()[before:], f"no {answer!r} to {line!r}:", child,
                   seconds=seconds)
        return child.out()[before:]

    def until(self, condition, *what, seconds=60):
        end = time.monotonic() + seconds
        while not condition():
            check(time.monotonic() < end, *what)
            time.sleep(0.05)

    def quit(self, child):
        """Ends it at its prompt."""
        child.process.stdin.close()
        child.fine(60)

    def logs(self):
        """What the children said, for a failure's reader."""
        for child in self.children:
            # Statistics come at the end.
            child.stop()
            for path in (child.where / "command", child.out_path, child.err_path):
                text = path.read_text(errors="replace")
                print(f"---- {path}", shortened(text), sep="\n", file=sys.stderr)
