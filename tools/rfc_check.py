"""Holds the standards cited in the code against docs/rfc.toml, both ways, and draws docs/rfc.md from both.

Fails on an RFC that the code cites and the list does not know, on a listed module that is gone, and on a
standard listed as implemented that no line cites. Usage: python tools/rfc_check.py [--write]
"""

from __future__ import annotations

import re
import sys
import tomllib
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CITATION = re.compile(r"RFC (\d{3,5})(?: (?:§|section )([\w.]+\w))?")
STATUSES = {"yes", "partial", "no", "historic"}


def main() -> int:
    """Check, and with --write draw the page."""
    listed = {
        int(number): entry for number, entry in tomllib.loads((ROOT / "docs/rfc.toml").read_text()).items()
    }
    cited: dict[int, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for path in sorted((ROOT / "src").rglob("*.py")):
        for number, section in CITATION.findall(path.read_text()):
            cited[int(number)][path.relative_to(ROOT / "src/gatepost").as_posix()].add(section)
    faults = [
        f"RFC {number} is cited in {', '.join(cited[number])} but not in docs/rfc.toml"
        for number in sorted(cited.keys() - listed.keys())
    ]
    for number, entry in listed.items():
        if entry.get("status") not in STATUSES or "title" not in entry:
            faults.append(
                f"docs/rfc.toml: {number} needs a title and a status of {', '.join(sorted(STATUSES))}"
            )
        if entry.get("status") in ("yes", "partial") and number not in cited:
            faults.append(f"docs/rfc.toml: {number} is said to be implemented, but nothing in src cites it")
    page = draw(listed, cited)
    target = ROOT / "docs/rfc.md"
    if "--write" in sys.argv:
        target.write_text(page)
    elif not target.exists() or target.read_text() != page:
        faults.append("docs/rfc.md is not what the code says: run python tools/rfc_check.py --write")
    for fault in faults:
        print(fault)
    print(f"{len(cited)} standards cited, {len(listed)} listed, {len(faults)} faults")
    return 1 if faults else 0


def draw(listed: dict[int, dict[str, str]], cited: dict[int, dict[str, set[str]]]) -> str:
    """The coverage page: each standard, how far it is followed, and where."""
    lines = [
        "# Standards, and where the code follows them",
        "",
        "Generated from `docs/rfc.toml` and the citations in `src/` by `tools/rfc_check.py`.",
        "",
        "| RFC | Title | Followed | Where | Note |",
        "|--|--|--|--|--|",
    ]
    for number in sorted(listed):
        entry = listed[number]
        where = ", ".join(f"`{name}`" for name in cited.get(number, {}))
        lines.append(
            f"| {number} | {entry['title']} | {entry['status']} | {where} | {entry.get('note', '')} |"
        )
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
