"""What a check is: a name, a subject, settings, a coroutine, and what it may emit.

Fact and judgement are apart: a check says what it saw, policy says what that is worth. The default
weights stand here beside the facts because whoever writes a check knows the field best, but only
`policy` reads them.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from gatepost.mail.client import Attempt, Mail
from gatepost.mail.finding import Evidence, Finding, Mode
from gatepost.mail.verdict import Action
from gatepost.tools import Tools


class OnFailure(StrEnum):
    """What a check's failure means for the message."""

    IGNORE = "ignore"
    """Go on without the fact."""
    DEFER = "defer"
    """Ask the sender to come back, if the missing fact could have changed the action."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Emits:
    """A fact a check may report, with its default worth."""

    name: str
    """``check.fact``."""
    about: str
    """One line for the analyst."""
    reference: str = ""
    """Where to read more: ``RFC 7208 §8.4``, or a part of the manual."""
    weight: float = 0.0
    """Default log-odds that mail with this fact is unwanted; negative speaks for the mail."""
    measured: bool = False
    """The finding brings its own log-odds as evidence ``log_odds``, and `weight` is what they are multiplied by."""
    group: str = ""
    """Facts that say the same thing twice share a group, whose sum has a ceiling."""
    action: Action | None = None
    """A decisive action, taken whatever the score."""
    missing: tuple[str, ...] = ()
    """For a fact that says something could not be asked: the facts it may hide (`dmarc.temperror` hides `dmarc.reject`)."""
    at_door: bool = False
    """It may refuse at RCPT TO (protocol, relay, recipient and rate rules, enforced lists)."""
    binding: bool = False
    """It holds while the gate observes too: protocol, relay, recipient and rate rules."""
    excused_by: tuple[str, ...] = ()
    """Facts that explain this one away."""
    softened_by: tuple[str, ...] = ()
    """Facts beside which a decisive action becomes one step milder, unless reputation or content agrees with it."""
    reply: str = ""
    """Code and enhanced code that say it in SMTP, such as ``550 5.1.1``; empty takes the action's own."""

    def found(self, text: str, evidence: Evidence | None = None, source: str = "") -> Finding:
        """The finding itself."""
        return Finding(self.name, text, evidence or {}, source)


class Way(StrEnum):
    """Which way a message goes."""

    IN = "in"
    """From others to us."""
    OUT = "out"
    """Handed in by our own people and machines."""


INCOMING = frozenset({Way.IN})
OUTGOING = frozenset({Way.OUT})
BOTH_WAYS = INCOMING | OUTGOING

Run = Callable[[Any, Tools, Any], Awaitable[Sequence[Finding]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One check; `docs/adding-a-check.md` shows how to write one."""

    name: str
    subject: type[Attempt] | type[Mail]
    settings: type[Any]
    """A frozen dataclass, every field with a default and a docstring; without a `mode: Mode` field the check always holds."""
    run: Run
    """``async (subject, tools, settings) -> findings``; may raise Unavailable."""
    emits: tuple[Emits, ...]
    on_failure: OnFailure = OnFailure.IGNORE
    timeout_s: float = 5.0
    ways: frozenset[Way] = INCOMING
    """Whose mail it looks at."""
    asks: bool = True
    """False for a check that only reads its subject: it must not suspend. (None may use `asyncio.timeout`: see `begin`.)"""
    needs_dns: bool = False
    """Left out where nothing may be asked of the DNS (`scan --no-dns`)."""
    idle: Callable[[Any], bool] | None = None
    """settings -> True when they leave it nothing to do, such as no lists."""
    emits_under: Callable[[Any], tuple[Emits, ...]] | None = None
    """settings -> declarations, where settings change what a fact means; the names stay those of `emits`."""
    problems: Callable[[Any], list[str]] | None = None
    """settings -> what is wrong with them, one sentence each, for the configuration to refuse."""
    weights_of: Callable[[Any], Mapping[str, tuple[float, Mode]]] | None = None
    """For checks with several sources: settings -> {``name:source``: (weight, mode)}."""
