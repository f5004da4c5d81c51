# make demo   build and watch a stampede, then look around in the browser
# make test   everything that must hold before a change lands
# make check  vet, staticcheck, gofmt
# make bench  one interleaved run of ratios (about three minutes)

GO      ?= go
BIN     := bin/penstock
STATIC  := honnef.co/go/tools/cmd/staticcheck@v0.8.2
COMMIT  := $(shell git rev-parse --short=12 HEAD 2>/dev/null)

export CGO_ENABLED ?= 0

.PHONY: demo build test bench check

demo: build
	$(BIN) demo

build:
	$(GO) build -trimpath -o $(BIN) ./cmd/penstock

test: build
	$(GO) run ./internal/house/testrun

bench: build
	BENCH_COMMIT=$(COMMIT) $(GO) run ./bench -binary $(BIN)

check:
	$(GO) vet ./...
	$(GO) run $(STATIC) ./...
	@unformatted=$$(git ls-files '*.go' | xargs gofmt -l); \
	if [ -n "$$unformatted" ]; then echo "gofmt -w these: $$unformatted"; exit 1; fi
