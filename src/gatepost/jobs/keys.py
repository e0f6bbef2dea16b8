"""Signing keys and the clock: look their records up, let each take the steps that are due, tell the postmaster.

`gatepost key check` takes the same steps by hand.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from gatepost.delivery.signing import SigningSettings
from gatepost.dns.answer import Resolver, Status
from gatepost.jobs.letter import Letters
from gatepost.jobs.rounds import Round
from gatepost.mailauth.keylife import (
    Create,
    KeyFacts,
    KeyState,
    Move,
    delegated_selectors,
    due,
    next_selector,
)
from gatepost.mailauth.keyrecord import key_name, mismatch, zone_line
from gatepost.store.journal import Why
from gatepost.store.signingkeys import CannotMove, SigningKeys

log = logging.getLogger("gatepost.jobs")

LOOKED_AT = frozenset({KeyState.CREATED, KeyState.PUBLISHED, KeyState.SIGNING})
STEPS_MOST = 8
"""Rounds of steps in one go: what a step makes possible is done at once."""
CLOCK = "the clock"


@dataclass(frozen=True, slots=True)
class Step:
    """What was done with a key, for people."""

    key: KeyFacts
    """As it is now."""
    why: str
    before: KeyState | None
    """None: it was made."""

    @property
    def text(self) -> str:
        """One sentence."""
        name = key_name(self.key.domain, self.key.selector)
        if self.before is None:
            return f"{name} ({self.key.algorithm}) was made: {self.why}."
        return f"{name} is {self.key.state.value} now, it was {self.before.value}: {self.why}."


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyKeeping:
    """The steps of keys, and the round that takes them."""

    keys: SigningKeys
    resolver: Resolver
    settings: Callable[[], SigningSettings]
    domains: Callable[[], Iterable[str]]
    """Ours, as configured, without a leading dot."""
    clock: Callable[[], float]
    letters: Letters | None = None
    """None: what was done is told by whoever called."""

    def rounds(self) -> Sequence[Round]:
        """For the clock."""
        return [Round("keys", self.settings().check_s, self.work)]

    async def work(self) -> None:
        """Every domain that has a key; the first one of a domain is made by a person."""
        ours = set(self.domains())
        for domain in sorted({one.domain for one in self.keys.listed()} & ours):
            await self.advance(domain, who=CLOCK)

    async def advance(self, domain: str, *, who: str, rotates: bool | None = None) -> list[Step]:
        """Look the records of one domain's keys up and take every step that is due."""
        settings = self.settings()
        rotates = settings.rotate if rotates is None else rotates
        seen: dict[int, str | None] = {}
        done: list[Step] = []
        for _ in range(STEPS_MOST):
            keys = self.keys.listed(domain)
            await self._look_up([one for one in keys if one.id not in seen], seen)
            steps = due(
                keys,
                seen,
                now=self.clock(),
                pace=settings.pace,
                algorithms=settings.algorithms,
                rotates=rotates,
            )
            taken = [step for one in steps if (step := await self._take(one, who)) is not None]
            if not taken:
                break
            done += taken
        for step in done:
            log.info("signing keys: %s", step.text)
        if done and self.letters is not None:
            await self.letters.send(f"DKIM keys of {domain}", letter_about(done, settings))
        return done

    async def create(self, domain: str, algorithm: str, why: Why) -> KeyFacts:
        """A new key under the next selector. Raises CannotMove or StoreFailed."""
        settings = self.settings()
        selector = next_selector(
            self.keys.listed(domain, removed=True),
            algorithm,
            now=why.at,
            prefix=settings.selector,
            delegated=bool(settings.delegate),
        )
        if selector is None:
            raise CannotMove(
                f"both delegated selectors of {domain} for {algorithm} are in use: remove the retired key first"
            )
        return await self.keys.create(domain, algorithm, selector, why)

    async def _look_up(self, keys: Sequence[KeyFacts], seen: dict[int, str | None]) -> None:
        asked = [one for one in keys if one.state in LOOKED_AT]
        found = await asyncio.gather(*(look_up(one, self.resolver) for one in asked))
        seen.update({one.id: problem for one, problem in zip(asked, found, strict=True)})
        told = [
            (one.id, "the DNS does not answer" if problem is None else problem)
            for one, problem in zip(asked, found, strict=True)
        ]
        if told:
            await self.keys.looked_up(told, self.clock())

    async def _take(self, step: Move | Create, who: str) -> Step | None:
        why = Why(who=who, why=step.why, at=self.clock())
        try:
            if isinstance(step, Create):
                return Step(await self.create(step.domain, step.algorithm, why), step.why, None)
            return Step(await self.keys.move(step.key.id, step.to, why), step.why, step.key.state)
        except CannotMove as failure:  # somebody was there before us, or selectors are all in use
            log.warning("signing keys: %s", failure)
            return None


async def look_up(key: KeyFacts, resolver: Resolver) -> str | None:
    """What is wrong with the published record; empty when it fits, None when the DNS does not answer."""
    answer = await resolver.lookup(key_name(key.domain, key.selector), "TXT")
    if answer.status is Status.FAILED:
        return None
    return mismatch(answer.records, key.record)


def records_of(key: KeyFacts, settings: SigningSettings) -> list[tuple[str, str, str]]:
    """Name, type and value of what must be published for a key; where it is delegated, in our own zone."""
    name = key_name(key.domain, key.selector)
    if settings.delegate:
        name = target(key.selector, key.domain, settings.delegate)
    return [(name, "TXT", key.record)]


def delegations(domain: str, settings: SigningSettings) -> list[tuple[str, str, str]]:
    """The CNAMEs that a delegated domain publishes once and for all."""
    if not settings.delegate:
        return []
    return [
        (key_name(domain, selector), "CNAME", target(selector, domain, settings.delegate) + ".")
        for selector in delegated_selectors(settings.selector)
        if any(selector[-2] == algorithm[0] for algorithm in settings.algorithms)
    ]


def target(selector: str, domain: str, delegate: str) -> str:
    """Where a delegated selector's CNAME leads."""
    return f"{selector}.{domain}.{delegate.strip('.')}"


def letter_about(done: Sequence[Step], settings: SigningSettings) -> str:
    """What was done and what is to be done, with the exact records."""
    lines = [step.text for step in done]
    new = [step.key for step in done if step.before is None or step.key.state is KeyState.CREATED]
    if new:
        lines += ["", "Publish, so that they can sign; until then nothing is signed with them:", ""]
        lines += [zone_line(*record) for key in new for record in records_of(key, settings)]
        if settings.delegate:
            lines += ["", "The domain itself publishes these once, if it has not yet:", ""]
            lines += [zone_line(*record) for record in delegations(new[0].domain, settings)]
    gone = [step.key for step in done if step.key.state is KeyState.REMOVED]
    if gone:
        lines += ["", "These records may be taken out of the DNS now:", ""]
        lines += [f"{name}. {kind}" for key in gone for name, kind, _ in records_of(key, settings)]
    lines += [
        "",
        "gatepost key list      tells how each key is",
        "gatepost key check     looks the records up now",
    ]
    return "\n".join(lines)
