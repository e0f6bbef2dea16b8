"""Joins the rooms: a configuration and its instruments become an `Intake`."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable
from dataclasses import dataclass

from gatepost.accepting.desk import Contact, Keeper
from gatepost.checks.check import Way
from gatepost.checks.registry import at_door, on_mail
from gatepost.checks.sender.authentication import ARC, DKIM, DMARC, SPF
from gatepost.config.schema import Loaded
from gatepost.dns.answer import Resolver
from gatepost.dns.budget import Budget
from gatepost.intake import Intake
from gatepost.mail.address import Address
from gatepost.mail.authresults import AuthResults
from gatepost.mailauth.authenticate import authenticate
from gatepost.policy import Marking
from gatepost.scan.nothing import NOTHING
from gatepost.store.records import HistoryEntry, Notice
from gatepost.store.ref import new_ref
from gatepost.submission import Holds, Submission
from gatepost.tools import (
    Correspondents,
    Entries,
    Memory,
    Model,
    People,
    Recipients,
    Scanner,
    Unpacker,
)

log = logging.getLogger("gatepost")

PROVED = (SPF, DKIM, ARC, DMARC)
"""One of them is enough for the sender to be proved; what others, such as the correspondents, make of a proof hangs on that."""
NOTHING_PROVED = AuthResults()
LOOKUPS_PER_MESSAGE = 200
"""More questions than any honest message needs: 20 of SPF, 10 signatures, a walk, some lists."""


@dataclass(frozen=True, slots=True)
class Instruments:
    """One message's `tools.Tools`."""

    resolver: Resolver
    memory: Memory
    recipients: Recipients
    correspondents: Correspondents
    now: float
    unpacker: Unpacker = NOTHING
    scanner: Scanner = NOTHING
    model: Model = NOTHING
    people: People = NOTHING
    entries: Entries = NOTHING


def build_intake(
    loaded: Loaded,
    *,
    store: Keeper,
    resolver: Resolver,
    memory: Memory,
    recipients: Recipients,
    correspondents: Correspondents,
    expand: Callable[[Address], tuple[str, ...]],
    acquaint: Callable[[Contact], None],
    announce: Callable[[HistoryEntry], None],
    model: Model = NOTHING,
    entries: Entries = NOTHING,
    unpacker: Unpacker = NOTHING,
    scanner: Scanner = NOTHING,
    clock: Callable[[], float] = time.time,
    dns: bool = True,
) -> Intake:
    """The intake that `loaded` describes. Without `dns`, nothing that needs the DNS is asked."""

    def tools(now: float) -> Instruments:
        return Instruments(
            Budget(resolver, lookups=LOOKUPS_PER_MESSAGE), memory, recipients, correspondents, now,
            model=model, entries=entries, unpacker=unpacker, scanner=scanner, people=loaded.people,
        )  # fmt: skip

    content = on_mail(loaded.checks, dns=dns)
    return Intake(
        hostname=loaded.config.hostname,
        policies=loaded.policies,
        marking=Marking.of(loaded.config.marking),
        ours=lambda domain: loaded.routes.find(domain) is not None,
        door=at_door(loaded.checks, dns=dns),
        content=content,
        auth=loaded.config.authentication,
        trusted_relays=loaded.trusted_relays,
        store=store,
        tools=tools,
        expand=expand,
        clock=clock,
        new_ref=lambda now: new_ref(now, os.urandom(8)),
        acquaint=acquaint,
        announce=announce,
        on_bug=log_bug,
        prove=authenticate if any(one.check in PROVED for one in content) else prove_nothing,
        patience_s=loaded.config.limits.message_s,
    )


def build_submission(
    loaded: Loaded,
    *,
    store: Keeper,
    holds: Holds,
    resolver: Resolver,
    memory: Memory,
    recipients: Recipients,
    correspondents: Correspondents,
    expand: Callable[[Address], tuple[str, ...]],
    acquaint: Callable[[Contact], None],
    announce: Callable[[HistoryEntry], None],
    notify: Callable[[str, str, float], tuple[Notice, ...]],
    model: Model = NOTHING,
    unpacker: Unpacker = NOTHING,
    scanner: Scanner = NOTHING,
    clock: Callable[[], float] = time.time,
) -> Submission:
    """The way out that `loaded` describes."""

    def tools(now: float) -> Instruments:
        return Instruments(
            Budget(resolver, lookups=LOOKUPS_PER_MESSAGE), memory, recipients, correspondents, now,
            model=model, unpacker=unpacker, scanner=scanner, people=loaded.people,
        )  # fmt: skip

    return Submission(
        hostname=loaded.config.hostname,
        policies=loaded.outgoing,
        settings=loaded.config.submission,
        door=at_door(loaded.checks, way=Way.OUT),
        content=on_mail(loaded.checks, way=Way.OUT),
        own_domains=tuple(one.name for one in loaded.routes.domains),
        store=store,
        holds=holds,
        tools=tools,
        expand=expand,
        clock=clock,
        new_ref=lambda now: new_ref(now, os.urandom(8)),
        acquaint=acquaint,
        announce=announce,
        notify=notify,
        on_bug=log_bug,
        patience_s=loaded.config.limits.message_s,
    )


async def prove_nothing(*_: object, **__: object) -> AuthResults:
    """Stands for `authenticate` where all of PROVED are off or no DNS may be asked: nothing is known, and nothing defers
    for it."""
    return NOTHING_PROVED


def log_bug(name: str, bug: BaseException) -> None:
    """A check raised: our mistake, told once with its traceback."""
    log.error("check %s failed", name, exc_info=bug)
