# Each target is one line a newcomer can guess. `make` alone lists them.
CARGO ?= cargo
PREFIX ?= /usr/local
DESTDIR ?=
PATH := $(PATH):/usr/sbin:/sbin
export PATH PREFIX DESTDIR

.DEFAULT_GOAL := help
.PHONY: help run build check test soak test-containers conformance cross-check lint supply audit sbom reproduce fuzz bench bench-peers bench-profile install install-dropin uninstall clean

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /  make \1\t/p' $(MAKEFILE_LIST) | expand -t 20

run: build ## watch it work: a victim, attackers, real log lines, real nftables rules, in namespaces of its own
	@tools/need.sh nft=nftables ip=iproute2 socat=socat unshare=util-linux
	@examples/first-look/run.sh target/release/stockade

build: ## build the release program: target/release/stockade
	@tools/need.sh cc=build-essential
	$(CARGO) build --release --locked

check: build ## check the configuration in /etc/stockade
	target/release/stockade check

test: ## everything that proves it: units, every jail's lines, properties, stories in namespaces
	@tools/need.sh cc=build-essential nft=nftables ip=iproute2 socat=socat unshare=util-linux
	$(CARGO) test --locked --features faults

soak: ## MINUTES (10) of kills in storms and of rotations under load, then faults, then `make fuzz`, 10 minutes a target; SEED begins with a seed
	@tools/need.sh cc=build-essential nft=nftables ip=iproute2 socat=socat unshare=util-linux
	STOCKADE_SOAK=$(or $(MINUTES),10) $(if $(SEED),STOCKADE_SEED=$(SEED)) \
		$(CARGO) test --locked --features faults --test integration -- --nocapture --test-threads=1 soak:: faults::
	@$(MAKE) fuzz SECONDS=$(or $(SECONDS),600)

fuzz: ## each target of fuzz/ for SECONDS (60), then the laws of the matchers with FUZZ (100) times as many random cases
	@tools/need.sh cc=build-essential c++=build-essential
	@tools/fuzz.sh $(or $(SECONDS),60)
	STOCKADE_FUZZ=$(or $(FUZZ),100) $(CARGO) test --locked --features faults --lib -- filter::prefilter filter::matcher filter::fail2ban::tests::laws

test-containers: build ## a real mail server in containers of its own engine, attacked for real; needs root on Debian
	@integration/containers/run.sh target/release/stockade

conformance: build ## compare with results of a real Fail2Ban, where they lie beside the project
	@tools/need.sh python3=python3
	@tools/conformance.sh target/release/stockade

cross-check: build ## whether the program runs on Debian 12's C library, and compiles for arm64
	@tools/need.sh objdump=binutils
	@tools/glibc.sh target/release/stockade
	@tools/cross.sh

lint: ## formatting, clippy, documentation, scripts
	$(CARGO) fmt --all -- --check
	$(CARGO) clippy --locked --all-targets --features faults -- -D warnings
	$(CARGO) clippy --locked --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --locked --no-deps
	@find .ci/run tools packaging examples integration -type f \( -name run -o -name '*.sh' \) -exec tools/syntax.sh {} +

supply: ## dependencies: licences, sources, banned versions; known holes where their database can be had
	@tools/need.sh cc=build-essential
	@tools/supply.sh check

audit: ## the same, and known holes must have been looked for: needs a network
	@tools/need.sh cc=build-essential
	@tools/supply.sh audit

sbom: ## every crate of the program, in CycloneDX: target/stockade.cdx.json
	@tools/need.sh cc=build-essential
	@tools/supply.sh sbom

reproduce: ## build the release program of the last commit twice, in two folders: the same bytes, with their digest
	@tools/need.sh cc=build-essential
	@tools/reproduce.sh

bench: ## what each stage of a line's and a ban's way costs, in a table
	@tools/need.sh cc=build-essential python3=python3
	$(CARGO) bench --locked --bench stages > target/bench.txt
	@tools/bench.py < target/bench.txt

bench-peers: build ## this program and its peers on the same logs, in namespaces; as root, with ../shared/bench beside it
	@tools/need.sh python3=python3 nft=nftables ip=iproute2 nsenter=util-linux
	@tools/peers.py target/release/stockade

bench-profile: ## where a line's time goes, from perf's samples; as root, with ../shared/bench beside it
	@tools/need.sh python3=python3 nft=nftables ip=iproute2 nsenter=util-linux perf=linux-perf
	RUSTFLAGS="-C force-frame-pointers=yes" $(CARGO) build --locked --profile profiling
	@tools/breakdown.py target/profiling/stockade

install: build ## install program, unit, man pages, completions below PREFIX
	packaging/install.sh install

install-dropin: build ## the same, in the place of Fail2Ban's programs; /etc/fail2ban stays as it is
	packaging/install.sh install-dropin

uninstall: ## remove exactly what was installed, and give Fail2Ban its places back
	packaging/install.sh uninstall

clean: ## remove what was built
	$(CARGO) clean
