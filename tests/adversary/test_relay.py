"""Nobody makes us, or us and the next hop together, send mail to strangers."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest
from forging import client, gate

from gatepost.config.schema import settle
from gatepost.delivery.directory import Directory
from gatepost.intake import Intake
from gatepost.mail.client import Attempt
from gatepost.smtp.events import RcptTo
from gatepost.smtp.grammar import parse_rcpt
from gatepost.smtp.reply import Reply

OUTSIDE = "outside.example"
ROUTES = [
    f"x@{OUTSIDE}",
    f"x@{OUTSIDE}.",
    f"@gate.example:x@{OUTSIDE}",
    f"@gate.example,@{OUTSIDE}:x@{OUTSIDE}",
    f"x%{OUTSIDE}@gate.example",
    f"{OUTSIDE}!x@gate.example",
    f'"x@{OUTSIDE}"@gate.example',
    f'"x%{OUTSIDE}"@gate.example',
    f'"{OUTSIDE}!x"@gate.example',
    f"x@{OUTSIDE}@gate.example",
    f"x@gate.example@{OUTSIDE}",
    f"x@gate.example%{OUTSIDE}",
    "x@[203.0.113.9]",
    f"x@sub.gate.example.{OUTSIDE}",
    "x@sub.gate.example",
    f"ben%{OUTSIDE}+y@gate.example",
]


def standing_gate(recipients: object, mode: str = "enforce") -> Intake:
    table = {"name": "gate.example", "recipients": recipients, "deliver": "smtp:127.0.0.1:2599"}
    loaded = settle(
        {"hostname": "mx.gate.example", "domains": [table]}, file="t", path=None, folder=Path("/nonexistent")
    )
    directory = Directory(routes=loaded.routes, clock=lambda: 0.0)
    intake = gate(mode=mode, domains=[table])
    old = intake.tools
    return replace(intake, tools=lambda now: replace(old(now), recipients=directory))  # type: ignore[type-var]


def asked(intake: Intake, path: str, **more: object) -> Reply:
    parsed = parse_rcpt(f"TO:<{path}>", smtputf8=False)
    if not isinstance(parsed, RcptTo):
        return parsed
    attempt = Attempt(client=replace(client(), **more), sender=None, recipient=parsed.recipient)  # type: ignore[arg-type]
    return asyncio.run(intake.screen(attempt)).reply


@pytest.mark.parametrize("mode", ["enforce", "observe"])
@pytest.mark.parametrize("recipients", ["*", ["ben@gate.example"]])
@pytest.mark.parametrize("path", ROUTES)
def test_a_stranger_cannot_relay(path: str, recipients: object, mode: str) -> None:
    assert 500 <= asked(standing_gate(recipients, mode), path).code < 600


@pytest.mark.parametrize(
    "path", ["ben@gate.example", "BEN@GATE.EXAMPLE", "@a.example:ben@gate.example", "postmaster"]
)
def test_our_own_get_their_mail(path: str) -> None:
    assert asked(standing_gate(["ben@gate.example"]), path).code == 250


def test_a_strange_local_part_that_is_listed_is_a_recipient() -> None:
    assert asked(standing_gate(["100%me@gate.example"]), "100%me@gate.example").code == 250
