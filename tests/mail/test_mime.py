"""Parts as every plausible reader sees them: nothing a client would open stays unseen."""

from __future__ import annotations

import base64
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost.mail.content import content_of
from gatepost.mail.message import Message
from gatepost.mail.mime import MAX_DEPTH, MAX_PARTS, Tree, tree_of
from gatepost.mail.part import AMBIGUITIES, Part

EICAR_LIKE = b"this stands for what a scanner must be shown"
ENCODED = base64.b64encode(EICAR_LIKE).decode()
MIXED = 'Content-Type: multipart/mixed; boundary="b"'


def tree(*lines: str) -> Tree:
    return tree_of(Message.parse("\r\n".join(lines).encode("utf-8", "surrogateescape")))


def leaves(found: Tree) -> list[Part]:
    return [part for part in found.parts if not part.is_multipart]


def named(found: Tree) -> set[str]:
    return {one.name for one in found.ambiguities}


def shown_to_a_scanner(found: Tree) -> bool:
    return any(EICAR_LIKE in part.octets for part in found.parts)


def test_plain_mail_is_one_part() -> None:
    found = tree("Subject: x", "", "Hello", "")
    assert [part.content_type for part in found.parts] == ["text/plain"]
    assert found.parts[0].octets == b"Hello\r\n"
    assert not found.ambiguities


def test_ordinary_multipart() -> None:
    found = tree(
        MIXED, "", "--b", "Content-Type: text/plain; charset=UTF-8", "", "Hello", "--b",
        "Content-Type: application/pdf; name=a.pdf", "Content-Disposition: attachment; filename=a.pdf",
        "Content-Transfer-Encoding: base64", "", ENCODED, "--b--", "",
    )  # fmt: skip
    assert [part.content_type for part in found.parts] == ["multipart/mixed", "text/plain", "application/pdf"]
    assert [part.parent for part in found.parts] == [-1, 0, 0]
    assert found.parts[1].octets == b"Hello"
    assert found.parts[1].charset == "utf-8"
    assert (found.parts[2].filename, found.parts[2].octets) == ("a.pdf", EICAR_LIKE)
    assert not found.ambiguities


# Each way in which some client would open the file: it must be decoded somewhere, whoever else sees nothing.
WAYS: dict[str, tuple[str, ...]] = {
    "two content types, the second multipart": (
        "Content-Type: text/plain", MIXED, "", "--b", "Content-Transfer-Encoding: base64", "", ENCODED, "--b--"),
    "two encodings": ("Content-Transfer-Encoding: 7bit", "Content-Transfer-Encoding: base64", "", ENCODED),
    "odd encoding": ("Content-Transfer-Encoding: base-64", "", ENCODED),
    "encoding in quotes": ('Content-Transfer-Encoding: "base64"', "", ENCODED),
    "encoding with a comment": ("Content-Transfer-Encoding: base64 (really)", "", ENCODED),
    "unknown encoding": ("Content-Transfer-Encoding: x-ours", "", ENCODED),
    "stray octets": ("Content-Transfer-Encoding: base64", "", "!" + "!".join(ENCODED)),
    "no padding": ("Content-Transfer-Encoding: base64", "", ENCODED.rstrip("=")),
    "padding in the middle": (
        "Content-Transfer-Encoding: base64", "", base64.b64encode(EICAR_LIKE[:10]).decode(),
        base64.b64encode(EICAR_LIKE[10:]).decode()),
    "two boundaries": (
        "Content-Type: multipart/mixed; boundary=a; boundary=b", "", "--a", "", "nothing", "--b",
        "Content-Transfer-Encoding: base64", "", ENCODED, "--b--"),
    "boundary in pieces": (
        "Content-Type: multipart/mixed; boundary*0=a; boundary*1=b", "", "--ab",
        "Content-Transfer-Encoding: base64", "", ENCODED, "--ab--"),
    "extended boundary": (
        "Content-Type: multipart/mixed; boundary*=us-ascii''a%62", "", "--ab",
        "Content-Transfer-Encoding: base64", "", ENCODED, "--ab--"),
    "boundary without a name": (
        "Content-Type: multipart/mixed", "", "--x", "Content-Transfer-Encoding: base64", "", ENCODED, "--x--"),
    "boundary that is not there": (
        MIXED, "", "--x", "Content-Transfer-Encoding: base64", "", ENCODED, "--x--"),
    "unbalanced quote": (
        'Content-Type: multipart/mixed; boundary="b', "", "--b", "Content-Transfer-Encoding: base64", "", ENCODED),
    "no semicolon": (
        "Content-Type: multipart/mixed boundary=b", "", "--b", "Content-Transfer-Encoding: base64", "", ENCODED),
    "boundary with a comment": (
        "Content-Type: multipart/mixed; boundary=b (c)", "", "--b", "Content-Transfer-Encoding: base64", "", ENCODED),
    "blanks behind the boundary": (MIXED, "", "--b  \t", "Content-Transfer-Encoding: base64", "", ENCODED),
    "boundary that goes on": (
        MIXED, "", "--b", "", "nothing", "--bc", "Content-Transfer-Encoding: base64", "", ENCODED, "--b--"),
    "behind the close": (
        MIXED, "", "--b", "", "x", "--b--", "", "--b", "Content-Transfer-Encoding: base64", "", ENCODED, "--b--"),
    "no close": (MIXED, "", "--b", "Content-Transfer-Encoding: base64", "", ENCODED),
    "a line that is no field": (
        MIXED, "", "--b", "nonsense", "Content-Transfer-Encoding: base64", "", ENCODED, "--b--"),
    "encoded message": (
        "Content-Type: message/rfc822", "Content-Transfer-Encoding: base64", "",
        base64.b64encode(f"Content-Transfer-Encoding: base64\r\n\r\n{ENCODED}".encode()).decode()),
    "encoded multipart": (
        MIXED, "Content-Transfer-Encoding: base64", "",
        base64.b64encode(f"--b\r\nContent-Transfer-Encoding: base64\r\n\r\n{ENCODED}\r\n--b--".encode()).decode()),
    "attached message": (
        "Content-Type: message/rfc822", "", "Subject: x", "Content-Transfer-Encoding: base64", "", ENCODED),
    "attached message behind empty lines": (
        "Content-Type: message/rfc822", "", "", "Subject: x", "Content-Transfer-Encoding: base64", "", ENCODED),
    "digest": (
        "Content-Type: multipart/digest; boundary=b", "", "--b", "", "Content-Transfer-Encoding: base64", "", ENCODED),
    "parts in text": (
        "Content-Type: text/plain", "", "--x", "Content-Type: image/png", "Content-Transfer-Encoding: base64", "", ENCODED,
        "--x--"),
    "uuencode": (
        "", "Look:", "begin 644 a.exe", "L=&AI<R!S=&%N9',@9F]R('=H870@82!S8V%N;F5R(&UU<W0@8F4@<VAO=VX", "`", "end"),
    "base64 in text": ("", "begin-base64 644 a.exe", ENCODED, "====",),
    "yEnc": ("", "=ybegin line=128 size=44 name=a.exe",
             bytes((octet + 42) % 256 for octet in EICAR_LIKE).decode("utf-8", "surrogateescape"), "=yend size=44"),
    "quoted-printable": (
        "Content-Transfer-Encoding: QUOTED-PRINTABLE", "", "this stands=20for =  ", "what a scanner must be =73hown"),
    "folded field": ("Content-Transfer-Encoding:", "\tbase64", "", ENCODED),
    "blank before the colon": ("Content-Transfer-Encoding : base64", "", ENCODED),
    "same boundary within": (
        MIXED, "", "--b", MIXED, "", "--b", "Content-Transfer-Encoding: base64", "", ENCODED, "--b--", "--b--"),
}  # fmt: skip


@pytest.mark.parametrize("lines", WAYS.values(), ids=WAYS.keys())
def test_a_file_is_seen_whichever_way_it_comes(lines: tuple[str, ...]) -> None:
    found = tree(*lines, "")
    assert shown_to_a_scanner(found)
    assert not found.truncated


@pytest.mark.parametrize(
    ("way", "name"),
    [
        ("two content types, the second multipart", "second-content-type"), ("two encodings", "second-encoding"),
        ("odd encoding", "odd-encoding"), ("unknown encoding", "odd-encoding"), ("stray octets", "broken-base64"),
        ("padding in the middle", "base64-inner-padding"), ("two boundaries", "several-boundaries"),
        ("boundary without a name", "missing-boundary"), ("boundary that is not there", "wrong-boundary"),
        ("boundary that goes on", "boundary-prefix"), ("behind the close", "after-close"), ("no close", "missing-close"),
        ("a line that is no field", "header-ends-early"), ("encoded multipart", "encoded-multipart"),
        ("parts in text", "undeclared-multipart"), ("uuencode", "uuencode"), ("yEnc", "yenc"),
        ("attached message behind empty lines", "leading-blank"),
    ],
)  # fmt: skip
def test_what_is_ambiguous_is_named(way: str, name: str) -> None:
    assert name in named(tree(*WAYS[way], ""))


def test_other_readings_come_last_and_say_which_they_are() -> None:
    found = tree(*WAYS["two encodings"], "")
    assert [part.reading for part in found.parts] == ["", "second-encoding"]
    assert [part.octets for part in found.parts] == [ENCODED.encode() + b"\r\n", EICAR_LIKE]


@pytest.mark.parametrize(
    ("field", "names"),
    [
        ("attachment; filename=a.pdf", ["a.pdf"]),
        ('attachment; filename="two words.pdf"', ["two words.pdf"]),
        ("attachment; filename=two words.pdf", ["two words.pdf"]),
        ('attachment; filename="=?utf-8?q?=C3=BC.pdf?="', ["ü.pdf"]),
        ("attachment; filename*=utf-8''%C3%BC.exe; filename=u.pdf", ["ü.exe", "u.pdf"]),
        ("attachment; filename*0*=utf-8''%C3; filename*1*=%BC.exe", ["ü.exe"]),
        ("attachment; filename*1=b.exe; filename*0=a", ["ab.exe"]),
        ("attachment; filename=a.pdf; filename=b.exe", ["a.pdf", "b.exe"]),
        ('attachment; filename="C:\\\\x\\\\a.exe"', ["a.exe"]),
        ("attachment; filename=../../a.exe", ["a.exe"]),
        ('attachment;filename="a.pdf\r\n\t.exe"', ["a.pdf.exe"]),
        ("attachment", []),
    ],
)  # fmt: skip
def test_file_names_as_clients_save_them(field: str, names: list[str]) -> None:
    found = tree(f"Content-Disposition: {field}", "", "x", "").parts[0]
    assert list(found.filenames) == names
    assert found.filename == (names[0] if names else "")
    assert found.disposition == "attachment"


def test_names_with_different_endings_are_ambiguous() -> None:
    found = tree(
        "Content-Type: application/pdf; name=a.pdf",
        "Content-Disposition: attachment; filename=a.exe",
        "",
        "x",
    )
    assert named(found) == {"filenames-disagree"}


def test_fragments_and_bodies_elsewhere() -> None:
    assert named(tree('Content-Type: message/partial; id="a"; number=1; total=2', "", "x")) == {
        "message-partial"
    }
    assert named(
        tree("Content-Type: message/external-body; access-type=URL", "", "Content-Type: image/png", "", "")
    ) == {"external-body"}


def test_text_around_the_parts_is_read_when_it_is_more_than_a_greeting() -> None:
    greeting = tree(MIXED, "", "This is a multi-part message in MIME format.", "--b", "", "x", "--b--", "")
    assert len(greeting.parts) == 2
    link = tree(MIXED, "", "Go to http://evil.example/", "--b", "", "x", "--b--", "")
    assert named(link) == {"around-parts"}
    assert (
        "evil.example"
        in content_of(
            Message.parse(
                "\r\n".join([MIXED, "", "http://evil.example/", "--b", "", "x", "--b--", ""]).encode()
            )
        ).hidden_text
    )


def test_line_feeds_alone_end_lines_within_a_decoded_message() -> None:
    inner = base64.b64encode(
        b"Content-Type: multipart/mixed; boundary=c\n\n--c\n\nfirst\n--c\n\nsecond\n--c--\n"
    ).decode()
    found = tree("Content-Type: message/rfc822", "Content-Transfer-Encoding: base64", "", inner)
    assert [part.octets for part in leaves(found)[1:]] == [b"first", b"second"]


def nested(depth: int) -> bytes:
    return b"".join(
        b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (level, level)
        for level in range(depth)
    )


BOMBS: dict[str, bytes] = {
    "nested multiparts": nested(3000),
    "nested messages": b"Content-Type: message/rfc822\r\n\r\n" * 3000,
    "many parts": MIXED.encode() + b"\r\n\r\n" + b"--b\r\n\r\nx\r\n" * 200_000,
    "one boundary within itself": b"Content-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\n" * 30_000,
    "delimiters that go on": MIXED.encode() + b"\r\n\r\n" + b"--b-c\r\n--bc\r\n" * 100_000,
    "two readings at each level": b"".join(
        b"Content-Type: multipart/mixed; boundary=b%d; boundary=c%d\r\nContent-Type: multipart/x; boundary=c%d\r\n\r\n"
        b"--b%d\r\n--c%d\r\n" % ((level,) * 5)
        for level in range(200)
    ),
}


@pytest.mark.parametrize("octets", BOMBS.values(), ids=BOMBS.keys())
def test_bombs_are_cut_off_and_said_to_be(octets: bytes) -> None:
    started = time.process_time()
    found = tree_of(Message.parse(octets))
    assert time.process_time() - started < 2
    assert found.truncated
    assert len(found.parts) <= MAX_PARTS
    assert max(part.depth for part in found.parts) <= MAX_DEPTH


@pytest.mark.parametrize(
    "octets",
    [
        MIXED.encode() + b"\r\n\r\n" + b"--\r\n" * 1_000_000,
        b"\r\n" + b"\n--x\r\n" * 1_000_000,
        b"\r\n" + b"begin 644 x\r\n" * 300_000,
        b"Content-Transfer-Encoding: base64\r\n\r\n" + b"A=A=" * 1_000_000,
        b"Content-Type: text/plain" + b"; a=b" * 200_000 + b"\r\n\r\nx",
        b'Content-Type: text/plain; a="' + b"\\" * 1_000_000 + b"\r\n\r\nx",
        b"Content-Type: text/plain; " + b"a" * 1_000_000 + b"\r\n\r\nx",
        MIXED.encode() + b"\r\n\r\n--b\r\n" + b"x: y\r\n" * 500_000,
    ],
    ids=[
        "hyphens",
        "openings",
        "begins",
        "paddings",
        "parameters",
        "escapes",
        "a long word",
        "a long header",
    ],
)
def test_time_is_linear(octets: bytes) -> None:
    started = time.process_time()
    for part in tree_of(Message.parse(octets)).parts:
        assert len(part.octets) <= len(octets)
    assert time.process_time() - started < 2


HEADERS = st.sampled_from(
    [b"Content-Type: multipart/mixed; boundary=b", b"Content-Type: message/rfc822", b"Content-Transfer-Encoding: base64",
     b"Content-Type: text/html", b"Content-Disposition: attachment; filename=a", b"nonsense", b"--b", b"--b--", b"", b"--c",
     b"Content-Type: multipart/mixed; boundary=c", b"begin 644 a", b"end", b"eA==", b"x", b"Content-Transfer-Encoding: qp"]
)  # fmt: skip


@given(st.lists(HEADERS, max_size=60), st.sampled_from([b"\r\n", b"\n"]))
def test_any_lines_make_a_tree_whose_spans_lie_within(lines: list[bytes], line_end: bytes) -> None:
    octets = line_end.join(lines)
    found = tree_of(Message.parse(octets))
    for place, part in enumerate(found.parts):
        assert part.index == place
        assert part.parent < place
        assert 0 <= part.start <= part.end <= len(part.source)
        assert part.raw == part.source[part.start : part.end]
        assert len(part.octets) <= len(part.source)
    assert {one.name for one in found.ambiguities} <= AMBIGUITIES.keys()


def test_a_file_in_binhex_is_a_part() -> None:
    # Name, types, and a data fork that holds the octet which marks runs.
    data = b"abc" + b"\x90" * 4
    header = b"\x01a\0TEXTttxt\0\0" + len(data).to_bytes(4, "big") + bytes(6)
    packed = (header + data).replace(b"\x90", b"\x90\0")
    theirs = b"!\"#$%&'()*+,-012345689@ABCDEFGHIJKLMNPQRSTUVXYZ[`abcdefhijklmpqr"
    ordinary = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    code = base64.b64encode(packed).rstrip(b"=").translate(bytes.maketrans(ordinary, theirs))
    text = b"(This file must be converted with BinHex 4.0)\r\n\r\n:" + code + b":\r\n"
    tree = tree_of(Message.parse(b"Content-Type: text/plain\r\n\r\nlook:\r\n" + text))
    assert [one.octets for one in tree.parts if one.reading == "binhex"] == [data]
