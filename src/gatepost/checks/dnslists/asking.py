"""Ask DNS lists about the subjects of a message or a client, all at once, and say what came of it.

One slow list does not cost the others, and whoever is late was silent. What is answered from memory costs no task.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from gatepost.begin import Done, begin
from gatepost.checks.check import Emits
from gatepost.checks.dnslists.health import HEALTH_KEY, out_of_service, state_key
from gatepost.checks.dnslists.lists import DnsList, is_error, list_key, meaning
from gatepost.dns.answer import Answer, Status
from gatepost.mail.client import IpAddress
from gatepost.mail.finding import Finding, Mode
from gatepost.tools import Tools

PATIENCE_S = 4.0
"""How long lists may take together."""
NAMED = 3
"""Subjects of a listing that its sentence names."""

L = TypeVar("L", bound=DnsList)
K = TypeVar("K")
T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class ListFacts:
    """What a check with lists reports; `plan.listfigures` counts them by their last word."""

    listed: Emits
    error: Emits
    silent: Emits
    out: Emits
    asked: Emits
    welcome: Emits | None = None

    @property
    def all(self) -> tuple[Emits, ...]:
        """For `Check.emits`."""
        welcome = () if self.welcome is None else (self.welcome,)
        return (self.listed, *welcome, self.error, self.silent, self.out, self.asked)


@dataclass(frozen=True, slots=True)
class Subject:
    """Something to ask a list about."""

    label: str
    """What stands in front of the zone and its key."""
    shown: str
    """What a person calls it; printable."""
    ip: IpAddress | None = None
    """Where it is an address."""


async def ask_lists(
    lists: Iterable[L],
    subjects_of: Callable[[L], Coroutine[Any, Any, Sequence[Subject]]],
    tools: Tools,
    facts: ListFacts,
) -> list[Finding]:
    """What the lists say, in their order, one finding a list and fact, and last which were asked."""
    lists = [one for one in lists if one.mode is not Mode.OFF]
    if not lists:
        return []
    out = out_of_service(await tools.memory.get(HEALTH_KEY))
    every = await _together({one.source: subjects_of(one) for one in lists})
    found: list[Finding] = []
    waiting: dict[tuple[str, str], Coroutine[Any, Any, Answer]] = {}
    asking: list[tuple[L, list[Subject]]] = []
    for one in lists:
        subjects = every[one.source] or ()
        why = {key: out[key] for subject in subjects if (key := state_key(one, subject.ip)) in out}
        found += [facts.out.found(f"{one.source} is not asked: {text}", {"list": one.source}, one.source)
                  for text in list(why.values())[:1]]  # fmt: skip
        sound = [subject for subject in subjects if state_key(one, subject.ip) not in out]
        label = list_key(one)
        if sound and label is None:
            text = f"the key of {one.source} cannot be read"
            found.append(facts.error.found(text, {"list": one.source}, one.source))
        elif sound:
            asking.append((one, sound))
            for subject in sound:
                question = tools.resolver.lookup(f"{subject.label}.{label}{one.zone}", "A")
                waiting[one.source, subject.label] = question
    answers = await _together(waiting)
    for one, sound in asking:
        found += _said(one, [(each, answers[one.source, each.label]) for each in sound], facts)
    if asking:
        sources = [one.source for one, _ in asking]
        found.append(facts.asked.found(f"asked {', '.join(sources)}", {"lists": sources}))
    return found


def _said(one: DnsList, told: Sequence[tuple[Subject, Answer | None]], facts: ListFacts) -> list[Finding]:
    """One list's answers about all subjects, as findings."""
    hits: list[str] = []
    codes: list[str] = []
    wrong: list[str] = []
    silent: list[str] = []
    whys: list[str] = []
    security = ""
    for subject, answer in told:
        if answer is None or answer.status is Status.FAILED:
            if answer is None or answer.problem != "budget":  # that one was never asked
                silent.append("in time" if answer is None else f"({answer.problem})")
            continue
        wrong += [code for code in answer.records if is_error(code, one)]
        meant = [(code, what) for code in answer.records if (what := meaning(code, one)) is not None]
        if meant:
            hits.append(subject.shown)
            codes += [code for code, _ in meant]
            whys += [what for _, what in meant if what]
            security = security or answer.security.name.lower()
    found = []
    if hits:
        emits, verb = (
            (facts.welcome, "welcomed") if one.welcomes and facts.welcome else (facts.listed, "listed")
        )
        named = " and ".join(hits[:NAMED]) + (f" and {len(hits) - NAMED} more" if len(hits) > NAMED else "")
        because = ", ".join(dict.fromkeys(whys))
        text = f"{named} {'is' if len(hits) == 1 else 'are'} {verb} by {one.source}"
        text += f" ({because})" if because else ""
        found.append(
            emits.found(
                text,
                {"list": one.source, "identity": one.about, "asked_about": ", ".join(hits[:10]),
                 "codes": list(dict.fromkeys(codes)), "dnssec": security},
                one.source,
            )
        )  # fmt: skip
    if wrong:
        wrong = list(dict.fromkeys(wrong))
        text = f"{one.source} answered {', '.join(wrong[:5])}, which is an error and no listing"
        found.append(facts.error.found(text, {"list": one.source, "codes": wrong[:5]}, one.source))
    if silent:
        evidence = {"list": one.source, "problem": silent[0].strip("()")}
        found.append(facts.silent.found(f"{one.source} did not answer {silent[0]}", evidence, one.source))
    return found


def weights(lists: Iterable[DnsList], facts: ListFacts) -> Mapping[str, tuple[float, Mode]]:
    """For `Check.weights_of`."""
    made = {}
    for one in lists:
        welcomes = one.welcomes and facts.welcome is not None
        name = facts.welcome.name if welcomes and facts.welcome is not None else facts.listed.name
        made[f"{name}:{one.source}"] = (-abs(one.weight) if welcomes else one.weight, one.mode)
    return made


async def _together(coroutines: Mapping[K, Coroutine[Any, Any, T]]) -> dict[K, T | None]:
    """All results by key, None for what took too long."""
    results: dict[K, T | None] = {}
    tasks: dict[K, asyncio.Task[T]] = {}
    try:
        for key, coroutine in coroutines.items():
            begun = begin(coroutine)
            if isinstance(begun, Done):
                results[key] = begun.result
            else:
                tasks[key] = asyncio.ensure_future(begun)
        if tasks:
            await asyncio.wait(tasks.values(), timeout=PATIENCE_S)
        for key, task in tasks.items():
            results[key] = task.result() if task.done() else None
    finally:
        for task in tasks.values():
            task.cancel()
    return results
