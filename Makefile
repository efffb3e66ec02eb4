# `make` alone prints what there is. Only Go is needed for `make build`; `make tools` installs the rest.
SHELL   := /bin/bash
PREFIX  ?= $(CURDIR)/bin
VMPKGS  ?= $(sort $(dir $(wildcard $(foreach p,probe agent cgroup,./internal/$(p)/*_test.go))))
OBJDIR  ?= catalogue/obj
OBJECTS := $(patsubst catalogue/%.bpf.c,$(OBJDIR)/%.o,$(wildcard catalogue/*.bpf.c))
# Other majors of clang give other bytes, and the committed objects are compared byte by byte.
CLANG   ?= clang-14
STRIP   ?= llvm-strip-14
# No -D__TARGET_ARCH_*: an object that needs it would not be the same file for amd64 and arm64.
BPF     := -target bpfel -mcpu=v3 -g -O2 -Wall -Werror -ffile-prefix-map=$(CURDIR)=. -Icatalogue -idirafter /usr/include/$(shell uname -m)-linux-gnu
# One set of flags for build, vet, test and VM binaries, so that they share compiled packages.
export CGO_ENABLED := 0
export GOFLAGS     := $(sort $(shell go env GOFLAGS 2>/dev/null) -trimpath -tags=grpcnotrace)
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
# Whatever has a line in the help.
.PHONY: FORCE $(shell sed -n 's/^\([a-z-]*\):.*\#\# .*/\1/p' $(firstword $(MAKEFILE_LIST)))

help: ## Print this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "%-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

build: ## Build bin/viperprobe and bin/viperprobe-agent (needs only Go)
	go build -o $(PREFIX)/ ./cmd/...

run: build ## Build, then start ViperProbe; a small workload too with DEMO=1, or where no container runs
	exec $(PREFIX)/viperprobe run --demo=$(if $(DEMO),on,auto)

test: ## Install what tests need, then run every check but the heavy stacks (root)
	test/steps.sh tools lint gen-check build cross unit vm

lint: ## Check formatting; vet, staticcheck, shellcheck
	@bad=$$(gofmt -l $$(git ls-files -co --exclude-standard '*.go')); [ -z "$$bad" ] || { echo "not formatted (run gofmt -w): $$bad"; exit 1; }
	go vet ./... && go vet -tags vm ./internal/...
	go tool staticcheck ./... && go tool staticcheck -tags vm ./internal/...
	shellcheck -x -P SCRIPTDIR -S warning $(wildcard test/*.sh test/*/*.sh examples/*.sh) .ci/run

gen: $(OBJECTS) ## Compile catalogue/*.bpf.c into catalogue/obj

# The loader wants type information (.BTF) and nothing of DWARF, which holds paths and most of the size.
$(OBJDIR)/%.o: catalogue/%.bpf.c $(wildcard catalogue/*.h) FORCE
	@$(CLANG) --version | grep -q 'clang version 14\.' || { echo "$(CLANG) is not clang 14: run make tools"; exit 1; }
	@mkdir -p $(@D)
	$(CLANG) $(BPF) -c $< -o $@
	$(STRIP) -g $@
	@readelf -SW $@ | grep -q ' \.BTF ' || { echo "$@ lost its type information"; exit 1; }

gen-check: ## Compile the objects again and compare them with the committed ones
	@rm -rf .cache/obj && mkdir -p .cache/obj && $(MAKE) --no-print-directory gen OBJDIR=.cache/obj
	@[ ! -d catalogue ] || diff -r -x '.*' .cache/obj catalogue/obj || { echo "catalogue/obj is not what catalogue/*.bpf.c compiles to: run make gen and commit"; exit 1; }

unit: ## Run all Go tests on this kernel, with the race detector, in random order
	MATRIX=1 test/unit.sh

vm: ## Run the kernel tests on Debian's 6.1 and 6.12 (VMPKGS="./internal/x", VMFLAGS="-k 6.1")
	MATRIX=$(if $(VMFLAGS)$(filter command,$(word 1,$(origin VMPKGS))),,1) test/vm.sh $(VMFLAGS) $(VMPKGS)

churn: build ## Check that the agent accounts for 1,100 containers of 100 ms, exactly (root)
	go run ./test/churn -agent $(PREFIX)/viperprobe-agent

oracle: oracle-kernel oracle-analysis ## Both comparisons below (root)

oracle-kernel: build ## Compare real Redis, nginx and fio with /proc, cgroup files, bpftrace and the tools' own counts (root)
	go run ./test/oracle -agent $(PREFIX)/viperprobe-agent

oracle-analysis: ## Compare the mathematics with tslearn, statsmodels, SciPy and scikit-learn on new input (SEED=2), and UCR Trace
	test/bench-analysis/python.sh
	mkdir -p .cache/vectors
	.cache/oracle/bin/python internal/analysis/testdata/oracle.py .cache/vectors $(or $(SEED),1)
	.cache/oracle/bin/python test/bench-analysis/trace.py
	go test -count=1 -tags 'grpcnotrace oracle' -run Oracle -v ./internal/analysis

bench: build ## Print what ViperProbe costs, as tables; on a quiet machine (root; PEERS=1 for cAdvisor and netdata too; BENCH="-only storm -rounds 3")
	$(if $(PEERS),test/bench/peers.sh) go run ./test/bench -agent $(PREFIX)/viperprobe-agent -viperprobe $(PREFIX)/viperprobe $(BENCH)

bench-analysis: ## Print what k-Shape takes beside tslearn's, how it grows, and what all algorithms take on 2,000 series; on a quiet machine
	test/bench-analysis/python.sh
	go run ./test/bench-analysis
	go run ./test/bench-analysis -growth
	go run ./test/bench-analysis -whole

planted: ## Print what each algorithm finds of planted causes (15 minutes; PLANTED="-seeds 5")
	go run ./test/bench-analysis -planted $(PLANTED)

bench-governor: ## Draw how a budget is kept in a storm of context switches: docs/img/governor.svg (root; 2 minutes; GOVERNOR="-cpu 3")
	go run ./test/governor $(GOVERNOR)

bench-sampling: ## Print what sampling saves and what its estimates are worth; on a quiet machine (root; BENCH="-only cost -rounds 5")
	go run ./test/bench-sampling -picture docs/img/sampling.svg $(BENCH)

prices: ## Measure what an event of each family costs, into catalogue/prices.csv; on a quiet machine (root)
	go test ./internal/probe -run xxx -bench Prices -benchtime 1x -prices ../../catalogue/prices.csv
	go test ./internal/agent -run xxx -bench FilePrices -benchtime 1x -prices ../../catalogue/prices.csv

bench-overhead: build ## Print what nginx, Redis, PostgreSQL and Envoy lose beside ViperProbe and others; on a quiet machine (root; PEERS=1; BENCH="-classes -rounds N -load SECONDS")
	test/bench/overhead.sh $(if $(PEERS),test/bench/peers.sh) go run ./test/bench -agent $(PREFIX)/viperprobe-agent -only loads,tools -picture docs/img/overhead.svg $(BENCH)

tools: ## Install the Debian packages that tests need, and only what is missing (root)
	@test/tools.sh

cross: ## Build for arm64 (compiled only: nothing here runs it)
	GOARCH=arm64 go build -o $(PREFIX)/arm64/ ./cmd/...
	@echo "arm64: built with the same little-endian objects, UNVERIFIED: never run on an arm64 kernel"

clean: ## Remove what was built and cached (kernels too)
	rm -rf bin .cache
