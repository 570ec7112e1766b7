"""lmd takes a card from Linux's driver and gives it back, in order and after it was killed."""

import json
import pathlib
import signal
import socket
import subprocess

import cards
from guest import A, B, WORK, check, note
from kernelpeer import PATIENCE, PORT_A, SO_RCVBUFFORCE, Peer
from netns import ip

PORT_B, EAR = 9100, 7400
SIZES = (100, 1472, 8000, 64_000)
GROUP = "01:00:5e:01:02:03"
JOINED = "239.1.2.3"
STATE = pathlib.Path("/run/lmd")
CAP_NET_ADMIN = 12
# No more than the service's unit allows (CapabilityBoundingSet).
FEW = ("setpriv", "--bounding-set=-all,+net_admin,+net_raw,+sys_admin,+ipc_lock,+setpcap")


def show(*words):
    return json.loads(subprocess.run(["ip", "-j", *words], check=True, capture_output=True, text=True).stdout)


def lasting(entry):
    """What is said of an address or a route, without what passes."""
    passing = ("dynamic", "flags", "dev", "ifindex", "index", "ifname", "cache", "expires", "tentative")
    return {k: v for k, v in entry.items() if k not in passing}


class Card:
    """A card of Linux's, with something of each kind that is to come back."""

    def __init__(self, guest):
        self.guest, self.address = guest, cards.addresses()[1]
        model = guest.scenario.cards[1]
        cards.bind(self.address, cards.LINUX[model])
        self.kernel = cards.LINUX[model]
        self.name = cards.interface(self.address)
        for words in (("link", "set", self.name, "address", "02:00:00:00:00:42"), ("link", "set", self.name, "up"),
                      ("addr", "add", f"{B}/24", "brd", "+", "dev", self.name),
                      ("addr", "add", "198.18.7.1/24", "label", f"{self.name}:1", "dev", self.name, "metric", "50"),
                      ("addr", "add", "198.18.8.1/24", "dev", self.name, "valid_lft", "5000", "preferred_lft", "4000"),
                      ("-6", "addr", "add", "fd77::2/64", "dev", self.name, "nodad"),
                      # As NetworkManager does, which makes the kernel's routes itself.
                      ("addr", "add", "198.18.9.1/24", "dev", self.name, "noprefixroute"),
                      ("route", "add", "198.18.9.0/24", "dev", self.name, "proto", "kernel", "scope", "link", "src",
                       "198.18.9.1", "metric", "100"),
                      ("route", "add", "10.97.0.0/16", "via", "198.18.9.9", "metric", "100"),
                      ("route", "add", "10.99.0.0/16", "via", A, "metric", "77", "mtu", "1400", "proto", "static"),
                      ("route", "add", "10.98.0.0/16", "via", A, "src", "198.18.7.1", "table", "100"),
                      ("route", "add", "239.0.0.0/8", "dev", self.name),
                      ("-6", "route", "add", "fd99::/64", "via", "fd77::1"),
                      ("maddr", "add", GROUP, "dev", self.name)):
            ip(*words)

    def interface(self, name):
        """What an interface has."""
        found = {}
        link = show("link", "show", name)[0]
        found["link"] = link["address"], link["mtu"], "UP" in link["flags"]
        found["addresses"] = [lasting(a) for a in show("addr", "show", name)[0]["addr_info"] if a["scope"] != "link"]
        for entry in found["addresses"]:
            if entry["valid_life_time"] < 10_000:
                check(4000 < entry["valid_life_time"] <= 5000, entry)
                entry["valid_life_time"] = entry["preferred_life_time"] = "passing"
            entry["label"] = entry.get("label", "").replace(name, "CARD")
        found["routes"] = {
            f"{family} {table}": [lasting(r) for r in show(family, "route", "show", "dev", name, "table", table)]
            for family, table in (("-4", "main"), ("-4", "100"), ("-6", "main"))
        }
        found["groups"] = GROUP in json.dumps(show("maddr", "show", "dev", name))
        return found

    def driver(self):
        driver = cards.DEVICES / self.address / "driver"
        return driver.resolve().name if driver.exists() else None


class Lmd:
    def __init__(self, guest, name, *words, before=()):
        self.out = WORK / f"{name}.out"
        WORK.mkdir(parents=True, exist_ok=True)
        note(name)
        legacy = guest.eal()
        with open(self.out, "wb") as out:
            self.process = subprocess.Popen([*before, "lmd", "-l", "0", "-m", "64", "--no-telemetry", "--file-prefix=lmd", *legacy,
                                             *words], stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT)
        self.guest = guest

    def __str__(self):
        return self.out.read_text(errors="replace")

    def ready(self):
        self.guest.until(lambda: "lm0: " in str(self) or self.process.poll() is not None, "lmd is not ready:", self,
                         seconds=90)
        check(self.process.poll() is None, "lmd ended:", self)
        return self

    def end(self, how):
        self.process.send_signal(how)
        code = self.process.wait(60)
        note(f"lmd ended with {code}")
        return code


def ended(*words):
    """lmd, run to its end: its exit code and what it said."""
    done = subprocess.run(["lmd", *words], capture_output=True, text=True, timeout=60)
    note("lmd", *words, done.returncode, done.stdout[-300:], done.stderr)
    return done.returncode, done.stdout, done.stderr


def drain(end):
    before = end.gettimeout()
    end.setblocking(False)
    try:
        while True:
            end.recv(1 << 16)
    except BlockingIOError:
        end.settimeout(before)


def exchange(guest, peer):
    """A socket at each end: datagrams of all sizes there and back."""
    with peer.socket() as far, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as near:
        near.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 8 << 20)
        near.bind((B, PORT_B))
        for end in (far, near):
            end.settimeout(0.5)

        def passes(n, attempt):
            payload = guest.pattern.payload(attempt, n)
            # What came late belongs to an attempt before.
            for end in (far, near):
                drain(end)
            try:
                far.sendto(payload, (B, PORT_B))
                got, sender = near.recvfrom(1 << 16)
                if got != payload:
                    return False
                near.sendto(got, sender)
                return far.recv(1 << 16) == payload
            except OSError:
                return False

        tries = iter(range(1000))
        # Links come up within some seconds.
        guest.until(lambda: passes(100, next(tries)), "no datagram passes", seconds=30)
        for end in (far, near):
            end.settimeout(PATIENCE)
        for n in SIZES:
            check(passes(n, n), f"{n} bytes do not pass")


def hears(guest, peer, ear):
    """A group that a program joined on the card's interface is heard."""
    ear.settimeout(0.2)
    with peer.socket() as far:
        far.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(A))
        for n in SIZES:
            payload = guest.pattern.payload(n, n)

            def arrives():
                far.sendto(payload, (JOINED, EAR))
                try:
                    return ear.recv(1 << 16) == payload
                except TimeoutError:
                    return False

            guest.until(arrives, f"{n} bytes to {JOINED} are not heard", seconds=10)
    drain(ear)


def and_give_back(guest):
    for module in ("vfio_iommu_type1", "vfio_pci") if guest.scenario.vfio else ("uio_pci_generic", ):
        cards.load(module)
    cards.load("tun")
    peer = Peer(cards.addresses()[0], guest.scenario.cards[0])
    card = Card(guest)
    to = "vfio-pci" if guest.scenario.vfio else "uio_pci_generic"
    file = STATE / f"{card.name}.json"
    ear = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    ear.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 1 << 20)
    ear.bind(("", EAR))
    join = (socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, socket.inet_aton(JOINED) + socket.inet_aton(B))
    ear.setsockopt(*join)
    exchange(guest, peer)
    hears(guest, peer, ear)
    before = card.interface(card.name)
    note(json.dumps(before))

    code, out, err = ended("--take-over", card.name, "--dry-run")
    check(code == 0 and not err and to in out and "10.99.0.0/16" in out, out, err)
    check(card.interface(card.name) == before and card.driver() == card.kernel and not file.exists(), "dry-run changes")

    cards.load("veth")
    ip("link", "add", "lm0", "type", "veth", "peer", "name", "lm1")
    index = show("link", "show", card.name)[0]["ifindex"]
    code, out, err = ended("-m", "64", "--take-over", card.name)
    check(code == 2 and "no TAP" in err and not file.exists(), "lm0 is another's:", code, out, err)
    check(show("link", "show", card.name)[0]["ifindex"] == index, "the card was touched")
    ip("link", "del", "lm0")

    def as_before(when):
        check(card.driver() == card.kernel, f"{when}: {card.driver()} has the card")
        after = card.interface(card.name)
        check(after == before, f"{when}:", json.dumps(after), "but before it was", json.dumps(before))
        check(not file.exists(), f"{when}: {file} is there")
        tap = card.interface("lm0")
        check(not tap["addresses"] and not tap["routes"]["-4 main"] and not tap["link"][2], f"{when}: lm0 has", tap)
        exchange(guest, peer)
        # The interface is another one than the program has joined on.
        ear.setsockopt(*join)
        hears(guest, peer, ear)

    def taken(lmd):
        check(card.driver() == to, f"{card.driver()} has the card:", lmd)
        check(not any(link["ifname"] == card.name for link in show("link")), "its interface is there:", lmd)
        tap = card.interface("lm0")
        check(tap["link"][0] == before["link"][0], "another MAC address", tap, lmd)
        for kind in ("addresses", "groups"):
            theirs = json.dumps(tap[kind]).replace(', "nodad": true', "")
            check(theirs == json.dumps(before[kind]).replace(', "nodad": true', ""), kind, theirs, "before", before[kind])
        for table, routes in before["routes"].items():
            # lmd gives routes that have no MTU one.
            got = [{k: v for k, v in r.items() if k != "metrics"} for r in tap["routes"][table]]
            for route in routes:
                route = {k: v for k, v in route.items() if k != "metrics"}
                check(route in got or "fe80" in json.dumps(route), table, route, "is not among", got)
        exchange(guest, peer)
        check(JOINED in json.dumps(show("maddr", "show", "dev", "lm0")), "the group is not joined:", lmd)
        hears(guest, peer, ear)

    lmd = Lmd(guest, "lmd1", "--take-over", card.name, before=FEW).ready()

    def kept():
        tasks = pathlib.Path(f"/proc/{lmd.process.pid}/task").glob("*/status")
        lines = [line for task in tasks for line in task.read_text().splitlines()]
        return {int(line.split()[1], 16) for line in lines if line.startswith(("CapPrm", "CapEff"))}

    guest.until(lambda: kept() == {1 << CAP_NET_ADMIN}, "capabilities are kept:", lmd)
    taken(lmd)
    code, _, err = ended("--give-back", card.name)
    check(code == 2 and str(lmd.process.pid) in err, "given back meanwhile:", code, err)
    code, _, err = ended("--take-over", card.name)
    check(code == 2 and str(lmd.process.pid) in err, "taken twice:", code, err)
    check(lmd.end(signal.SIGTERM) == 0, "no clean end:", lmd)
    as_before("after a clean end")

    # A second signal comes when lmd has executed itself at its end.
    lmd = Lmd(guest, "twice", "--take-over", card.name).ready()
    lmd.process.send_signal(signal.SIGTERM)
    line = pathlib.Path(f"/proc/{lmd.process.pid}/cmdline")
    while b"--tell" not in line.read_bytes():
        check(lmd.process.poll() is None, "lmd ended:", lmd)
    check(lmd.end(signal.SIGTERM) in (0, -signal.SIGTERM), lmd)
    guest.until(lambda: not file.exists(), "the card is not given back:", lmd, seconds=30)
    as_before("after two signals")

    lmd = Lmd(guest, "lmd2", "--take-over", card.name).ready()
    check(lmd.end(signal.SIGKILL) == -signal.SIGKILL, lmd)
    check(card.driver() == to and file.exists(), "it is not as the killed one left it")
    guest.until(lambda: f"lmd --give-back {card.name}" in str(lmd), "nobody says what is to be done:", lmd)
    lmd = Lmd(guest, "lmd3", f"--take-over={card.name}").ready()
    taken(lmd)
    lmd.end(signal.SIGKILL)
    code, out, err = ended("--give-back", card.name)
    check(code == 0 and not err, "not given back:", out, err)
    as_before("after a kill")
    code, out, err = ended("--give-back", card.name)
    check(code == 0 and "nothing" in out, "given back twice:", code, out, err)

    # What fails after the card was taken: it comes back.
    code, out, err = ended("-m", "64", "--no-telemetry", "--take-over", card.name, "--no-such-option")
    check(code == 2 and len(err.splitlines()) == 1, "refused otherwise:", code, out, err)
    as_before("after a start that failed")
    return {"routes": sum(map(len, before["routes"].values())), "addresses": len(before["addresses"])}
