"""A gate that only observes is let decide one of its domains after another, on what it has seen: the figures for that."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from gatepost.mail.address import Address
from gatepost.mail.finding import Mode
from gatepost.mail.verdict import Action
from gatepost.plan.compare import Told, compare
from gatepost.policy import PolicyBook
from gatepost.store.records import HistoryEntry

LEAST_SEEN = 200
"""Verdicts on a domain's mail before it should be decided about."""


@dataclass(slots=True, kw_only=True)
class Stage:
    """One domain of ours: is its mail decided about, and what would that have done?"""

    domain: str
    mode: Mode
    seen: int = 0
    """Verdicts, one for each recipient."""
    would: Counter[Action] = field(default_factory=Counter)
    """Those that enforcing would have made others, by what they would have been."""
    told: Counter[str] = field(default_factory=Counter)
    """Of those, how many a person released, answered or reported."""

    @property
    def enough(self) -> bool:
        """Was enough seen to rest on?"""
        return self.seen >= LEAST_SEEN


def stages(
    entries: Iterable[HistoryEntry],
    book: PolicyBook,
    enforcing: PolicyBook,
    told: Told,
    domains: Sequence[str],
) -> list[Stage]:
    """Each of these domains, by name, under the policy in force and one that enforces for all of them. One pass."""
    found = {name: Stage(domain=name, mode=mode_of(book, name)) for name in sorted(domains)}
    for change in compare(counted(entries, found), book, enforcing, told).changes:
        stage = found.get(change.domain.lower())
        if stage is not None:
            stage.would[change.after] += change.count
            stage.told.update(change.told)
    return list(found.values())


def mode_of(book: PolicyBook, domain: str) -> Mode:
    """Of a domain's mail, but for people who have a mode of their own."""
    return book.for_recipient(Address("", domain)).mode


def counted(entries: Iterable[HistoryEntry], found: dict[str, Stage]) -> Iterator[HistoryEntry]:
    """The entries as they are; those that are compared are counted on the way."""
    for entry in entries:
        if entry.kind != "session" and not entry.client.account:
            for judged in entry.judged:
                stage = found.get(judged.recipient.address.domain.lower())
                if stage is not None:
                    stage.seen += 1
        yield entry
