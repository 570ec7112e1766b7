# Two commands on a fresh machine: `make demo` and `make test`. Everything else is a part of them.
SHELL := /bin/bash
.DEFAULT_GOAL := help
CARGO ?= cargo
# Seconds that the fuzz harness runs, and where its random numbers begin: CI must not fail by luck, so it
# repeats one sequence; another number looks elsewhere.
FUZZ_SECONDS ?= 20
FUZZ_SEED ?= 1
# The same for property tests.
export PROPTEST_RNG_SEED ?= 1

# What `make test` consists of, in this order. tests/README.md says what each is.
TEST_STEPS := setup-test hugepages lint pure unit c miri model e2e sockets lab fuzz bench-short measure-short matrix-short packages-short

.PHONY: $(TEST_STEPS:%=step-%) begin-steps book
.PHONY: c install uninstall packages
.PHONY: matrix matrix-short
.PHONY: sockets
.PHONY: help setup setup-test setup-lab hugepages build demo test lint unit pure vdev e2e lab mutants core-mutants fuzz model bench bench-c bench-short measure measure-short profile doc clean miri sbom

help: ## This list
	@grep -E '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

setup: ## Install what is missing to build and run (Debian packages)
	@tests/scripts/install.sh build

setup-test: setup ## And what the tests need beyond that
	@tests/scripts/install.sh test

setup-lab: setup ## And what the laboratory of emulated cards needs: QEMU, busybox
	@tests/scripts/install.sh lab

hugepages: ## Reserve 2 MiB hugepages if the machine lets us
	@tests/scripts/hugepages.sh

build: setup ## Build lm-testpmd, lm-netpipe and lmd
	$(CARGO) build --release --locked -p lm-apps

demo: setup hugepages ## A minute: kernel UDP, rte_ip_frag, copying and LM, in a table and a picture (target/demo.svg)
	$(CARGO) build --release --locked -p lm-apps --bin lm-testpmd --bin lm-netpipe
	@tests/scripts/demo.sh

# What needs tshark or dpdk-testpmd must not pass for want of it.
test: export LM_TOOLS = must
test: $(TEST_STEPS:%=step-%) ## Everything that CI runs, and how long each step takes
	@tests/scripts/step.sh --summary
	@echo "all tests passed"

# One step, timed: `make step-unit` is `make unit` and its seconds.
$(TEST_STEPS:%=step-%): step-%: | begin-steps
	+@MAKE="$(MAKE)" tests/scripts/step.sh $*

begin-steps:
	@tests/scripts/step.sh --begin

lint: setup ## Format, clippy, API documentation without warnings, documents, mutants that have gone stale, licences and advisories
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets --locked -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --workspace --no-deps --locked
	@/usr/bin/python3 -B tests/scripts/docs.py
	@tests/scripts/mutants.sh --check
	@tests/scripts/core-mutants.sh --check
	@tests/scripts/deny.sh
	@tests/scripts/unused.sh
	@meson-wrap/liblm/header.sh --check
	@$(CARGO) package --workspace --locked --allow-dirty --no-verify --quiet || \
		{ echo "once more, without asking the registry"; $(CARGO) package --workspace --locked --allow-dirty --no-verify --quiet --offline; }
	@tests/scripts/msrv.sh

sbom: setup ## What the programs are made of, as CycloneDX: target/sbom/lm.cdx.json
	@tests/scripts/sbom.py

pure: ## lm's core and ac, with DPDK hidden
	@tests/scripts/pure.sh

unit: setup ## Unit and in-process tests
	$(CARGO) test --workspace --locked

c: build setup-test ## liblm: cc, C++, Meson, CMake; examples, misuse, ASan, valgrind
	@tests/scripts/liblm.sh

install: setup ## liblm for C programs: PREFIX=/usr/local, DESTDIR=, LIBDIR=
	@meson-wrap/liblm/install.sh build
	@PREFIX="$(PREFIX)" DESTDIR="$(DESTDIR)" LIBDIR="$(LIBDIR)" meson-wrap/liblm/install.sh install

uninstall: ## Take it away again, from the same PREFIX
	@PREFIX="$(PREFIX)" DESTDIR="$(DESTDIR)" LIBDIR="$(LIBDIR)" meson-wrap/liblm/install.sh uninstall

packages: ## Debian packages (target/packages), built, installed, used and removed in a Debian 13 of its own
	@tests/scripts/packages.sh

# What of it is in `make test`: five minutes at most.
packages-short: setup
	@tests/scripts/packages.sh --if-possible --quick source build install

miri: ## lm's core and the protocol of returning slots under Miri, if there is a toolchain with it: five minutes at most
	@tests/scripts/miri.sh

vdev: setup ## The engine on virtual devices of one process
	$(CARGO) test --locked -p lm-engine --test vdev

e2e: build setup-test hugepages ## net_pcap, net_memif, net_tap: lm-testpmd against tshark, itself and the kernel
	@tests/scripts/e2e.sh

sockets: build setup-test hugepages ## Programs with sockets through lmd, in name spaces
	@tests/scripts/sockets.sh

lab: setup-lab ## e1000, e1000e and igb in emulated machines; SCENARIO=name, FULL=1, ICOUNT=1
	$(CARGO) build --release --locked -p lm-apps -p lm-cost
	@tests/scripts/lab.sh $(if $(FULL),--full) $(if $(ICOUNT),--icount) $(SCENARIO)

matrix: setup ## The tests on another Debian suite's DPDK: SUITE=trixie or sid; STEPS="build unit vdev demo e2e lab c"
	@tests/scripts/matrix.sh "$(SUITE)" $(STEPS)

# What of it is in `make test`: ten minutes at most.
matrix-short: setup
	@tests/scripts/matrix.sh --if-possible trixie build vdev demo

mutants: setup-lab ## Take each guard out and see its scenario fail: most of an hour; MUTANT=name
	@tests/scripts/mutants.sh $(MUTANT)

core-mutants: ## Take each guard of lm's core and of ac out and see its test fail; MUTANT=name
	@tests/scripts/core-mutants.sh $(MUTANT)

fuzz: ## The fuzz harness for FUZZ_SECONDS seconds
	$(CARGO) run --release --locked -p lm-fuzz -- --seconds $(FUZZ_SECONDS) --seed $(FUZZ_SEED)
	$(CARGO) run --release --locked -p lm-fuzz -- --ac --seconds $(FUZZ_SECONDS) --seed $(FUZZ_SEED)

model: ## Admission control under the model checker, and clusters in virtual time: bounds, states and a table are printed
	$(CARGO) test --release --locked -p ac --test model --test cluster -- --nocapture --test-threads 2

bench: build hugepages ## Admission control's calls and round trips; good and hostile frames; sums; the receive path, variants interleaved, to target/bench/receive.json; instructions of a poll; round trips with their marks
	$(CARGO) run --release --locked -p lm-bench --bin control
	@tests/scripts/grant-rtt.py
	$(CARGO) run --release --locked -p lm-bench --bin hostile
	$(CARGO) run --release --locked -p lm-bench --bin sums
	$(CARGO) run --release --locked -p lm-bench --bin receive
	@tests/scripts/polls.sh
	@tests/scripts/musts.sh

bench-short: build hugepages
	$(CARGO) run --release --locked -p lm-bench --bin control -- --rounds 500
	$(CARGO) run --release --locked -p lm-bench --bin hostile -- --rounds 3 --mtu 1500
	$(CARGO) run --release --locked -p lm-bench --bin sums -- --rounds 20
	$(CARGO) run --release --locked -p lm-bench --bin receive -- --rounds 12
	$(CARGO) run --release --locked -p lm-bench --bin receive -- --senders --rounds 5 --size 7168
	@tests/scripts/musts.sh --short

bench-c: build hugepages ## An echo in C beside one in Rust, over net_memif
	$(CARGO) build --release --locked -p lm-bench --bin mirror --bin answer
	@meson-wrap/liblm/install.sh build
	@tests/scripts/c-echo.sh
	@tests/scripts/c-cycles.sh

measure: build hugepages setup-test setup-lab ## lm-netpipe in all its places; writes docs/results
	$(CARGO) build --release --locked -p lm-apps -p lm-cost
	@tests/scripts/measure.sh

measure-short: build hugepages setup-test ## The same in a minute, to see that it works; writes target/measure
	@tests/scripts/measure.sh --short

profile: build hugepages ## Where a round trip's time goes, by perf; writes docs/results/profile.md
	@tests/scripts/install.sh profile
	@/usr/bin/python3 -B tests/e2e/profile.py

book: ## The documents as a book, by mdBook if it can be had: target/book/index.html
	@tests/scripts/book.sh

doc: setup ## API documentation
	$(CARGO) doc --workspace --no-deps --locked

clean: ## Remove what was built
	$(CARGO) clean
