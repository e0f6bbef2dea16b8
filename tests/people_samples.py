"""An office with a clock that stands still until it is moved, cheap passwords, and people in it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path

import pyotp

from gatepost.access.rights import Role, on_this_machine
from gatepost.access.settings import AccessSettings, PasswordCost
from gatepost.office import enrolment, people, signin, wayin
from gatepost.office.office import Office
from gatepost.office.passkeys import RelyingParty
from gatepost.office.sessions import Admitted, Visit, Visitor, visit_of
from gatepost.store.store import Store
from soft_passkey import SoftPasskey

ORIGIN = "https://mail.example.net"
PARTY = RelyingParty(ORIGIN)
HERE = Visitor(ip_address("192.0.2.17"), "Firefox")
THERE = Visitor(ip_address("198.51.100.4"), "curl")
ROOT = on_this_machine("root")
GOOD_PASSWORD = "correct horse battery staple"


@dataclass
class Clock:
    now: float = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now

    def forward(self, seconds: float) -> None:
        self.now += seconds


@dataclass
class Place:
    """An office and what tests do in it."""

    office: Office
    clock: Clock = field(default_factory=Clock)

    async def person(self, login: str = "ana@example.net", *roles: Role) -> int:
        """An account that cannot sign in yet; its number."""
        return (await people.add(self.office, ROOT, login, roles=roles or (Role.PERSON,))).id

    async def enrolling(self, login: str = "ana@example.net", visitor: Visitor = HERE) -> Admitted:
        """Signed in by a link."""
        link = await wayin.invite(self.office, ROOT, login)
        return await signin.by_link(self.office, link, visitor=visitor)

    async def visit(self, token: str) -> Visit:
        found = await visit_of(self.office, token)
        assert found is not None
        return found

    async def with_passkey(
        self, login: str = "ana@example.net", *roles: Role
    ) -> tuple[SoftPasskey, Admitted]:
        """Somebody new who enrolled a passkey, and is signed in."""
        await self.person(login, *roles)
        admitted = await self.enrolling(login)
        passkey = await self.add_passkey(admitted.token)
        return passkey, (await enrolment.finish(self.office, admitted.token, visitor=HERE)).admitted

    async def add_passkey(self, token: str, **how: bool) -> SoftPasskey:
        visit = await self.visit(token)
        asked = await enrolment.passkey_options(self.office, PARTY, visit)
        passkey = SoftPasskey(ORIGIN, **how)
        await enrolment.register_passkey(
            self.office, PARTY, visit, asked.flow, passkey.register(asked.options), name="phone"
        )
        return passkey

    async def with_password(
        self, login: str = "ana@example.net", *roles: Role
    ) -> tuple[pyotp.TOTP, Admitted, tuple[str, ...]]:
        """Somebody new who enrolled a password with codes, and is signed in; with the recovery codes."""
        await self.person(login, *roles)
        admitted = await self.enrolling(login)
        codes = await self.add_codes(admitted.token)
        finished = await enrolment.finish(self.office, admitted.token, visitor=HERE)
        return codes, finished.admitted, finished.recovery_codes

    async def add_codes(self, token: str, password: str | None = GOOD_PASSWORD) -> pyotp.TOTP:
        visit = await self.visit(token)
        offer = await enrolment.begin_codes(self.office, visit, password)
        codes = pyotp.TOTP(offer.secret)
        await enrolment.confirm_codes(self.office, visit, offer.flow, codes.at(int(self.clock.now)))
        return codes

    async def sign_in_by_passkey(self, passkey: SoftPasskey, visitor: Visitor = HERE) -> Admitted:
        asked = await signin.passkey_options(self.office, PARTY, visitor=visitor)
        return await signin.by_passkey(
            self.office, PARTY, asked.flow, passkey.prove(asked.options), visitor=visitor
        )

    async def sign_in_by_password(
        self, codes: pyotp.TOTP, *, password: str = GOOD_PASSWORD, login: str = "ana@example.net",
        visitor: Visitor = HERE,
    ) -> Admitted:  # fmt: skip
        code = codes.at(int(self.clock.now))
        return await signin.by_password(self.office, login, password, code, visitor=visitor)

    def journal(self) -> list[str]:
        """What was done, oldest first."""
        entries = reversed(self.office.store.journal(limit=500))
        return [f"{one.who}: {one.what}{f' ({one.why})' if one.why else ''}" for one in entries]


@contextmanager
def office_at(folder: Path, **access: object) -> Iterator[Place]:
    """An office over a new store in `folder`; to be closed in the same loop by `close`."""
    clock = Clock()
    settings = AccessSettings(
        password_cost=PasswordCost(memory_kib=64, passes=1),
        **access,  # type: ignore[arg-type]
    )
    store = Store.open(folder)
    office = Office(store=store, clock=clock, random=os.urandom, hostname="mx.example.net", access=settings)
    try:
        yield Place(office, clock)
    finally:
        store.database.close_now()
