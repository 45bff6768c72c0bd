# What a newcomer types. Every target sets .venv up first; it needs Python 3.11 or newer with pip, and nothing else.

SHELL := /bin/sh
BIN := .venv/bin
BUILD := build
OURS := orchestration agents workflows tests checks
PYTEST_ARGS ?=
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PIP_NO_INPUT := 1

.PHONY: demo test check bench planted containers observability reliability lock clean
.DELETE_ON_ERROR:

demo: .venv/.installed ## simulate 2012-12-12, an FOMC day, and write its report
	@mkdir -p $(BUILD)
	$(BIN)/belltower simulate --date 2012-12-12 --home $(BUILD)/demo-home

test: .venv/.installed ## all tests
	$(BIN)/python -m pytest -n auto -q $(PYTEST_ARGS)

check: .venv/.installed ## format, lint, types, import contracts, licences, names
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy $(OURS)
	$(BIN)/lint-imports
	$(BIN)/python -m checks.licences
	$(BIN)/python -m checks.distributions

bench: .venv/.installed ## measure; prints a table and writes build/bench.json
	@mkdir -p $(BUILD)
	$(BIN)/python -m tests.benchmarks

planted: .venv/.installed ## plant each known bug in a copy and see the test that guards against it fail
	$(BIN)/python -m checks.planted

containers: .venv/.installed ## build the image on a real engine and run days in it (root; QUICK=1: less of it)
	@mkdir -p $(BUILD)
	checks/containers.sh

observability: .venv/.installed ## a real Prometheus: every panel, every rule, and the daemon (QUICK=1: faster)
	@mkdir -p $(BUILD)
	$(BIN)/python -m checks.observability

reliability: .venv/.installed ## the daemon as a real process, and desks that are killed and robbed of what they stand on (QUICK=1: less)
	@mkdir -p $(BUILD)
	$(BIN)/python -m checks.reliability
	$(BIN)/python -m checks.crashes

lock: ## write requirements.lock anew: names, versions and hashes of everything, tools included
	@mkdir -p $(BUILD)
	@command -v uv >/dev/null || { $(find_python); $$python -m venv $(BUILD)/uv && $(BUILD)/uv/bin/pip install -q uv; }
	@PATH="$(CURDIR)/$(BUILD)/uv/bin:$$PATH"; \
	printf 'hatchling>=1.26\neditables>=0.5\n' | uv pip compile pyproject.toml - --group dev --upgrade --universal \
		--generate-hashes --no-config --no-emit-index-url --no-emit-find-links --no-header --quiet -o requirements.lock
	@if grep -n '://' requirements.lock; then echo "requirements.lock must hold no addresses"; exit 1; fi

clean: ## take away everything that is made
	rm -rf .venv $(BUILD) dist .coverage .hypothesis .mypy_cache .pytest_cache .ruff_cache .import_linter_cache
	find $(OURS) -name __pycache__ -type d -prune -exec rm -rf {} +

# Sets $$python to the first Python that is new enough and can make environments, or says in one line what is missing.
define find_python
python=; for one in $(PYTHON) python3 python3.13 python3.12 python3.11 python3.14; do \
	if "$$one" -c 'import sys, venv, pip; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then python=$$one; break; fi; \
done; \
if [ -z "$$python" ]; then \
	echo "Belltower needs Python 3.11 or newer with pip and venv, and none was found: install one, or say make PYTHON=/path/to/python3" >&2; exit 1; \
fi
endef

.venv/.locked: requirements.lock
	@$(find_python); echo "setting up .venv with $$($$python --version), which takes a minute"; \
	rm -rf .venv; \
	if $$python -c 'import ensurepip' >/dev/null 2>&1; then $$python -m venv .venv; \
	else $$python -m venv --without-pip .venv; fi && \
	$$python -m pip --python .venv/bin/python install --quiet --require-hashes -r requirements.lock
	@touch $@

.venv/.installed: .venv/.locked pyproject.toml
	@$(find_python); \
	$$python -m pip --python .venv/bin/python install --quiet --no-deps --no-build-isolation --editable .
	@touch $@
