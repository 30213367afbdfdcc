# Short names for what is done every day, in the environment that is active. Install just with `pip install rust-just`.

# The list of names.
default:
    @just --list

# Everything that a change needs, editable.
setup:
    python -m pip install -e ".[dev]"

# What CI asks, in short: format, lint, types and tests.
check:
    ruff format --check .
    ruff check .
    just types
    just test

# Put the code into shape.
format:
    ruff format .
    ruff check --fix .

lint:
    ruff check .

# By folder (see pyproject.toml), never `pyright .`: the root links would show each file twice.
types:
    pyright --warnings

test *args:
    python -m pytest {{ args }}

# The tests that take seconds.
slow *args:
    python -m pytest -m slow {{ args }}

# The source distribution, and the wheel from it.
build:
    python -m build --no-isolation --outdir dist

bench *names:
    #!/usr/bin/env bash
    set -euo pipefail
    names="{{ names }}"
    for file in ${names:-benchmarks/*.py}; do echo "== $file"; python "$file"; done

demo:
    thoughtgraph demo

# All that CI runs, from a fresh environment.
ci:
    .ci/run
