"""The operator's own YARA rules (yara-x): compiled in the gate, run in the sandboxed child.

A rule's ``meta`` may say what it is worth: ``weight`` in log-odds, or ``severity`` in a word; and ``description``, a
sentence for the analyst. `includes` are not followed: each file stands for itself.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from gatepost.mail.address import printable
from gatepost.mail.filereport import FileFact

SEVERITIES = {"info": 0.0, "low": 1.0, "medium": 2.5, "high": 5.0, "critical": 8.0}
"""What a word is worth in log-odds."""
DEFAULT_SEVERITY = "medium"
MOST_WEIGHT = 10.0
MAX_MATCHES = 20
"""Of one file."""
PATIENCE_S = 5
"""For all rules over one file."""


class RuleProblem(ValueError):
    """A rule file that cannot be compiled; `str()` names file and line in one sentence."""


def compile_rules(sources: Mapping[str, str]) -> bytes:
    """Rule files by name, each a namespace of its own, compiled for `Rules`. Raises RuleProblem."""
    import yara_x

    compiler = yara_x.Compiler()
    compiler.enable_includes(False)
    for name, source in sorted(sources.items()):
        compiler.new_namespace(name)
        try:
            compiler.add_source(source, origin=name)
        except yara_x.CompileError as fault:
            lines = [one.strip() for one in str(fault).splitlines() if one.strip()]
            where = next((one.removeprefix("-->").strip() for one in lines if one.startswith("-->")), name)
            raise RuleProblem(printable(f"{where}: {lines[0].partition(': ')[2] or lines[0]}", 300)) from None
    compiled = compiler.build()
    _weights(compiled)
    buffer = io.BytesIO()
    compiled.serialize_into(buffer)
    return buffer.getvalue()


def _weights(compiled: Any) -> None:
    for rule in compiled:
        worth(dict(rule.metadata), f"{rule.namespace}: rule {rule.identifier}")


def worth(meta: Mapping[str, object], where: str = "rule") -> float:
    """A rule's log-odds by its ``meta``. Raises RuleProblem for a word or number that is none."""
    weight = meta.get("weight")
    if weight is None:
        word = str(meta.get("severity", DEFAULT_SEVERITY)).lower()
        if word not in SEVERITIES:
            raise RuleProblem(f'{where}: severity "{printable(word, 40)}" is none of {", ".join(SEVERITIES)}')
        return SEVERITIES[word]
    try:
        return max(-MOST_WEIGHT, min(MOST_WEIGHT, float(str(weight))))
    except ValueError:
        raise RuleProblem(f"{where}: weight {printable(str(weight), 40)} is no number") from None


@dataclass(slots=True)
class Rules:
    """Compiled rules, ready to be run."""

    compiled: bytes
    _scanner: Any = field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
        import yara_x

        self._scanner = yara_x.Scanner(yara_x.Rules.deserialize_from(io.BytesIO(self.compiled)))
        self._scanner.set_timeout(PATIENCE_S)

    def matching(self, octets: bytes) -> list[FileFact]:
        """A fact ``yara`` for each public rule that matches, or ``truncated`` when they took too long."""
        import yara_x

        try:
            found = self._scanner.scan(octets)
        except (yara_x.ScanError, yara_x.TimeoutError):
            return [FileFact("truncated", "the YARA rules took too long over it")]
        facts = []
        for rule in found.matching_rules[:MAX_MATCHES]:
            meta = dict(rule.metadata)
            said = printable(str(meta.get("description", "")), 200)
            text = f"the YARA rule {rule.identifier} matches it" + (f": {said}" if said else "")
            evidence = {"rule": rule.identifier, "file": rule.namespace, "log_odds": worth(meta)}
            facts.append(FileFact("yara", text, evidence))
        return facts
