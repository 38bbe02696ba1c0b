# Two commands matter: `make run` starts the box, `make test` proves it.
PYTHON ?= $(firstword $(wildcard /usr/bin/python3.13 /usr/bin/python3.12 /usr/bin/python3.11) python3)
VENV := .venv
BIN := $(VENV)/bin
STATE ?= var

# What the wheels and systemd-python need on a plain Debian, and what the tests need besides.
RUN_PACKAGES := python3-venv python3-dev gcc pkg-config libsystemd-dev
TEST_PACKAGES := chromium fonts-dejavu-core transmission-daemon opentracker \
	e2fsprogs dmsetup faketime strace iproute2 iputils-ping procps systemd systemd-container mmdebstrap zbar-tools postgresql nodejs npm \
	smartmontools nut-server nut-client \
	miniupnpd-nftables nftables

.PHONY: run test bench simulate lint format clean

run: $(VENV)/.run
	@$(BIN)/seedbox --state $(STATE) run

test: $(VENV)/.test lint
	$(BIN)/python -m pytest -n 2 --dist worksteal $(ARGS)

bench: $(VENV)/.test
	$(BIN)/python -m tests.bench $(ARGS)

simulate: $(VENV)/.test
	$(BIN)/python -m tests.simulation $(ARGS)

lint: $(VENV)/.test
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/.test
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

$(VENV)/.run: pyproject.toml
	@sh .ci/need $(RUN_PACKAGES)
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --use-pep517 --editable .
	@touch $@

$(VENV)/.test: pyproject.toml $(VENV)/.run
	@sh .ci/need $(TEST_PACKAGES)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --use-pep517 --editable '.[dev]'
	@touch $@

clean:
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis artefacts
