"""Names that look like trusted ones, and honest ones that only nearly do."""

from __future__ import annotations

import pytest

from drive import drive
from gatepost.checks.sender.lookalike import LOOKALIKE, LookalikeSettings
from gatepost.checks.sender.nearnames import NearNames
from gatepost.mail.finding import Finding
from gatepost.mail.known.brands import BRANDS
from gatepost.scan.nothing import Nothing
from gatepost.tools import Person
from judging import World, mail, names

INDEX = NearNames(["gatepost-mills.example"], ["contoso.com"], BRANDS, harmless=["paypal-fans.example"])


class Us(Nothing):
    own_domains = ("gatepost-mills.example",)
    protected: tuple[Person, ...] = ()
    partners = ("contoso.com",)


@pytest.mark.parametrize(
    ("host", "how", "of"),
    [
        ("paypa1.com", "glyphs", "paypal.com"),
        ("rnicrosoft.com", "glyphs", "microsoft.com"),
        ("xn--pypal-4ve.com", "glyphs", "paypal.com"),
        ("micosoft.com", "slip", "microsoft.com"),
        ("facebok.com", "slip", "facebook.com"),
        ("gatepost-mils.example", "slip", "gatepost-mills.example"),
        ("paypal-login.info", "combined", "paypal.com"),
        ("secure.paypal-verify.evil.net", "combined", "paypal.com"),
        ("netflixlogin.top", "combined", "netflix.com"),
        ("apple-support.info", "combined", "apple.com"),
        ("contoso-invoice.com", "combined", "contoso.com"),
        ("paypal.xyz", "ending", "paypal.com"),
        ("gatepost-mills.com", "ending", "gatepost-mills.example"),
        ("paypal.com.evil.example", "inside", "paypal.com"),
        ("www.gatepost-mills.example.evil.net", "inside", "gatepost-mills.example"),
    ],
)
def test_it_looks_like(host: str, how: str, of: str) -> None:
    like = INDEX.look(host)
    assert like is not None
    assert (like.how, like.known.domain) == (how, of)


@pytest.mark.parametrize(
    "host",
    [
        "www.paypal.com", "mail.gatepost-mills.example", "contoso.com", "apple-history.com", "finance.com", "canvas.com",
        "telecom.example", "orange.example", "203.0.113.9", "localhost", "", "x", "xn--", "paypal-fans.example",
        "news.example.org", "chaser.com",
    ],
)  # fmt: skip
def test_it_looks_like_nobody(host: str) -> None:
    assert INDEX.look(host) is None


def seen(
    *header: str, sender: str = "ana@example.org", settings: LookalikeSettings | None = None
) -> list[Finding]:
    world = World()
    world.people = Us()  # type: ignore[attr-defined]
    one = mail(*header, sender=sender)
    return list(drive(LOOKALIKE.run(one, world, settings or LookalikeSettings())))  # type: ignore[arg-type]


def test_author_envelope_and_reply_are_looked_at() -> None:
    (found,) = seen("From: Ana <ana@paypa1.com>")
    assert found.key == "lookalike.glyphs:brand"
    assert found.text == "the author is at paypa1.com, which is written to look like PayPal (paypal.com)"
    assert names(seen("From: Ana <ana@example.org>", "Reply-To: <x@gatepost-mill.example>")) == [
        "lookalike.slip:own"
    ]
    assert names(seen("From: Ana <ana@example.org>", sender="x@contoso-pay.com")) == [
        "lookalike.combined:partner"
    ]
    assert seen("From: Ana <ana@contoso.com>") == []


def test_brands_can_be_left_out_and_more_be_named() -> None:
    assert seen("From: <a@paypa1.com>", settings=LookalikeSettings(brands=False)) == []
    more = LookalikeSettings(brands=False, more=("fabrikam.com",))
    assert names(seen("From: <a@fabrikarn.com>", settings=more)) == ["lookalike.glyphs:brand"]
    assert seen("From: <a@paypa1.com>", settings=LookalikeSettings(harmless=("paypa1.com",))) == []
