"""The policy, changed in people's hands: a candidate, what it would have done to recorded mail, then saved; and the way back.

A candidate is a TOML text laid over the configuration file: ``mode`` and ``[policy]``. It is saved only after its plan was
seen, and not when somebody else has saved meanwhile. History only grows: a way back saves the older text again.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Protocol

import msgspec

from gatepost.access.rights import Actor, Right
from gatepost.mail.finding import Mode
from gatepost.office.longreads import EXPORT_S
from gatepost.office.office import Impossible, Office
from gatepost.office.stages import Stage, stages
from gatepost.plan import ListFigures, list_figures
from gatepost.plan.compare import Plan, Told, compare
from gatepost.policy import PolicyBook
from gatepost.store import history, journal, policies
from gatepost.store.database import Connection
from gatepost.store.policies import Draft, Saved
from gatepost.store.records import HistoryEntry

LONGEST = 64 * 1024
"""Characters of a candidate."""
DAY_S = 86_400.0
PLAN_DAYS = 7
MOST_ENTRIES = 50_000
"""Entries of history a plan looks at."""
MOST_SECONDS = 20.0
"""And so long; it says how much it saw."""
LEAST_OBSERVED = 50
"""Messages a fact should have been seen on before it decides."""


class Unsound(Exception):
    """The text is no policy; `str()` says what, where and what to do."""


class Keeper(Protocol):
    """The configuration as the office may touch it; `app` implements it."""

    def text(self) -> str:
        """What is laid over the configuration file now; empty when nothing is."""
        ...

    def book(self) -> PolicyBook:
        """The policy in force."""
        ...

    def prove(self, text: str) -> PolicyBook:
        """The policy that would be in force. Raises Unsound."""
        ...

    def outgoing(self, text: str) -> tuple[PolicyBook, PolicyBook]:
        """For mail of our own people: the policy in force, and the one that would be. Raises Unsound."""
        ...

    def put(self, text: str) -> None:
        """Keep the text, and let the gate read it. Raises Unsound or OSError."""
        ...

    def changed(self, text: str, key: str, value: str | float | None) -> str:
        """The text with one setting (``policy.weights."rdns.missing"``) set, or with None taken out. Raises Unsound."""
        ...

    def domains(self) -> Sequence[str]:
        """Those of ours that a policy may name."""
        ...

    def staged(self, text: str, domains: Sequence[str], mode: Mode) -> str:
        """The text with another mode for the mail of these domains. Raises Unsound."""
        ...


class Planned(msgspec.Struct, frozen=True, kw_only=True):
    """What the plan on recorded mail said."""

    days: int
    looked_at: int
    same: int
    changed: int
    unknown: int
    whole: bool
    """All of that time was looked at."""
    plan: dict[str, object]
    """`plan.Plan` as plain values."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What was seen of something that only observes."""

    key: str
    mode: Mode
    seen: int
    """Verdicts it was found for."""
    would_change: int
    """Verdicts that would have been others, had it been enforced."""
    released: int
    """Of the messages it was found for, those that a person released."""
    enough: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidates:
    """Policies in people's hands."""

    office: Office
    keeper: Keeper
    told: Callable[[Connection], Told]
    """What people did about messages: released, replied, reported."""
    monotonic: Callable[[], float] = time.monotonic

    def draft(self, actor: Actor) -> Draft:
        """What the actor is at work on; begun from what holds now where there is nothing. Raises NotAllowed."""
        self.office.insist(actor, Right.POLICY)

        def work(connection: Connection) -> Draft:
            return policies.draft(connection, actor.account) or Draft(
                account=actor.account, who=actor.who, changed_at=self.office.clock(),
                based_on=policies.newest(connection), text=self.keeper.text(), evidence="",
            )  # fmt: skip

        return self.office.store.database.read(work)

    async def edit(self, actor: Actor, text: str) -> Draft:
        """Keep the text as the actor's candidate; its plan is to be made anew. Raises NotAllowed or Unsound."""
        before = self.draft(actor)
        text = text.replace("\r\n", "\n")
        if len(text) > LONGEST:
            raise Unsound(f"That is longer than {LONGEST:,} characters.")
        self.keeper.prove(text)
        draft = Draft(
            account=actor.account, who=actor.who, changed_at=self.office.clock(), based_on=before.based_on,
            text=text, evidence=before.evidence if before.text == text else "",
        )  # fmt: skip
        await self.office.store.database.commit(lambda connection: policies.put_draft(connection, draft))
        return draft

    async def set(self, actor: Actor, key: str, value: str | float | None) -> Draft:
        """Change one setting of the candidate. Raises NotAllowed or Unsound."""
        return await self.edit(actor, self.keeper.changed(self.draft(actor).text, key, value))

    async def promote(self, actor: Actor, key: str, mode: Mode) -> Draft:
        """Let a check, fact or list decide, or only observe, in the candidate. Raises NotAllowed or Unsound."""
        return await self.set(actor, f'policy.modes."{key}"', mode.value)

    async def stage(self, actor: Actor, domain: str, mode: Mode) -> Draft:
        """Let the gate decide about one domain's mail, or only observe it, in the candidate. Raises NotAllowed or Unsound."""
        if domain not in self.keeper.domains():
            raise Unsound(f"{domain} is no domain of ours.")
        return await self.edit(actor, self.keeper.staged(self.draft(actor).text, [domain], mode))

    async def stages(self, actor: Actor, *, days: int = PLAN_DAYS) -> list[Stage]:
        """What enforcing would have done to the mail of each domain. Raises NotAllowed."""
        self.office.insist(actor, Right.POLICY)
        book, since, domains = self.keeper.book(), self.office.clock() - days * DAY_S, self.keeper.domains()
        enforcing = self.keeper.prove(self.keeper.staged(self.keeper.text(), domains, Mode.ENFORCE))

        def work(connection: Connection) -> list[Stage]:
            bound = Bound(history.since(connection, since), self.monotonic)
            return stages(bound, book, enforcing, self.told(connection), domains)

        return await self.office.read_long(actor, work, seconds=EXPORT_S)

    async def drop(self, actor: Actor) -> None:
        """Forget the candidate. Raises NotAllowed."""
        self.office.insist(actor, Right.POLICY)
        await self.office.store.database.commit(
            lambda connection: policies.drop_draft(connection, actor.account)
        )

    async def plan(self, actor: Actor, *, days: int = PLAN_DAYS) -> Planned:
        """What the candidate would have changed in recorded mail; kept beside it. Raises NotAllowed or Unsound."""
        draft = self.draft(actor)
        days = max(1, min(days, 90))
        candidate, current = self.keeper.prove(draft.text), self.keeper.book()
        outgoing = self.keeper.outgoing(draft.text)
        started = self.office.clock() - days * DAY_S

        def work(connection: Connection) -> Planned:
            bound = Bound(history.since(connection, started), self.monotonic)
            plan = compare(bound, current, candidate, self.told(connection), outgoing=outgoing)
            return planned(plan, days, whole=bound.whole)

        made = await self.office.read_long(actor, work, seconds=EXPORT_S)
        kept = Draft(
            account=actor.account, who=actor.who, changed_at=self.office.clock(), based_on=draft.based_on,
            text=draft.text, evidence=msgspec.json.encode(made).decode(),
        )  # fmt: skip
        await self.office.store.database.commit(lambda connection: policies.put_draft(connection, kept))
        return made

    async def save(self, actor: Actor, reason: str) -> int:
        """Let the candidate hold from now on; returns its number.

        Raises NotAllowed, ProveAgain, Unsound, and Impossible when its plan was not seen, it changes nothing, no reason is
        given, or somebody saved another meanwhile.
        """
        draft = self.draft(actor)
        if draft.text.strip() == self.keeper.text().strip():
            raise Impossible("The candidate is what holds already.")
        if not draft.evidence:
            raise Impossible("See first what it would have done to recorded mail.")
        return await self._save(actor, draft.text, reason, draft.evidence, based_on=draft.based_on)

    async def go_back(self, actor: Actor, number: int, reason: str = "") -> int:
        """Let an earlier policy hold again (0: the configuration file alone); returns the new number.

        Raises NotAllowed, ProveAgain, Unsound or Impossible.
        """
        self.office.insist(actor, Right.POLICY)
        saved = self.office.store.database.read(lambda connection: policies.find(connection, number))
        if saved is None and number != 0:
            raise Impossible("There is no saved policy of that number.")
        text = saved.text if saved else ""
        return await self._save(actor, text, reason or f"back to {number}", "", back_to=number)

    def history(self, actor: Actor, *, before: int | None = None, limit: int = 50) -> list[Saved]:
        """What was saved, newest first. Raises NotAllowed."""
        self.office.insist(actor, Right.POLICY)
        return self.office.store.database.read(lambda c: policies.listed(c, before=before, limit=limit))

    async def evidence(self, actor: Actor, keys: Iterable[str], *, days: int = PLAN_DAYS) -> list[Evidence]:
        """What was seen of each of these checks, facts or lists, and what enforcing it would have changed."""
        self.office.insist(actor, Right.POLICY)
        book, since = self.keeper.book(), self.office.clock() - days * DAY_S
        wanted = [(key, *self._enforcing(book, key)) for key in dict.fromkeys(keys)]

        def work(connection: Connection) -> list[Evidence]:
            return list(
                observed(
                    connection,
                    since,
                    book=book,
                    wanted=wanted,
                    told=self.told(connection),
                    monotonic=self.monotonic,
                )
            )

        return await self.office.read_long(actor, work, seconds=EXPORT_S)

    async def list_figures(self, actor: Actor, *, days: int = 30) -> Mapping[str, ListFigures]:
        """What each block and welcome list was worth lately. Raises NotAllowed."""
        self.office.insist(actor, Right.POLICY)
        book, since = self.keeper.book(), self.office.clock() - days * DAY_S

        def work(connection: Connection) -> Mapping[str, ListFigures]:
            return list_figures(
                Bound(history.since(connection, since), self.monotonic), book, self.told(connection)
            )

        return await self.office.read_long(actor, work, seconds=EXPORT_S)

    def _enforcing(self, book: PolicyBook, key: str) -> tuple[Mode, PolicyBook]:
        rule = book.default.rules.get(key)
        of_check = next((one.mode for one in book.checks if one.name == key), None)
        mode = rule.mode if rule is not None else of_check
        if mode is None:
            raise Unsound(f"no check reports {key}")
        return mode, self.keeper.prove(
            self.keeper.changed(self.keeper.text(), f'policy.modes."{key}"', "enforce")
        )

    async def _save(
        self,
        actor: Actor,
        text: str,
        reason: str,
        evidence: str,
        *,
        based_on: int | None = None,
        back_to: int | None = None,
    ) -> int:
        self.office.insist(actor, Right.POLICY)
        self.office.insist_on_proof(actor)
        if not reason.strip():
            raise Impossible("Say why: whoever looks at it in a year will want to know.")
        self.keeper.prove(text)
        why = self.office.why(actor, reason.strip()[:500])

        def work(connection: Connection) -> int:
            if based_on is not None and policies.newest(connection) != based_on:
                raise Impossible("Somebody has saved another policy meanwhile. Begin again from that.")
            number = policies.save(
                connection, at=why.at, who=why.who, why=why.why, text=text, evidence=evidence, back_to=back_to
            )
            policies.drop_draft(connection, actor.account)
            what = f"policy save {number}" if back_to is None else f"policy back {number} to {back_to}"
            journal.append(connection, at=why.at, who=why.who, what=what, why=why.why)
            return number

        number = await self.office.store.database.commit(work)
        try:
            self.keeper.put(text)
        except OSError as fault:
            raise Impossible(
                f"It is kept as number {number}, but could not be written and does not hold yet: {fault.strerror}."
            ) from None
        return number


class Bound:
    """Entries, until there were enough of them or time is up; `whole` says whether all were seen."""

    def __init__(self, entries: Iterable[HistoryEntry], monotonic: Callable[[], float]) -> None:
        self._entries = entries
        self._monotonic = monotonic
        self.whole = True

    def __iter__(self) -> Iterator[HistoryEntry]:
        ends_at = self._monotonic() + MOST_SECONDS
        for count, entry in enumerate(self._entries):
            if count >= MOST_ENTRIES or (count % 256 == 255 and self._monotonic() > ends_at):
                self.whole = False
                return
            yield entry


def planned(plan: Plan, days: int, *, whole: bool) -> Planned:
    """The plan as it is kept."""
    return Planned(
        days=days, looked_at=plan.looked_at, same=plan.same, changed=plan.changed, unknown=plan.unknown, whole=whole,
        plan=msgspec.to_builtins(asdict(plan)),
    )  # fmt: skip


def read_planned(evidence: str) -> Planned | None:
    """What is kept beside a candidate or a saved policy; None where there is none, or it cannot be read."""
    try:
        return msgspec.json.decode(evidence, type=Planned) if evidence else None
    except msgspec.MsgspecError:
        return None


def observed(
    connection: Connection,
    since: float,
    *,
    book: PolicyBook,
    wanted: list[tuple[str, Mode, PolicyBook]],
    told: Told,
    monotonic: Callable[[], float],
) -> Iterator[Evidence]:
    """One pass over history; each entry is decided again for every key it bears."""
    counts = dict.fromkeys((key for key, _, _ in wanted), 0)
    released = dict.fromkeys(counts, 0)
    changed = dict.fromkeys(counts, 0)
    for entry in Bound(history.since(connection, since), monotonic):
        for key, _, enforcing in wanted:
            verdicts = sum(
                any(bears(one.finding.key, key) for one in judged.verdict.weighed) for judged in entry.judged
            )
            if not verdicts:
                continue
            counts[key] += verdicts
            released[key] += "released" in told(entry.ref)
            changed[key] += compare([entry], book, enforcing).changed
    for key, mode, _ in wanted:
        yield Evidence(
            key=key, mode=mode, seen=counts[key], would_change=changed[key], released=released[key],
            enough=counts[key] >= LEAST_OBSERVED,
        )  # fmt: skip


def bears(finding: str, key: str) -> bool:
    """Is this finding one of the check, fact or source?"""
    return finding == key or finding.startswith((f"{key}.", f"{key}:"))
