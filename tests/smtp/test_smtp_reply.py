"""Replies on the wire, in both directions."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost.smtp.reply import Malformed, Reply, ReplyParser, in_words, message_too_big

WIRE_LINE = re.compile(rb"[2-5][0-9]{2}[ -][^\r\n\0]*\r\n")


def read(octets: bytes) -> list[Reply | Malformed]:
    parser, out = ReplyParser(), []
    parser.feed(octets)
    while (reply := parser.next_reply()) is not None:
        out.append(reply)
        if isinstance(reply, Malformed):
            break
    return out


def test_enhanced_code_stands_on_each_line():
    assert Reply(550, "5.7.1", "No\nNot today").render() == b"550-5.7.1 No\r\n550 5.7.1 Not today\r\n"
    assert Reply(334, "", "").render() == b"334 \r\n"
    assert Reply(354, "", "Go on").render() == b"354 Go on\r\n"
    assert Reply(250, "2.0.0", "").render() == b"250 2.0.0 \r\n"


def test_enhanced_code_of_another_class_is_left_out():
    assert Reply(550, "4.7.1", "No").render() == b"550 No\r\n"
    assert Reply(550, "5.7.1\r\n250 OK", "No").render() == b"550 No\r\n"


def test_text_of_others_cannot_forge_a_reply():
    assert Reply(550, "", "no\r\n\r250 OK\0\x85").render() == b"550-no\r\n550 ?250 OK??\r\n"


def test_beyond_ascii_only_when_allowed():
    assert Reply(250, "", "jörg").render() == b"250 j?rg\r\n"
    assert Reply(250, "", "jörg").render(smtputf8=True) == "250 jörg\r\n".encode()


@given(st.text(max_size=2000), st.booleans())
def test_every_rendered_line_is_a_short_reply_line(text, smtputf8):
    wire = Reply(550, "5.7.1", text).render(smtputf8=smtputf8)
    lines = wire.splitlines(keepends=True) if smtputf8 is False else wire.split(b"\r\n")[:-1]
    lines = [line if line.endswith(b"\r\n") else line + b"\r\n" for line in lines]
    assert all(WIRE_LINE.fullmatch(line) and len(line) <= 512 for line in lines)
    assert [line[3:4] for line in lines] == [b"-"] * (len(lines) - 1) + [b" "]
    wire.decode("utf-8" if smtputf8 else "ascii")


@given(
    st.lists(st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=80), min_size=1)
)
def test_what_we_write_reads_back(lines):
    reply = Reply(450, "4.2.0", "\n".join(lines))
    assert read(reply.render()) == [reply]


@pytest.mark.parametrize(
    ("wire", "reply"),
    [
        (b"250 OK\r\n", Reply(250, "", "OK")),
        (b"250\r\n", Reply(250, "", "")),
        (b"250-a\r\n250-b\r\n250 c\r\n", Reply(250, "", "a\nb\nc")),
        (b"550-5.1.1 No\r\n550 such user\r\n", Reply(550, "5.1.1", "No\nsuch user")),
        (b"550 4.1.1 odd\r\n", Reply(550, "", "4.1.1 odd")),
        (b"450 4.7.1\r\n", Reply(450, "4.7.1", "")),
        (b"250 bare\n", Reply(250, "", "bare")),
        (b"571 not in the book\r\n", Reply(571, "", "not in the book")),
        (b"220 h\xf6st\r\n", Reply(220, "", "h\ufffdst")),
    ],
)
def test_servers_replies(wire, reply):
    assert read(wire) == [reply]


@pytest.mark.parametrize(
    ("wire", "what"),
    [
        (b"HTTP/1.1 400 Bad Request\r\n", "not-a-reply"),
        (b"250-a\r\n550 b\r\n", "code-changed"),
        (b"250 " + b"x" * 5000, "line-too-long"),
        (b"250-x\r\n" * 300, "too-many-lines"),
        (b"25x\r\n", "not-a-reply"),
        (b"250OK\r\n", "not-a-reply"),
        (b"\r\n", "not-a-reply"),
    ],
)
def test_no_reply(wire, what):
    (malformed,) = read(wire)
    assert isinstance(malformed, Malformed)
    assert malformed.what == what


def test_two_replies_in_one_read_leave_nothing_pending():
    parser = ReplyParser()
    parser.feed(b"220 go\r\n250 injected")
    assert parser.next_reply() == Reply(220, "", "go")
    assert parser.pending > 0


@given(st.binary(max_size=400) | st.from_regex(rb"(25[05][ -]?[a-z.0-9]{0,5}\r?\n){0,6}", fullmatch=True))
def test_byte_by_byte_is_the_same_as_whole(octets):
    parser, out = ReplyParser(), []
    for i in range(len(octets)):
        parser.feed(octets[i : i + 1])
        while (reply := parser.next_reply()) is not None:
            out.append(reply)
            if isinstance(reply, Malformed):
                break
        if out and isinstance(out[-1], Malformed):
            break
    assert out == read(octets)


@pytest.mark.parametrize(
    ("octets", "words"),
    [
        (52_428_800, "50 MiB (52428800 octets)"),
        (10_000_000, "9.5 MiB (10000000 octets)"),
        (1_048_575, "1048575 octets"),
        (2**40, "1048576 MiB (1099511627776 octets)"),
        (0, "0 octets"),
    ],
)
def test_a_limit_in_words_never_promises_more_than_it_is(octets, words):
    assert in_words(octets) == words
    assert message_too_big(octets).render().endswith(f"size of {words}\r\n".encode())
