"""Tag, banner and note: what a recipient sees of a verdict, in every encoding a part may have."""

from __future__ import annotations

from base64 import b64encode
from email import message_from_bytes, policy
from quopri import encodestring

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost.mail.content import content_of
from gatepost.mail.marking import CannotChange, changed
from gatepost.mail.message import Message
from gatepost.mail.verdict import Change

TAG = Change(kind="tag", text="[Junk?]")
BANNER = Change(kind="banner", text="注意してください\nCaution: ask first.")
ENGLISH = Change(kind="banner", text="Caution: ask first.\nCaution: ask first.")


def whole(header: str, body: bytes) -> bytes:
    return (
        f"From: a@example.org\r\nSubject: hello\r\n{header}\r\n".replace("\n\r\n", "\r\n").encode()
        + b"\r\n"
        + body
    )


def entity(kind: str, encoding: str, octets: bytes) -> bytes:
    body = {"base64": b64encode, "quoted-printable": encodestring}.get(encoding, bytes)(octets).replace(
        b"\r\n", b"\n"
    )
    head = f"Content-Type: {kind}\r\n" + (f"Content-Transfer-Encoding: {encoding}\r\n" if encoding else "")
    return head.encode() + b"\r\n" + body.replace(b"\n", b"\r\n")


def mixed(*entities: bytes, kind: str = "mixed") -> bytes:
    body = b"".join(b"--b\r\n" + one + b"\r\n" for one in entities) + b"--b--\r\n"
    return (
        f'From: a@example.org\r\nSubject: hello\r\nMIME-Version: 1.0\r\nContent-Type: multipart/{kind}; boundary="b"\r\n\r\n'.encode()
        + body
    )


def shown(octets: bytes) -> list[str]:
    """The texts as the standard library's reader decodes them."""
    message = message_from_bytes(octets, policy=policy.default)
    return [one.get_content() for one in message.walk() if one.get_content_maintype() == "text"]


def test_the_tag_stands_in_front_of_the_subject_once() -> None:
    octets = whole("", b"hi\r\n")
    tagged = changed(octets, [TAG])
    assert message_from_bytes(tagged, policy=policy.default)["subject"] == "[Junk?] hello"
    assert changed(tagged, [TAG]) == tagged
    assert tagged.replace(b" [Junk?]", b"") == octets
    foreign = changed(octets, [Change(kind="tag", text="【迷惑メール】")])
    assert message_from_bytes(foreign, policy=policy.default)["subject"] == "【迷惑メール】 hello"
    assert (
        message_from_bytes(changed(b"From: a@b.example\r\n\r\nx", [TAG]), policy=policy.default)["subject"]
        == "[Junk?]"
    )


@pytest.mark.parametrize("encoding", ["", "8bit", "base64", "quoted-printable"])
@pytest.mark.parametrize("charset", ["us-ascii", "utf-8", "iso-2022-jp"])
def test_a_banner_is_readable_above_the_text_whatever_its_encoding(encoding: str, charset: str) -> None:
    octets = mixed(entity(f"text/plain; charset={charset}", encoding, b"Dear Ana, = and more\n" * 3))
    (text,) = shown(changed(octets, [BANNER]))
    japanese = charset == "iso-2022-jp" or (charset == "utf-8" and encoding != "")
    assert ("注意してください" if japanese else "Caution: ask first.") in text.splitlines()[0]
    assert text.split()[-15:] == [
        "Dear",
        "Ana,",
        "=",
        "and",
        "more",
        "Dear",
        "Ana,",
        "=",
        "and",
        "more",
        "Dear",
        "Ana,",
        "=",
        "and",
        "more",
    ]


@pytest.mark.parametrize("encoding", ["8bit", "base64", "quoted-printable"])
def test_both_alternatives_are_marked_and_html_cannot_hide_it_by_a_decoy(encoding: str) -> None:
    html = b"<!DOCTYPE html>\n<!-- <body> --><html><body class=3D>hello</body></html>\n"
    octets = mixed(
        entity("text/plain; charset=utf-8", encoding, b"hello\n"),
        entity("text/html; charset=utf-8", encoding, html),
        kind="alternative",
    )
    plain, page = shown(changed(octets, [BANNER]))
    assert "注意してください" in plain
    assert page.index('role="alert"') < page.index("<!--")
    assert "&#27880;" in page
    assert page.rstrip().endswith(html.decode().rstrip()[-40:])


def test_what_is_signed_or_no_text_is_left_alone() -> None:
    signed = mixed(
        entity("text/plain", "", b"hi\n"), entity("application/pgp-signature", "", b"x\n"), kind="signed"
    )
    assert changed(signed, [ENGLISH]) == signed
    picture = whole("Content-Type: image/png\r\n", b"\x89PNG")
    assert changed(picture, [ENGLISH]) == picture
    sixteen = whole("Content-Type: text/plain; charset=utf-16\r\n", b"h\x00i\x00")
    assert changed(sixteen, [ENGLISH]) == sixteen


def test_a_stripped_part_is_replaced_by_the_note_and_the_rest_stays() -> None:
    octets = mixed(
        entity("text/plain", "", b"see the file\n"),
        entity('application/zip; name="x.zip"', "base64", b"PK evil octets"),
        entity("image/png", "base64", b"a picture"),
    )
    note = Change(kind="strip", text="removed; ask for 2N5", parts=(2,))
    done = changed(octets, [note])
    assert b64encode(b"PK evil octets") not in done
    parts = [one for one in content_of(Message.parse(done)).parts if not one.is_multipart]
    assert [one.octets.rstrip() for one in parts] == [b"see the file", b"removed; ask for 2N5", b"a picture"]


def test_what_cannot_be_taken_out_for_certain_is_never_delivered_so() -> None:
    note = Change(kind="strip", text="removed", parts=(0,))
    with pytest.raises(CannotChange):
        changed(whole("Content-Type: application/zip\r\n", b"PK"), [note])
    with pytest.raises(CannotChange):
        changed(whole("", b"x"), [Change(kind="strip", text="removed", parts=(7,))])
    twice = mixed(entity("application/zip", "", b"PK same"), entity("application/zip", "", b"PK same"))
    with pytest.raises(CannotChange, match="still there"):
        changed(twice, [Change(kind="strip", text="removed", parts=(1,))])


@given(st.binary(max_size=400))
def test_no_octets_break_it(octets: bytes) -> None:
    changed(octets, [TAG, BANNER])
    for number in (0, 1):
        try:
            changed(
                b'Content-Type: multipart/mixed; boundary="b"\r\n\r\n--b\r\n' + octets,
                [Change(kind="strip", text="x", parts=(number,))],
            )
        except CannotChange:
            continue
