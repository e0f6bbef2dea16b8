"""RFC 6376 §3.4: canonical forms, against a slow and obvious reading of the RFC."""

from __future__ import annotations

import hashlib
import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost.mail.message import Message
from gatepost.mailauth import canonical
from gatepost.mailauth.canonical import Canonical, canonical_body, without_signature


def body(octets: bytes, *, relaxed: bool) -> bytes:
    return b"".join(canonical_body(octets, 0, relaxed=relaxed))


def plain_body(octets: bytes, *, relaxed: bool) -> bytes:
    """Line by line, as the RFC's sentences go."""
    lines = octets.split(b"\r\n")
    if relaxed:
        lines = [re.sub(rb"[ \t]+", b" ", line).removesuffix(b" ") for line in lines]
    while lines and not lines[-1]:
        lines.pop()
    if not lines:
        return b"" if relaxed else b"\r\n"
    return b"".join(line + b"\r\n" for line in lines)


def plain_value(value: bytes) -> bytes:
    return re.sub(rb"[ \t]+", b" ", value.replace(b"\r\n", b"")).strip(b" ")


def test_the_examples_of_the_rfc() -> None:
    message = Message.parse(b"A: X\r\nB : Y\t\r\n\tZ  \r\n\r\n C \r\nD \t E\r\n\r\n\r\n")
    form = Canonical(message)
    assert [form.field(each, relaxed=True) for each in message.fields] == [b"a:X\r\n", b"b:Y Z\r\n"]
    assert [form.field(each, relaxed=False) for each in message.fields] == [
        b"A: X\r\n",
        b"B : Y\t\r\n\tZ  \r\n",
    ]
    assert body(bytes(message.body), relaxed=True) == b" C\r\nD E\r\n"
    assert body(bytes(message.body), relaxed=False) == b" C \r\nD \t E\r\n"


def test_empty_bodies() -> None:
    for octets in (b"", b"\r\n", b"\r\n\r\n\r\n"):
        assert body(octets, relaxed=True) == b""
        assert body(octets, relaxed=False) == b"\r\n"
    assert body(b" \t\r\n ", relaxed=True) == b""
    assert body(b"a", relaxed=True) == body(b"a", relaxed=False) == b"a\r\n"


PIECES = st.lists(
    st.sampled_from([b" ", b"\t", b"\r\n", b"\r", b"\n", b"a", b"bc", b" " * 70, b"\r\n" * 40, b"\x0b"])
)


@given(PIECES.map(b"".join), st.booleans(), st.sampled_from([1, 3, 64, 262_144]))
def test_any_body_has_the_form_the_rfc_describes(octets: bytes, relaxed: bool, piece: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(canonical, "PIECE", piece)
        assert body(octets, relaxed=relaxed) == plain_body(octets, relaxed=relaxed)


@given(PIECES.map(b"".join))
def test_any_field_has_the_form_the_rfc_describes(octets: bytes) -> None:
    message = Message.parse(b"X:" + octets + b"\r\n\r\n")
    form = Canonical(message)
    for each in message.fields:
        value = message.octets[each.colon + 1 : each.end].removesuffix(b"\r\n")
        assert form.field(each, relaxed=True) == each.name + b":" + plain_value(value) + b"\r\n"


@given(PIECES.map(b"".join), st.booleans(), st.integers(0, 200))
def test_length_cuts_the_canonical_body(octets: bytes, relaxed: bool, length: int) -> None:
    form = Canonical(Message.parse(b"\r\n" + octets))
    wanted = plain_body(octets, relaxed=relaxed)
    digest, total = form.body_hash(relaxed=relaxed, algorithm="sha256", length=length)
    assert (digest, total) == (hashlib.sha256(wanted[:length]).digest(), len(wanted))
    whole, _ = form.body_hash(relaxed=relaxed, algorithm="sha256")
    assert whole == hashlib.sha256(wanted).digest()


@pytest.mark.parametrize(
    ("value", "left"),
    [
        (b" v=1; b=abc\r\n\tdef ; bh=b=;", b" v=1; b=; bh=b=;"),
        (b"b = abc\r\n", b"b ="),
        (b"v=1;\r\n\tb\r\n =x", b"v=1;\r\n\tb\r\n ="),
        (b"bb=1; B=2", b"bb=1; B=2"),
        (b"b", b"b"),
    ],
)
def test_the_signature_is_removed_with_the_blanks_around_it(value: bytes, left: bytes) -> None:
    assert without_signature(value) == left


def test_names_are_taken_from_the_bottom_up() -> None:
    message = Message.parse(b"X: 1\r\nX: 2\r\nDkim-Signature: a\r\nDkim-Signature: b\r\n\r\n")
    form = Canonical(message)
    assert form.signed_fields([b"x"] * 3, relaxed=True) == [b"x:2\r\n", b"x:1\r\n"]
    own = message.fields[3]
    assert form.signed_fields([b"dkim-signature"] * 2, own, relaxed=True) == [b"dkim-signature:a\r\n"]


HOSTILE = [b" ", b"\t", b" \t", b"\r\n", b" \r\n", b"\r", b"\n", b"\r\n ", b"a ", b"  a", b"=", b"\r\r\n"]


@pytest.mark.parametrize("piece", HOSTILE, ids=repr)
@pytest.mark.parametrize("relaxed", [True, False])
def test_time_grows_with_the_message_and_no_faster(piece: bytes, relaxed: bool) -> None:
    octets = b"X:" + piece * (500_000 // len(piece)) + b"\r\n\r\n" + piece * (1_000_000 // len(piece))
    start = time.process_time()
    message = Message.parse(octets)
    form = Canonical(message)
    for each in message.fields:
        form.field(each, relaxed=relaxed)
    form.body_hash(relaxed=relaxed, algorithm="sha256")
    # A quadratic pass over a megabyte takes minutes; a linear one some hundredths of a second.
    assert time.process_time() - start < 3
