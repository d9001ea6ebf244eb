# Thin: every target is one command, and scripts/ holds the rest.

.PHONY: help quickstart quickstart-down test test-kubernetes test-all bench docs

help:
	@echo "make quickstart        an ML platform on this machine, declared, applied, served and watched"
	@echo "make quickstart-down   destroys it; nothing is left"
	@echo "make test              what CI runs; docs/testing.md says what that is"
	@echo "make test-kubernetes   what of it runs on a real Kubernetes, alone; needs root"
	@echo "make test-all          the same with the slow tests and clippy"
	@echo "make fuzz              random input for the plugin framework: SECONDS=60 for each part, SEED=..."
	@echo "make bench             figures beside those of peers, on this machine; writes docs/benchmarks.md"
	@echo "make docs              the registry's pages under docs/, the API pages under target/doc"

quickstart:
	@scripts/quickstart up

quickstart-down:
	@scripts/quickstart down

test:
	@scripts/test

test-kubernetes:
	@scripts/test kubernetes

test-all:
	@scripts/test all

fuzz:
	@scripts/fuzz $(or $(SECONDS),60) $(SEED)

bench:
	@scripts/bench

docs:
	@scripts/docs
