"""A console with everything the desk's pages need: people in the store, a policy file, held and queued mail."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from visiting import LOOKS, ORIGIN, RUNNER, Browser, office

from gatepost.access.rights import Actor, Role, on_this_machine
from gatepost.access.standing import Strength
from gatepost.app import processing
from gatepost.app.policyfile import PolicyFile
from gatepost.config.schema import Loaded, load
from gatepost.office import people, sessions
from gatepost.office.candidates import Candidates
from gatepost.office.digests import Digests
from gatepost.office.glass import Glass
from gatepost.office.holding import Holding
from gatepost.office.office import Office
from gatepost.office.processing import Processing
from gatepost.office.seen import CertificateSeen, Installed, RecordSeen, SettingSeen, Step
from gatepost.office.settings import DigestSettings
from gatepost.rules.ruleset import load_rules
from gatepost.store.records import HistoryEntry
from gatepost.store.retention import Retention
from gatepost.tools import RecipientAnswer, Standing
from gatepost.web.pages.privacy import Periods
from gatepost.web.sessions import OfficeSessions
from gatepost.web.site import site
from gatepost.web.visit import Premises
from office_samples import held
from store_samples import acceptance

CONFIG = """
hostname = "mx.example.net"
state = "."
[[domains]]
name = "example.net"
deliver = "maildir:m"
[policy.modes]
"rdns.missing" = "observe"
"""
ROLES = tuple(Role)


@dataclass
class Console:
    """One console and those who visit it."""

    office: Office
    app: Starlette
    premises: Premises
    loaded: Loaded
    tokens: dict[str, str]

    def browser(self, who: str | None, **headers: str) -> Browser:
        """Signed in as the account `who`, a role's name or ``ana``."""
        return Browser(self.app, self.tokens[who] if who else None, **headers)

    def actor(self, who: str) -> Actor:
        """Who that is."""
        found = RUNNER.run(sessions.actor_of(self.office, self.tokens[who]))
        assert found is not None
        return found


def opened(folder: Path) -> Console:
    """Everything, with a few messages."""
    path = folder / "gatepost.toml"
    path.write_text(CONFIG)
    desk = replace(office(folder), random=os.urandom)
    here: list[Loaded] = [load(path)]

    def reload() -> None:
        here[0] = load(path)

    async def fill() -> dict[str, str]:
        await desk.store.carry_out(
            held("ANASPAM", subject="<b>Cheap</b> watches", author='"><script>x</script>')
        )
        await desk.store.carry_out(held("ANAPHISH", category="phishing", subject="Your account"))
        await desk.store.carry_out(held("ANAEVIL", category="malware", subject="Invoice"))
        await desk.store.carry_out(held("BENSPAM", to=("ben@example.net",), subject="Secret of ben"))
        await desk.store.carry_out(
            acceptance("WAITING", at=desk.clock(), sender="ana@example.net", recipients=("x@example.org",))
        )
        tokens = {}
        for login, roles in (
            *((f"{role.value}@example.net", (role,)) for role in ROLES),
            ("ana@example.net", (Role.PERSON,)),
        ):
            account = await people.add(
                desk, on_this_machine("root"), login, name=f"<i>{login}</i>", roles=roles
            )
            tokens[login.partition("@")[0]] = await sessions.start(
                desk, account, strength=Strength.PASSKEY, ip=None, agent="test"
            )
        return tokens

    tokens = RUNNER.run(fill())
    premises = Premises(
        office=desk, sessions=OfficeSessions(desk), origin=ORIGIN, looks=LOOKS, policies=lambda: here[0].policies,
        more=parts(desk, lambda: here[0], reload),
    )  # fmt: skip
    app = site(desk, premises.sessions, origin=ORIGIN, premises=premises)
    return Console(desk, app, premises, here[0], tokens)


def parts(desk: Office, loaded: Any, reload: Any) -> dict[type, Any]:
    """What the pages ask for by its type."""
    holding = Holding(office=desk)
    refs = iter(range(10_000))

    async def judge(
        octets: bytes, *, client_ip: str, hello: str, mail_from: str, recipients: Sequence[str]
    ) -> HistoryEntry:
        if client_ip and client_ip != "192.0.2.7":
            raise ValueError("no IP address")
        entry = desk.store.entry("ANASPAM")
        assert entry is not None
        return entry

    async def find(address: str) -> tuple[RecipientAnswer, Sequence[Step]]:
        return RecipientAnswer(Standing.KNOWN, f"{address} is a recipient"), [Step(address, "delivered")]

    async def records(domain: str) -> Sequence[RecordSeen]:
        return [
            RecordSeen(domain, "MX", "10 mx.example.net.", (), "missing", "mail for the domain comes to us")
        ]

    installed = Installed(
        office=desk, version="0", certificates=lambda: [CertificateSeen("tls/a.pem", desk.clock() + 86_400)],
        settings=lambda: [
            SettingSeen("hostname", '"mx.example.net"', "file", "Our name."),
            SettingSeen("access.provider.client_secret", '"hunter2"', "file", "Of the provider."),
            SettingSeen("outbound.via", '"smtp://u:hunter2@relay.example.org"', "file", "Relay."),
            SettingSeen("delivery.lifetime", '"5d"', "default", "How long it is tried."),
            SettingSeen("policy.junk_at", "4.0", "default", "To Junk from."),
        ],
        domains=lambda: ["example.net"], records=records, rules=load_rules, judge=judge, find=find,
    )  # fmt: skip
    return {
        Holding: holding,
        Glass: Glass(office=desk),
        Candidates: Candidates(office=desk, keeper=PolicyFile(loaded, reload), told=lambda _: lambda _: frozenset()),
        Digests: Digests(
            office=desk, holding=holding, key=b"k" * 32, origin=lambda: ORIGIN, settings=DigestSettings,
            language=lambda _: "en", new_ref=lambda _: f"DIGEST{next(refs):04}",
        ),
        Installed: installed,
        Periods: Periods(Retention()),
        Processing: Processing(lambda: processing.installation(loaded())),
    }  # fmt: skip
