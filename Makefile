# One door: `make demo`, `make test`, `make soak`, `make bench`, `make lint`. Each sets up what it needs by itself.
.DEFAULT_GOAL := help
.PHONY: help setup demo demo-guard demo-exit demo-nodeos test soak test-rules bench deb lint fmt

CARGO ?= cargo

help: ## show this
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 14

setup: ## install Prometheus, Alertmanager and the few tools the tests use (Debian), when missing
	@scripts/setup.sh

demo: setup ## a simulated chain, two nodes, real Prometheus and Alertmanager; the primary crashes; Ctrl-C ends it
	$(CARGO) run --locked -- demo $(ARGS)

demo-exit: setup ## the same, and end: exit code 0 only if the standby produced
	$(CARGO) run --locked -- demo --exit $(ARGS)

demo-guard: ## the same without Prometheus: the guard does it alone
	$(CARGO) run --locked -- demo --no-prometheus $(ARGS)

demo-nodeos: setup ## the same on a real Antelope network: three nodes, one is killed (about four minutes)
	$(CARGO) run --locked -- demo --nodeos target/nodeos/current $(ARGS)

# Two threads for each processor: stories on real Prometheus, Alertmanager and nodeos mostly wait.
test: setup ## every test (TESTS=name picks some)
	RUST_TEST_THREADS=$${RUST_TEST_THREADS:-$$(($$(nproc) * 2))} $(CARGO) test --locked $(TESTS)
	@scripts/nodeos.sh verdict

# Not part of `make test`, which plays four of the rows.
soak: setup ## every row of docs/incident-matrix.md, on the whole stack, and its figures (about twenty minutes; ROWS=word picks some)
	SLOTKEEPER_SOAK=1 ROWS="$(ROWS)" $(CARGO) test --locked --test it incidents::each -- --nocapture

test-rules: setup ## the alert rules, runbooks, scrape config, routing and dashboards only
	promtool check rules --lint=all --lint-fatal deploy/prometheus/rules/*.yml
	promtool check config deploy/prometheus/prometheus.yml
	promtool check config deploy/prometheus/prometheus-relaxed.yml
	promtool test rules deploy/prometheus/tests/*.yml
	amtool check-config deploy/alertmanager/alertmanager.yml deploy/alertmanager/alertmanager-relaxed.yml
	$(CARGO) test --locked --test it deploy::

bench: ## the figures of docs/benchmarks.md, on this machine (ARGS="-- quick": fewer samples; "-- --json")
	$(CARGO) bench --locked $(ARGS)

deb: ## the Debian package, in target/debian (release build)
	@scripts/deb.sh $(ARGS)

lint: ## formatting, clippy, documentation, house rules; warnings are errors
	@$(CARGO) fmt --version >/dev/null 2>&1 && $(CARGO) clippy --version >/dev/null 2>&1 || rustup component add rustfmt clippy
	$(CARGO) fmt --check
	$(CARGO) clippy --all-targets --locked -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --no-deps --locked
	$(CARGO) test --locked --test it tidy

fmt: ## format
	$(CARGO) fmt
