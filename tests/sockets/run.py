"""Programs with sockets through lmd: a line for each test, and `N passed, N failed` last.

    run.py [--only TEXT]...      only tests whose name contains one of these texts
"""

import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "e2e"))

import run  # noqa: E402  (beside e2e's tests)

MODULES = ("test_refused", "test_odd_frames", "test_memif", "test_veth", "test_tcp", "test_path", "test_loss",
           "test_faults", "test_programs", "test_sockperf", "test_dds", "test_groups", "test_ssh", "test_systemd")

if __name__ == "__main__":
    sys.exit(run.main(HERE, MODULES))
