"""The policy: what holds, a candidate beside it, what that would have done to recorded mail, and the way back."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass

from starlette.responses import Response

from gatepost.access.rights import Right
from gatepost.mail.finding import Mode
from gatepost.mail.verdict import Action
from gatepost.office.candidates import Candidates, Unsound, read_planned
from gatepost.office.office import Impossible
from gatepost.policy import PolicyBook
from gatepost.web.looks import N_
from gatepost.web.page import page
from gatepost.web.pages.overview import NAMES
from gatepost.web.visit import Refused, Visit

THRESHOLDS = {
    "junk_at": N_("To Junk from"),
    "quarantine_at": N_("Hold from"),
    "refuse_at": N_("Refuse from"),
}
MODES = {"off": N_("off"), "observe": N_("only observes"), "enforce": N_("enforces")}
DAYS = (1, 7, 30)
MOST_WATCHED = 40
"""Facts whose evidence is counted in one go."""
OUTCOMES = (Action.JUNK, Action.QUARANTINE, Action.REFUSE, Action.DEFER)
"""What enforcing makes of mail that observing delivers."""
POST = ("POST",)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """One fact or list of the policy, as the table shows it."""

    key: str
    weight: float
    mode: str
    action: str
    group: str


async def policy(visit: Visit) -> Response:
    """What holds, and the visitor's candidate."""
    return policy_page(visit)


def policy_page(visit: Visit, problem: str = "", text: str | None = None) -> Response:
    """`problem` is what is wrong with the `text` that was sent."""
    candidates: Candidates = visit.part(Candidates)
    draft, book = candidates.draft(visit.me), candidates.keeper.book()
    try:
        candidate = candidates.keeper.prove(draft.text)
    except Unsound as fault:  # the file has changed under it
        candidate, problem = book, problem or str(fault)
    facts, wanted = facts_of(book), {one.key: one for one in facts_of(candidate)}
    asked, part = visit.asked("show", 60), visit.asked("part", 60)
    parts = Counter(part_of(one.key) for one in facts)
    if asked:
        shown = [one for one in facts if asked in one.key]
    elif part in parts:
        shown = [one for one in facts if part_of(one.key) == part]
    else:
        shown = [one for one in facts if wanted.get(one.key, one) != one or one.mode == Mode.OBSERVE.value]
    return visit.page(
        "policy.html", 400 if problem else 200, draft=draft, text=draft.text if text is None else text, book=book,
        candidate=candidate, facts=shown, wanted=wanted, parts=parts, part=part if part in parts and not asked else "",
        checks=[(one.name, one.mode.value, one.switchable) for one in book.checks],
        check_modes={one.name: one.mode.value for one in candidate.checks}, thresholds=THRESHOLDS, modes=MODES,
        changed=draft.text.strip() != candidates.keeper.text().strip(), planned=read_planned(draft.evidence),
        names=NAMES, problem=problem, days=DAYS, asked=asked,
    )  # fmt: skip


def part_of(key: str) -> str:
    """The check that states a fact, or asks a list."""
    return re.split(r"[.:]", key, maxsplit=1)[0]


def facts_of(book: PolicyBook) -> list[Fact]:
    """Every fact and list, in the order of their names."""
    return [
        Fact(key=key, weight=rule.weight, mode=rule.mode.value, action=rule.action.value if rule.action else "",
             group=rule.group)
        for key, rule in sorted(book.default.rules.items())
        if rule.weight or rule.action or rule.mode is not Mode.ENFORCE or ":" in key
    ]  # fmt: skip


async def edit(visit: Visit) -> Response:
    """Change the candidate: one setting, some modes, or the whole text."""
    candidates: Candidates = visit.part(Candidates)
    text = visit.field("text", 70_000)
    try:
        match visit.field("do", 20):
            case "thresholds":
                for key in THRESHOLDS:
                    # In any order they rise: the text is proved as a whole, so set them in one.
                    text = candidates.keeper.changed(
                        text_of(visit) if key == "junk_at" else text, f"policy.{key}", number_of(visit, key)
                    )
                await candidates.edit(visit.me, text)
            case "fact":
                await candidates.edit(visit.me, with_fact(visit))
            case "promote":
                await candidates.promote(visit.me, visit.field("key", 200), Mode.ENFORCE)
            case "stage":
                await candidates.stage(visit.me, visit.field("domain", 255), mode_of(visit, "mode"))
            case "text":
                await candidates.edit(visit.me, text)
            case "mode":
                await candidates.set(visit.me, "mode", mode_of(visit, "mode").value)
            case "drop":
                await candidates.drop(visit.me)
            case _:
                raise Refused(visit._("Say what is to be done."))
    except Unsound as fault:
        return policy_page(visit, str(fault), text if visit.field("do", 20) == "text" else None)
    return visit.go("/policy")


def text_of(visit: Visit) -> str:
    """The candidate's text now."""
    candidates: Candidates = visit.part(Candidates)
    return candidates.draft(visit.me).text


def with_fact(visit: Visit) -> str:
    """The candidate with another weight and mode of one fact, check or list. Raises Unsound."""
    candidates: Candidates = visit.part(Candidates)
    key, text = visit.field("key", 200), text_of(visit)
    if visit.field("weight", 20).strip():
        text = candidates.keeper.changed(text, f'policy.weights."{quoted(key)}"', number_of(visit, "weight"))
    if visit.field("mode", 10):
        text = candidates.keeper.changed(text, f'policy.modes."{quoted(key)}"', mode_of(visit, "mode").value)
    return text


def quoted(key: str) -> str:
    """As it stands in a quoted key."""
    return key.replace("\\", "\\\\").replace('"', '\\"')


def number_of(visit: Visit, name: str) -> float:
    """A weight or threshold as it was typed. Raises Refused."""
    try:
        value = float(visit.field(name, 20).strip().replace(",", "."))
    except ValueError:
        raise Refused(visit._("%(text)s is no number.", text=visit.field(name, 20))) from None
    if not -1000 < value < 1000:
        raise Refused(visit._("%(text)s is no number.", text=visit.field(name, 20)))
    return value


def mode_of(visit: Visit, name: str) -> Mode:
    """A mode. Raises Refused."""
    try:
        return Mode(visit.field(name, 10))
    except ValueError:
        raise Refused(visit._("Say what is to be done.")) from None


async def plan(visit: Visit) -> Response:
    """Try the candidate on recorded mail."""
    candidates: Candidates = visit.part(Candidates)
    days = visit.field("days", 3)
    try:
        await candidates.plan(visit.me, days=int(days) if days.isdecimal() else 7)
    except Unsound as fault:
        return policy_page(visit, str(fault))
    return visit.go("/policy#plan")


async def save(visit: Visit) -> Response:
    """Let the candidate hold."""
    candidates: Candidates = visit.part(Candidates)
    try:
        number = await candidates.save(visit.me, visit.field("reason", 500))
    except (Unsound, Impossible) as fault:
        return policy_page(visit, visit._(str(fault)))
    return visit.go(f"/policy/history?saved={number}")


async def saved(visit: Visit) -> Response:
    """What was saved, and the way back."""
    candidates: Candidates = visit.part(Candidates)
    before = visit.asked("before", 20)
    found = candidates.history(
        visit.me, before=int(before) if before.isdecimal() and len(before) < 18 else None, limit=21
    )
    return visit.page(
        "policies.html", rows=[(one, read_planned(one.evidence)) for one in found[:20]],
        next=found[19].number if len(found) > 20 else None, holds=candidates.keeper.text(),
        done=visit.asked("saved", 20),
    )  # fmt: skip


async def go_back(visit: Visit) -> Response:
    """Let an earlier one hold again."""
    candidates: Candidates = visit.part(Candidates)
    number = visit.field("number", 18)
    if not number.isdecimal():
        raise Refused(visit._("Say what is to be done."))
    try:
        made = await candidates.go_back(visit.me, int(number), visit.field("reason", 500))
    except (Unsound, Impossible) as fault:
        raise Refused(visit._(str(fault))) from None
    return visit.go(f"/policy/history?saved={made}")


async def watched(visit: Visit) -> Response:
    """What only observes, with what it saw: what may be let decide; and what each list is worth."""
    candidates: Candidates = visit.part(Candidates)
    text = visit.asked("days", 3)
    days = int(text) if text.isdecimal() and int(text) in DAYS else 7
    book = candidates.keeper.book()
    keys = [key for key, rule in sorted(book.default.rules.items()) if rule.mode is Mode.OBSERVE]
    evidence = await candidates.evidence(visit.me, keys[:MOST_WATCHED], days=days)
    figures = await candidates.list_figures(visit.me, days=days)
    return visit.page(
        "watched.html", evidence=sorted(evidence, key=lambda one: -one.seen), figures=sorted(figures.items()),
        days=days, spans=DAYS, modes=MODES, book=book, stages=await candidates.stages(visit.me, days=days),
        outcomes=OUTCOMES, names=NAMES,
    )  # fmt: skip


ROUTES = (
    page("/policy", policy, Right.POLICY, menu=N_("Policy"), order=7),
    page("/policy/edit", edit, Right.POLICY, methods=POST),
    page("/policy/plan", plan, Right.POLICY, methods=POST),
    page("/policy/save", save, Right.POLICY, methods=POST),
    page("/policy/history", saved, Right.POLICY),
    page("/policy/back", go_back, Right.POLICY, methods=POST),
    page("/policy/watched", watched, Right.POLICY),
)
