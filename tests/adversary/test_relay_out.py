"""No open relay: every listener, every kind of client, every sender and recipient, and what becomes of each."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from ipaddress import ip_address
from itertools import product
from pathlib import Path

import pytest
from forging import Kept as Intaken

from gatepost.app.doors import Doors
from gatepost.app.wiring import build_intake
from gatepost.config.schema import settle
from gatepost.delivery.directory import Directory
from gatepost.dns.zone import Zone
from gatepost.mail.client import Attempt, Client, Recipient
from gatepost.net.census import networks
from gatepost.net.limits import Listener
from gatepost.net.reception import _Rules
from gatepost.scan.nothing import Forgetful
from gatepost.smtp.dialect import Dialect
from sending import desk, known

OURS, THEIRS = "ben@example.net", "bo@example.org"
ROLES = [one.value for one in Dialect]
CLIENTS = {
    "stranger": Client(ip=ip_address("203.0.113.9"), hello="x"),
    "signed in": Client(
        ip=ip_address("203.0.113.9"), hello="x", user="ana@example.net", sends_as=("ana@example.net",)
    ),
    "named by a front": Client(ip=ip_address("203.0.113.9"), hello="x", user="ana@example.net"),
    "machine": Client(ip=ip_address("10.0.0.9"), hello="x"),
}
SENDERS = {
    "own": "ana@example.net",
    "another's": "ben@example.net",
    "theirs": "x@example.org",
    "nobody": None,
}


def expected(role: str, client: str, sender: str, recipient: str) -> bool:
    """May it be sent?"""
    signed = client in ("signed in", "named by a front")
    if role in ("mx", "lmtp") and not signed:
        return recipient == OURS  # mail that comes in, whoever says to have written it
    if signed:
        return sender in ("own", "nobody")
    if client == "machine":
        return sender in ("own", "another's", "nobody")
    return False


def doors() -> Doors:
    table = {"hostname": "mx.example.net", "domains": [
        {"name": "example.net", "recipients": ["ana@example.net", OURS], "deliver": "maildir:mail"}]}  # fmt: skip
    loaded = settle(table, file="test", path=None, folder=Path("/nonexistent"))
    forgetful, directory = Forgetful(), Directory(routes=loaded.routes, clock=lambda: 0.0)
    intake = build_intake(
        loaded, store=Intaken(), resolver=Zone.parse(""), memory=forgetful, recipients=directory,
        correspondents=forgetful, expand=directory.expand, acquaint=lambda _: None, announce=lambda _: None,
        clock=lambda: 1e9, dns=False,
    )  # fmt: skip
    return Doors(intake, desk(mode="observe").submission)


DOORS = doors()
RELAY = _Rules(Listener(role=Dialect.SUBMISSION, relay_for=("10.0.0.0/8",)))


@pytest.mark.parametrize(
    ("role", "client", "sender", "recipient"),
    list(product(ROLES, CLIENTS, SENDERS, (OURS, THEIRS))),
)
def test_who_may_send_what(role: str, client: str, sender: str, recipient: str) -> None:
    rules = _Rules(Listener(role=Dialect(role), relay_for=("10.0.0.0/8",)))
    who = rules.excusing(replace(CLIENTS[client], role=role))
    by = SENDERS[sender]
    attempt = Attempt(
        client=who, sender=known(by) if by else None, recipient=Recipient(address=known(recipient))
    )
    reply = asyncio.run(DOORS.screen(attempt)).reply
    assert reply.positive is expected(role, client, sender, recipient), reply


def test_a_front_that_may_relay_lends_that_to_nobody_it_names() -> None:
    front = RELAY.excusing(Client(ip=ip_address("10.0.0.1"), role="submission"))
    assert front.excused
    assert not RELAY.excusing(replace(front, ip=ip_address("203.0.113.9"))).excused
    assert not RELAY.excusing(replace(front, ip=None)).excused


def test_relay_for_counts_on_submission_listeners_only() -> None:
    for role in Dialect:
        rules = _Rules(Listener(role=role, relay_for=("10.0.0.0/8",)))
        machine = Client(ip=ip_address("10.0.0.9"), role=role.value)
        assert rules.excusing(machine).excused is (role in (Dialect.SUBMISSION, Dialect.SUBMISSIONS))
    assert networks(("10.0.0.0/8",))
