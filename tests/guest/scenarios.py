"""What is run: a row a scenario. Host and guest read the same table.

A guest has a card for each name in `cards`, all on one wire (QEMU's hub): e1000 is an 82540EM, e1000-82545em its
sibling with erratum 23, e1000e an 82574, igb an 82576.
"""

from dataclasses import dataclass, field

# What lands how: the layout that lm-testpmd must choose by itself. Overlapping means: not a byte is copied.
LAYOUT = {"e1000": "separate", "e1000-82545em": "separate", "e1000e": "separate", "igb": "separate",
          "igb_vf": "separate"}


@dataclass(frozen=True)
class Scenario:
    """A guest and what is done in it."""

    name: str
    # For the reader of a report.
    shows: str
    # A function of inside/: "module.function".
    run: str
    cards: tuple = ("igb", "igb")
    # vfio-pci behind an emulated IOMMU (IOVA as VA), else uio_pci_generic (IOVA as PA).
    vfio: bool = False
    # LM gets the first virtual function of each card, Linux keeps the card.
    vf: bool = False
    # The guest is ended after so long; FULL runs have ten times as much.
    seconds: int = 120
    # What the function wants to know besides.
    given: dict = field(default_factory=dict)

    @property
    def model(self):
        """What LM drives."""
        return "igb_vf" if self.vf else self.cards[-1]

    @property
    def layout(self):
        return LAYOUT[self.model]


def _lm_to_lm():
    for model in ("e1000", "e1000e", "igb"):
        for vfio in (False, True):
            driver, iova = ("vfio", "VA") if vfio else ("uio", "PA")
            yield Scenario(f"lm-lm-{model}-{driver}", f"ping and echo on two {model}, every size sampled, bursts of 1 "
                           f"and 32, IOVA as {iova}", "pingpong.ping_and_echo", (model, model), vfio)
    yield Scenario("lm-lm-igb_vf", "the same on virtual functions of two 82576", "pingpong.ping_and_echo",
                   vfio=True, vf=True)


def _kernel():
    for model in ("e1000", "e1000e", "igb"):
        yield Scenario(f"kernel-{model}", f"Linux's own driver on one {model}, LM on the other: a socket receives what "
                       "LM sends, LM what a socket sends", "kernelpeer.both_ways", (model, model))


def _ordinary_life():
    for model in ("e1000", "igb"):
        yield Scenario(f"restart-{model}", "port stop and start four times, then the program closed and opened again: "
                       "every datagram arrives, no buffer is lost", "life.restart", (model, model))
        yield Scenario(f"link-{model}", "the link goes down and up during traffic: nothing wrong is delivered, and "
                       "traffic goes on", "life.link", (model, model))
        yield Scenario(f"overrun-{model}", "100,000 datagrams of one size to a receiver that is stopped now and then: "
                       "many are lost, not one wrong byte is delivered", "life.overrun", (model, model), seconds=240)


SCENARIOS = (*_lm_to_lm(), *_kernel(), *_ordinary_life())


def named(name):
    for scenario in SCENARIOS:
        if scenario.name == name:
            return scenario
    raise SystemExit(f"lab: no scenario {name}: there are {', '.join(s.name for s in SCENARIOS)}")
