"""A console on a real socket for a real browser: its own thread, its own loop, its own store with people and hostile mail."""

from __future__ import annotations

import asyncio
import os
import socket
import threading
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from ipaddress import ip_address
from pathlib import Path
from queue import Queue
from typing import Any

from gatepost.access.rights import Role, on_this_machine
from gatepost.access.standing import Strength
from gatepost.config.schema import Loaded, load
from gatepost.mail.finding import Finding, Mode
from gatepost.mail.verdict import Action, Verdict, Weighed
from gatepost.office import legalholds, people, privacy, sessions, wayin
from gatepost.office.office import Office
from gatepost.store.records import Acceptance, DeliveryAttempt, Done, Judged, NewDelivery
from gatepost.store.store import Store
from gatepost.web.listening import listening
from gatepost.web.server import serve
from gatepost.web.sessions import OfficeSessions
from gatepost.web.site import site
from gatepost.web.visit import HealthSeen, Light, Premises
from store_samples import acceptance
from web.desk_samples import CONFIG, parts
from web.visiting import LOOKS

HOSTILE = (
    "</title></script><script>window.hacked=1</script><img src=x onerror=window.hacked=1>\"'><b>&{{7*7}}%(x)s"
)
"""What somebody writes everywhere a field is theirs to fill."""
LETTER = b"""\
From: "Evil <b>" <evil@example.org>\r
To: ana@example.net\r
Subject: Look =?utf-8?q?=3Cscript=3Ewindow=2Ehacked=3D1=3C/script=3E?=\r
Content-Type: text/html; charset=utf-8\r
\r
<html><head><base href="http://evil.example/"><meta http-equiv="refresh" content="0;url=http://evil.example/"></head>
<body background="http://evil.example/b.png" onload="top.hacked=1"><script>top.hacked=1</script><h1>Hello</h1>
<img src="http://evil.example/pixel.gif" alt="A pixel"><a href="http://evil.example/go">www.bank.example</a>
<form action="http://evil.example/"><input name="p"><button>Send</button></form><svg onload="top.hacked=1"></svg>
<style>body{background:url(http://evil.example/c.png)}</style><iframe src="http://evil.example/"></iframe></body></html>
"""


@dataclass(slots=True)
class Served:
    """Where it is, and who may go in."""

    origin: str
    tokens: dict[str, str] = field(default_factory=dict)
    """Role (or ``ana``) -> session."""
    invitations: dict[str, str] = field(default_factory=dict)
    """Role -> enrolment link's token of an account that has not signed in yet."""

    @property
    def cookie(self) -> str:
        """The session's, over plain HTTP on loopback."""
        return "gatepost-session"


class Thread:
    """Started and ended by the test."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._told: Queue[Any] = Queue()
        self._thread = threading.Thread(target=self._run, name="console", daemon=True)

    def start(self) -> Served:
        """Ready to be visited."""
        self._thread.start()
        told = self._told.get(timeout=60)
        if isinstance(told, BaseException):
            raise told
        self._loop, self._stopping, served = told
        return served

    def stop(self) -> None:
        """And wait until it is gone."""
        self._loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join(timeout=30)
        assert not self._thread.is_alive()

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except BaseException as fault:
            self._told.put(fault)
            raise

    async def _serve(self) -> None:
        on = listening("127.0.0.1", 0)
        served = Served(f"http://localhost:{on.getsockname()[1]}")
        path = self._folder / "gatepost.toml"
        path.write_text(CONFIG)
        here: list[Loaded] = [load(path)]
        store = Store.open(self._folder)
        office = Office(store=store, clock=time.time, random=os.urandom, hostname="mx.example.net")
        await fill(office, served)
        premises = Premises(
            office=office, sessions=OfficeSessions(office), origin=served.origin, looks=LOOKS,
            policies=lambda: here[0].policies, health=health,
            more=parts(office, lambda: here[0], lambda: here.__setitem__(0, load(path))),
        )  # fmt: skip
        app = site(office, premises.sessions, origin=served.origin, premises=premises)
        stopping = asyncio.Event()
        self._told.put((asyncio.get_running_loop(), stopping, served))
        await serve(app, on, stopping)
        await store.close()


@dataclass(frozen=True)
class Trouble:
    key: str = "disk"
    level: str = "warning"
    text: str = "The disk is nearly full."
    remedy: str = "Make room."


async def health() -> HealthSeen:
    """All kinds of lights."""
    levels = (("gate", "well"), ("dns", "warning"), ("disk", "critical"), ("lists", "off"))
    return HealthSeen(
        lights=[Light(name=name, level=level, text=HOSTILE) for name, level in levels], concerns=[Trouble()]
    )


async def fill(office: Office, served: Served) -> None:
    """People of every role, and mail of every kind."""
    machine = on_this_machine("root")
    for name, roles in (*((role.value, (role,)) for role in Role), ("ana", (Role.PERSON,))):
        account = await people.add(office, machine, f"{name}@example.net", name=HOSTILE[:90], roles=roles)
        served.tokens[name] = await sessions.start(
            office, account, strength=Strength.PASSKEY, ip=ip_address("127.0.0.1")
        )
    for name, role in (("new-owner", Role.OWNER), ("new-person", Role.PERSON)):
        await people.add(office, machine, f"{name}@example.net", name="New", roles=(role,))
        served.invitations[role.value] = await wayin.invite(office, machine, f"{name}@example.net")
    now = office.clock()
    for kind in ("erasure", "access"):
        await privacy.register(
            office, machine, kind=kind, person=HOSTILE[:90], addresses="ana@example.net", notes=HOSTILE
        )
    await legalholds.hold(office, machine, "@example.net", reason=HOSTILE, case_number="7")
    for number, action in enumerate(Action):
        async for one in letters(f"{action.value.upper()}7", action, now - 3600 * number):
            await office.store.carry_out(one)
    item = (await office.store.claim(now, 1, 60.0, "test"))[0]
    attempt = DeliveryAttempt(
        at=now, to=item.to, host=HOSTILE, address="192.0.2.1", status="delivered", reply=HOSTILE
    )
    await office.store.settle(item, attempt, Done())


async def letters(ref: str, action: Action, at: float) -> AsyncIterator[Acceptance]:
    """One message that came to this, hostile in every field."""
    base = acceptance(ref, at=at, octets=LETTER)
    facts = (
        Finding("dmarc.fail", HOSTILE, {}), Finding("rules.matched", HOSTILE, {"words": [HOSTILE]}, HOSTILE[:30]),
        Finding("rdns.missing", "The client has no name.", {}), Finding("dnsbl.asked", "asked", {"lists": ["a.example"]}),
        Finding("dnsbl.listed", "listed", {}, "a.example"),
    )  # fmt: skip
    weighed = tuple(Weighed(one, 1.5, Mode.ENFORCE) for one in facts)
    verdict = Verdict(
        action=action, would_action=action, rule="dmarc.fail", reason=HOSTILE, score=7.5, weighed=weighed
    )
    entry = replace(
        base.entry,
        judged=tuple(Judged(recipient=one, verdict=verdict) for one in base.entry.envelope.recipients),
        client=replace(base.entry.client, hello=HOSTILE, user=HOSTILE), subject=HOSTILE, author=HOSTILE,
        message_id=HOSTILE, reply="250 2.0.0 Ok", milliseconds={"authentication": 3.0, "total": 12.0},
    )  # fmt: skip
    held = action is Action.QUARANTINE
    taken = action in (Action.DELIVER, Action.JUNK, Action.QUARANTINE)
    deliveries = tuple(
        NewDelivery(recipient=one.recipient, to=str(one.recipient.address), held=held, reason=HOSTILE, rule="dmarc.fail",
                    category="spam" if held else "", junk=action is Action.JUNK)
        for one in (entry.judged if taken else ())
    )  # fmt: skip
    yield replace(base, entry=entry, deliveries=deliveries)


def free_socket() -> socket.socket:
    """Bound on loopback."""
    return listening("127.0.0.1", 0)
