# One command each. `make demo` and `make test` do all their own set-up on a
# machine with Go and the network.
GO ?= go
FUZZTIME ?= 10s

.PHONY: build test tools lint fuzz bench demo rules torture

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
	$(GO) test -run '^$$' -bench . ./...

demo: build
	bin/weir demo

rules: build
	bin/weir rules check
	bin/weir rules test

# Long campaigns: more seeds for the laws, an hour of fuzzing.
torture:
	WEIR_SEEDS=200 $(GO) test -count=1 -timeout 2h ./pipeline
	WEIR_TORTURE=1 $(GO) test -count=1 -run NeverMeets ./emit
	$(MAKE) --no-print-directory fuzz FUZZTIME=5m
