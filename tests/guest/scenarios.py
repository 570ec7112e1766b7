"""What is run: a row a scenario. Host and guest read the same table.

A guest has a card for each name in `cards`, all on one wire (QEMU's hub): e1000 is an 82540EM, e1000-82545em
its sibling with erratum 23, e1000e an 82574, igb an 82576.
"""

from dataclasses import dataclass

import measured

# What lm-testpmd makes payloads from.
SEED = 23

# What lands how: the layout that lm-testpmd must choose by itself. Overlapping means: not a byte is copied.
LAYOUT = {"e1000": "overlapping", "e1000-82545em": "separate", "e1000e": "overlapping", "igb": "overlapping",
          "igb_vf": "overlapping"}


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
    # Linux's own drivers are not behind it.
    direct: bool = False
    # LM gets the first virtual function of each card, Linux keeps the card.
    vf: bool = False
    # In reproducible virtual time, always.
    icount: bool = False
    # Never in virtual time: it has QEMU do something, and when that is done depends on the host.
    asks: bool = False
    # The guest is ended after so long; ten times as long in virtual time, sixty with all sizes.
    seconds: int = 240
    # The wire that each card is on; all on one without.
    wires: tuple = ()
    # DPDK programs that run at the same time.
    programs: int = 2

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
            yield Scenario(
                f"lm-lm-{model}-{driver}", f"ping and echo on two {model}, every size sampled, bursts of 1 "
                f"and 32, IOVA as {iova}", "pingpong.ping_and_echo", (model, model), vfio)
    yield Scenario("lm-lm-igb_vf", "the same on virtual functions of two 82576", "pingpong.ping_and_echo",
                   vfio=True, vf=True)


def _kernel():
    for model in ("e1000", "e1000e", "igb"):
        yield Scenario(
            f"kernel-{model}", f"Linux's own driver on one {model}, LM on the other: a socket receives what "
            "LM sends, LM what a socket sends", "kernelpeer.both_ways", (model, model))
    yield Scenario(
        "ordinary-igb_vf",
        "Linux keeps the 82576: ping and TCP through its own queue, while LM lands datagrams "
        "on its virtual function", "ordinary.on_a_function", vfio=True, vf=True)
    yield Scenario(
        "ordinary-igb",
        "82576: ping and TCP through queue 0, which LM passes on to Linux, while datagrams land on "
        "queue 1 without a copy", "ordinary.on_queue_0", ("igb", "igb", "igb"))


def _ordinary_life():
    for model in ("e1000", "igb"):
        yield Scenario(
            f"restart-{model}", "port stop, reset and start four times, then the program closed and opened "
            "again: every datagram arrives, no buffer is lost", "life.restart", (model, model))
        yield Scenario(
            f"link-{model}", "the link goes down and up during traffic: nothing wrong is delivered, and "
            "traffic goes on", "life.link", (model, model), asks=True)
    for model in ("e1000", "e1000e", "igb"):
        yield Scenario(
            f"overrun-{model}", "100,000 datagrams of one size overrun the ring, frames are lost at any "
            "place: halves that meet are refused, not one wrong byte is delivered", "life.overrun",
            (model, model), seconds=300)


def _take_over():
    for model, vfio in (("igb", True), ("e1000", False)):
        driver = "vfio" if vfio else "uio"
        yield Scenario(
            f"take-over-{model}-{driver}",
            f"lmd takes a card with addresses, routes and groups from Linux's driver by {driver}, datagrams pass, and "
            "Linux has it back as it was: after a clean end, after a kill, after a start that failed",
            "takeover.and_give_back", (model, model), vfio, programs=1)


def _lmd():
    for model in ("igb", "e1000"):
        yield Scenario(
            f"lmd-{model}", f"lmd on one {model}, Linux's own driver on the other: sockets, TCP, ping and groups both "
            "ways, a full TAP, killed and started again: nothing is left", "lmd_life.programs", (model, model),
            model == "igb", programs=1, seconds=480)
        yield Scenario(
            f"lmd-link-{model}", "the link goes down and up: lm0's carrier follows, and sockets go on",
            "lmd_life.link", (model, model), model == "igb", asks=True, programs=1, seconds=480)


def _lmd_cost():
    yield Scenario(
        "cost-lmd-igb", "instructions per datagram of all of kernel, program and lmd, received and sent, next to "
        "Linux's own driver on the same card", "lmd_cost.table", ("igb", "igb"), True, icount=True, direct=True,
        programs=1)


def _guards():
    yield Scenario(
        "refused-82545em", "an 82545EM, no write of which may cross 64 KiB: overlapping slots are refused, "
        "separate ones work", "guards.refused", ("e1000-82545em", "e1000-82545em"))
    for vf in (False, True):
        yield Scenario("relaxed-igb_vf" if vf else "relaxed-igb",
                       "relaxed ordering is switched off; where that can't be "
                       "proven, slots don't overlap", "guards.relaxed", vfio=True, vf=vf)
    for model in ("e1000", "igb"):
        yield Scenario(
            f"strangers-{model}", "a flood of VLAN-tagged and 1518-byte frames at a landing queue: nothing "
            "wrong is delivered", "guards.strangers", (model, model, model))


def _steering():
    yield Scenario("steer-flood",
                   "82576: ordinary traffic floods queue 0 while datagrams land on queue 1 without a "
                   "copy", "steering.beside_a_flood", ("igb", "igb", "igb"))
    yield Scenario("steer-two", "82576: two senders, two landing queues, no copy on either",
                   "steering.two_senders", ("igb", "igb", "igb"), programs=3)
    yield Scenario("steer-admitted",
                   "82576: admission control gives two landing queues to three senders: no copy on either",
                   "steering.admitted", ("igb", ) * 4, icount=True, programs=4, seconds=400)


def _cost():
    for model in ("e1000", "igb"):
        yield Scenario(f"cost-{model}", "instructions per received datagram: LM, receive-and-free, Linux",
                       "cost.table", (model, model), icount=True)


# Four nodes with an 82540EM each, on a switch: Linux's bridge, with a virtio port on every wire, which costs
# least.
FOUR = {
    "cards": ("virtio-net-pci", "e1000") * 4,
    "wires": (1, 1, 2, 2, 3, 3, 4, 4),
    "programs": 4,
    "icount": True,
    "seconds": 400
}


def _cluster():
    yield Scenario(
        "cluster-admitted",
        "four nodes on a switch, three send 64 KB to the fourth and all to each other, under admission "
        "control: all is delivered", "cluster.admitted", **FOUR)
    yield Scenario("cluster-exclusive",
                   "the same under the paper's policy: what is admitted lands without a copy",
                   "cluster.exclusive", **FOUR)
    yield Scenario("cluster-without", "the same load without admission control: copies and drops",
                   "cluster.without", **FOUR)
    yield Scenario("cluster-forged",
                   "the same load, while a stranger forges control messages: nothing changes hands",
                   "cluster.strangers", **FOUR)
    yield Scenario("cluster-killed", "a node is killed with a grant: the others go on within a lease",
                   "cluster.killed", **FOUR)
    yield Scenario("grant-rtt-e1000",
                   "a grant next to a datagram of the same size and its echo, in virtual time",
                   "grants.round_trip", ("e1000", "e1000"), icount=True, seconds=400)


# Two at a time: what takes longest does not come last.
SCENARIOS = (*measured.rows(Scenario), *_ordinary_life(), *_cost(), *_cluster(), *_kernel(), *_take_over(), *_guards(),
             *_steering(), *_lm_to_lm())
# Run by their names only: on a busy host some of them take minutes.
NAMED = (*measured.named(Scenario), *_lmd(), *_lmd_cost())


def named(name):
    for scenario in (*SCENARIOS, *NAMED):
        if scenario.name == name:
            return scenario
    raise SystemExit(f"lab: no scenario {name}: there are {', '.join(s.name for s in (*SCENARIOS, *NAMED))}")
