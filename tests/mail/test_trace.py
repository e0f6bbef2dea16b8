"""The client behind our own relays is read from the field they wrote, and from nothing below it."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost.mail.client import Client
from gatepost.mail.message import Message
from gatepost.mail.trace import client_behind, read_from_clause, topmost_client

RELAYS = (ip_network("10.0.0.0/8"),)


@pytest.mark.parametrize(
    ("field", "ip", "hello"),
    [
        (b"from mail.a.example (rdns.a.example [192.0.2.7]) by mx.b.example", "192.0.2.7", "mail.a.example"),
        (b"from [192.0.2.8] (helo=mail.a.example) by mx", "192.0.2.8", "mail.a.example"),
        (
            b"from rdns.a.example ([192.0.2.9] helo=hi.example)\r\n\tby mx with esmtp",
            "192.0.2.9",
            "hi.example",
        ),
        (b"from EX01.corp.example (2001:db8::5) by EX02", "2001:db8::5", "EX01.corp.example"),
        (b"from a.example (unknown [IPv6:2001:db8::6]) by mx", "2001:db8::6", "a.example"),
    ],
)
def test_the_usual_forms(field: bytes, ip: str, hello: str) -> None:
    assert read_from_clause(field) == (ip_address(ip), hello)


@pytest.mark.parametrize(
    "field", [b"by mx.example with LMTP; date", b"from a.example by [192.0.2.1]", b"from x (999.1.1.1)"]
)
def test_no_client_is_made_up(field: bytes) -> None:
    assert read_from_clause(field) is None


def message(*received: bytes) -> Message:
    return Message.parse(
        b"".join(b"Received: " + one + b"\r\n" for one in received) + b"From: a@b.example\r\n\r\n"
    )


def test_a_stranger_cannot_name_another_client() -> None:
    client = Client(ip=ip_address("203.0.113.5"), hello="evil.example")
    assert client_behind(client, message(b"from good.example ([192.0.2.7]) by mx"), RELAYS) is client


def test_behind_two_relays_the_outer_client_is_found_and_forgeries_below_are_not() -> None:
    client = Client(ip=ip_address("10.0.0.1"), hello="mx1")
    seen = client_behind(
        client,
        message(
            b"from mx0 ([10.0.0.2]) by mx1",
            b"from real.example ([198.51.100.1]) by mx0",
            b"from forged.example ([192.0.2.7]) by x",
        ),
        RELAYS,
    )
    assert (str(seen.ip), seen.hello) == ("198.51.100.1", "real.example")


def test_mail_born_inside_has_no_client() -> None:
    client = Client(ip=ip_address("10.0.0.1"))
    assert client_behind(client, message(b"by mx1 with local"), RELAYS).ip is None
    assert client_behind(client, message(), RELAYS).ip is None


def test_a_file_is_read_from_its_topmost_field() -> None:
    assert topmost_client(message(b"from a.example ([192.0.2.7]) by mx"), ()) == (
        ip_address("192.0.2.7"),
        "a.example",
    )
    assert topmost_client(message(), ()) is None


@given(st.binary(max_size=300))
def test_never_raises(field: bytes) -> None:
    read_from_clause(b"from " + field)
