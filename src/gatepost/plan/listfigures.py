"""What each DNS list is worth, out of history: asked, hit, would have decided, contradicted.

A list is contradicted when a person released what it hit, or when it hit mail whose author DMARC proved and
with whom we correspond; a welcome list when a person reported what it welcomed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from gatepost.checks.dnslists.health import Tally
from gatepost.mail.finding import Finding, Mode
from gatepost.mail.verdict import Action
from gatepost.plan.compare import Told
from gatepost.policy import FactRule, Policy, PolicyBook, decide, decide_at_door
from gatepost.store.records import HistoryEntry, Judged

KNOWN = frozenset({"correspondents.known", "correspondents.replied"})
CHECKS = frozenset({"dnsbl", "surbl"})
"""Those that ask lists."""


@dataclass(slots=True, kw_only=True)
class ListFigures:
    """Counts of messages and refused attempts."""

    asked: int = 0
    hit: int = 0
    silent: int = 0
    errors: int = 0
    decided: int = 0
    """Hits whose action is another with the list in enforce than with the list off."""
    contradicted: int = 0


HITS = frozenset({"listed", "welcome"})


def fact_of(name: str) -> str:
    """``listed`` of ``dnsbl.listed``; empty for a fact that no list told."""
    check, _, fact = name.partition(".")
    return fact if check in CHECKS else ""


def lists_spoken_of(finding: Finding) -> list[str]:
    """The lists a finding is about; none for one that is about no list."""
    fact = fact_of(finding.name)
    if not fact:
        return []
    lists = finding.evidence.get("lists") if fact == "asked" else [finding.source]
    return [source for source in lists if source] if isinstance(lists, list) else []


def count(figures: ListFigures, name: str) -> None:
    """One message's fact about one list."""
    fact = fact_of(name)
    figures.asked += fact == "asked"
    figures.hit += fact in HITS
    figures.silent += fact == "silent"
    figures.errors += fact == "error"


def list_figures(
    entries: Iterable[HistoryEntry], book: PolicyBook, told: Told = lambda _: frozenset()
) -> dict[str, ListFigures]:
    """The figures by list. `book` is the policy in force; one pass."""
    counting = _Counting(book, told)
    for entry in entries:
        counting.count(entry)
    return counting.figures


class _Counting:
    """Figures as they grow."""

    def __init__(self, book: PolicyBook, told: Told) -> None:
        self.figures: dict[str, ListFigures] = {}
        self._book = book
        self._told = told
        self._variants: dict[tuple[int, str], tuple[Policy, Policy, Policy]] = {}

    def count(self, entry: HistoryEntry) -> None:
        """Each fact once a message, however many recipients it has."""
        seen: set[tuple[str, str]] = set()
        for judged in entry.judged:
            for weighed in judged.verdict.weighed:
                finding = weighed.finding
                for source in lists_spoken_of(finding):
                    if (finding.name, source) not in seen:
                        seen.add((finding.name, source))
                        self._add(self.figures.setdefault(source, ListFigures()), finding, entry, judged)

    def _add(self, one: ListFigures, finding: Finding, entry: HistoryEntry, judged: Judged) -> None:
        count(one, finding.name)
        if fact_of(finding.name) in HITS:
            one.decided += self._decides(finding, entry, judged)
            one.contradicted += _contradicted(finding, entry, judged, self._told)

    def _decides(self, finding: Finding, entry: HistoryEntry, judged: Judged) -> bool:
        base = self._book.for_recipient(judged.recipient.address)
        key = (id(base), finding.key)
        made = self._variants.get(key)
        if made is None:
            # The base policy is kept beside its variants, so that its id stays its own.
            made = self._variants[key] = (
                base,
                _with(base, finding, Mode.ENFORCE),
                _with(base, finding, Mode.OFF),
            )
        findings = [weighed.finding for weighed in judged.verdict.weighed]
        with_it, without_it = (_would(entry.kind, findings, policy) for policy in made[1:])
        return with_it is not without_it


def _contradicted(finding: Finding, entry: HistoryEntry, judged: Judged, told: Told) -> bool:
    people = told(entry.ref)
    if fact_of(finding.name) == "welcome":
        return "reported" in people
    if "released" in people or "replied" in people:
        return True
    names = {weighed.finding.name for weighed in judged.verdict.weighed}
    return "dmarc.pass" in names and not KNOWN.isdisjoint(names)


def _with(policy: Policy, finding: Finding, mode: Mode) -> Policy:
    rule: FactRule = replace(policy.rule_of(finding), mode=mode)
    return replace(policy, rules={**policy.rules, finding.key: rule})


def _would(kind: str, findings: list[Finding], policy: Policy) -> Action:
    at_door = decide_at_door(findings, policy).would_action
    if kind == "attempt" or at_door is not Action.DELIVER:
        return at_door
    return decide(findings, policy).would_action


def tallies(lately: Mapping[str, ListFigures], before: Mapping[str, ListFigures]) -> dict[str, Tally]:
    """What `dnslists.health.look_after` wants to know of daily work: the last minutes, and the usual share of hits."""
    made = {}
    for source, one in lately.items():
        usual = before.get(source)
        share = usual.hit / usual.asked if usual is not None and usual.asked else 0.0
        made[source] = Tally(asked=one.asked, hit=one.hit, silent=one.silent, usual_share=share)
    return made
