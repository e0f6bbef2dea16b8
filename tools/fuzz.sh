#!/usr/bin/env bash
# Coverage-guided fuzzing of every parser (tests/fuzz/targets.py), each target for a bounded time.
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
export PYTHONPATH=src:tests/fuzz:tests PYTHONDONTWRITEBYTECODE=1
python=.venv-fuzz/bin/python
[ $# -gt 0 ] || set -- $("$python" tests/fuzz/run_atheris.py --list)
failed=()
mkdir -p .venv-fuzz/crashes
for target in "$@"; do
  mkdir -p ".venv-fuzz/corpus/$target" "tests/fuzz/corpus/$target"
  printf '%-16s ' "$target"
  # A unit may take 10 s and 1 GB at most: what needs more is a finding too.
  if "$python" tests/fuzz/run_atheris.py "$target" ".venv-fuzz/corpus/$target" "tests/fuzz/corpus/$target" \
    -max_total_time="$seconds" -max_len=4096 -timeout=10 -rss_limit_mb=1024 -print_final_stats=1 -verbosity=1 \
    -artifact_prefix=".venv-fuzz/crashes/$target-" >".venv-fuzz/$target.log" 2>&1; then
    grep -o 'number_of_executed_units: *[0-9]*' ".venv-fuzz/$target.log" || echo done
  else
    failed+=("$target")
    echo "FELL: .venv-fuzz/$target.log"
  fi
  rmdir --ignore-fail-on-non-empty "tests/fuzz/corpus/$target"
done
[ "${#failed[@]}" -eq 0 ] || { echo "Fell: ${failed[*]}"; exit 1; }
