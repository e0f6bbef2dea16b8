"""One rule, one file: reading it, with mistakes told in plain sentences.

The file's name is the rule's; its folder is the attack. Beside ``NAME.toml`` lie messages it must match
(``NAME.match.eml``, ``NAME.match-2.eml``, …) and some it must not (``NAME.pass.eml``, …).
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from gatepost.mail.finding import Mode
from gatepost.rules.language import LONGEST, RuleError, nearest

SEVERITIES = {"note": 0.3, "low": 0.8, "medium": 1.6, "high": 2.8, "critical": 4.2}
"""Default weights, in log-odds: critical alone reaches the Junk folder."""
NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,79}")
LARGEST_FILE_OCTETS = 100_000
HEAVIEST = 10.0
KEYS = ("finding", "description", "references", "severity", "weight", "mode", "budget", "condition", "lists")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A rule as written."""

    name: str
    attack: str
    """The folder it lies in."""
    finding: str
    """The sentence the postmaster reads when it matches."""
    condition: str
    description: str = ""
    """For the analyst: what the attack is, and what may look like it."""
    references: tuple[str, ...] = ()
    severity: str = "medium"
    weight: float = SEVERITIES["medium"]
    mode: Mode = Mode.ENFORCE
    budget: float = 0.001
    """The share of wanted mail it may match."""
    lists: Mapping[str, tuple[str, ...]]
    """Lists of its own."""
    path: Path

    def examples(self, kind: str) -> list[Path]:
        """Messages beside it: ``match`` for those it must match, ``pass`` for those it must not."""
        wanted = re.compile(rf"{re.escape(self.name)}\.{kind}(?:-[a-z0-9-]+)?\.eml")
        return sorted(
            one for one in self.path.parent.glob(f"{self.name}.{kind}*.eml") if wanted.fullmatch(one.name)
        )


def read_rule(path: Path) -> Rule:
    """The rule in a file; raises RuleError with a sentence that does not name the file."""
    table = read_toml(path)
    if not NAME.fullmatch(path.stem):
        raise RuleError("a rule's file name is lower-case letters, digits and hyphens")
    for key in table:
        if key not in KEYS:
            raise RuleError(f"there is no field {key}{nearest(key, KEYS)}")
    severity = _text(table, "severity", "medium")
    if severity not in SEVERITIES:
        raise RuleError(
            f"severity is one of {', '.join(SEVERITIES)}, not {severity}{nearest(severity, SEVERITIES)}"
        )
    mode = _text(table, "mode", "enforce")
    if mode not in {one.value for one in Mode}:
        raise RuleError(f"mode is off, observe or enforce, not {mode}")
    finding, condition = _text(table, "finding"), _text(table, "condition")
    if "\n" in finding or len(finding) > 200:
        raise RuleError("finding is one sentence of at most 200 characters")
    if len(condition) > LONGEST:
        raise RuleError(f"the condition is longer than {LONGEST:,} characters")
    return Rule(
        name=path.stem,
        attack=path.parent.name,
        finding=finding,
        description=_text(table, "description", ""),
        references=_list(table.get("references", []), "references"),
        severity=severity,
        weight=_number(table, "weight", SEVERITIES[severity], HEAVIEST),
        mode=Mode(mode),
        budget=_number(table, "budget", 0.001, 1.0),
        condition=condition,
        lists=lists_of(table.get("lists", {})),
        path=path,
    )


def read_toml(path: Path) -> dict[str, object]:
    """A bounded TOML file; raises RuleError."""
    try:
        with path.open("rb") as file:
            octets = file.read(LARGEST_FILE_OCTETS + 1)
    except OSError as fault:
        raise RuleError(f"the file cannot be read: {fault.strerror}") from None
    if len(octets) > LARGEST_FILE_OCTETS:
        raise RuleError(f"the file is larger than {LARGEST_FILE_OCTETS:,} octets")
    try:
        return tomllib.loads(octets.decode("utf-8"))
    except UnicodeDecodeError:
        raise RuleError("the file is not UTF-8") from None
    except ValueError as fault:  # TOMLDecodeError, or what Python says of a number with thousands of digits
        raise RuleError(f"the file is not TOML: {fault}") from None
    except RecursionError:
        raise RuleError("the file is TOML that is nested too deeply") from None


def lists_of(table: object) -> dict[str, tuple[str, ...]]:
    """A table of lists of texts."""
    if not isinstance(table, dict):
        raise RuleError("lists is a table: name = [texts]")
    return {name: _list(values, f"lists.{name}") for name, values in table.items()}


def _text(table: Mapping[str, object], key: str, default: str | None = None) -> str:
    value = table.get(key, default)
    if value is None:
        raise RuleError(f"{key} is missing")
    if not isinstance(value, str) or (default is None and not value.strip()):
        raise RuleError(f"{key} is a text in quotes")
    return value.strip()


def _number(table: Mapping[str, object], key: str, default: float, most: float) -> float:
    value = table.get(key, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or not -most <= value <= most:
        raise RuleError(f"{key} is a number of at most {most:g}")
    return float(value)


def _list(value: object, key: str) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise RuleError(f"{key} is a list of texts")
    return tuple(value)
