# One command each. `make demo` and `make test` do all their own set-up on a
# machine with Go and the network.
GO ?= go
FUZZTIME ?= 5s

.PHONY: build test tools lint fuzz bench demo rules score score-document score-robust race torture

build:
	CGO_ENABLED=0 $(GO) build -trimpath -o bin/weir ./cmd/weir

# What the tests run against: proxies and log-in guessers from the distribution,
# and the jars of a real Kafka, fetched once into the user's cache directory.
tools:
	scripts/tools.sh
	$(GO) run ./internal/kafkatest/fetch > /dev/null

# What the tests measured stands in .figures, and is printed behind them. Go sees
# that this file has changed since: a package that writes there is always run.
test: build tools
	$(GO) vet ./...
	@: > .figures
	WEIR_FIGURES=$(CURDIR)/.figures $(GO) test ./... || { cat .figures; exit 1; }
	@echo; echo "What was measured:"; cat .figures; echo
	bin/weir rules check
	bin/weir rules test
	$(MAKE) --no-print-directory fuzz FUZZTIME=$(FUZZTIME)

# Every fuzz target of the tree, FUZZTIME each. Go fuzzes one target at a time.
# On a busy machine Go's fuzzer sometimes reports its own deadline as a failure;
# one that it found in the code comes with the input that failed.
fuzz:
	@set -e; for dir in $$(grep -rl --include='*_test.go' '^func Fuzz' . | xargs -n1 dirname | sort -u); do \
		for target in $$(grep -h -o '^func Fuzz[A-Za-z0-9_]*' $$dir/*_test.go | cut -c6-); do \
			echo "fuzz $$dir $$target"; \
			$(GO) test $$dir -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 10x > .fuzz.log 2>&1 || \
			if grep -q 'context deadline exceeded' .fuzz.log && ! grep -q 'Failing input\|panic' .fuzz.log; then \
				echo "  (its own deadline passed)"; \
			else cat .fuzz.log; exit 1; fi; \
		done; done; rm -f .fuzz.log

lint:
	$(GO) run github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0 run ./...

# Whole processes on generated logs, then the benchmarks of the parts. gawk is
# for comparison: apt-get install gawk. It fails where a topic is read slower
# than it must be; the machine should have nothing else to do.
bench: build
	$(GO) run ./internal/bench
	$(GO) run ./internal/bench -flood 10
	$(GO) run ./internal/bench -kafka
	$(GO) run ./internal/bench -million
	$(GO) run ./internal/bench -keys
	$(GO) run ./internal/bench -archive
	$(GO) run ./internal/bench -budget
	$(GO) test -run '^$$' -bench . ./...
	$(GO) run ./internal/bench -state
	$(GO) run ./internal/bench -soak -lines 30000000

demo: build
	bin/weir demo

rules: build
	bin/weir rules check
	bin/weir rules test

# What the rules catch and whom they hurt, on some of the seeds; fails where a
# figure is worse than docs/detection.json says.
score: build
	$(GO) run ./internal/scoring -parts campaigns -seeds 3
	$(GO) run ./internal/scoring -parts variants,reacting -seeds 1

# All seeds; writes the tables of docs/DETECTION.md. ACCEPT=-accept where worse
# is meant.
score-document: build
	$(GO) run ./internal/scoring -parts campaigns,variants,reacting -write $(ACCEPT)

score-robust: build
	$(GO) run ./internal/scoring -parts robust -write $(ACCEPT)

# Every test under the race detector: an hour on two processors.
race: build tools
	$(GO) test -race -timeout 2h ./...

# Long campaigns, hours each: every test under the race detector; more seeds for
# the laws; kills, damage, power cuts and reloads of the whole program (root, for
# its disks); an hour of fuzzing.
torture: build tools
	$(MAKE) --no-print-directory race
	WEIR_SEEDS=200 $(GO) test -count=1 -timeout 4h ./pipeline
	WEIR_SEEDS=50 $(GO) test -count=1 -timeout 1h -run AStoreHolds ./state
	WEIR_TORTURE=200 $(GO) test -count=1 -timeout 1h -run AfterEveryKill ./state
	WEIR_TORTURE=1 $(GO) test -count=1 -run NeverMeets ./emit
	WEIR_TORTURE=1 $(GO) test -count=1 -timeout 1h -run 'EveryThreshold|AreBoundedInARun' ./cmd/weir
	$(GO) run ./internal/scoring -parts robust
	WEIR_TORTURE=1 WEIR_KILLS=200 WEIR_BROKER_KILLS=20 WEIR_DAMAGES=1000 WEIR_POWER_CUTS=20 WEIR_STOPS=100 WEIR_RELOADS=100 \
		$(GO) test -count=1 -timeout 3h -v ./internal/torture
	$(MAKE) --no-print-directory fuzz FUZZTIME=5m
