"""Coverage-guided fuzzing of one target; `tools/fuzz.sh` starts this under its own Python."""

from __future__ import annotations

import sys
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["gatepost"]):
    from targets import SEEDS, TARGETS


def main() -> None:
    name = sys.argv.pop(1)
    if name == "--list":
        print(*TARGETS)
        return
    corpus = Path(sys.argv[1])
    for number, seed in enumerate(SEEDS.get(name, ())):
        (corpus / f"seed-{number}").write_bytes(seed)
    atheris.Setup(sys.argv, TARGETS[name])
    atheris.Fuzz()


main()
