# make demo   runs the main job in the lab: release, switch, roll back, under load
# make test   runs all tests, those with real servers in the lab included
#
# Both do their whole set-up on a Debian machine: Go, Docker, and Debian's tools where missing.

export PATH := /usr/local/go/bin:$(PATH)
E2E_TIMEOUT ?= 40m
FUZZTIME    ?= 10s

.PHONY: help build setup test test-fast test-e2e demo demo-proleads demo-fantasyreality lint bench fuzz golden proto sizes kills torture clean

help:
	@sed -n 's/^# //p' Makefile; grep -E '^[a-z0-9-]+:.*##' Makefile | sed -E 's/:.*## /\t/' | expand -t 14

build: ## the program, into bin/
	@mkdir -p bin
	go build -trimpath -o bin/cloudship ./cmd/cloudship

setup: ## what tests and demo need on this machine
	@scripts/setup

test: setup ## everything
	scripts/test

test-fast: ## what needs no servers; kills at some calls only
	go test -race ./...

test-e2e: setup ## the lab's real servers
	go test -tags e2e -count=1 -timeout $(E2E_TIMEOUT) ./e2e/...

kills: ## kills at every call, on paper; half an hour
	CLOUDSHIP_KILLS=all go test -count=1 -timeout 2h ./e2e/kill

torture: setup ## kills at every moment on real servers, and many lives with lost answers; an hour
	CLOUDSHIP_TORTURE=all go test -tags e2e -count=1 -timeout 12h -run Kill ./e2e/...

demo: setup build ## release, switch and roll back under load, in the lab
	go run ./e2e/demo

PROVIDER ?= rackspace

demo-proleads: setup build ## ProLeads' story; PROVIDER=digitalocean tells it there
	go run ./e2e/demo -story proleads -provider $(PROVIDER)

demo-fantasyreality: setup build ## one small droplet: updates in place under load, backup and restore
	go run ./e2e/demo -story fantasyreality -rate 50

lint: ## gofmt, vet, staticcheck
	scripts/lint

bench: ## benchmarks, and the fleet's table of times and calls
	go test -run '^$$' -bench . -benchmem ./...

fuzz: ## each fuzz target for FUZZTIME
	scripts/fuzz $(FUZZTIME)

golden: ## rewrite expected outputs; read the diff
	go test ./plan/... ./stack/... ./template/... ./cmd/... -update

proto: ## the provider protocol's Go code
	go generate ./plugins/...

sizes: ## longest files and functions, to talk about
	scripts/sizes

clean:
	rm -rf bin
