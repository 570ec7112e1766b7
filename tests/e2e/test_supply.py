"""What the programs are made of: the bill of materials is complete and well formed, cargo-deny is pinned,
exceptions say why.
"""

import json
import pathlib
import re
import subprocess
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]


class Supply(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        with tempfile.TemporaryDirectory() as folder:
            subprocess.run([ROOT / "tests/scripts/sbom.py", folder], check=True, capture_output=True,
                           timeout=120)
            cls.text = pathlib.Path(folder, "lm.cdx.json").read_text()
        cls.bom = json.loads(cls.text)

    def test_the_bill_has_what_cyclonedx_requires(self):
        bom = self.bom
        self.assertEqual((bom["bomFormat"], bom["specVersion"], bom["version"]), ("CycloneDX", "1.5", 1))
        self.assertRegex(
            bom["serialNumber"],
            r"^urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-[1-5][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$")
        program = bom["metadata"]["component"]
        self.assertEqual((program["type"], program["name"]), ("application", "lm-apps"))
        everything = [program, *bom["components"]]
        references = [one["bom-ref"] for one in everything]
        self.assertEqual(len(references), len(set(references)), "each once")
        for one in everything:
            with self.subTest(component=one["bom-ref"]):
                self.assertIn(one["type"], ("application", "library"))
                self.assertEqual(one["purl"].rsplit("@", 1)[1], one["version"])
                self.assertTrue(one["licenses"][0]["expression"])
                self.assertNotIn("/", one["licenses"][0]["expression"], "an SPDX expression")

    def test_every_component_is_reached_and_every_reference_known(self):
        needs = {one["ref"]: one["dependsOn"] for one in self.bom["dependencies"]}
        program = self.bom["metadata"]["component"]["bom-ref"]
        known = {program, *(one["bom-ref"] for one in self.bom["components"])}
        self.assertEqual(set(needs), known)
        reached, todo = set(), [program]
        while todo:
            one = todo.pop()
            if one not in reached:
                reached.add(one)
                todo += needs[one]
        self.assertEqual(reached, known)

    def test_it_agrees_with_cargo(self):
        shown = subprocess.run([
            "cargo", "tree", "--locked", "-p", "lm-apps", "-e", "normal,build", "--prefix", "none", "-f",
            "{p}"
        ], cwd=ROOT, check=True, capture_output=True, text=True, timeout=120).stdout
        cargo = {tuple(line.split()[:2]) for line in shown.splitlines() if line}
        ours = {(one["name"], "v" + one["version"])
                for one in [self.bom["metadata"]["component"], *self.bom["components"]]}
        self.assertEqual({one for one in ours if one[0] != "dpdk"}, cargo)
        self.assertEqual(len(ours), len(cargo) + 1, "libdpdk")
        own = {
            "ac", "lm-apps", "lm-crossing", "lm-engine", "lm-landing", "lm-node", "lm-proto",
            "lm-takeover", "lm-tap", "pmd-e1000", "rte", "dpdk-sys", "dpdk"
        }
        for one in self.bom["components"]:
            self.assertEqual("hashes" in one, one["name"] not in own, one["name"])

    def test_the_same_sources_give_the_same_bytes(self):
        with tempfile.TemporaryDirectory() as folder:
            subprocess.run([ROOT / "tests/scripts/sbom.py", folder], check=True, capture_output=True,
                           timeout=120)
            self.assertEqual(pathlib.Path(folder, "lm.cdx.json").read_text(), self.text)

    def test_one_digest(self):
        lock = (ROOT / "Cargo.lock").read_text()
        for crate in ("sha2", "hmac", "zeroize", "digest"):
            self.assertEqual(lock.count(f'name = "{crate}"\n'), 1, crate)

    def test_cargo_deny_is_pinned_and_exceptions_say_why(self):
        script = (ROOT / "tests/scripts/deny.sh").read_text()
        self.assertRegex(script, r"(?m)^version=\d+\.\d+\.\d+$")
        self.assertIn('pinned cargo-deny "$version"', script)
        installer = (ROOT / "tests/scripts/tool.sh").read_text()
        self.assertIn('--locked --quiet --version "=$version"', installer)
        deny = (ROOT / "deny.toml").read_text()
        ignored = re.search(r"(?ms)^ignore = \[(.*?)^\]", deny)[1]
        entries = re.findall(r"RUSTSEC-\d{4}-\d{4}", ignored)
        reasons = re.findall(r'\{ id = "RUSTSEC-\d{4}-\d{4}", reason = "([^"]{30,})" \}', ignored)
        self.assertEqual(len(entries), len(reasons), "each with its reason")
        self.assertIn('unmaintained = "all"', deny)


if __name__ == "__main__":
    unittest.main()
