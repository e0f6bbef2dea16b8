"""An office for tests: a store in a folder, a clock that stands, and people with their rights."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

from gatepost.access.rights import Actor, Role, rights_of
from gatepost.office.office import Office
from gatepost.store.records import Acceptance
from gatepost.store.store import Store
from store_samples import acceptance

NOW = 1_750_000_000.0


class Clock:
    """Stands until it is set."""

    def __init__(self, at: float = NOW) -> None:
        self.at = at

    def __call__(self) -> float:
        return self.at


def person(
    login: str,
    *roles: Role,
    account: int = 0,
    proved_at: float = NOW,
    addresses: tuple[str, ...] | None = None,
) -> Actor:
    """Somebody signed in, whose address is the login."""
    return Actor(
        account=account or abs(hash(login)) % 1_000_000 + 1,
        login=login,
        roles=frozenset(roles) or frozenset({Role.PERSON}),
        rights=rights_of(frozenset(roles)),
        addresses=(login,) if addresses is None else addresses,
        proved_at=proved_at,
    )


ANA = person("ana@example.net")
BEN = person("ben@example.net")
OWNER = person("olga@example.net", Role.OWNER)
POSTMASTER = person("pia@example.net", Role.POSTMASTER)
MANAGER = person("quinn@example.net", Role.QUARANTINE_MANAGER)
HELP_DESK = person("hal@example.net", Role.HELP_DESK)
OFFICER = person("dora@example.net", Role.DATA_PROTECTION_OFFICER)
AUDITOR = person("audrey@example.net", Role.AUDITOR)
EVERYBODY = (ANA, BEN, OWNER, POSTMASTER, MANAGER, HELP_DESK, OFFICER, AUDITOR)

Story = Callable[[Office], Awaitable[None]]


def telling(folder: Path, story: Story, clock: Callable[[], float] | None = None) -> None:
    """Run a story in a fresh office."""

    async def run() -> None:
        store = Store.open(folder)
        office = Office(
            store=store,
            clock=clock or Clock(),
            random=lambda count: b"\x07" * count,
            hostname="mx.example.net",
        )
        try:
            await story(office)
        finally:
            await store.close()

    asyncio.run(run())


def held(ref: str, *, category: str = "spam", to: tuple[str, ...] = ("ana@example.net",), at: float = NOW,
         subject: str = "x", author: str = "", sender: str = "sam@example.org") -> Acceptance:  # fmt: skip
    """A message that is held."""
    made = acceptance(
        ref,
        at=at,
        held=True,
        recipients=to,
        sender=sender,
        octets=f"Subject: {subject}\r\n\r\nHello {ref}\r\n".encode(),
    )
    return replace(
        made,
        entry=replace(made.entry, subject=subject, author=author),
        deliveries=tuple(replace(one, category=category) for one in made.deliveries),
    )
