"""What a delivery status notification says, as a mail program reads it."""

from __future__ import annotations

import email
import email.policy
from email.message import EmailMessage
from typing import Any

import pytest

from gatepost.delivery.dsn import Kind, Report, build_dsn

NOW = 1_750_000_000.0
ORIGINAL = b"From: sam@example.org\r\nSubject: hello\r\n\r\nthe body\r\n"


def report(**more: Any) -> EmailMessage:
    """A report, parsed."""
    octets = build_dsn(
        Report(
            **{
                "kind": Kind.FAILED,
                "to": "sam@example.org",
                "hostname": "mx.example.net",
                "recipient": "ana@example.net",
                "status": "5.1.1",
                "words": "550 5.1.1 no such user",
                "ref": "ABC",
                "token": "TOKEN",
                "now": NOW,
                "arrived_at": NOW - 60,
                "original": ORIGINAL,
                "from_remote": True,
                "remote_host": "hop.example",
                "orcpt": "rfc822;old@example.net",
                "envid": "QQ 1",
            }
            | more
        )
    )
    assert octets.count(b"\r\n") == octets.count(b"\n") == octets.count(b"\r")
    message = email.message_from_bytes(octets, policy=email.policy.SMTP)
    assert isinstance(message, EmailMessage)
    assert message.defects == []
    return message


def words(part: EmailMessage) -> str:
    """Its text, however its lines are broken."""
    return " ".join(part.get_content().split())


def fields(message: EmailMessage) -> dict[str, str]:
    """All fields of the second part."""
    (_, status, _) = message.iter_parts()
    return {name: str(value) for block in status.get_payload() for name, value in block.items()}


def test_a_failure_has_its_three_parts() -> None:
    message = report()
    assert message.get_content_type() == "multipart/report"
    assert message.get_param("report-type") == "delivery-status"
    assert message["Auto-Submitted"] == "auto-replied"
    assert message["To"] == "sam@example.org"
    told, status, returned = message.iter_parts()
    assert "could not be delivered" in words(told)
    assert "hop.example said: 550 5.1.1 no such user" in words(told)
    assert "Reference: ABC" in words(told)
    assert status.get_content_type() == "message/delivery-status"
    assert fields(message) == {
        "Original-Envelope-Id": "QQ 1",
        "Reporting-MTA": "dns; mx.example.net",
        "Arrival-Date": "Sun, 15 Jun 2025 15:05:40 -0000",
        "Original-Recipient": "rfc822; old@example.net",
        "Final-Recipient": "rfc822; ana@example.net",
        "Action": "failed",
        "Status": "5.1.1",
        "Remote-MTA": "dns; hop.example",
        "Diagnostic-Code": "smtp; 550 5.1.1 no such user",
        "Last-Attempt-Date": "Sun, 15 Jun 2025 15:06:40 -0000",
        "Final-Log-ID": "ABC",
    }
    assert returned.get_content_type() == "message/rfc822"
    assert returned.get_payload(0).get_content() == "the body\r\n"


@pytest.mark.parametrize(
    "more",
    [
        {"headers_only": True},
        {"kind": Kind.DELAYED, "status": "4.4.1"},
        {"kind": Kind.DELIVERED, "status": "2.0.0"},
        {"kind": Kind.RELAYED, "status": "2.0.0"},
        {"returned_octets": len(ORIGINAL) - 1},
    ],
)
def test_only_the_header_goes_back(more: dict[str, Any]) -> None:
    (_, _, returned) = report(**more).iter_parts()
    assert returned.get_content_type() == "text/rfc822-headers"
    assert returned.get_payload(decode=True).startswith(b"From: sam@example.org\r\nSubject: hello\r\n")
    assert b"the body" not in returned.get_payload(decode=True)


def test_a_delay_says_until_when_it_is_tried() -> None:
    message = report(kind=Kind.DELAYED, status="4.4.1", retry_until=NOW + 86400)
    found = fields(message)
    assert (found["Action"], found["Will-Retry-Until"]) == ("delayed", "Mon, 16 Jun 2025 15:06:40 -0000")
    (told, _, _) = message.iter_parts()
    assert "You need not send it again" in words(told)


def test_words_of_ours_are_not_passed_off_as_a_reply() -> None:
    found = fields(report(from_remote=False, remote_host="", words="The mailbox is in a loop."))
    assert found["Diagnostic-Code"] == "x-gatepost; The mailbox is in a loop."
    assert "Remote-MTA" not in found


def test_addresses_beyond_ascii_make_it_the_international_kind() -> None:
    message = report(recipient="jürgen@example.net")
    assert message.get_param("report-type") == "global-delivery-status"
    (_, status, returned) = message.iter_parts()
    assert status.get_content_type() == "message/global-delivery-status"
    assert returned.get_content_type() == "message/global"
    octets = status.as_bytes()
    assert "Final-Recipient: utf-8; jürgen@example.net".encode() in octets


def test_nothing_the_other_side_says_breaks_out() -> None:
    evil = "550 x\r\n\r\n--gatepost-TOKEN\r\nBcc: everyone@example.org\r\n" + "y" * 5000
    message = report(words=evil, orcpt="rfc822;a\r\nAction: delivered", envid="a\r\n\r\nb")
    assert len(list(message.iter_parts())) == 3
    assert fields(message)["Action"] == "failed"
    assert "Bcc" not in message
    assert max(len(line) for line in message.as_bytes().split(b"\r\n")) < 1000


def test_a_message_that_holds_the_boundary_stays_whole() -> None:
    original = ORIGINAL + b"--gatepost-TOKEN\r\nContent-Type: text/plain\r\n\r\nx\r\n--gatepost-TOKEN--\r\n"
    message = report(original=original)
    (_, _, returned) = message.iter_parts()
    assert "--gatepost-TOKEN--" in returned.get_payload(0).get_content()


def test_a_header_of_eight_bit_is_declared() -> None:
    (_, _, returned) = report(original="Subject: grüße\r\n\r\nx\r\n".encode()).iter_parts()
    assert returned["Content-Transfer-Encoding"] == "8bit"
