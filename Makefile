# SPDX-License-Identifier: Apache-2.0
# make demo   the main job on three real hosts on this machine (root)
# make test   unit tests, one integration test of each kind, torture
SWIFT ?= swift
PACKAGES = libvirt-daemon-system libvirt-daemon-driver-qemu libvirt-clients libvirt-dev libxml2-dev pkg-config \
	qemu-system-x86 qemu-utils qemu-block-extra strongswan-charon strongswan-swanctl \
	libstrongswan-standard-plugins libstrongswan-extra-plugins libcharon-extra-plugins \
	tgt tcpdump nftables iproute2 util-linux busybox-static gcc libc6-dev openssl openssh-server openssh-client

# Seeds of `make torture`; SEED is the first. `make fault-matrix` has its own number of runs.
RUNS ?= $(if $(filter fault-matrix,$(MAKECMDGOALS)),10,10000)
SEED ?= 1
# Number of the first cell of `make fault-matrix` among the cells of SEED.
FIRST ?= 1

.PHONY: demo soak fault-matrix test test-all unit-tests test-kernel-esp test-nfs check build release packages lint format \
	torture compare bench-simulation bench-planner bench-ledger bench-channels lab-down clean help

help:
	@sed -n 's/^# make/make/p' Makefile

# Shows the main job; the report lands in lab-report/. Options: make demo DEMO='--guests 8'
demo: build
	.build/debug/evenkeel-lab demo $(DEMO)

# make fault-matrix  real faults in the middle of moves, in the lab (root; options: RUNS=20 FIRST=1 SEED=1 FAULTS='--json')
# A cell takes one to five minutes. Report and evidence land in fault-report/; runs of one version and seed add up there.
fault-matrix: build
	.build/debug/evenkeel-lab faults --runs $(RUNS) --first $(FIRST) --seed $(SEED) $(FAULTS)

# make check  what CI runs: formatting, purity, build with warnings as errors, make test
check: lint test

# Tests of the pure cores, of what waits in real time (the agent's shell, locks), of the ledger (which writes much), and
# of what needs daemons.
CORE_TESTS = ^(FleetTests|BalancingTests|CoordinationTests|SimulationTests)\.
SHELL_TESTS = ^(HostAgentTests\.|LedgerTests\.SharedLogFaultTests)
LEDGER_TESTS = ^LedgerTests\.
INTEGRATION_TESTS = ^IntegrationTests\.
# One integration test of each kind: the main job, a move over every channel, attacks on the ledger, the mesh, the lab,
# the five most important faults, and a short soak.
REPRESENTATIVE = ^IntegrationTests\.(MainJobTests/.*(relieved by itself|killed mid move|tunnel lost)|ChannelTests|LedgerAttackTests|RealMeshTests|LabUpDownTests|FaultMatrixTests|SoakTests)

test: unit-tests
	stdbuf -oL $(SWIFT) test --skip-build --no-parallel --filter '$(REPRESENTATIVE)'
	@echo "== 300 torture seeds"
	.build/debug/evenkeel simulate --torture 300

# make unit-tests  every test that needs no daemons, in parallel
unit-tests: packages
	$(SWIFT) build --build-tests --explicit-target-dependency-import-check error
	stdbuf -oL $(SWIFT) test --skip-build --filter '$(CORE_TESTS)'
	stdbuf -oL $(SWIFT) test --skip-build --filter '$(SHELL_TESTS)'
	stdbuf -oL $(SWIFT) test --skip-build --filter '$(LEDGER_TESTS)' --skip '$(SHELL_TESTS)'
	stdbuf -oL $(SWIFT) test --skip-build --skip '$(CORE_TESTS)' --skip '$(SHELL_TESTS)' --skip '$(LEDGER_TESTS)' --skip '$(INTEGRATION_TESTS)'

# make test-all  every test, 2,000 torture seeds, and a few tests of the mesh with ESP in a kernel
# The tests compare the release program's event logs with the debug build's. The kernel runs in an emulated guest.
test-all: release unit-tests
	stdbuf -oL $(SWIFT) test --skip-build --no-parallel --filter '$(INTEGRATION_TESTS)'
	@echo "== 2,000 torture seeds, with the release program"
	.build/release/evenkeel simulate --torture 2000
	@echo "== with ESP in a kernel, in an emulated guest"
	@Scripts/test-kernel-esp "$(KERNEL_ESP)" || { [ $$? -eq 77 ] && echo "== skipped: there is no kernel for the guest"; }

# The IntegrationTests that only a kernel's ESP can pass; `make test-kernel-esp` runs all tests of the mesh.
KERNEL_ESP = memory of a QEMU guest|gets none of it in the clear

# make test-kernel-esp  the mesh with ESP in a kernel, in an emulated guest (an hour; make test-all runs a few of them)
# It boots Debian's kernel, 70 MB that are downloaded the first time. Options: make test-kernel-esp FILTER=RealMeshTests
FILTER ?= RealMeshTests
test-kernel-esp: packages
	$(SWIFT) build --build-tests --explicit-target-dependency-import-check error
	@Scripts/test-kernel-esp "$(FILTER)"

# make test-nfs  the ledger on a real NFSv4 server with two clients, in emulated machines (root, 10 to 20 min)
# It boots Debian's kernel. Options: make test-nfs CASES='append reboot'
# The programs are release builds, because emulated machines are slow.
test-nfs: release
	@Scripts/install-packages $(NFS_PACKAGES)
	$(SWIFT) build -c release --product ledger-writer
	$(SWIFT) build --build-tests
	@Scripts/test-nfs $(CASES) || { [ $$? -eq 77 ] && echo "== skipped: there is no kernel for the machines"; }
NFS_PACKAGES = nfs-kernel-server nfs-common qemu-system-x86 busybox-static e2fsprogs iproute2 util-linux jq procps

# make torture  random faults against every invariant (options: RUNS=100000 SEED=1)
# A seed that breaks an invariant is printed with the faults it needs.
torture: release
	.build/release/evenkeel simulate --torture $(RUNS) --seed $(SEED)

# make compare  every baseline next to Evenkeel, on traces and synthetic loads (options: TRACES='a.tar.gz b/' LOADS=bursty)
# The reports land in simulation-report/.
TRACES ?= $(wildcard ../shared/data/planetlab/*.tar.gz)
LOADS ?= diurnal bursty flash-crowd noisy-neighbour churn mixed
compare: release
	@mkdir -p simulation-report
	@for traces in $(TRACES); do name=$$(basename "$$traces" .tar.gz); \
		.build/release/evenkeel simulate --traces "$$traces" --baseline all --report "simulation-report/$$name.html" \
		> "simulation-report/$$name.txt" || exit 1; tail -n +3 "simulation-report/$$name.txt"; done
	@for load in $(LOADS); do \
		.build/release/evenkeel simulate --load "$$load" --hosts 40 --baseline all --report "simulation-report/$$load.html" \
		> "simulation-report/$$load.txt" || exit 1; tail -n +3 "simulation-report/$$load.txt"; done

# make bench-simulation  time and memory for 1,000 hosts over a day and 10,000 over an hour, compared with no policy
bench-simulation: release
	.build/release/evenkeel simulate --hosts 1000 --hours 24 --baseline nothing --jobs 1
	.build/release/evenkeel simulate --hosts 10000 --hours 1 --baseline nothing --jobs 1

# make soak  observes agents and controllers for an hour and over 100,000 samples; fails if anything grows (root, 2 h)
# The report lands in soak-report/. Options: make soak SOAK='--samples 20000 --real-time 10min'
soak: release
	$(SWIFT) build -c release --product evenkeel-lab
	.build/release/evenkeel-lab soak --report soak-report $(SOAK)

# make release  the programs for production hosts, in .build/release
# One product at a time: TestSupport does not compile without testability.
release: packages
	$(SWIFT) build -c release --product evenkeel
	$(SWIFT) build -c release --product evenkeel-agent

# make build  all programs, in .build/debug
build: packages
	$(SWIFT) build

# Installs what Debian packages are missing. Their services are not started: the lab runs daemons of its own.
packages:
	@Scripts/install-packages $(PACKAGES)

# make lint   formatting, and no Foundation, Glibc or clock in the pure targets
lint:
	$(SWIFT) format lint --strict --recursive --parallel Sources Tests Benchmarks Package.swift
	@Scripts/check-purity Sources/Fleet Sources/Balancing Sources/Coordination Sources/Simulation

format:
	$(SWIFT) format --in-place --recursive --parallel Sources Tests Benchmarks Package.swift

# make bench-planner  plans fleets of 20 to 10,000 hosts, compared with hbal if Debian's ganeti-htools is installed
bench-planner:
	$(SWIFT) build -c release --product planner-bench
	stdbuf -oL .build/release/planner-bench $(BENCH)

# make bench-ledger  how long status and an agent take to start on a week of 50 hosts with 30 VMs each (a few minutes)
# It writes about 400 MB to LEDGER, a new folder: on tmpfs by default. Options: make bench-ledger LEDGER=/mnt/x/bench
LEDGER ?= /dev/shm/evenkeel-bench
bench-ledger:
	$(SWIFT) build -c release --product ledger-writer
	$(SWIFT) build -c release --product evenkeel
	@test ! -e "$(LEDGER)" || { echo "$(LEDGER) exists; remove it, or choose another folder"; exit 1; }
	.build/release/ledger-writer history "$(LEDGER)" 50 30 .build/release/evenkeel
	rm -rf "$(LEDGER)" "$(LEDGER).identity"

# make bench-channels  every channel compared with plain and bulk transfers, in the lab (root; options: MOVES=5 LINK=1000)
# LINK is in Mbit/s. The report lands in channel-report/.
MOVES ?= 3
bench-channels: packages
	$(SWIFT) build -c release --product evenkeel
	$(SWIFT) build -c release --product evenkeel-agent
	$(SWIFT) build -c release --product evenkeel-lab
	.build/release/evenkeel-lab compare --moves $(MOVES) $(if $(LINK),--link $(LINK)) --report channel-report

# make lab-down  takes down whatever a lab left behind
lab-down:
	.build/debug/evenkeel-lab down

clean:
	$(SWIFT) package clean
