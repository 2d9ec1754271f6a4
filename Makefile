# Every target builds .venv by itself when it is missing, moved or older than the pins.
SHELL := bash
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

# Overridable: make simulate SEEDS=300:900 JOBS=2, make test TESTS=tests/unit ARGS=-x
SEEDS ?= 0:300
JOBS ?= 2
ATTEMPTS ?= 100000
TESTS ?= tests
ARGS ?=
PYTHON ?=
export PYTHON

BIN := .venv/bin
PYTHON_CODE := node chaincode proto tests benchmarks tools

.PHONY: help demo test check format simulate exhaust model mutants rules bench microbench instructions proto clean .venv

help: ## this list
	@echo "Onward: a permissioned BFT ledger for Information Sharing Agreements"
	@echo
	@awk -F ':.*## ' '/^[.a-z]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo
	@echo "  make simulate SEEDS=300:900 JOBS=2      make test TESTS=tests/unit ARGS=-x"

demo: .venv ## a network of four validators on this machine, the story, the receipts
	@$(BIN)/onward demo $(ARGS)

test: .venv ## all tests, in parallel and in random order
	@$(BIN)/pytest -n $(JOBS) --dist=worksteal $(ARGS) $(TESTS)

check: .venv ## style, types, import direction, spelling, packaging, fresh stubs
	@tools/check.sh

format: .venv ## rewrite the code in house style
	@$(BIN)/ruff check --fix-only --quiet $(PYTHON_CODE)
	@$(BIN)/ruff format $(PYTHON_CODE)

simulate: .venv ## hundreds of seeded worlds of faults (SEEDS=A:B, JOBS=N)
	@$(BIN)/onward simulate --seeds $(SEEDS) --jobs $(JOBS) $(ARGS)

exhaust: .venv ## every state of the vote rules, every twins schedule of three views (minutes)
	@$(BIN)/python -m tests.spec.exhaust --jobs $(JOBS) $(ARGS)

model: .venv ## docs/spec/consensus.pml, whole and with each rule taken away (needs spin and gcc)
	@$(BIN)/python -m tests.spec.model

mutants: .venv ## bugs planted in the simulation: does it catch them?
	@$(BIN)/python tools/mutants.py --jobs $(JOBS) $(ARGS)

rules: .venv ## the contract against a second, naive reading of R01 to R28 (ATTEMPTS=N)
	@$(BIN)/python -m tests.campaigns.rules --attempts $(ATTEMPTS) $(ARGS)

bench: .venv ## how much a network of four carries on this machine (three minutes)
	@$(BIN)/onward bench --quick $(ARGS)

microbench: .venv ## one call at a time; say the machine beside each number
	@$(BIN)/pytest --benchmark-only -p no:randomly -p no:xdist $(ARGS) benchmarks

instructions: .venv ## the same calls in instructions, against the committed ones (needs valgrind)
	@$(BIN)/python benchmarks/instructions.py $(ARGS)

proto: .venv ## regenerate the stubs from proto/onward_proto/**/*.proto
	@tools/proto.sh

clean: ## remove .venv and everything that tools leave behind
	@rm -rf .venv .venv.lock build dist htmlcov .benchmarks .coverage .coverage.*
	@rm -rf .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	@find node chaincode proto tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +

.venv: ## the environment alone, with .venv/bin/onward in it
	@tools/venv.sh
