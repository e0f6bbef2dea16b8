#!/usr/bin/env bash
# Coverage-guided fuzzing of every parser (tests/fuzz), each target for a bounded time.
#   tools/fuzz.sh [SECONDS per target, default 300] [TARGET...]
# What a target has learnt is kept in .venv-fuzz/corpus/TARGET, what felled it in .venv-fuzz/crashes/TARGET-*:
# shrink it, put it into tests/fuzz/corpus/TARGET/ and mend the code.
set -euo pipefail
cd "$(dirname "$0")/.."
. tools/setup.sh
make_venv dev
seconds="${1:-300}"
[ $# -eq 0 ] || shift
stamp="$(cat requirements/fuzz.txt requirements/runtime.txt | sha256sum | cut -c1-16)"
if [ ! -f ".venv-fuzz/$stamp" ]; then
  echo "Setting up .venv-fuzz (once) …" >&2
  [ -x .venv-fuzz/bin/python ] || .venv/bin/python -m venv .venv-fuzz
  .venv-fuzz/bin/python -m pip install -q --disable-pip-version-check --require-hashes --only-binary :all: -r requirements/fuzz.txt
  .venv-fuzz/bin/python -m pip install -q --disable-pip-version-check --require-hashes --only-binary :all: -r requirements/runtime.txt
  touch ".venv-fuzz/$stamp"
fi
echo "Instrumenting (once, about a minute) …" >&2
PYTHONPATH=src:tests/fuzz:tests PYTHONDONTWRITEBYTECODE=1 exec .venv-fuzz/bin/python \
  tests/fuzz/run_atheris.py .venv-fuzz "$seconds" "$@"
