"""How a message is written: the facts a postmaster can check by eye, and that none of them tells list software or decades apart."""

from __future__ import annotations

import base64

import pytest

from gatepost.classify.features import features, parted
from gatepost.classify.manner import manner_of
from gatepost.classify.shape import in_words
from gatepost.mail.content import content_of
from gatepost.mail.message import Message


def manner(header: str, body: str = "Hello.\r\n") -> set[str]:
    message = Message.parse(f"{header}\r\n\r\n{body}".encode())
    content = content_of(message)
    return set(manner_of(content, message, parted(content)[0]))


@pytest.mark.parametrize(
    ("header", "fact"),
    [
        ("Subject: nice foto YOHvTp2KSxRjQIzJXdHxkRTfBjhO", "subject with a random word"),
        ("Subject: Free prize inside 4x7k2p", "subject with a random word"),
        ("Subject: Take your love life higher               ZIB", "subject with gaps"),
        ("Subject: 40% off everything", "subject with %"),
        ("Subject: Act now!!!", "subject with ! to 4"),
        ("Subject: Copy Every Movie Yourself", "subject in title case"),
        ("Subject: minutes of the last meeting", "subject in sentence case"),
        ("Subject: =?utf-8?q?gr=C3=BCn?=", "subject encoded"),
        ("From: 4f7k2p9x@example.com", "author's address random"),
        ("From: Ann Example <ann@example.com>", "author's name in the address"),
        ("From: Service Desk <ann@example.com>", "author's name not in the address"),
        ("From: pay@bank.example <ann@example.com>", "author named by an address"),
        ("To: Bob Example <bob@example.org>", "reader named"),
        ("To: bob@example.org", "reader not named"),
        ("To: bob@example.org\r\nSubject: bob, you have won", "reader's address in the subject"),
    ],
)
def test_header_says_how_it_was_written(header: str, fact: str) -> None:
    assert fact in manner(header)


@pytest.mark.parametrize(
    "subject",
    ["JavaScript and PostgreSQL", "Minutes of 2024-05-03", "Rechtschreibprüfung", "Q3 figures", "MacBook"],
)
def test_usual_words_are_not_random(subject: str) -> None:
    assert "subject with a random word" not in manner(f"Subject: {subject}")


def test_an_encoded_return_address_is_not_random() -> None:
    assert "author's address random" not in manner("From: News <news.3b7f2a-1@example.com>")


def test_plain_text_has_no_reason_to_be_in_base64() -> None:
    kind = "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64"
    assert "plain text in base64" in manner(kind, base64.b64encode(b"buy this now " * 9).decode())
    assert "text in base64" in manner(kind, base64.b64encode("günstig ".encode() * 9).decode())


def test_quoted_lines_are_counted() -> None:
    assert "lines quoted to 4" in manner("Subject: x", "> one\r\n> two\r\n> three\r\nYes.\r\n")
    assert not any(one.startswith("lines quoted") for one in manner("Subject: x", "one\r\ntwo > one\r\n"))


def test_hosts_with_numbers_are_noted() -> None:
    assert "a host with a number" in manner("Subject: x", "http://www.win2004.example/\r\n")
    assert "a host with a number" not in manner("Subject: x", "http://www.example.com/2004\r\n")


def test_what_a_list_writes_before_a_subject_is_no_word_of_it() -> None:
    tagged, plain = (
        features(content_of(message), message)
        for message in (Message.parse(f"Subject: {one}\r\n\r\nHi\r\n".encode()) for one in ("Re: [zzzteam] lunch", "Re: lunch"))
    )  # fmt: skip
    names = [name for name in tagged.names(tagged.words) if name.startswith("subject: ")]
    assert "subject: lunch" in names
    assert "subject: zzzteam" not in names
    assert set(plain.grams.tolist()) == set(tagged.grams.tolist())


def test_the_manner_is_among_the_words_and_kept() -> None:
    message = Message.parse(b"Subject: Act now!!!\r\nTo: bob@example.org\r\n\r\nHi\r\n")
    found = features(content_of(message), message)
    assert len(found.manner) > 4
    assert set(found.manner.tolist()) <= set(found.words.tolist())


@pytest.mark.parametrize("octet", [b"\x00", b"\xff", b"a1", b"<", b"=?", b"[", b"Re: ", b"> ", b"aA"])
def test_anything_can_be_written(octet: bytes) -> None:
    junk = octet * 2000
    message = Message.parse(b"From: %b\r\nTo: %b\r\nSubject: %b\r\n\r\n%b" % (junk, junk, junk, junk))
    assert len(list(manner_of(content_of(message), message, "x"))) < 60


@pytest.mark.parametrize(
    ("fact", "words"),
    [
        ("lines of 2", "lines: up to 23 characters"),
        ("lines of to 4", "lines: up to 39 characters"),
        ("length 0", "text: up to 63 characters"),
        ("links 2", "links: 2"),
        ("links to 8", "links: up to 8"),
        ("subject with ! to 4", "subject: up to 4 times !"),
        ("file type 7z", "file type 7z"),
        ("file type 7", "file type 7"),
        ("reader named", "reader named"),
    ],
)
def test_how_much_there_is_of_something_is_told_in_words(fact: str, words: str) -> None:
    assert in_words(fact) == words


def test_the_words_that_decided_are_told_as_a_person_reads_them() -> None:
    message = Message.parse(b"Subject: hi there\r\n\r\nshort\r\n")
    found = features(content_of(message), message)
    assert "shape: subject: 2 words" in found.names(found.words)
