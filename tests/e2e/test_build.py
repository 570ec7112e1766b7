"""What the build says to a machine that lacks something: one line, and what to install. The build script of
dpdk-sys is run as cargo runs it, with another pkg-config, and with files of the machine out of sight.
"""

import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR") or ROOT / "target")
MANIFEST = ROOT / "meson-wrap/dpdk-sys"
HOST = f"{os.uname().machine}-unknown-linux-gnu"


def build_script():
    """The newest one that cargo has compiled."""
    found = TARGET.glob("*/build/dpdk-sys-*/build-script-build")
    return max(found, key=lambda path: path.stat().st_mtime, default=None)


def pc(libdir, version):
    return f"libdir={libdir}\nName: DPDK\nDescription: none\nVersion: {version}\nLibs: -L{libdir}\nCflags:\n"


class Build(unittest.TestCase):
    def setUp(self):
        self.script = build_script()
        if self.script is None:
            self.skipTest(f"no build script of dpdk-sys in {TARGET}: run make build first")
        self.where = pathlib.Path(tempfile.mkdtemp(prefix="lm-e2e-build-"))
        self.addCleanup(shutil.rmtree, self.where)

    def run_it(self, hide=(), **environment):
        """Exit code, what was said to the user, and warnings."""
        given = {"OUT_DIR": self.where, "TARGET": HOST, "HOST": HOST, "OPT_LEVEL": "3", "DEBUG": "false",
                 "CARGO_MANIFEST_DIR": MANIFEST, "CARGO_CFG_TARGET_ARCH": os.uname().machine,
                 "CARGO_CFG_TARGET_OS": "linux", "CARGO_CFG_TARGET_ENV": "gnu", "PATH": os.environ["PATH"]}
        words = [str(self.script)]
        if hide:
            empty = self.where / "empty"
            empty.mkdir()
            mounts = "".join(f"mount --bind '{empty if path.is_dir() else '/dev/null'}' '{path}'\n" for path in hide)
            words = ["unshare", "--mount", "--propagation", "private", "sh", "-ec", f"{mounts}exec '{self.script}'"]
        done = subprocess.run(words, cwd=MANIFEST, env={**{k: str(v) for k, v in given.items()}, **environment},
                              capture_output=True, text=True, timeout=120)
        warnings = re.findall(r"^cargo:warning=(.*)", done.stdout, re.MULTILINE)
        return done.returncode, done.stderr, warnings

    def refuses(self, *says, **how):
        code, told, _ = self.run_it(**how)
        self.assertEqual(code, 1, told)
        # libclang says in a line of its own, before, what it did not find.
        self.assertRegex(told, r"\A(wrapper\.h:[^\n]+\n)?dpdk-sys: [^\n]+\n\Z", "one line")
        for word in says:
            self.assertIn(word, told)

    def stand_in(self, version, drivers=("librte_net_e1000.so",)):
        """The folder with the description of a DPDK that is not there."""
        lib = self.where / f"dpdk-{version}"
        (lib / "dpdk/pmds").mkdir(parents=True)
        for name in drivers:
            (lib / "dpdk/pmds" / name).touch()
        (lib / "libdpdk.pc").write_text(pc(lib, version))
        return str(lib)

    def test_no_pkg_config(self):
        self.refuses("cannot run pkg-config", "apt install pkg-config", PATH="/nonexistent")
        self.refuses("cannot run /nonexistent/pkgconf", PKG_CONFIG="/nonexistent/pkgconf")
        self.refuses("apt install pkg-config", PKG_CONFIG="/bin/false")

    def test_no_dpdk(self):
        self.refuses("apt install libdpdk-dev", PKG_CONFIG_LIBDIR="/nonexistent")

    def test_a_dpdk_that_is_not_in_the_table(self):
        for version in ("21.11.5", "22.07", "22.11.6", "23.11.2", "24.11.4", "25.11.0", "26.07.0", "nonsense", "9"):
            with self.subTest(version=version):
                self.refuses(f"DPDK {version} in ", "22.11.7 (Debian 12", PKG_CONFIG_PATH=self.stand_in(version))

    @unittest.skipIf(shutil.which("dpkg") is None, "no dpkg, by which matrix.sh compares")
    def test_the_matrix_runs_what_the_build_takes(self):
        taken = 0
        for version in ("22.11.6", "22.11.7", "22.11.10", "24.1.9", "24.11", "24.11.2", "24.11.5", "24.11.10", "24.111.5",
                        "25.11.0", "25.11.1", "26.07.0", "124.11.8", "nonsense", "9"):
            with self.subTest(version=version):
                _, told, _ = self.run_it(PKG_CONFIG_PATH=self.stand_in(version))
                runs = subprocess.run(["/bin/bash", "-c", '. tests/scripts/supported.sh; is_supported "$1"', "_", version],
                                      cwd=ROOT, capture_output=True, text=True, timeout=60)
                self.assertEqual(runs.returncode, 1 if "is not supported" in told else 0, told + runs.stderr)
                taken += runs.returncode == 0
        self.assertGreater(taken, 0)

    def test_a_description_that_needs_what_is_not_there(self):
        folder = pathlib.Path(self.stand_in("22.11.96"))
        with (folder / "libdpdk.pc").open("a") as file:
            file.write("Requires: libnothing\n")
        # pkg-config says no to all that is asked of it.
        self.refuses("libdpdk", PKG_CONFIG_PATH=str(folder))

    def test_two_dpdks_side_by_side(self):
        # The second one has no headers, so the build ends; but before that it has said which one it takes.
        other = self.stand_in("22.11.99")
        code, told, warnings = self.run_it(PKG_CONFIG_PATH=other)
        self.assertEqual(code, 1, told)
        both = [w for w in warnings if "side by side" in w]
        self.assertEqual(len(both), 1, warnings)
        for word in (f"22.11.99 in {other} is taken", "PKG_CONFIG_PATH", "LD_LIBRARY_PATH"):
            self.assertIn(word, both[0])
        self.assertIn("libdpdk-dev", told)

    def test_a_dpdk_without_drivers_for_e1000(self):
        folder = self.stand_in("22.11.98", drivers=("librte_net_memif.so",))
        _, _, warnings = self.run_it(PKG_CONFIG_PATH=folder)
        said = [w for w in warnings if "librte_net_e1000.so" in w]
        self.assertEqual(len(said), 1, warnings)
        self.assertIn("apt install libdpdk-dev", said[0])
        # One whose drivers are linked in has no such folder, and nothing is said.
        shutil.rmtree(pathlib.Path(folder) / "dpdk")
        self.assertNotIn("librte_net_e1000.so", "".join(self.run_it(PKG_CONFIG_PATH=folder)[2]))

    def test_headers_that_are_no_dpdks(self):
        self.refuses("libdpdk-dev", PKG_CONFIG_PATH=self.stand_in("22.11.97"), PKG_CONFIG_LIBDIR="/nonexistent")

    @unittest.skipIf(os.geteuid() != 0, "not root: nothing can be put out of sight")
    def test_no_libclang(self):
        libraries = {path.resolve() for pattern in ("lib/*/libclang*.so*", "lib/llvm-*/lib/libclang*.so*", "lib64/libclang*.so*")
                     for path in pathlib.Path("/usr").glob(pattern)}
        self.refuses("libclang", "apt install libclang-dev", hide=sorted(p for p in libraries if p.exists()))

    @unittest.skipIf(os.geteuid() != 0, "not root: nothing can be put out of sight")
    def test_a_libclang_without_its_headers(self):
        headers = [path for path in pathlib.Path("/usr/lib").glob("llvm-*/lib/clang") if path.is_dir()]
        headers += [path for path in pathlib.Path("/usr/lib/clang").glob("*") if path.is_dir()]
        if not headers:
            self.skipTest("clang's headers are not where Debian has them")
        self.refuses("stddef.h", "apt install libclang-dev", hide=headers)


class Commands(unittest.TestCase):
    """Scripts, with commands of ours in front of the machine's."""

    def setUp(self):
        self.where = pathlib.Path(tempfile.mkdtemp(prefix="lm-e2e-install-"))
        self.addCleanup(shutil.rmtree, self.where)

    def command(self, name, text):
        path = self.where / name
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(0o755)


class Mirror(Commands):
    """mirror.sh: where apt has Debian from."""

    OTHERS = ("bookworm-security|oldstable-security|main|http://security/", "nodistro||main|http://other/", "|||http://flat/",
              "bookworm|oldstable|contrib|http://contrib/")

    def mirror_of(self, release, *targets, lists=True, user=0):
        """What it finds among these and OTHERS, and how often the lists were fetched. `lists`: they are there before."""
        fetched, asked = self.where / "fetched", self.where / "asked"
        for path in (fetched, asked):
            path.unlink(missing_ok=True)
        if lists:
            fetched.touch()
        told = "\n".join((*self.OTHERS, *targets))
        self.command("id", f"echo {user}")
        self.command("apt-get", f"""case $1 in
            update) echo once >>'{asked}'; touch '{fetched}' ;;
            *) [ ! -e '{fetched}' ] || echo '{told}' ;;
            esac""")
        done = subprocess.run(["/bin/bash", "-euo", "pipefail", "-c", '. tests/scripts/mirror.sh; mirror_of "$1"', "_", release],
                              cwd=ROOT, capture_output=True, text=True, timeout=60,
                              env={**os.environ, "PATH": f"{self.where}:{os.environ['PATH']}"})
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        return done.stdout.strip(), asked.read_text().count("once") if asked.exists() else 0

    def test_the_mirror_of_the_release(self):
        ours = "bookworm|oldstable|main|http://ours/debian/"
        self.assertEqual(self.mirror_of("bookworm", ours), ("http://ours/debian/", 0))
        self.assertEqual(self.mirror_of("bookworm", "sid|unstable|main|http://sid/", ours), ("http://ours/debian/", 0))
        # More than a pipe holds.
        self.assertEqual(self.mirror_of("bookworm", ours, *[ours] * 3000), ("http://ours/debian/", 0))

    def test_lists_that_were_removed_are_fetched_once(self):
        ours = "bookworm|oldstable|main|http://ours/debian/"
        self.assertEqual(self.mirror_of("bookworm", ours, lists=False), ("http://ours/debian/", 1))
        self.assertEqual(self.mirror_of("bookworm", lists=False), ("", 1))
        self.assertEqual(self.mirror_of("bookworm", ours, lists=False, user=1000), ("", 0))

    def test_sid_has_the_code_name_of_the_next_release(self):
        for target in ("sid|unstable|main|http://sid/", "sid||main|http://sid/", "|unstable|main|http://sid/"):
            for release in ("forky", ""):
                with self.subTest(target=target, release=release):
                    self.assertEqual(self.mirror_of(release, target), ("http://sid/", 0))


    def test_a_system_without_apt(self):
        for name in ("id", "awk"):
            (self.where / name).symlink_to(shutil.which(name))
        done = subprocess.run(["/bin/bash", "-euo", "pipefail", "-c", ". tests/scripts/mirror.sh; mirror_of bookworm"],
                              cwd=ROOT, capture_output=True, text=True, timeout=60, env={"PATH": str(self.where)})
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "", ""))


class Install(Commands):
    """install.sh."""

    def run_it(self, what, path=None):
        done = subprocess.run(["/bin/bash", ROOT / "tests/scripts/install.sh", what], capture_output=True, text=True,
                              env={**os.environ, "PATH": path or f"{self.where}:{os.environ['PATH']}"}, timeout=120)
        return done.returncode, done.stdout, done.stderr

    def test_who_may_not_install_is_told_what_is_missing(self):
        self.command("id", 'case "$1" in -u) echo 1000 ;; *) echo nobody ;; esac')
        self.command("dpkg-query", 'case "$*" in *libclang-dev*|*pkg-config*) exit 1 ;; esac\nexec /usr/bin/dpkg-query "$@"')
        code, _, told = self.run_it("build")
        self.assertEqual((code, told), (1, "install.sh: not root: install these packages first: libclang-dev pkg-config\n"))

    def test_a_compiler_that_is_too_old_stops_it_before_anything_else(self):
        self.command("rustc", "echo 'rustc 1.63.0 (none 2022-08-08)'")
        self.command("rustup", "exit 0")
        self.command("apt-get", "echo 'apt-get was run' >&2; exit 1")
        code, _, told = self.run_it("build")
        self.assertEqual(code, 1)
        self.assertRegex(told, r"\Ainstall.sh: rustc 1.63.0 is too old: Rust [\d.]+ or newer is needed: rustup toolchain .*\n\Z")

    def test_a_system_that_is_no_debian_is_told_what_is_needed(self):
        for name in ("bash", "sed", "dirname", "cat"):
            (self.where / name).symlink_to(shutil.which(name))
        code, said, told = self.run_it("build", path=str(self.where))
        self.assertEqual((code, said), (0, ""), told)
        self.assertRegex(told, r"\Ainstall.sh: no dpkg here, so nothing is installed; needed are [^\n]*libclang-dev[^\n]*\n\Z")
        self.assertIn("Rust 1.", told)


if __name__ == "__main__":
    unittest.main()
