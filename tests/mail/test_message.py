"""Octets in, fields and body out: whatever arrives, nothing is lost and nothing is misread."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gatepost.mail.message import Message, to_crlf

TYPICAL = (
    b"Received: from a.example\r\n\tby b.example; Mon, 1 Jan 2024 00:00:00 +0000\r\n"
    b"From: Ana <ana@example.org>\r\n"
    b"SUBJECT :  Hello\r\n  there \r\n"
    b"\r\n"
    b"Body: not a field\r\n\r\nend"
)


def test_fields_and_body() -> None:
    message = Message.parse(TYPICAL)
    assert [each.name for each in message.fields] == [b"received", b"from", b"subject"]
    assert message.get(b"from") == b"Ana <ana@example.org>"
    assert message.get(b"subject") == b"Hello  there"
    assert message.get(b"received") == b"from a.example\tby b.example; Mon, 1 Jan 2024 00:00:00 +0000"
    assert bytes(message.body) == b"Body: not a field\r\n\r\nend"
    assert message.defects == ("blank-before-colon",)
    assert message.get(b"to") is None
    assert message.values(b"to") == []


def test_raw_is_the_field_as_received() -> None:
    message = Message.parse(TYPICAL)
    assert b"".join(message.raw(each) for each in message.fields) == TYPICAL[: TYPICAL.index(b"\r\n\r\n") + 2]


def test_repeated_fields_keep_their_order() -> None:
    message = Message.parse(b"From: a\r\nTo: x\r\nfrom: b\r\nFROM : c\r\n\r\n")
    assert message.values(b"from") == [b"a", b"b", b"c"]
    assert message.count(b"from") == 3


def test_lines_that_are_no_field() -> None:
    message = Message.parse(
        b"From ana@example.org Mon Jan  1 00:00:00 2024\r\nFrom: a\r\n"
        b"garbage\r\n more\r\nTo: b\r\n: x\r\n\xc3\xa9: y\r\n\r\n"
    )
    assert [each.name for each in message.fields] == [b"from", b"to"]
    assert message.defects == ("not-a-field",)


def test_leading_continuation_belongs_to_no_field() -> None:
    message = Message.parse(b" Bcc: hidden\r\n\tmore\r\nFrom: a\r\n\r\n")
    assert [each.name for each in message.fields] == [b"from"]
    assert message.defects == ("leading-continuation",)


def test_a_line_of_blanks_does_not_end_the_header() -> None:
    message = Message.parse(b"Subject: a\r\n \t\r\nFrom: b\r\n\r\nbody")
    assert [each.name for each in message.fields] == [b"subject", b"from"]
    assert bytes(message.body) == b"body"


def test_no_header_and_no_body() -> None:
    assert bytes(Message.parse(b"\r\nFrom: in the body\r\n").body) == b"From: in the body\r\n"
    assert Message.parse(b"\r\nFrom: in the body\r\n").fields == ()
    headless = Message.parse(b"From: a")
    assert headless.get(b"from") == b"a"
    assert bytes(headless.body) == b""
    assert Message.parse(b"").fields == ()


def test_bare_cr_lf_and_nul_are_noted_and_end_no_line() -> None:
    message = Message.parse(b"Subject: a\rBcc: x\nCc: y\r\nFrom: b\0\r\n\r\n")
    assert [each.name for each in message.fields] == [b"subject", b"from"]
    assert set(message.defects) == {"bare-cr", "bare-lf", "nul"}
    assert Message.parse(b"From: a\r\n\r\nbody\0").defects == ("nul",)


def test_a_bare_lf_pair_does_not_start_the_body() -> None:
    message = Message.parse(b"Subject: a\n\nTo: c\r\nFrom: b\r\n\r\nbody")
    assert [each.name for each in message.fields] == [b"subject", b"from"]
    assert bytes(message.body) == b"body"


def test_too_many_fields() -> None:
    message = Message.parse(b"X: y\r\n" * 10_001 + b"From: a\r\n\r\nbody", max_fields=10_000)
    assert len(message.fields) == 10_000
    assert message.defects == ("too-many-fields",)
    assert bytes(message.body) == b"body"
    assert Message.parse(b"X: y\r\n" * 10_000 + b"\r\n", max_fields=10_000).defects == ()


def test_huge_lines() -> None:
    blanks = b" " * 2_000_000
    assert Message.parse(b"Subject:" + blanks + b"\r\n\r\n").get(b"subject") == b""
    assert Message.parse(b"Subject" + blanks + b"\r\n\r\n").defects == ("not-a-field",)
    assert Message.parse(b"Subject:" + b"\r\n " * 700_000 + b"x\r\n\r\n").count(b"subject") == 1


def test_to_crlf() -> None:
    assert to_crlf(b"a\nb\r\nc\n\n") == b"a\r\nb\r\nc\r\n\r\n"
    kept = b"a\r\nb\rc"
    assert to_crlf(kept) is kept


PIECES = st.sampled_from(
    [b"From", b": ", b":", b"\r\n", b"\r", b"\n", b" ", b"\t", b"x", b"\0", b"\xff", b"\r\n ", b"\r\n\r\n"]
)


@given(st.lists(PIECES, max_size=40).map(b"".join))
def test_any_octets_parse_and_fields_lie_in_order_inside_the_header(octets: bytes) -> None:
    message = Message.parse(octets)
    last = 0
    for each in message.fields:
        assert last <= each.start < each.colon < each.end <= message.body_start
        assert octets[each.colon : each.colon + 1] == b":"
        assert octets[each.start : each.colon].rstrip(b" \t").lower() == each.name
        assert b"\r\n" not in message.value(each)
        last = each.end
    before, empty_line, after = (b"\r\n" + octets).partition(b"\r\n\r\n")
    assert bytes(message.body) == after
    if empty_line:
        assert message.body_start == len(before) + 2
