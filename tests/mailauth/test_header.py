"""Authentication-Results and Received: nothing breaks out, and whoever claims to be us is found (RFC 8601)."""

from __future__ import annotations

import time
from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost.mail.address import Address
from gatepost.mail.authresults import ArcResult, AuthResults, DkimResult, DmarcResult, SpfResult
from gatepost.mail.client import Client, TlsFacts
from gatepost.mail.message import Message
from gatepost.mailauth.header import (
    authentication_results,
    foreign_fields,
    parse_authentication_results,
    received_field,
)

US = "mx.example.net"
RESULTS = AuthResults(
    spf_hello=SpfResult(result="none", identity="hello", domain="mail.example.com"),
    spf_mail_from=SpfResult(result="pass", identity="mail_from", domain="example.com"),
    dkim=(
        DkimResult(
            result="pass",
            domain="example.com",
            selector="s1",
            identity="@example.com",
            algorithm="rsa-sha256",
            signature="a/+=bcde",
        ),
        DkimResult(result="fail", domain="example.org", selector="s2", reason="the body was changed"),
    ),
    arc=ArcResult(result="pass"),
    dmarc=DmarcResult(
        result="pass", author_domain="example.com", policy="reject", aligned_by=("dkim", "spf")
    ),
)


def test_a_results_field_reads_back() -> None:
    octets = authentication_results(US, RESULTS)
    assert all(len(line) <= 78 for line in octets.split(b"\r\n"))
    [field] = Message.parse(octets).fields
    assert field.name == b"authentication-results"
    parsed = parse_authentication_results(octets[field.colon + 1 :])
    assert parsed is not None
    assert parsed.authserv_id == US
    told = [(each.method, each.result, each.reason, dict(each.properties)) for each in parsed.results]
    assert told == [
        ("spf", "pass", None, {"smtp.mailfrom": "example.com"}),
        ("spf", "none", None, {"smtp.helo": "mail.example.com"}),
        (
            "dkim",
            "pass",
            None,
            {
                "header.d": "example.com",
                "header.i": "@example.com",
                "header.s": "s1",
                "header.a": "rsa-sha256",
                "header.b": "a/+=bcde",
            },
        ),
        ("dkim", "fail", "the body was changed", {"header.d": "example.org", "header.s": "s2"}),
        ("arc", "pass", None, {}),
        ("dmarc", "pass", None, {"header.from": "example.com", "policy.dmarc": "reject"}),
    ]


def test_where_nobody_was_asked_nothing_is_claimed() -> None:
    field = authentication_results(US, AuthResults())
    parsed = parse_authentication_results(field[24:])
    assert parsed is not None
    assert (field.split(b";")[1].strip(), parsed.results) == (b"none", ())


def test_without_signatures_dkim_is_none() -> None:
    asked = AuthResults(dmarc=DmarcResult(author_domain="example.com"))
    parsed = parse_authentication_results(authentication_results(US, asked)[24:])
    assert parsed is not None
    assert [(each.method, each.result) for each in parsed.results] == [
        ("spf", "none"),
        ("spf", "none"),
        ("dkim", "none"),
        ("arc", "none"),
        ("dmarc", "none"),
    ]


HOSTILE = st.text(max_size=80) | st.text(alphabet='\r\n;"\\()= \t\0<>@a.', max_size=300)


@given(HOSTILE, HOSTILE, HOSTILE)
def test_nothing_breaks_out_of_a_results_field(one: str, two: str, three: str) -> None:
    results = AuthResults(
        spf_hello=SpfResult(result="temperror", identity="hello", domain=one, problem=two),
        spf_mail_from=SpfResult(result="fail", identity="mail_from", domain=two, explanation=three),
        dkim=(
            DkimResult(
                result="fail",
                domain=three,
                selector=one,
                identity=two,
                algorithm=three,
                reason=one,
                signature=two,
            ),
        ),
        arc=ArcResult(result="fail", reason=three),
        dmarc=DmarcResult(result="fail", author_domain=one, policy="reject", reason=two),
    )
    octets = authentication_results(US, results)
    message = Message.parse(octets)
    assert [field.name for field in message.fields] == [b"authentication-results"]
    assert message.defects == ()
    assert message.fields[0].end == len(octets)
    assert all(len(line) <= 998 for line in octets.split(b"\r\n"))
    parsed = parse_authentication_results(octets[message.fields[0].colon + 1 :])
    assert parsed is not None
    assert parsed.authserv_id == US
    assert [(each.method, each.result) for each in parsed.results] == [
        ("spf", "fail"),
        ("spf", "temperror"),
        ("dkim", "fail"),
        ("arc", "fail"),
        ("dmarc", "fail"),
    ]


READABLE = {
    "example.com; none": ("example.com", []),
    "example.com 1; none": ("example.com", []),
    "example.com (a (nested) comment); spf=pass (good) smtp.mailfrom=a@b.example": (
        "example.com",
        [("spf", "pass", (("smtp.mailfrom", "a@b.example"),))],
    ),
    '"example.com"; dkim=pass reason="good; signature" header.i=@x.example;': (
        "example.com",
        [("dkim", "pass", (("header.i", "@x.example"),))],
    ),
    "example.com;\r\n\tDKIM/1=Pass header.d = x.example": (
        "example.com",
        [("dkim", "pass", (("header.d", "x.example"),))],
    ),
}


@pytest.mark.parametrize("value", READABLE)
def test_reading(value: str) -> None:
    parsed = parse_authentication_results(value)
    assert parsed is not None
    authserv_id, results = READABLE[value]
    assert parsed.authserv_id == authserv_id
    assert [(each.method, each.result, each.properties) for each in parsed.results] == results


MALFORMED = ["", ";", "=; none", "a b; none", "a; spf", "a; spf=", "a; =pass", "a; spf=pass x", "a; (open", 'a; "open', "a; spf=pass foo=bar"]  # fmt: skip


@pytest.mark.parametrize("value", MALFORMED)
def test_malformed_is_none(value: str) -> None:
    assert parse_authentication_results(value) is None


@given(st.text(max_size=300) | st.text(alphabet='a.=;"()\\ \r\n1', max_size=300))
def test_reading_never_raises(value: str) -> None:
    parse_authentication_results(value)
    parse_authentication_results(value.encode("utf-8", "surrogatepass"))


OURS = [
    b"mx.example.net; dmarc=pass",
    b"MX.Example.NET; dmarc=pass",
    b"mx.example.net 1; dmarc=pass",
    b"mx.example.net.; dmarc=pass",
    b"mx.example.net",
    b"(comment) mx.example.net (another); dmarc=pass",
    b"((nested) comment)mx.example.net; dmarc=pass",
    b'"mx.example.net"; dmarc=pass',
    b'"mx.\\example.net"; dmarc=pass',
    b'"mx.example.net; dmarc=pass',
    b"\r\n mx.example.net; dmarc=pass",
    b"\r\n\t(x)\r\n mx.example.net\r\n ; dmarc=pass",
    b"mx.(comment)example.net; dmarc=pass",
    b"mx.example.\r\n net; dmarc=pass",
    b"mx . example . net; dmarc=pass",
    b"mx.example.net; dmarc=pass; (open",
    b"mx.example.net\0; dmarc=pass",
    b"other.example; none\r\n\t; mx.example.net; dmarc=pass",
    b"mx.example.net dmarc=pass",
    b"\xefmx.example.net; =",
]


@pytest.mark.parametrize("value", OURS)
@pytest.mark.parametrize("name", [b"Authentication-Results:", b"AUTHENTICATION-RESULTS \t:"])
def test_a_field_that_claims_to_be_ours_is_found(value: bytes, name: bytes) -> None:
    before, field = b"Subject: x\r\n", name + value + b"\r\n"
    message = Message.parse(before + field + b"To: y\r\n\r\n")
    assert foreign_fields(message, US) == ((len(before), len(before) + len(field)),)


THEIRS = [
    b"other.example; dmarc=pass",
    b"mx.example.net.other.example; dmarc=pass",
    b"notmx.example.net; dmarc=pass",
    b"example.net; dmarc=pass header.from=mx.example.net",
    b"other.example (mx.example.net); dmarc=pass",
    b"other.example; unreadable",
]


@pytest.mark.parametrize("value", THEIRS)
def test_a_field_of_somebody_else_is_left(value: bytes) -> None:
    message = Message.parse(
        b"Authentication-Results: " + value + b"\r\nX-Authentication-Results: mx.example.net\r\n\r\n"
    )
    assert foreign_fields(message, US) == ()


def test_an_internationalised_name_is_ours_in_both_forms() -> None:
    for value in (
        "mx.bücher.example; dmarc=pass",
        "mx.xn--bcher-kva.example; dmarc=pass",
        "mx.bücher.example ;;",
    ):
        message = Message.parse(f"Authentication-Results: {value}\r\n\r\n".encode())
        assert len(foreign_fields(message, "mx.xn--bcher-kva.example")) == 1
        assert len(foreign_fields(message, "mx.bücher.example")) == 1


@pytest.mark.parametrize(
    "bomb", [b"(" * 500_000, b'"' * 500_001, b"a;" * 300_000, b"a; " + b"b=c " * 200_000, b"\\" * 500_000, b"a " * 300_000]
)  # fmt: skip
def test_bombs_take_little_time(bomb: bytes) -> None:
    message = Message.parse(b"Authentication-Results: " + bomb + b"\r\n\r\n")
    start = time.process_time()
    foreign_fields(message, US)
    parse_authentication_results(bomb)
    assert time.process_time() - start < 1.0  # quadratic would be minutes


CLIENT = Client(ip=ip_address("192.0.2.1"), hello="mail.example.com")
NOW = 1_790_000_000.0


def test_received_says_who_and_how() -> None:
    client = Client(
        ip=ip_address("2001:db8::1"),
        hello="mail.example.com",
        tls=TlsFacts(version="TLSv1.3", cipher="TLS_AES_256_GCM_SHA384"),
    )
    octets = received_field(
        client,
        receiver=US,
        ref="k7f3-2p",
        now=NOW,
        recipient=Address("ana", "example.net"),
        reverse_name="out.example.com",
    )
    assert octets == (
        b"Received: from mail.example.com (out.example.com [IPv6:2001:db8::1])\r\n"
        b" (using TLSv1.3 with cipher TLS_AES_256_GCM_SHA384)\r\n"
        b" by mx.example.net with ESMTPS id k7f3-2p\r\n"
        b" for <ana@example.net>;\r\n"
        b" Mon, 21 Sep 2026 14:13:20 +0000\r\n"
    )


PROTOCOLS = [
    ({"extended": False}, False, b"with SMTP "),
    ({}, False, b"with ESMTP "),
    ({"user": "ana", "role": "submission"}, False, b"with ESMTPA "),
    ({}, True, b"with UTF8SMTP "),
    ({"role": "lmtp"}, False, b"with LMTP "),
]


@pytest.mark.parametrize(("facts", "smtputf8", "shown"), PROTOCOLS)
def test_received_names_the_protocol(facts: dict[str, object], smtputf8: bool, shown: bytes) -> None:
    client = Client(ip=ip_address("192.0.2.1"), hello="x", **facts)  # type: ignore[arg-type]
    assert shown in received_field(client, receiver=US, ref="r", now=NOW, smtputf8=smtputf8)


@given(HOSTILE, HOSTILE, HOSTILE, HOSTILE)
def test_nothing_breaks_out_of_received(hello: str, local: str, domain: str, name: str) -> None:
    client = Client(ip=None, hello=hello, tls=TlsFacts(version=name, cipher=name))
    octets = received_field(
        client, receiver=US, ref=name, now=NOW, recipient=Address(local, domain), reverse_name=name
    )
    message = Message.parse(octets)
    assert [field.name for field in message.fields] == [b"received"]
    assert (message.defects, message.fields[0].end) == ((), len(octets))
    assert octets.isascii()
    assert octets.count(b";") == 1
