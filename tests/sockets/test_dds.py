"""DDS, the middleware under ROS 2, unmodified: samples of 1 MB, 30 a second, from an ordinary kernel, with 0.1 % of the
frames lost on the way. All contents are looked at.

`LM_DDS_SECONDS=30` compares Linux, Linux with two sysctls, and lmd, and adds to target/sockets/dds.json, from which
tests/sockets/dds/plot.py makes the picture in docs/ros2.md.
"""

import json
import os
import pathlib
import unittest

import netns
from dds import BUILT, CASES, DDSPERF, HZ, SIZE, Dds, needs_dds, version
from lmd import MemifWire, VethWire, needs, run, veth

SECONDS = int(os.environ.get("LM_DDS_SECONDS") or 0)
SHORT = 4
# Of 100,000 frames.
LOST = 100
# What docs/ros2.md recommends: room in each socket, and for datagrams in fragments.
ROOM = 16 << 20
STORE = ("net.ipv4.ipfrag_time=3", f"net.ipv4.ipfrag_high_thresh={128 << 20}")

only_to_compare = unittest.skipUnless(SECONDS, "LM_DDS_SECONDS is not set")


class Room(Dds):
    """Sockets with room."""

    room = ROOM

    def setUp(self):
        super().setUp()
        # It is the machine's, not the name space's.
        for name in ("rmem_max", "rmem_default") if self.room else ():
            path = pathlib.Path("/proc/sys/net/core", name)
            before = path.read_text()
            self.addCleanup(path.write_text, before)
            path.write_text(str(max(self.room, int(before))))


class Cases:
    """The same on every wire."""

    def measured(self, name):
        seconds = SECONDS or SHORT
        self.lose(LOST)
        before, busy = self.arrived(), self.busy()
        if name == "ddsperf-64KB":
            result = self.ddsperf(seconds)
        else:
            result = self.samples(CASES[name], seconds, self.there, self.here)
        unseen, arrived, busy = self.unseen(), self.arrived() - before, self.busy() - busy
        cpu = f"{busy:.1f} s of CPU in lmd; " if self.children else ""
        which = name if name.startswith("fast") else f"{name}, {version()}"
        print(f"    {which}, {self.label}: {result.got} of {result.sent} samples, longest silence {result.silence:.2f} s; the "
              f"receiver never saw {unseen} of {arrived + unseen} frames; {cpu}in each second "
              f"{' '.join(map(str, result.seconds))}", flush=True)
        self.assertGreater(unseen, 0, "nothing was lost")
        if SECONDS:
            keep(f"{name}, {self.label}", {**result._asdict(), "unseen": unseen, "frames": arrived + unseen, "cpu": busy})
        return result

    @needs("nft")
    @needs_dds("fast")
    def test_fast(self):
        """Its defaults: datagrams of 65,500 bytes."""
        self.look_at("fast")

    @needs("nft")
    @needs_dds("cyclone")
    def test_cyclone_64KB(self):
        """Datagrams of 65,000 bytes."""
        self.look_at("cyclone-64KB")

    @only_to_compare
    @needs("nft")
    @needs_dds("fast")
    def test_fast_best_effort(self):
        """What is lost is not sent again."""
        self.look_at("fast-best-effort")

    @only_to_compare
    @needs("nft")
    @needs_dds("cyclone")
    def test_cyclone(self):
        """Its defaults: datagrams of 14 KB."""
        self.look_at("cyclone")

    @only_to_compare
    @needs("nft")
    @needs_dds("cyclone")
    def test_ddsperf_64KB(self):
        """Cyclone DDS's own program, which keeps all samples until they have arrived."""
        self.look_at("ddsperf-64KB")


def keep(name, figures):
    """Adds figures to those of other runs."""
    path = BUILT / "dds.json"
    every = json.loads(path.read_text()) if path.exists() else {}
    path.write_text(json.dumps({**every, name: figures}, indent=1) + "\n")


class Lmd(Cases, Room, VethWire):
    label = "lmd"

    def look_at(self, name):
        result = self.measured(name)
        self.nothing_reassembled(self.here)
        told = self.counted()
        # net_pcap's own buffer overflows where others take the processor.
        if "the device had no room" in told:
            return
        if "best-effort" not in name:
            self.assertGreaterEqual(result.got, 0.98 * result.sent, told)
            self.assertLess(result.silence, 1, told)
        if SECONDS and self.room and name in ("fast", "cyclone-64KB"):
            self.assertGreaterEqual(min(result.seconds[3:]), HZ - 1, told)


class ToCompare:
    """Only if it was asked for."""

    @classmethod
    def setUpClass(cls):
        if not SECONDS:
            raise unittest.SkipTest("LM_DDS_SECONDS is not set")


class LmdDefaultRoom(ToCompare, Lmd):
    """With the room that a socket has by default."""

    label, room = "lmd, default sockets", None

    def look_at(self, name):
        self.measured(name)
        print("   ", *(line.strip() for line in self.counted().splitlines() if "lost" in line))


class Linux(ToCompare, Cases, Room):
    label = "Linux"

    def setUp(self):
        super().setUp()
        veth((self.here, "v0", self.HERE), (self.there, "v1", self.THERE))
        for namespace, name in ((self.here, "v0"), (self.there, "v1")):
            netns.ip("-n", namespace, "route", "add", "224.0.0.0/4", "dev", name)

    look_at = Cases.measured


class LinuxDefaultRoom(Linux):
    label, room = "Linux, default sockets", None


class LinuxTuned(Linux):
    label = "Linux with two sysctls"

    def setUp(self):
        super().setUp()
        code, said = run(self.here, "sysctl", "-w", *STORE)
        self.assertEqual(code, 0, said)


class Sent(Room):
    """From programs to the wire, on which nothing is lost."""

    def all_arrive(self, name, daemon):
        result = self.samples(CASES[name], 2, self.here, self.there)
        told = self.counted()
        # On a busy machine some are late by ten others, and are not sent again.
        self.assertGreaterEqual(result.got, 0.5 * result.sent, told)
        # 1 MB takes 16 datagrams of 65,500 bytes.
        self.assertGreaterEqual(self.tally(daemon)["datagrams to the wire, cut by LM"], 16 * result.got, daemon)
        self.assertNotIn("lost: pieces", told)


class ToKernel(Sent, VethWire):
    @needs_dds("fast")
    def test_fast(self):
        """Linux passes its datagrams in two parts, which leave as one."""
        self.all_arrive("fast", self.daemon)


class ToLmd(Sent, MemifWire):
    @needs_dds("cyclone")
    def test_cyclone_64KB(self):
        self.all_arrive("cyclone-64KB", self.server)
        self.nothing_reassembled(self.there)

    @only_to_compare
    @needs_dds("cyclone")
    def test_ddsperf(self):
        """Cyclone DDS's own program, which says itself that enough samples have arrived."""
        environment = CASES["cyclone-64KB"].environment
        words = [DDSPERF, "-D4", "-Qsamples:20", "-Qminmatch:1", "-Qmaxwait:5", "sub"]
        ear = self.start(self.there, "sub", words, environment)
        mouth = self.start(self.here, "pub", [DDSPERF, "-D3", "pub", f"{HZ}Hz", "size", str(SIZE)], environment)
        self.assertEqual((mouth.wait(20), ear.wait(20)), (0, 0), self.told())
        self.nothing_reassembled(self.there)
