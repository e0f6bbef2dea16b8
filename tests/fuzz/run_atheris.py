"""Coverage-guided fuzzing of several targets; `tools/fuzz.sh` starts this under its own Python.

    run_atheris.py FOLDER SECONDS [TARGET...]

Instrumenting takes about a minute and is done once: each target then runs in a child that is forked from here, because
libFuzzer ends the process it ran in. FOLDER/corpus/TARGET keeps what a target has learnt, FOLDER/TARGET.log what it said,
FOLDER/crashes/TARGET-* what felled it. Exit status: 0 when nothing fell, 1 when something did, 2 for a word it does not know.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import sys
from pathlib import Path

import atheris

# It would name each module.
with contextlib.redirect_stderr(io.StringIO()), atheris.instrument_imports(include=["gatepost"]):
    from targets import SEEDS, TARGETS

PAST_CRASHERS = Path(__file__).parent / "corpus"
UNITS = re.compile(r"number_of_executed_units: *([0-9]+)")
# A unit may take 10 s and 1 GB at most: what needs more is a finding too.
BOUNDS = ("-max_len=4096", "-timeout=10", "-rss_limit_mb=1024", "-print_final_stats=1", "-verbosity=1")


def main(folder: Path, seconds: int, names: list[str]) -> int:
    """Fuzzes one after another, and says of each what became of it."""
    unknown = [name for name in names if name not in TARGETS]
    if unknown:
        print(
            f"fuzz: no target is called {', '.join(unknown)}; these are: {' '.join(TARGETS)}", file=sys.stderr
        )
        return 2
    names = names or list(TARGETS)
    (folder / "crashes").mkdir(parents=True, exist_ok=True)
    fallen = []
    for number, name in enumerate(names, 1):
        print(f"{number:2}/{len(names)} {name:<30} ", end="", flush=True)
        log = folder / f"{name}.log"
        child = os.fork()
        if child == 0:
            fuzz(name, folder, seconds, log)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        units = UNITS.search(log.read_text(errors="replace"))
        if status == 0 and units:
            print(f"{int(units[1]):>10,} units", flush=True)
        else:
            fallen.append(name)
            print(f"FELL ({status}): {log}", flush=True)
    if fallen:
        print(
            f"Fell: {' '.join(fallen)}. What felled them is in {folder / 'crashes'}; to see it again, copy it into"
        )
        print(
            f"{PAST_CRASHERS.relative_to(Path.cwd())}/TARGET/ and run: .venv/bin/python -m pytest tests/fuzz -k TARGET"
        )
    return 1 if fallen else 0


def fuzz(name: str, folder: Path, seconds: int, log: Path) -> None:
    """In the child; does not come back."""
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    os.dup2(output, 1)
    os.dup2(output, 2)
    learnt = folder / "corpus" / name
    learnt.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(SEEDS[name]):
        (learnt / f"seed-{number}").write_bytes(seed)
    starts = [str(one) for one in (learnt, PAST_CRASHERS / name) if one.is_dir()]
    prefix = f"-artifact_prefix={folder / 'crashes' / name}-"
    atheris.Setup([name, *starts, f"-max_total_time={seconds}", prefix, *BOUNDS], TARGETS[name])
    atheris.Fuzz()
    os._exit(0)


if __name__ == "__main__":
    try:
        sys.exit(main(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]))
    except KeyboardInterrupt:
        sys.exit(130)
