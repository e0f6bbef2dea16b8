"""ARC as a postmaster sees it: whose seals stand on a message, and whether they hold."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from drive import drive
from gatepost.dns.answer import Security
from gatepost.dns.zone import Zone
from gatepost.mail.authresults import ArcResult
from gatepost.mail.message import Message
from gatepost.mailauth import canonical as canonical_module
from gatepost.mailauth.arc import ArcLimits, validate_chain
from gatepost.mailauth.arc_seal import seal
from gatepost.mailauth.canonical import Canonical, canonical_body
from gatepost.mailauth.dkim import verify_signatures
from gatepost.mailauth.dkim_sign import sign

NOW = 1_700_000_000.0
KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
MAIL = b"From: Ana <ana@example.org>\r\nTo: list@example.net\r\nSubject: Minutes\r\n\r\nIt was decided.\r\n"


def zone_of(*domains: str, key: rsa.RSAPrivateKey = KEY) -> Zone:
    octets = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    zone = Zone()
    for domain in domains:
        zone.add(f"s._domainkey.{domain}", "TXT", f"v=DKIM1; p={base64.b64encode(octets).decode()}")
    return zone


ZONE = zone_of("one.example", "two.example", "three.example")


def validate(octets: bytes, zone: Zone = ZONE, **options: Any) -> ArcResult:
    return drive(validate_chain(Message.parse(octets), zone, NOW, **options))


def forward(octets: bytes, domain: str, **options: Any) -> bytes:
    wanted: dict[str, Any] = {
        "results": f"mx.{domain}; dkim=pass",
        "domain": domain,
        "selector": "s",
        "key": KEY,
        "now": NOW,
    }
    wanted["chain"] = validate(octets)
    return seal(Message.parse(octets), **(wanted | options)) + octets


ONCE = forward(MAIL, "one.example")
TWICE = forward(b"Received: by two.example\r\n" + ONCE, "two.example")


def test_mail_without_arc() -> None:
    assert validate(MAIL) == ArcResult()


def test_a_chain_names_its_sealers_and_what_they_saw() -> None:
    assert validate(TWICE) == ArcResult(
        result="pass",
        sealers=("one.example", "two.example"),
        authentication_results=("mx.one.example; dkim=pass", "mx.two.example; dkim=pass"),
        security=Security.INSECURE,
    )


def test_a_list_that_seals_after_its_changes_keeps_the_chain() -> None:
    changed = ONCE.replace(b"Subject: ", b"Subject: [list] ") + b"-- \r\nlist footer\r\n"
    assert validate(changed).result == "fail"
    resealed = seal(
        Message.parse(changed),
        chain=validate(ONCE),
        results="mx.two.example; arc=pass",
        domain="two.example",
        selector="s",
        key=KEY,
        now=NOW,
    )
    assert validate(resealed + changed).result == "pass"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"decided", b"dropped"),
        (b"Subject: Minutes", b"Subject: Hours"),
        (b"mx.one.example; dkim=pass", b"mx.one.example; dkim=fail"),
        (b"mx.two.example; dkim=pass", b"mx.two.example; spf=pass"),
        (b"cv=pass", b"cv=none"),
        (b"cv=none", b"cv=pass"),
        (b"cv=pass", b"cv=fail"),
        (b"i=2", b"i=3"),
        (b"ARC-Seal", b"X-Seal"),
        (b"ARC-Message-Signature", b"X-Signature"),
        (b"ARC-Authentication-Results", b"X-Results"),
        (b"From: Ana", b"From: mallory@example.com\r\nFrom: Ana"),
    ],
    ids=repr,
)
def test_what_breaks_a_chain(old: bytes, new: bytes) -> None:
    assert old in TWICE
    result = validate(TWICE.replace(old, new, 1))
    assert result.result == "fail"
    assert result.reason


def test_a_set_that_stands_twice_breaks_the_chain() -> None:
    fields = ONCE.removesuffix(MAIL)
    assert validate(fields + fields + MAIL).result == "fail"


def test_arc_fields_alone_are_no_chain() -> None:
    for name in (b"ARC-Seal", b"ARC-Message-Signature", b"ARC-Authentication-Results"):
        assert validate(name + b": i=1\r\n" + MAIL).result == "fail"


def test_a_missing_key_fails_and_an_unreachable_one_does_not() -> None:
    assert validate(TWICE, zone_of("two.example")).result == "fail"
    broken = zone_of("two.example")
    broken.trouble("s._domainkey.one.example", "TXT", "timeout")
    assert validate(TWICE, broken).result == "temperror"
    assert validate(TWICE, zone_of("one.example", "two.example", key=OTHER)).result == "fail"


OTHER = rsa.generate_private_key(public_exponent=65537, key_size=1024)


def test_the_weakest_security_state_of_all_keys_is_reported() -> None:
    zone = zone_of("one.example", "two.example")
    zone.trust("two.example", Security.SECURE)
    assert validate(TWICE, zone).security is Security.INSECURE
    zone.trust("one.example", Security.SECURE)
    assert validate(TWICE, zone).security is Security.SECURE


def test_a_sealer_names_a_broken_chain_and_nobody_seals_after_that() -> None:
    broken = forward(ONCE.replace(b"decided", b"dropped"), "two.example")
    assert b"cv=fail" in broken
    result = validate(broken)
    assert (result.result, result.sealers) == ("fail", ("one.example", "two.example"))
    assert forward(broken, "three.example") == broken


def test_long_chains() -> None:
    octets = MAIL
    for _ in range(50):
        octets = forward(octets, "one.example", headers=["from"])
    assert validate(octets).result == "pass"
    assert validate(octets, limits=ArcLimits(max_sets=49)).result == "fail"
    assert forward(octets, "one.example") == octets
    fields = b"".join(
        b"ARC-Seal: i=%d\r\nARC-Message-Signature: i=%d\r\nARC-Authentication-Results: i=%d; x\r\n"
        % (n, n, n)
        for n in range(1, 99)
    )
    assert validate(fields + MAIL).reason == "there are too many ARC sets"


def test_the_body_is_hashed_once_for_dkim_and_arc(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []

    def counting(*args: Any, **options: Any) -> Any:
        calls.append(args)
        return canonical_body(*args, **options)

    monkeypatch.setattr(canonical_module, "canonical_body", counting)
    signed = sign(Message.parse(MAIL), domain="one.example", selector="s", key=KEY, now=NOW) + MAIL
    message = Message.parse(forward(signed, "two.example"))
    calls.clear()
    form = Canonical(message)
    (result,), _ = drive(verify_signatures(message, ZONE, NOW, canonical=form))
    assert result.result == "pass"
    assert drive(validate_chain(message, ZONE, NOW, canonical=form)).result == "pass"
    assert len(calls) == 1


def test_nobody_seals_while_a_key_cannot_be_fetched() -> None:
    unsure = ArcResult(result="temperror")
    assert forward(ONCE, "two.example", chain=unsure) == ONCE


WORDS = b"i=1 i=2 ; = a=rsa-sha256 b=QQ== bh=QQ== d=one.example s=s h=from cv=none cv=pass c=relaxed/relaxed l=1 :"
GARBAGE = st.lists(st.sampled_from([*WORDS.split(), b" ", b"\xff", b"\0", b"\r\n\t"]), max_size=20).map(
    b"".join
)
NAMES = st.sampled_from([b"ARC-Seal", b"ARC-Message-Signature", b"ARC-Authentication-Results"])


@given(st.lists(st.tuples(NAMES, GARBAGE), min_size=1, max_size=4))
def test_no_arc_field_raises_or_passes(fields: list[tuple[bytes, bytes]]) -> None:
    octets = b"".join(b"%b: %b\r\n" % each for each in fields) + MAIL
    result = validate(octets)
    assert result.result == "fail"
    assert (result.reason or "").isprintable()
    forward(octets, "two.example")


@given(st.tuples(GARBAGE, GARBAGE, GARBAGE))
def test_no_complete_set_of_garbage_raises_or_passes(values: tuple[bytes, bytes, bytes]) -> None:
    start = b"ARC-Seal: i=1; cv=none; %b\r\nARC-Message-Signature: i=1; %b\r\nARC-Authentication-Results: i=1; %b\r\n"
    assert validate(start % values + MAIL).result == "fail"
