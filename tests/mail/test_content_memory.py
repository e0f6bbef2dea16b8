"""What was worked out of a message goes with the message: nothing waits for the collector of cycles."""

from __future__ import annotations

import gc
import weakref

import pytest

from gatepost.mail.content import content_of
from gatepost.mail.message import Message

PLAIN = b"From: ana@example.org\r\nSubject: x\r\n\r\nSee https://example.net/ for more.\r\n"
READ_TWICE = (
    b"From: ana@example.org\r\nContent-Type: multipart/mixed; boundary=a\r\n"
    b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--a\r\n\r\none\r\n--b\r\n\r\ntwo\r\n--b--\r\n--a--\r\n"
)


@pytest.mark.parametrize("octets", [PLAIN, READ_TWICE], ids=["plain", "read in two ways"])
def test_a_message_and_its_content_leave_together(octets: bytes) -> None:
    gc.collect()
    gc.disable()
    try:
        message = Message.parse(octets)
        content = content_of(message)
        assert content.text
        assert content.links is not None
        assert content_of(message) is content
        gone = [weakref.ref(content), *map(weakref.ref, content.parts)]
        del message, content
        assert [one for one in gone if one() is not None] == []
    finally:
        gc.enable()
