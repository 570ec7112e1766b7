"""lm-netpipe: what is measured is all there and true to itself; wrong options; signals."""

import json
import os
import signal
import time
import unittest
import xml.etree.ElementTree as xml

import netpipe
from netpipe import A, B, Netpipe, cores, ends, vdevs
from testpmd import Case

QUICK = ("--time=60", "--blocks=2", "--repetitions=400", "--warm-up=5", "--patience=3000")
SIZES = (1, 7, 8, 64, 160, 1472, 7168, 11_832, 16_384, 65_499, 65_507)
LISTED = "--sizes=" + ",".join(map(str, SIZES))
ROOT = os.geteuid() == 0


class Wrong(Case):
    """One line, exit code 2."""

    def refuse(self, eal, *options, says):
        child = Netpipe(self.where / "refused", eal, *options)
        self.children.append(child)
        self.assertEqual(child.wait(20), 2, str(child))
        self.assertRegex(child.err(), r"\Alm-netpipe: [^\n]+\n\Z")
        self.assertIn(says, child.err())

    def test_options(self):
        for option, says in (("--transport=tcp", "udp-busy"), ("--sizes=0", "65507"), ("--pace=fast", "1G"),
                             ("--role=judge", "responder"), ("--frobnicate", "--help"), ("--core=4096", "choose one"),
                             ("--json=/no/such/directory/x", "/no/such/directory/x"),
                             ("--svg=/no/such/directory/x", "/no/such/directory/x")):
            with self.subTest(option=option):
                core = () if option.startswith("--core") else ("--core=0",)
                self.refuse(None, "--transport=udp", *core, option, says=says)

    def test_a_port_that_is_missing(self):
        self.refuse(["--vdev=net_null0"], "--transport=lm,ip-frag", says="EAL needs 2")

    def test_an_address_of_somebody_else(self):
        self.refuse(None, "--transport=udp", "--tx-ip=192.0.2.1,192.0.2.2", says="--kernel-ip")

    def test_nobody_answers(self):
        self.refuse(None, "--transport=udp", "--tx-ip=127.0.0.1,127.0.0.1", "--tx-udp=47101,47102", "--await-peer=1",
                    says="start the responder")


class Interrupted(Case):
    def test_a_signal_while_nobody_answers_is_told_as_such(self):
        with Netpipe(self.where / "initiator", None, "--transport=udp", "--tx-ip=127.0.0.1,127.0.0.1",
                     "--tx-udp=47131,47132") as child:
            time.sleep(1.5)
            child.signal(signal.SIGINT)
            self.assertEqual(child.wait(10), 2, str(child))
            self.assertRegex(child.err(), "ended by a signal after [0-9]+ ms without an answer")
            self.assertNotIn("no answer within", child.err())


class Measured(Case):
    def judge(self, results, transports, sizes):
        """Everything that was to be measured was, and hangs together."""
        self.assertTrue(results["complete"])
        limits = {t["name"]: t["limit"] for t in results["transports"]}
        self.assertEqual(list(limits), list(transports))
        want = {(t, n) for t in transports for n in sizes if n <= limits[t]}
        self.assertEqual({(r["transport"], r["size"]) for r in results["results"]}, want)
        for r in results["results"]:
            with self.subTest(transport=r["transport"], size=r["size"]):
                s = r["stream"]
                for p in (r[kind] for kind in ("ping_pong", "ping_pong_anew") if kind in r):
                    self.trips(p, r["size"])
                self.assertGreater(s["received"], 0)
                self.assertEqual(s["responder"]["bytes"], s["received"] * r["size"])
                if r["transport"] in netpipe.PORTED:
                    self.assertEqual(s["received"], s["sent"], "no frame is lost on rings that hold the sender back")
                w = r["window"]
                self.assertGreater(w["received"], 0)
                self.assertEqual(w["received"], w["sent"], "what a ring takes is not lost")
                self.copies(r)

    def trips(self, p, size):
        """Round trips hang together."""
        self.assertGreater(p["count"], 2)
        self.assertEqual(p["wrong"], 0)
        # An echo that a busy machine kept back until it had been given up.
        self.assertLessEqual(p["late"], 2)
        self.assertLessEqual(p["lost"], p["count"] // 100)
        self.assertTrue(0 < p["min_ns"] <= p["all_median_ns"] <= p["p99_ns"] <= p["p999_ns"] <= p["max_ns"], p)
        self.assertEqual(p["initiator"]["bytes"], p["count"] * size)
        self.assertGreater(p["initiator"]["work_ns"], 0)
        self.assertGreater(p["responder"]["work_ns"], 0)
        self.assertAlmostEqual(p["mbps"], size * 16e3 / p["median_ns"], delta=0.01 * p["mbps"] + 0.01)

    def copies(self, r):
        """Who copies what is known."""
        p, name = r["ping_pong"], r["transport"]
        for end in (p["initiator"], p["responder"]):
            if name == "lm-copy":
                fragmented = r["size"] > 1430
                self.assertEqual(end["copied_bytes"], end["bytes"] if fragmented else 0)
            elif name == "lm":
                # Those across the region's wrap.
                self.assertLessEqual(end["copied_bytes"], end["bytes"] * 0.05 + 4 * r["size"])
            elif name.startswith("udp"):
                self.assertGreaterEqual(end["copied_bytes"], end["bytes"])

    def pictures(self, svg, transports):
        for name in ("latency", "bandwidth", "stream", "window"):
            tree = xml.parse(f"{svg}-{name}.svg").getroot()
            space = "{http://www.w3.org/2000/svg}"
            texts = {t.text for t in tree.iter(f"{space}text")}
            self.assertTrue(set(transports) <= texts, texts)
            lines = [line.get("points") for line in tree.iter(f"{space}polyline")]
            self.assertEqual(len(lines), len(transports))
            for points in lines:
                for point in points.split():
                    x, y = map(float, point.split(","))
                    self.assertTrue(0 < x < 900 and 0 < y < 520, point)

    def test_ports_over_memif(self):
        svg = self.where / "picture"
        tests = "--test=ping-pong,ping-pong-anew,stream,window"
        results, out = netpipe.run(self.where, netpipe.PORTED, LISTED, tests, *QUICK, svg=svg)
        self.judge(results, netpipe.PORTED, SIZES)
        self.assertTrue(all("ping_pong_anew" in r for r in results["results"]))
        self.assertIn("whose echo is summed anew", out)
        self.pictures(svg, netpipe.PORTED)
        self.assertIn("65507 lm", out)
        self.assertIn("up to 11832 bytes", out)

    def test_tags_without_checksums_in_turn(self):
        results = netpipe.in_turn(self.where, netpipe.PORTED, "--sizes=64,7168,65499", "--checksum=zero",
                                  "--require=headers,checksum,tags", *QUICK, rounds=2)
        self.judge(results, netpipe.PORTED, (64, 7168, 65_499))
        self.assertEqual(results["runs"], 2 * len(netpipe.PORTED))

    def test_kernel_sockets_need_no_dpdk(self):
        options = ("--kernel-ip=127.0.0.1,127.0.0.1", LISTED, *QUICK)
        results, _ = netpipe.run(self.where, ("udp", "udp-busy"), *options)
        self.judge(results, ("udp", "udp-busy"), SIZES)
        self.assertIsNone(results["machine"]["dpdk"])

    def test_results_that_cannot_be_written(self):
        ports = iter(((47_111, 47_112), (47_121, 47_122)))
        link = self.where / "p-latency.svg"
        link.symlink_to("/dev/full")
        for option in ("--json=/dev/full", f"--svg={self.where}/p"):
            with self.subTest(option=option):
                here, there = next(ports)
                ends = ("--transport=udp", "--tx-ip=127.0.0.1,127.0.0.1")
                with Netpipe(self.where / "responder", None, "--role=responder", "--once", *ends,
                             f"--tx-udp={there},{here}") as responder:
                    responder.await_text("ready to answer", 20)
                    with Netpipe(self.where / "initiator", None, *ends, f"--tx-udp={here},{there}", "--sizes=64",
                                 "--repetitions=10", "--time=20", option) as initiator:
                        self.assertEqual(initiator.wait(20), 1, str(initiator))
                        self.assertRegex(initiator.err().splitlines()[-1], "is not complete: No space left on device")

    @unittest.skipUnless(ROOT, "name spaces want root")
    def test_all_of_them_in_one_run(self):
        names = (*netpipe.PORTED, "udp", "udp-busy")
        with netpipe.veth() as spaces:
            results, _ = netpipe.run(self.where, names, "--sizes=64,7168", *QUICK, namespaces=spaces)
        self.judge(results, names, (64, 7168))
        wires = {t["name"]: t["wire"] for t in results["transports"]}
        self.assertEqual((wires["lm"], wires["udp"]), ("net_memif", "veth, another wire"))

    def test_jumbo_frames(self):
        sizes = (64, 8948, 8964, 9000, 16_384, 65_507)
        results, _ = netpipe.run(self.where, ("lm", "lm-copy"), "--mtu=9000", "--sizes=" + ",".join(map(str, sizes)),
                                 *QUICK)
        self.assertEqual(results["mtu"], 9000)
        for r in results["results"]:
            self.assertEqual((r["ping_pong"]["lost"], r["ping_pong"]["wrong"]), (0, 0), r)
            self.assertEqual(r["stream"]["loss"], 0, r)

    def test_a_paced_stream_is_no_faster_than_its_pace(self):
        results, _ = netpipe.run(self.where, ("lm",), "--sizes=7168,65507", "--test=stream", "--pace=200M", "--time=400",
                                 "--blocks=2")
        for size in (7168, 65_507):
            # How much less depends on who else has the CPU.
            rate = results.stream("lm", size)
            self.assertTrue(0 < rate < 200, f"{rate} Mb/s of payload at 200 Mb/s on the wire")

    def test_a_signal_leaves_what_was_measured(self):
        with Netpipe(self.where / "responder", vdevs(self.where, ("lm",), 1), "--role=responder", *ends(("lm",), 1),
                     core=cores()[1]) as responder:
            responder.await_text("ready to answer", 40)
            path = self.where / "results.json"
            with Netpipe(self.where / "initiator", vdevs(self.where, ("lm",), 0), *ends(("lm",), 0), "--progress",
                         f"--json={path}", core=cores()[0]) as initiator:
                initiator.await_text("sizes", 40)
                initiator.signal(signal.SIGINT)
                self.assertEqual(initiator.wait(20), 0, str(initiator))
                self.assertIn("so far", initiator.out())
                told = json.loads(path.read_text())
            time.sleep(netpipe.APART)
            self.assertEqual(responder.stop(), 0, str(responder))
        self.assertFalse(told["complete"])
        self.assertGreater(len(told["results"]), 0)


if __name__ == "__main__":
    unittest.main()
