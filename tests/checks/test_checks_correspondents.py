"""Whom we have met, under a name that was proved."""

from __future__ import annotations

import pytest

from drive import drive
from gatepost.checks.sender.correspondents import CORRESPONDENTS, CorrespondentsSettings
from gatepost.checks.sender.identity import correspondent, proved_domain
from gatepost.mail.authresults import AuthResults, DkimResult, DmarcResult, SpfResult
from gatepost.tools import Acquaintance
from judging import NOW, World, mail, names

SETTINGS = CorrespondentsSettings()
DAY = 86_400.0


def proved(domain: str = "example.org", result: str = "pass", **more: object) -> AuthResults:
    return AuthResults(dmarc=DmarcResult(result=result, author_domain=domain), **more)  # type: ignore[arg-type]


def met(*, messages: int = 5, days: float = 10, replied: bool = False) -> Acquaintance:
    return Acquaintance(first_seen=NOW - days * DAY, last_seen=NOW - DAY, messages=messages, replied=replied)


@pytest.mark.parametrize(
    ("friend", "expected"),
    [
        (None, ["correspondents.first"]),
        (met(messages=2), []),
        (met(days=1), []),
        (met(), ["correspondents.known"]),
        (met(messages=0, replied=True), ["correspondents.replied"]),
    ],
)
def test_how_well_we_know_them(friend: Acquaintance | None, expected: list[str]) -> None:
    world = World(friends={} if friend is None else {("example.org", "example.net"): friend})
    assert names(drive(CORRESPONDENTS.run(mail(auth=proved()), world, SETTINGS))) == expected


def test_nobody_is_known_without_proof() -> None:
    world = World(friends={("example.org", "example.net"): met(replied=True)})
    for result in ("fail", "none", "temperror"):
        assert drive(CORRESPONDENTS.run(mail(auth=proved(result=result)), world, SETTINGS)) == ()


def test_a_friend_of_one_domain_is_a_stranger_to_the_other() -> None:
    world = World(friends={("example.org", "example.net"): met(replied=True)})
    one = mail(auth=proved(), recipients=("ben@example.net", "eve@example.com"))
    assert names(drive(CORRESPONDENTS.run(one, world, SETTINGS))) == ["correspondents.first"]


def test_one_user_of_a_mail_provider_says_nothing_about_the_next() -> None:
    assert correspondent(mail(auth=proved("gmail.com"), sender="Ana@gmail.com")) == "ana@gmail.com"
    assert correspondent(mail(auth=proved("gmail.com"), sender="bounce@other.example")) is None
    assert correspondent(mail(auth=proved("example.org"))) == "example.org"


def test_what_proves_a_domain_without_a_dmarc_policy() -> None:
    signed = DkimResult(result="pass", domain="mail.example.org")
    part = DkimResult(result="pass", domain="example.org", covers_all=False)
    other = DkimResult(result="pass", domain="example.com")
    spf = SpfResult(result="pass", identity="mail_from", domain="bounce.example.org")
    for auth, expected in (
        (proved(result="none", dkim=(signed,)), "example.org"),
        (proved(result="none", dkim=(part,)), None),
        (proved(result="none", dkim=(other,)), None),
        (proved(result="none", spf_mail_from=spf), "example.org"),
        (proved(result="fail", dkim=(signed,)), None),
    ):
        assert proved_domain(mail(auth=auth)) == expected
