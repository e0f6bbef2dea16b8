"""Pages generated from the program itself, so that they cannot disagree with it.

Usage: python tools/generated.py [--check]: writes docs/reference/configuration.md and docs/reference/findings.md, or with
--check fails when they are not what the program says.
"""

from __future__ import annotations

import sys
from pathlib import Path

from gatepost.checks.registry import ALL_CHECKS
from gatepost.config.explain import describe
from gatepost.config.schema import Config

ROOT = Path(__file__).resolve().parent.parent


def main() -> int:
    """Write or check."""
    pages = {"docs/reference/configuration.md": configuration(), "docs/reference/findings.md": findings()}
    stale = 0
    for name, text in pages.items():
        path = ROOT / name
        if "--check" in sys.argv:
            if not path.exists() or path.read_text() != text:
                stale += 1
                print(f"{name} is not what the program says: run python tools/generated.py")
        else:
            path.write_text(text)
    return 1 if stale else 0


def configuration() -> str:
    """Every setting, by table."""
    lines = [
        "# Configuration reference",
        "",
        "Generated from the program by `tools/generated.py`. `gatepost check-config --explain FILE` tells the same for a file,",
        "with its effective values. Times are written `30s`, `5m`, `4h`, `5d`; sizes `32KiB`, `50MiB`. An unknown key is an error.",
        "`[[name]]` may stand several times.",
    ]
    table = None
    for setting in describe(Config):
        here, _, name = setting.key.rpartition(".")
        if here != table:
            table = here
            title = (
                f"[[{here.removesuffix('[]')}]]"
                if here.endswith("[]")
                else f"[{here}]"
                if here
                else "Top of the file"
            )
            lines += [
                "",
                f"## `{title}`" if here else f"## {title}",
                "",
                "| key | takes | default | meaning |",
                "|--|--|--|--|",
            ]
        cells = (f"`{name}`", cell(setting.kind), f"`{cell(setting.default)}`", cell(setting.about))
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def findings() -> str:
    """Every fact a check may report."""
    lines = [
        "# Findings",
        "",
        "Generated from the checks by `tools/generated.py`. Weights are defaults in log-odds of being unwanted, changed in",
        "`[policy.weights]`. A check that could not say reports `NAME.unavailable`.",
        "",
        "| finding | meaning | weight | decides | at RCPT TO | reference |",
        "|--|--|--|--|--|--|",
    ]
    for check in ALL_CHECKS:
        for fact in check.emits:
            action = fact.action.value if fact.action else ""
            lines.append(
                f"| `{fact.name}` | {cell(fact.about)} | {fact.weight:+.1f} | {action} | {'yes' if fact.at_door else ''} "
                f"| {cell(fact.reference)} |"
            )
    return "\n".join(lines) + "\n"


def cell(text: str) -> str:
    """Text that stays inside its cell."""
    return text.replace("|", "\\|").replace("\n", " ")


if __name__ == "__main__":
    sys.exit(main())
