"""What comes in a winmail.dat is seen: files, bodies, messages within (MS-OXTNEF, MS-OXRTFCP)."""

from __future__ import annotations

import base64
from struct import pack

from gatepost.mail.content import content_of
from gatepost.mail.message import Message
from gatepost.mail.tnef import (
    ATTACH_BEGINS,
    ATTACH_DATA,
    ATTACH_PROPS,
    ATTACH_TITLE,
    MESSAGE_BODY,
    MESSAGE_PROPS,
    SIGNATURE,
    decompress_rtf,
    read_tnef,
)

# The example of MS-OXRTFCP §4.1.1.
COMPRESSED = bytes.fromhex(
    "2d0000002b0000004c5a4675f1c5c7a703000a007263706731323542320af32068656c090020627705b06c647d0a800fa0"
)


def attribute(name: int, value: bytes) -> bytes:
    return pack("<BII", 2, name, len(value)) + value + b"\0\0"


def variable(number: int, kind: int, value: bytes) -> bytes:
    return pack("<HHII", kind, number, 1, len(value)) + value + b"\0" * (-len(value) % 4)


def properties(*each: bytes) -> bytes:
    return pack("<I", len(each)) + b"".join(each)


def container(*attributes: bytes) -> bytes:
    return SIGNATURE + b"\1\0" + b"".join(attributes)


def test_compressed_rtf() -> None:
    assert decompress_rtf(COMPRESSED) == b"{\\rtf1\\ansi\\ansicpg1252\\pard hello world}\r\n"


def test_files_and_bodies() -> None:
    found = read_tnef(
        container(
            attribute(MESSAGE_BODY, b"Hello\0"),
            attribute(MESSAGE_PROPS, properties(variable(0x1013, 0x102, b"<b>Hi</b>"), variable(0x1009, 0x102, COMPRESSED))),
            attribute(ATTACH_BEGINS, b""),
            attribute(ATTACH_TITLE, b"A~1.EXE\0"),
            attribute(ATTACH_DATA, b"MZ first"),
            attribute(ATTACH_PROPS, properties(pack("<HHI", 3, 0x3705, 1), variable(0x3707, 0x1F, "Ä.exe\0".encode("utf-16-le")))),
            attribute(ATTACH_BEGINS, b""),
            attribute(ATTACH_TITLE, b"b.txt\0"),
            attribute(ATTACH_DATA, b"second"),
        )
    )  # fmt: skip
    assert [(one.name, one.content_type) for one in found] == [
        ("", "text/plain"), ("", "text/html"), ("", "text/rtf"),
        ("Ä.exe", "application/octet-stream"), ("b.txt", "application/octet-stream"),
    ]  # fmt: skip
    assert [one.octets for one in found[3:]] == [b"MZ first", b"second"]


def test_a_message_within_a_message() -> None:
    inner = container(
        attribute(ATTACH_BEGINS, b""), attribute(ATTACH_TITLE, b"x.exe\0"), attribute(ATTACH_DATA, b"MZ")
    )
    props = properties(variable(0x3701, 0x0D, b"\0" * 16 + inner))
    (found,) = read_tnef(container(attribute(ATTACH_BEGINS, b""), attribute(ATTACH_PROPS, props)))
    assert (found.name, found.octets) == ("x.exe", b"MZ")


def test_it_is_read_as_part_of_a_message() -> None:
    octets = container(
        attribute(MESSAGE_PROPS, properties(variable(0x1009, 0x102, COMPRESSED))),
        attribute(ATTACH_BEGINS, b""), attribute(ATTACH_TITLE, b"a.exe\0"), attribute(ATTACH_DATA, b"MZ"),
    )  # fmt: skip
    content = content_of(
        Message.parse(
            b"Content-Type: application/octet-stream; name=WINMAIL.DAT\r\nContent-Transfer-Encoding: base64\r\n\r\n"
            + base64.encodebytes(octets)
        )
    )
    assert [one.filename for one in content.attachments] == ["WINMAIL.DAT", "a.exe"]
    assert content.attachments[1].octets == b"MZ"
    assert content.text == "hello world"


def test_what_is_cut_off_is_read_as_far_as_it_goes() -> None:
    whole = container(
        attribute(ATTACH_BEGINS, b""), attribute(ATTACH_TITLE, b"a.exe\0"), attribute(ATTACH_DATA, b"MZ" * 50)
    )
    for length in range(len(whole)):
        assert len(read_tnef(whole[:length])) <= 1
