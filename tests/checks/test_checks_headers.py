"""What a header must hold, and must not."""

from __future__ import annotations

import pytest

from drive import drive
from gatepost.checks.registry import configure
from gatepost.checks.sender.headers import HEADERS, HeadersSettings
from gatepost.mail.client import Mail
from gatepost.mail.verdict import Action
from gatepost.policy import PolicySettings, assemble, decide
from judging import World, mail, names

FROM, DATE, ID = "From: Ana <ana@example.org>", "Date: Tue, 14 Nov 2023 22:13:20 +0000", "Message-ID: <1@x>"


def seen(one: Mail) -> list[str]:
    return names(drive(HEADERS.run(one, World(), HeadersSettings())))


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ((FROM, DATE, ID), []),
        ((DATE, ID), ["headers.no_from"]),
        ((FROM, ID), ["headers.no_date"]),
        ((FROM, DATE), ["headers.no_message_id"]),
        ((FROM, FROM, DATE, ID), ["headers.several_from"]),
        ((FROM, DATE, ID, "Subject: a", "Subject: b"), ["headers.repeated"]),
        (("From: a@example.org, b@example.com", DATE, ID), ["headers.bad_from"]),
        (("From: nobody", DATE, ID), ["headers.bad_from"]),
        ((FROM, DATE, ID, "Subject : x"), ["headers.malformed"]),
        ((FROM, DATE, ID, "no field at all"), ["headers.malformed"]),
        ((FROM, DATE, ID, *(f"X-{n}: y" for n in range(20_000))), ["headers.too_many"]),
    ],
)
def test_facts(lines: tuple[str, ...], expected: list[str]) -> None:
    assert seen(mail(*lines)) == expected


def test_users_mail_is_completed_and_not_judged() -> None:
    assert seen(mail("Subject: x", user="ana")) == []


def test_more_fields_than_are_read_are_held() -> None:
    found = drive(HEADERS.run(mail(FROM, DATE, ID, *("X: y",) * 20_000), World(), HeadersSettings()))
    assert decide(found, assemble(PolicySettings(), configure({})).default).action is Action.QUARANTINE
