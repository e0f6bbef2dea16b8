"""What was found, in the reader's language. English sentences are made by the checks; in another language a sentence is made
anew from a finding's name and evidence: a template of ``words/LANGUAGE/findings.po``, whose context is the name.

Among the templates of a name the first is taken whose values are all in the evidence. Without one the fact's meaning is told,
behind the files or hosts it is about; what nobody has translated stays as it is.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from babel.messages.pofile import read_po

VALUE = re.compile(r"%\((\w+)\)s")
SUBJECTS = ("files", "hosts")
"""Evidence that stands in front of a fact's meaning."""
MOST_NAMED = 5
REASONS = (
    re.compile(r"score (?P<score>[-\d.]+) reaches (?P<limit>[-\d.]+) for (?P<action>\w+)(?:: (?P<top>.*))?\Z", re.DOTALL),
    re.compile(r"score (?P<score>[-\d.]+) stays below (?P<limit>[-\d.]+) for junk: (?P<top>.*)\Z", re.DOTALL),
)  # fmt: skip
"""Why a score decided, as `policy` says it."""
Say = Callable[..., str]


class Facts:
    """The templates of one language."""

    def __init__(self, folder: Path, say: Say) -> None:
        self._say = say
        self._by_name = templates_of(folder / "findings.po")

    def sentence(self, name: str, about: str, text: str, evidence: Mapping[str, Any]) -> str:
        """A finding as one sentence. `name` may have a source; `about` is what such a fact means, in English."""
        plain, _, source = name.partition(":")
        values = self._values(plain, source, evidence)
        wanted = self._by_name.get("unavailable" if plain.endswith(".unavailable") else plain, ())
        for fields, template in wanted:
            if all(values.get(field) for field in fields):
                return template % values
        told = self._say(text)
        known = self._say(about) if about and told == text else ""
        if not known or known == about:
            return told
        subject = next((values[one] for one in SUBJECTS if values.get(one)), "")
        return self._say("%(subject)s: %(meaning)s", subject=subject, meaning=known) if subject else known

    def _values(self, name: str, source: str, evidence: Mapping[str, Any]) -> dict[str, str]:
        values = {field: self._value(value) for field, value in evidence.items()}
        probability = evidence.get("probability")
        if isinstance(probability, int | float):
            values["percent"] = f"{100 * probability:.1f} %"
            values["against" if probability >= 0.5 else "for"] = values["percent"]
        return values | {"source": source, "check": name.partition(".")[0]}

    def _value(self, value: Any) -> str:
        if isinstance(value, list | tuple):
            named = [self._say(str(one)) for one in value[:MOST_NAMED]]
            return self._say(", ").join(named) + ("…" if len(value) > MOST_NAMED else "")
        if value is None or isinstance(value, bool):
            return ""
        return f"{value:,g}" if isinstance(value, int | float) else self._say(value)

    def reason(self, reason: str, told: str, heaviest: Sequence[tuple[str, float]]) -> str:
        """Why it was decided so: by a fact (`told`, its sentence), or by a score out of the `heaviest` facts and weights."""
        for pattern, words in zip(
            REASONS,
            (
                "score %(score)s reaches %(limit)s for %(action)s: %(top)s",
                "score %(score)s stays below %(limit)s for junk: %(top)s",
            ),
            strict=True,
        ):
            found = pattern.match(reason)
            if found is not None:
                top = self._say("; ").join(
                    f"{text.rstrip('。')} (+{weight:.1f})" for text, weight in heaviest[:3]
                )
                values = {"action": "", **found.groupdict(), "top": top or found["top"] or "—"}
                return (
                    self._say(words, **values | {"action": self._say(values["action"])})
                    if "%(action)s" in words
                    else (self._say(words, score=values["score"], limit=values["limit"], top=values["top"]))
                )
        if told and " rather than refuse, because " in reason:
            return self._say(
                "%(told)s (held rather than refused, for it may have been forwarded)", told=told.rstrip("。")
            )
        return told or self._say(reason)


def templates_of(path: Path) -> dict[str, list[tuple[frozenset[str], str]]]:
    """Name of the finding -> its templates with what each fills in, the fullest first."""
    found: dict[str, list[tuple[frozenset[str], str]]] = {}
    if path.exists():
        with path.open("rb") as file:
            for one in read_po(file):
                if one.id and one.string and one.context:
                    template = str(one.string)
                    found.setdefault(one.context, []).append((frozenset(VALUE.findall(template)), template))
    for templates in found.values():
        templates.sort(key=lambda one: -len(one[0]))
    return found
