# Two commands to begin with:
#
#   make demo     installs what is missing, builds, runs the main job on real programs
#   make test     installs what is missing, runs every test
#
# Both work as root, and as an ordinary user with sudo for the packages.

PREFIX  ?= /usr/local
DESTDIR ?=
SWIFT   := Scripts/swift
OURS    := Package.swift Sources Tests

.PHONY: demo test test-long build bench fuzz fmt lint install clean

demo: build
	@Scripts/set-up demo
	@Scripts/demo

test:
	@Scripts/test

test-long:
	@Scripts/test --long

# Leaves mesh-launch, mesh-sidecar, mesh-node and mesh in .build/release.
build:
	@Scripts/set-up build
	@Scripts/build

bench: build
	@Scripts/set-up bench
	@Tests/Benchmarks/run

fuzz:
	@Scripts/set-up build
	@Tests/Fuzz/run --long

fmt:
	@$(SWIFT) format --in-place --parallel --recursive $(OURS)

lint:
	@$(SWIFT) format lint --strict --parallel --recursive $(OURS)

# Copies what `make build` left; root is needed only where PREFIX is root's.
install:
	@Deploy/install "$(DESTDIR)" "$(PREFIX)"

clean:
	@rm -rf .build
