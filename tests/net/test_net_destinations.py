"""Destinations of the operator's own: another way, signing in there, and mistakes told in words."""

from __future__ import annotations

import asyncio
import base64
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from gatepost.dns.zone import Zone
from gatepost.net.destinations import (
    Destinations,
    DestinationSettings,
    OutboundSettings,
    destination_problems,
)
from gatepost.net.outbound import Outbound, Sent
from gatepost.smtp.sending import Outgoing, OutgoingRecipient, Result
from gatepost.tlspolicy.requirement import Wish
from scripted_peer import Peer

sys.path.append(str(Path(__file__).parent.parent / "lab"))
from lab_servers import Authorities, identity

MESSAGE = Outgoing(
    sender="ana@example.net",
    recipients=(OutgoingRecipient(address="ben@example.org"),),
    octets=b"From: ana@example.net\r\n\r\nwords\r\n",
)


def signed_in(secret: str) -> str:
    return base64.b64encode(secret.encode()).decode()


def by_plain(verb: str, line: str) -> str | None:
    if verb == "AUTH":
        good = line == f"AUTH PLAIN {signed_in(chr(0) + 'gate' + chr(0) + 'secret word')}"
        return "235 2.7.0 welcome" if good else "535 5.7.8 no"
    return None


def by_login(verb: str, line: str) -> str | None:
    answers = {
        "AUTH LOGIN": "334 VXNlcm5hbWU6",
        signed_in("gate"): "334 UGFzc3dvcmQ6",
        signed_in("secret word"): "235 2.7.0 welcome",
    }
    return answers.get(line)


async def by_smarthost(
    folder: Path, *, keywords: tuple[str, ...], answer: Callable[[str, str], str | None], server: str = "good",
    way: str = "", tls_first: bool = False,
) -> tuple[Sent, Peer]:  # fmt: skip
    known = Authorities(folder)
    (folder / "password").write_text("secret word\n")
    shown = identity(server, "relay.example.net", known)
    peer = Peer(
        keywords=("PIPELINING", *keywords),
        answer=answer,
        tls=shown.context() if server != "plain" else None,
        tls_first=tls_first,
    )
    async with peer.serve():
        settings = OutboundSettings(
            trust_anchors=str(known.file),
            smarthost=f"{way}relay.example.net:{peer.port}",
            smarthost_user="gate",
            smarthost_password_file=str(folder / "password"),
        )
        zone = Zone.parse("relay.example.net. A 127.0.0.1\n$FAIL example.org\n")
        out = Outbound("gate.test", zone, settings)
        sent = await out.send_to_domain("example.org", MESSAGE)
        await out.close()
    return sent, peer


@pytest.mark.parametrize(("mechanisms", "answer"), [("PLAIN LOGIN", by_plain), ("LOGIN", by_login)])
def test_a_smarthost_takes_everything_after_signing_in(
    tmp_path: Path, mechanisms: str, answer: Callable[[str, str], str | None]
) -> None:
    sent, peer = asyncio.run(by_smarthost(tmp_path, keywords=(f"AUTH {mechanisms}",), answer=answer))
    assert sent.outcomes[0].result is Result.DELIVERED, sent
    assert (sent.tls_policy, sent.tls_verified) == ("required", True)
    assert len(peer.messages) == 1


@pytest.mark.parametrize(
    ("server", "keywords", "words"),
    [
        ("untrusted", ("AUTH PLAIN",), "TLS handshake"),
        ("plain", ("AUTH PLAIN",), "STARTTLS"),
        ("good", ("AUTH SCRAM-SHA-1",), "neither AUTH PLAIN nor AUTH LOGIN"),
        ("good", (), "neither AUTH PLAIN nor AUTH LOGIN"),
    ],
)
def test_the_password_is_said_to_nobody_else(
    tmp_path: Path, server: str, keywords: tuple[str, ...], words: str
) -> None:
    sent, peer = asyncio.run(by_smarthost(tmp_path, keywords=keywords, answer=by_plain, server=server))
    assert sent.outcomes[0].result is Result.DEFERRED
    assert words in sent.outcomes[0].words
    assert not [line for line in peer.lines if line.startswith(("AUTH", "MAIL"))]


def test_tls_may_begin_with_the_connection(tmp_path: Path) -> None:
    """Port 465 (RFC 8314 §3.3), which some providers offer alone."""
    sent, peer = asyncio.run(
        by_smarthost(tmp_path, keywords=("AUTH PLAIN",), answer=by_plain, way="smtps:", tls_first=True)
    )
    assert sent.outcomes[0].result is Result.DELIVERED, sent
    assert (sent.tls_policy, sent.tls_verified) == ("required", True)
    assert [line.split(" ")[0] for line in peer.lines[:3]] == ["EHLO", "AUTH", "MAIL"]


@pytest.mark.parametrize(("server", "tls_first"), [("untrusted", True), ("good", False), ("plain", False)])
def test_then_nothing_is_said_before_it(tmp_path: Path, server: str, *, tls_first: bool) -> None:
    sent, peer = asyncio.run(
        by_smarthost(
            tmp_path,
            keywords=("AUTH PLAIN",),
            answer=by_plain,
            server=server,
            way="smtps:",
            tls_first=tls_first,
        )
    )
    assert (sent.outcomes[0].result, sent.outcomes[0].status) == (Result.DEFERRED, "4.7.5"), sent
    assert peer.lines == []


def test_the_usual_port_of_each_way() -> None:
    ways = [
        Destinations.of(OutboundSettings(smarthost=one)).otherwise.via
        for one in ("r.example", "smtps:r.example")
    ]
    assert [str(one) for one in ways] == ["r.example:25", "r.example:465"]


def test_a_refused_password_waits_and_is_not_in_what_is_told(tmp_path: Path) -> None:
    def refuse(verb: str, line: str) -> str | None:
        return "535 5.7.8 no such account" if verb == "AUTH" else None

    sent, peer = asyncio.run(by_smarthost(tmp_path, keywords=("AUTH PLAIN",), answer=refuse))
    outcome = sent.outcomes[0]
    assert (outcome.result, outcome.status) == (Result.DEFERRED, "4.7.8")
    assert "signing in as gate was refused: 535 5.7.8 no such account" in outcome.words
    assert "secret" not in repr(sent)
    assert not peer.messages


def test_the_nearest_entry_counts() -> None:
    found = Destinations.of(
        OutboundSettings(
            smarthost="[2001:db8::1]:587",
            destinations=(
                DestinationSettings(domain=".example.org", tls=Wish.REQUIRED, names=("MX.Example.net.",)),
                DestinationSettings(domain="a.example.org", tls=Wish.NONE, via="smtp:other.example"),
            ),
        )
    )
    below, exact, other = (found.find(one) for one in ("b.c.example.org", "a.example.org", "example.org"))
    assert (below.wish, below.names, str(below.via)) == (
        Wish.REQUIRED,
        ("mx.example.net",),
        "[2001:db8::1]:587",
    )
    assert (exact.wish, str(exact.via)) == (Wish.NONE, "other.example:25")
    assert other.wish is Wish.AUTO


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (
            OutboundSettings(destinations=(DestinationSettings(domain="no domain"),)),
            '"no domain" is no domain',
        ),
        (
            OutboundSettings(
                destinations=(DestinationSettings(domain="a.test"), DestinationSettings(domain="A.test"))
            ),
            "named twice",
        ),
        (OutboundSettings(destinations=(DestinationSettings(domain="a.test", names=("b",)),)), "tls"),
        (OutboundSettings(smarthost="relay:99999"), "say HOST:PORT"),
        (OutboundSettings(smarthost="2001:db8::1"), "say HOST:PORT"),
        (OutboundSettings(smarthost="relay", smarthost_user="gate"), "belong together"),
    ],
)
def test_mistakes_are_told(settings: OutboundSettings, words: str) -> None:
    [problem] = destination_problems(settings)
    assert words in problem


def test_a_password_file_that_cannot_be_used(tmp_path: Path) -> None:
    file = tmp_path / "password"
    settings = OutboundSettings(smarthost="relay", smarthost_user="g", smarthost_password_file=str(file))
    assert not list(destination_problems(settings))
    assert "cannot be read" in next(iter(destination_problems(settings, reads=True)))
    file.write_text("two\nlines\n")
    [problem] = destination_problems(settings, reads=True)
    assert "one line" in problem
    zone = Zone.parse("relay. A 127.0.0.1\n")
    out = Outbound("gate.test", zone, settings)
    outcome = asyncio.run(out.send_to_domain("example.org", MESSAGE)).outcomes[0]
    assert outcome.result is Result.DEFERRED
    assert f"the password file {file} does not hold one line" in outcome.words
    assert "two" not in problem
