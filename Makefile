# make demo   build and watch a stampede, then look around in the browser
# make web    build the pages (needs Node 20 and npm), which the next build takes into the binary
# make test   everything that must hold before a change lands; ONLY=web,browser runs those groups
# make screenshots   the pictures of docs/tour.md, from the browser tests
# make check  vet, staticcheck, gofmt
# make soak   every fault on real engines, several times, and storms on six processes (an hour); writes docs/resilience.md
# make bench  one interleaved run of ratios (about eight minutes); BENCH="-only embedded" runs a part, BENCH=-help names them

GO      ?= go
BIN     := bin/penstock
STATIC  := honnef.co/go/tools/cmd/staticcheck@v0.8.2
COMMIT  := $(shell git rev-parse --short=12 HEAD 2>/dev/null)

export CGO_ENABLED ?= 0

.PHONY: demo build web faces test soak bench check screenshots

demo: faces build
	$(BIN) demo

build:
	$(GO) build -trimpath -o $(BIN) ./cmd/penstock

web:
	cd web && npm ci --no-audit --no-fund && npm run build

# The binary is good without its pages: Go never needs Node.
faces:
	@if command -v npm >/dev/null; then \
		cd web && { [ node_modules/.package-lock.json -nt package-lock.json ] || npm ci --no-audit --no-fund; } && npm run build --silent; \
	else \
		echo "npm is not installed: the demo runs without the shop and the console (install Node 20 or newer for them)"; \
	fi

test: build
	$(GO) run ./internal/house/testrun $(if $(ONLY),-only $(ONLY))

screenshots:
	scripts/screenshots

SOAK ?= 3

soak: build
	mkdir -p bin && rm -f bin/resilience.ndjson
	OVERLOAD=full $(GO) test ./test/overload -count=1 -v -timeout 1h
	HOSTILE=100000 $(GO) test ./test/hostile -count=1 -v -timeout 1h
	RACES=1000 $(GO) test ./order/payment/races -count=1 -v -timeout 1h
	MESSAGES=100000 $(GO) test ./bus/messagetest -run TestStorm -count=1 -v -timeout 1h
	CLUSTER_SEEDS=5 $(GO) test ./test/cluster -run TestStorm -count=1 -v -timeout 1h
	$(GO) test ./test/resilience -count=1 -v -timeout 4h -soak $(SOAK) -results $(CURDIR)/bin/resilience.ndjson -update

bench: build
	BENCH_COMMIT=$(COMMIT) $(GO) run ./bench -binary $(BIN) $(BENCH)

check:
	$(GO) vet ./...
	$(GO) run $(STATIC) ./...
	@unformatted=$$(git ls-files '*.go' | xargs gofmt -l); \
	if [ -n "$$unformatted" ]; then echo "gofmt -w these: $$unformatted"; exit 1; fi
