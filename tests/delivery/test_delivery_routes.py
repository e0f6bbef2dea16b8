"""Where mail for a domain goes, and what is said about a setting that cannot be."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gatepost.delivery.routes import AskedOf, Elsewhere, MaildirAt, Routes, read_destination, read_hop
from gatepost.delivery.settings import DomainSettings
from gatepost.mail.address import Address
from gatepost.smtp.sending import Hop, Protocol, TlsUse

HERE = Path("/srv/gate")


def domain(name: str = "example.net", deliver: str = "maildir:mail", **more: Any) -> DomainSettings:
    return DomainSettings(name=name, deliver=deliver, **more)


@pytest.mark.parametrize(
    ("text", "destination"),
    [
        ("maildir:var/mail", MaildirAt(HERE / "var/mail")),
        ("maildir:/var/mail", MaildirAt(Path("/var/mail"))),
        ("smtp:mail.example:2525", Hop(host="mail.example", port=2525)),
        ("smtp:Mail.Example", Hop(host="mail.example", port=25)),
        ("smtp:[2001:db8::1]:25", Hop(host="2001:db8::1", port=25)),
        ("lmtp:127.0.0.1:24", Hop(protocol=Protocol.LMTP, host="127.0.0.1", port=24)),
        ("lmtp:/run/x.sock", Hop(protocol=Protocol.LMTP, path="/run/x.sock", port=0, tls=TlsUse.NONE)),
        (
            "lmtp:run/x.sock",
            Hop(protocol=Protocol.LMTP, path="/srv/gate/run/x.sock", port=0, tls=TlsUse.NONE),
        ),
    ],
)
def test_destinations(text: str, destination: object) -> None:
    assert read_destination(text, HERE, TlsUse.OPPORTUNISTIC) == destination


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (domain(deliver=""), 'domain example.net: deliver = "": say maildir:PATH'),
        (domain(deliver="pop:x"), 'deliver = "pop:x": say'),
        (domain(deliver="maildir:"), 'deliver = "maildir:": say'),
        (domain(deliver="smtp:host:port"), "port is not a port"),
        (domain(deliver="smtp:host:99999"), "99999 is not a port"),
        (domain(deliver="smtp:2001:db8::1:25"), "IPv6 address stands in brackets"),
        (domain(deliver="smtp::25"), "there is no host in it"),
        (domain(name="exa mple"), "this is not a domain name"),
        (domain(recipients=("ana@example.org",)), "ana@example.org is not in this domain"),
        (domain(recipients=("a b",)), "'a b' is not an address"),
        (domain(recipients={"files": "x"}), "recipients: say"),
        (domain(recipients="all"), "recipients: say"),
        (domain(recipients={"callout": "http:x"}), '"http:x": say smtp:'),
        (domain(aliases={"sales": ()}), "alias sales goes to nobody"),
        (domain(aliases={"*": "ana"}), "nobody is listed here"),
        (domain(postmaster="x y"), "'x y' is not an address"),
    ],
)
def test_what_cannot_be_is_named(settings: DomainSettings, words: str) -> None:
    with pytest.raises(ValueError) as caught:
        Routes([settings], folder=HERE)
    assert words in str(caught.value)
    assert str(caught.value).startswith(f"domain {settings.name}: ")


def test_a_domain_named_twice() -> None:
    with pytest.raises(ValueError, match=r"example\.net is named twice"):
        Routes([domain(), domain(name="Example.NET.")])


def test_exact_names_come_before_what_lies_below_a_name() -> None:
    routes = Routes(
        [
            domain(deliver="maildir:exact"),
            domain(name=".example.net", deliver="maildir:below"),
            domain(name=".deep.example.net", deliver="maildir:deep"),
            domain(name="bücher.example", deliver="maildir:books"),
        ],
        folder=HERE,
    )

    def base(name: str) -> object:
        found = routes.destination(Address("x", name))
        return found.base.name if isinstance(found, MaildirAt) else found

    assert base("example.net") == "exact"
    assert base("a.b.example.net") == "below"
    assert base("a.deep.example.net") == "deep"
    assert base("deep.example.net") == "below"
    assert base("xn--bcher-kva.example") == "books"
    assert base("badexample.net") == Elsewhere("badexample.net")


def test_tls_of_a_domain_is_that_of_its_hop() -> None:
    (found,) = Routes([domain(deliver="smtp:a.example", tls=TlsUse.REQUIRED)]).domains
    assert isinstance(found.destination, Hop)
    assert found.destination.tls is TlsUse.REQUIRED
    (asked,) = Routes([domain(recipients={"callout": "smtp:b.example:2525"})]).domains
    assert asked.recipients == AskedOf(Hop(host="b.example", port=2525))
    assert read_hop("lmtp:[::1]", HERE, TlsUse.NONE).port == 24
