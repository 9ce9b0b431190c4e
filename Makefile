# The commands of this repository; CI runs `check` and `test`. Plain `make` lists them.
#   SET=cuda       the other environment (requirements/cuda.txt)
#   PIP_FLAGS=...  more options for pip, e.g. another package index
#   ARGS=...       options of `demo`, `up`, `soak-registry`, `bench-router`, `train`, `eval`, `cost` and `eval-peers`, e.g. ARGS=--json
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

PYTHON ?= $(shell command -v python3.11 || command -v python3 || echo python3.11)
SET ?= cpu
PIP_FLAGS ?=
ARGS ?=
# else every step gives its memory back to the system, and asks for it again page by page
KEEP_MEMORY := MALLOC_MMAP_THRESHOLD_=8589934592 MALLOC_TRIM_THRESHOLD_=8589934592 MALLOC_TOP_PAD_=268435456
# more threads than free cores make decoding ten times slower
export OMP_NUM_THREADS ?= 1

BIN := .venv/bin
LOCK := requirements/$(SET).txt
$(if $(wildcard $(LOCK)),,$(error SET=$(SET): there is no $(LOCK); use SET=cpu or SET=cuda))
# the names hold what was installed, so a changed lock or pyproject is a missing file
LOCKED := .venv/.lock-$(SET)-$(shell sha256sum < $(LOCK) | cut -c 1-16)
INSTALLED := .venv/.package-$(shell sha256sum < pyproject.toml | cut -c 1-16)
# kvpress and its transformers, apart from ours
PEERS := .venv-peers
PEERS_LOCK := requirements/peers.txt
PEERS_LOCKED := $(PEERS)/.lock-$(shell sha256sum < $(PEERS_LOCK) | cut -c 1-16)
# what looks at the images, apart from what is in them
IMAGE_TOOLS := build/tools/images
IMAGE_TOOLS_LOCK := requirements/images.txt
IMAGE_TOOLS_LOCKED := $(IMAGE_TOOLS)/.lock-$(shell sha256sum < $(IMAGE_TOOLS_LOCK) | cut -c 1-16)
# what looks at the chart
CHART_TOOLS := build/tools
CHART_LOCKED := $(CHART_TOOLS)/.chart-$(shell cat requirements/chart.txt requirements/checkov.txt helm/tools.sh | sha256sum | cut -c 1-16)
PROTOC = $(BIN)/python -m grpc_tools.protoc -I . --python_out=$(1) --pyi_out=$(1) --grpc_python_out=$(1) protos/*/v1/*.proto
OLD_PYTHON := needs Python 3.11 or newer; install it, or name it: make PYTHON=/path/to/python3.11

.PHONY: help install model demo up soak-registry bench-router test gpu train ablation eval cost eval-peers asks-peers check-peers check images-lint sbom chart protos clean

help: ## list the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: $(INSTALLED) ## make the environment .venv, unless it is up to date

$(LOCKED):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "$(PYTHON): $(OLD_PYTHON)" >&2; exit 1; }
	@echo "making .venv from $(LOCK); gigabytes, and minutes, the first time"
	@# nothing of another set may stay behind
	$(PYTHON) -m venv $(if $(wildcard .venv/.lock-$(SET)-*),,--clear) .venv
	$(BIN)/python -m pip install $(PIP_FLAGS) --no-deps -r $(LOCK)
	@rm -f .venv/.lock-* && touch $@

$(INSTALLED): $(LOCKED)
	$(BIN)/python -m pip install --no-deps --no-build-isolation -e .
	@rm -f .venv/.package-* && touch $@

model: install ## convert the default model, unless it is in the cache, and print its folder
	@$(BIN)/python -m services.local.model

demo: install ## start everything and send one long prompt, with the whole KV cache and with a fifth of it by each policy
	@$(BIN)/python -m services.demo.main $(ARGS)

up: install ## start everything, print where the router listens, and serve until Ctrl-C
	@$(BIN)/lookaheadkv serve $(ARGS)

soak-registry: install ## move adapters' aliases 1,000 times under load while Redis is killed at random; judge every answer
	@$(BIN)/python -m services.soak.main $(ARGS)

test: install $(CHART_LOCKED) ## run every test that needs no GPU, the quick ones first
	$(BIN)/pytest -m "not engine"
	$(BIN)/pytest -m engine

gpu: install ## run the kernels' tests on this machine's CUDA device; needs SET=cuda
	@$(BIN)/python -c 'import sys, torch; sys.exit(None if torch.cuda.is_available() else "torch finds no CUDA device; on a machine with one: make gpu SET=cuda")'
	$(BIN)/pytest tests/kernels

TRAIN := build/train
# the run that made the shipped adapter; one of your own: python -m scorer.training --help
train: install ## train the adapter of the default model again, into build/train: prompts, responses, 180 steps; goes on after Ctrl-C
	@mkdir -p $(TRAIN)
	@model="$$($(BIN)/python -m services.local.model)"; data=$(TRAIN)/train.jsonl; \
	[ -f $$data ] || $(BIN)/python -m scorer.training.data --model "$$model" --out $$data --split train --count 612 --min-tokens 256 --max-tokens 1024 --seed 1; \
	resume="$$([ ! -f $(TRAIN)/checkpoint.pt ] || echo --resume)"; \
	$(KEEP_MEMORY) $(BIN)/python -m scorer.training --model "$$model" --data $$data --out $(TRAIN) --name smollm2-135m-instruct \
		--steps 180 --batch 8 --max-response-tokens 64 --validation-ratio 0.06 --save-every 30 --seed 0 $$resume $(ARGS)

ABLATION := build/ablation
# by name: what a training asks of the rows; all with the same prompts, steps and seed; 60 steps see no prompt twice, so none is cached
PAPER := --objective paper --no-reference-answers
OWN_ANSWERS := --objective evictable_max --no-reference-answers
REFERENCES := --objective evictable_max
FUSED := --objective fused_max
ablation: install ## train by each objective, and compare the adapters on held-out prompts
	@mkdir -p $(ABLATION)
	@model="$$($(BIN)/python -m services.local.model)"; data=$(ABLATION)/train.jsonl; held=$(ABLATION)/held_out.jsonl; \
	[ -f $$data ] || $(BIN)/python -m scorer.training.data --model "$$model" --out $$data --split train --count 612 --min-tokens 256 --max-tokens 1024 --seed 1; \
	[ -f $$held ] || $(BIN)/python -m scorer.training.data --model "$$model" --out $$held --split held_out --count 128 --min-tokens 512 --max-tokens 1024 --seed 77; \
	one() { out=$(ABLATION)/$$1; \
		[ -d $$out/adapter ] || $(KEEP_MEMORY) $(BIN)/python -m scorer.training --model "$$model" --data $$data --out $$out --prepared $(ABLATION)/prepared \
			--name $$1 --steps 60 --batch 8 --max-response-tokens 64 --validation-ratio 0.06 --save-every 30 --cache-mib 0 --seed 0 $$2 $$([ ! -f $$out/checkpoint.pt ] || echo --resume); \
		$(BIN)/python -m scorer.evaluation run --model "$$model" --data $$held --adapter $$out/adapter --out $(ABLATION)/$$1.jsonl \
			--method window --method lookahead --method fused --budget 20% --accuracy-budget none; }; \
	one paper "$(PAPER)"; one own-answers "$(OWN_ANSWERS)"; one references "$(REFERENCES)"; one fused "$(FUSED)"; \
	$(BIN)/python -m scorer.evaluation ablation $(foreach name,paper own-answers references fused,$(name)=$(ABLATION)/$(name).jsonl) $(ARGS)

EVAL := build/eval
# MODEL and DATA may be named; else the default model, and held-out prompts that are built once
eval: install ## measure what eviction changes on held-out prompts, with intervals and plots, into build/reports
	@mkdir -p $(EVAL)
	@model="$(MODEL)"; model="$${model:-$$($(BIN)/python -m services.local.model)}"; data="$(DATA)"; \
	if [ -z "$$data" ]; then \
		data=$(EVAL)/held_out.jsonl; \
		[ -f "$$data" ] || $(BIN)/python -m scorer.training.data --model "$$model" --out "$$data" --split held_out --count 640 --min-tokens 512 --max-tokens 1024; \
	fi; \
	out="$(or $(OUT),$(EVAL)/results.jsonl)"; \
	$(BIN)/python -m scorer.evaluation run --model "$$model" --data "$$data" --out "$$out" $(ARGS); \
	$(BIN)/python -m scorer.evaluation report --results "$$out"

cost: install ## time scoring, drafts and compaction beside prefill, over prompt lengths, into build/reports
	@model="$(MODEL)"; $(BIN)/python -m scorer.evaluation cost --model "$${model:-$$($(BIN)/python -m services.local.model)}" $(ARGS)

bench-router: install ## measure the router's SLO attainment, fairness and cost before four fake runtimes, into build/reports
	@$(BIN)/python -m services.bench.router.main $(ARGS)

$(PEERS_LOCKED):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "$(PYTHON): $(OLD_PYTHON)" >&2; exit 1; }
	$(PYTHON) -m venv --clear $(PEERS)
	$(PEERS)/bin/python -m pip install $(PIP_FLAGS) --no-deps -r $(PEERS_LOCK)
	@touch $@

eval-peers: asks-peers $(PEERS_LOCKED) ## run kvpress on DATA=samples.jsonl with MODEL=folder, into OUT=results.jsonl
	@$(PEERS)/bin/python -m scorer.evaluation.peers --model "$(MODEL)" --data "$(DATA)" --out "$(OUT)" $(ARGS)

# before minutes of installing
asks-peers:
	@[ -n "$(MODEL)" ] && [ -n "$(DATA)" ] && [ -n "$(OUT)" ] || { echo "usage: make eval-peers MODEL=folder DATA=samples.jsonl OUT=results.jsonl [ARGS='--budget 20%']" >&2; exit 2; }

check-peers: $(PEERS_LOCKED) ## test that one prefill for all of kvpress' presses is what each does alone
	$(PEERS)/bin/python -m pytest tests/unit/scorer/evaluation/test_peers*.py

$(CHART_LOCKED):
	PYTHON=$(PYTHON) PIP_FLAGS="$(PIP_FLAGS)" helm/tools.sh $(CHART_TOOLS)
	$(PYTHON) -m venv --clear $(CHART_TOOLS)/chart
	$(CHART_TOOLS)/chart/bin/python -m pip install --quiet $(PIP_FLAGS) --no-deps -r requirements/chart.txt
	$(PYTHON) -m venv --clear $(CHART_TOOLS)/checkov
	$(CHART_TOOLS)/checkov/bin/python -m pip install --quiet $(PIP_FLAGS) --no-deps -r requirements/checkov.txt
	@rm -f $(CHART_TOOLS)/.chart-* && touch $@

chart: install $(CHART_LOCKED) ## lint, render, validate and scan the Helm chart, and start processes as it does
	$(BIN)/pytest tests/chart

$(IMAGE_TOOLS_LOCKED):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "$(PYTHON): $(OLD_PYTHON)" >&2; exit 1; }
	$(PYTHON) -m venv --clear $(IMAGE_TOOLS)
	$(IMAGE_TOOLS)/bin/python -m pip install --quiet $(PIP_FLAGS) --no-deps -r $(IMAGE_TOOLS_LOCK)
	@touch $@

images-lint: $(IMAGE_TOOLS_LOCKED) ## lint the Dockerfiles
	$(IMAGE_TOOLS)/bin/hadolint images/*.Dockerfile

sbom: $(IMAGE_TOOLS_LOCKED) ## list the Python packages of each image as CycloneDX, into build/sbom
	@mkdir -p build/sbom
	@list() { PYTHONWARNINGS=ignore $(IMAGE_TOOLS)/bin/cyclonedx-py requirements - --pyproject pyproject.toml --output-reproducible -o build/sbom/$$1.json; }; \
	for image in router scorer; do list $$image < requirements/service.txt; done; \
	for set in cpu cuda; do grep -vixEf images/not-at-run-time.txt requirements/$$set.txt | list runtime-$$set; done
	@ls build/sbom/*.json

check: install images-lint ## lint, types, import contracts, protos, Dockerfiles
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy protos scorer router services helm tests
	$(BIN)/lint-imports
	$(BIN)/buf lint
	$(BIN)/buf format --diff --exit-code
	@rm -rf build/protos && mkdir -p build/protos
	@$(call PROTOC,build/protos)
	@diff -r -x '*.proto' -x '__*__*' build/protos/protos protos || { echo "generated protos are old; run: make protos" >&2; exit 1; }

protos: install ## generate Python from protos/
	$(call PROTOC,.)

clean: ## remove what these commands made here; the model cache stays
	rm -rf .venv .venv-peers build *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
