"""The client machine against written dialogues: what it says, and what it makes of the answers."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost.smtp.client import NEED_REPLY, Finished, Ready, SmtpClient, TlsWanted
from gatepost.smtp.sending import Fault, Outgoing, OutgoingRecipient, Protocol, Result, TlsUse

GREETED = b"220 peer ESMTP\r\n"
OFFER = b"250-peer\r\n250-PIPELINING\r\n250-8BITMIME\r\n250-SIZE 1000\r\n250-DSN\r\n250 SMTPUTF8\r\n"
PLAIN_OFFER = b"250 peer\r\n"
BODY = b"Subject: x\r\n\r\n.dot\r\n"


def client(offer: bytes = OFFER, **options: Any) -> SmtpClient:
    """A client that has greeted and is ready."""
    machine = SmtpClient(hello="mx.example.net", **options)
    machine.receive(GREETED)
    said(machine)
    machine.receive(offer)
    assert isinstance(machine.next_event(), Ready)
    return machine


def said(machine: SmtpClient) -> bytes:
    """All that it wants to say now."""
    octets = b""
    while part := machine.outgoing():
        octets += part
    return octets


def message(*to: str, octets: bytes | None = BODY, **more: Any) -> Outgoing:
    recipients = tuple(OutgoingRecipient(address=one) for one in to or ("b@example.net",))
    return Outgoing(**{"sender": "a@example.org", "recipients": recipients, "octets": octets} | more)


def outcomes(machine: SmtpClient) -> list[tuple[str, str]]:
    event = machine.next_event()
    while not isinstance(event, Finished):
        assert event is not NEED_REPLY, "no transaction ended"
        event = machine.next_event()
    return [(one.result.value, one.status) for one in event.outcomes]


def test_a_pipelined_transaction_is_one_group_and_the_dots_are_stuffed() -> None:
    machine = client()
    machine.send(message("b@example.net", "c@example.net"))
    assert said(machine) == (
        b"MAIL FROM:<a@example.org> SIZE=20\r\nRCPT TO:<b@example.net>\r\nRCPT TO:<c@example.net>\r\nDATA\r\n"
    )
    machine.receive(b"250 ok\r\n250 ok\r\n550 5.1.1 nobody\r\n354 go\r\n")
    assert said(machine) == b"Subject: x\r\n\r\n..dot\r\n.\r\n"
    machine.receive(b"250 2.0.0 taken\r\n")
    assert outcomes(machine) == [("delivered", "2.0.0"), ("failed", "5.1.1")]
    assert machine.idle


def test_without_pipelining_each_answer_is_waited_for() -> None:
    machine = client(PLAIN_OFFER)
    machine.send(message("b@example.net", "c@example.net"))
    for reply, next_line in [
        (b"", b"MAIL FROM:<a@example.org>\r\n"),
        (b"250 ok\r\n", b"RCPT TO:<b@example.net>\r\n"),
        (b"450 4.2.1 later\r\n", b"RCPT TO:<c@example.net>\r\n"),
        (b"250 ok\r\n", b"DATA\r\n"),
        (b"354 go\r\n", b"Subject: x\r\n\r\n..dot\r\n.\r\n"),
    ]:
        machine.receive(reply)
        assert said(machine) == next_line
    machine.receive(b"250 ok\r\n")
    assert outcomes(machine) == [("deferred", "4.2.1"), ("delivered", "2.0.0")]


def test_lmtp_has_an_answer_for_each_accepted_recipient() -> None:
    machine = SmtpClient(hello="mx.example.net", protocol=Protocol.LMTP)
    machine.receive(GREETED)
    assert said(machine) == b"LHLO mx.example.net\r\n"
    machine.receive(OFFER)
    machine.send(message("b@x.example", "c@x.example", "d@x.example"))
    said(machine)
    machine.receive(b"250 ok\r\n250 ok\r\n550 5.1.1 no\r\n250 ok\r\n354 go\r\n")
    said(machine)
    machine.receive(b"250 2.0.0 b has it\r\n")
    assert not machine.idle
    machine.receive(b"452 4.2.2 d is full\r\n")
    assert outcomes(machine) == [("delivered", "2.0.0"), ("failed", "5.1.1"), ("deferred", "4.2.2")]


def test_a_refused_sender_is_every_recipients_fate() -> None:
    for offer, replies in [
        (OFFER, b"550 5.7.1 not you\r\n503 x\r\n503 x\r\n503 x\r\n"),
        (PLAIN_OFFER, b"550 5.7.1 no\r\n"),
    ]:
        machine = client(offer)
        machine.send(message("b@example.net", "c@example.net"))
        said(machine)
        machine.receive(replies)
        assert outcomes(machine) == [("failed", "5.7.1"), ("failed", "5.7.1")]


def test_data_taken_without_a_recipient_gets_only_the_dot() -> None:
    machine = client()
    machine.send(message())
    said(machine)
    machine.receive(b"250 ok\r\n550 5.1.1 no\r\n354 go\r\n")
    assert said(machine) == b".\r\n"
    machine.receive(b"554 5.5.1 none\r\n")
    assert outcomes(machine) == [("failed", "5.1.1")]


def test_the_next_message_follows_on_the_same_connection() -> None:
    machine = client()
    machine.send(message())
    said(machine)
    machine.receive(b"250 ok\r\n550 5.1.1 no\r\n503 5.5.1 no\r\n")
    assert outcomes(machine) == [("failed", "5.1.1")]
    assert not machine.idle, "the transaction over there is still open"
    assert said(machine) == b"RSET\r\n"
    machine.receive(b"250 ok\r\n")
    machine.send(message())
    said(machine)
    machine.receive(b"250 ok\r\n250 ok\r\n354 go\r\n")
    said(machine)
    machine.receive(b"250 ok\r\n")
    assert outcomes(machine) == [("delivered", "2.0.0")]
    machine.quit()
    assert said(machine) == b"QUIT\r\n"


def test_a_question_sends_no_mail() -> None:
    machine = client()
    machine.send(message("b@example.net", "c@example.net", octets=None, sender=""))
    assert said(machine) == b"MAIL FROM:<>\r\nRCPT TO:<b@example.net>\r\nRCPT TO:<c@example.net>\r\n"
    machine.receive(b"250 ok\r\n250 ok\r\n550 5.1.1 no\r\n")
    assert outcomes(machine) == [("delivered", "2.1.5"), ("failed", "5.1.1")]
    assert said(machine) == b"RSET\r\n"


def test_tls_forgets_what_was_learnt_before() -> None:
    machine = SmtpClient(hello="mx.example.net")
    machine.receive(GREETED)
    machine.receive(b"250-peer\r\n250-SIZE 5\r\n250 STARTTLS\r\n")
    assert said(machine) == b"EHLO mx.example.net\r\nSTARTTLS\r\n"
    machine.receive(b"220 go\r\n")
    assert isinstance(machine.next_event(), TlsWanted)
    machine.tls_started(verified=True)
    assert machine.keywords == {}
    assert said(machine) == b"EHLO mx.example.net\r\n"
    machine.receive(PLAIN_OFFER)
    assert machine.idle
    machine.send(message())
    assert said(machine) == b"MAIL FROM:<a@example.org>\r\n", "the SIZE of before TLS is gone"


@pytest.mark.parametrize("together", [True, False])
def test_text_injected_before_the_handshake_ends_the_session(*, together: bool) -> None:
    machine = SmtpClient(hello="mx.example.net")
    machine.receive(GREETED)
    machine.receive(b"250-peer\r\n250 STARTTLS\r\n")
    if together:
        machine.receive(b"220 go\r\n250 injected\r\n")
    else:
        machine.receive(b"220 go\r\n")
        assert isinstance(machine.next_event(), TlsWanted)
        machine.receive(b"2")
    event = machine.next_event()
    assert isinstance(event, Fault)
    assert "between STARTTLS and the TLS handshake" in event.words


@pytest.mark.parametrize(
    ("tls", "offer", "then", "ready"),
    [
        (TlsUse.OPPORTUNISTIC, PLAIN_OFFER, b"", True),
        (TlsUse.REQUIRED, PLAIN_OFFER, b"", False),
        (TlsUse.OPPORTUNISTIC, b"250-peer\r\n250 STARTTLS\r\n", b"454 4.7.0 not now\r\n", True),
        (TlsUse.REQUIRED, b"250-peer\r\n250 STARTTLS\r\n", b"454 4.7.0 not now\r\n", False),
        (TlsUse.NONE, b"250-peer\r\n250 STARTTLS\r\n", b"", True),
    ],
)
def test_how_much_tls_is_insisted_on(*, tls: TlsUse, offer: bytes, then: bytes, ready: bool) -> None:
    machine = SmtpClient(hello="mx.example.net", tls=tls)
    machine.receive(GREETED + offer + then)
    event = machine.next_event()
    assert isinstance(event, Ready) is ready
    if not ready:
        assert isinstance(event, Fault)
        assert event.words.startswith("TLS is required")


def test_a_host_without_ehlo_is_greeted_with_helo() -> None:
    machine = SmtpClient(hello="mx.example.net")
    machine.receive(GREETED + b"502 what?\r\n")
    assert said(machine) == b"EHLO mx.example.net\r\nHELO mx.example.net\r\n"
    machine.receive(b"250 peer\r\n")
    assert machine.idle


UTF8_MAIL = "Subject: grüße\r\n\r\nx\r\n".encode()


@pytest.mark.parametrize(
    ("offer", "more", "status"),
    [
        (b"250-p\r\n250 SIZE 19\r\n", {}, "5.3.4"),
        (PLAIN_OFFER, {"octets": b"a: b\r\n\r\n\xff\r\n"}, "5.6.3"),
        (b"250-p\r\n250 8BITMIME\r\n", {"octets": UTF8_MAIL, "smtputf8": True}, "5.6.7"),
        (PLAIN_OFFER, {"sender": "jürgen@example.org"}, "5.6.7"),
        (OFFER, {"body": "BINARYMIME"}, "5.6.1"),
        (OFFER, {"octets": b"a: b\r\n\r\nx\n.\r\nMAIL FROM:<evil@example.org>\r\n"}, "5.6.0"),
        (OFFER, {"require_tls": True}, "5.7.30"),
        (OFFER, {"sender": "a@example.org>\r\nRCPT TO:<evil@example.org"}, "5.1.7"),
        (OFFER, {"recipients": (OutgoingRecipient(address="b\r\n@example.net"),)}, "5.1.3"),
    ],
)
def test_what_a_host_cannot_take_fails_without_a_word_to_it(
    offer: bytes, more: dict[str, Any], status: str
) -> None:
    machine = client(offer)
    machine.send(message(**more))
    assert said(machine) == b""
    assert outcomes(machine) == [("failed", status)]
    assert machine.idle


@pytest.mark.parametrize(
    ("more", "parameters"),
    [
        ({}, " SIZE=20"),
        ({"body": "8BITMIME"}, " BODY=8BITMIME SIZE=20"),
        ({"smtputf8": True}, " SIZE=20"),
        ({"octets": UTF8_MAIL, "smtputf8": True}, f" SMTPUTF8 BODY=8BITMIME SIZE={len(UTF8_MAIL)}"),
        ({"octets": UTF8_MAIL}, f" BODY=8BITMIME SIZE={len(UTF8_MAIL)}"),
        ({"ret": "HDRS", "envid": "QQ+1 =x"}, " SIZE=20 RET=HDRS ENVID=QQ+2B1+20+3Dx"),
    ],
)
def test_parameters_go_along_as_offered(more: dict[str, Any], parameters: str) -> None:
    machine = client()
    machine.send(message(**more))
    assert said(machine).split(b"\r\n")[0].decode() == f"MAIL FROM:<a@example.org>{parameters}"


def test_dsn_parameters_of_a_recipient() -> None:
    asked = OutgoingRecipient(
        address="b@example.net", notify=frozenset({"FAILURE", "DELAY"}), orcpt="rfc822;B+b@example.net"
    )
    forged = OutgoingRecipient(address="c@example.net", orcpt="rfc822\r\nDATA;x")
    machine = client()
    machine.send(message(recipients=(asked, forged)))
    assert said(machine).split(b"\r\n")[1:3] == [
        b"RCPT TO:<b@example.net> NOTIFY=DELAY,FAILURE ORCPT=rfc822;B+2Bb@example.net",
        b"RCPT TO:<c@example.net>",
    ]
    abroad = OutgoingRecipient(address="d@example.net", orcpt="utf-8;jürgen+x@example.net")
    machine = client()
    machine.send(message(recipients=(abroad,)))
    assert (
        said(machine).split(b"\r\n")[1]
        == rb"RCPT TO:<d@example.net> ORCPT=utf-8;j\x{FC}rgen\x{2B}x@example.net"
    )
    silent = client(PLAIN_OFFER)
    silent.send(message(recipients=(asked,), ret="FULL", envid="x"))
    assert said(silent) == b"MAIL FROM:<a@example.org>\r\n"
    silent.receive(b"250 ok\r\n")
    assert said(silent) == b"RCPT TO:<b@example.net>\r\n"


def test_too_many_recipients_wait_for_another_transaction() -> None:
    replies = {
        b"552 too many": ("deferred", "4.5.3"),
        b"452 too many": ("deferred", "4.5.3"),
        b"452 4.5.3 too many": ("deferred", "4.5.3"),
        b"552 5.2.2 mailbox full": ("failed", "5.2.2"),
        b"452 4.2.2 mailbox full": ("deferred", "4.2.2"),
        b"452 4.3.1 disk full": ("deferred", "4.3.1"),
    }
    machine = client()
    machine.send(message("b@example.net", *(f"c{at}@example.net" for at in range(len(replies)))))
    said(machine)
    machine.receive(b"250 ok\r\n250 ok\r\n" + b"\r\n".join(replies) + b"\r\n354 go\r\n")
    said(machine)
    machine.receive(b"250 ok\r\n")
    assert outcomes(machine) == [("delivered", "2.0.0"), *replies.values()]


def test_an_address_beyond_ascii_is_nobody_elses_trouble() -> None:
    machine = client(PLAIN_OFFER)
    machine.send(message("jürgen@example.net", "c@example.net"))
    assert said(machine) == b"MAIL FROM:<a@example.org>\r\n"
    machine.receive(b"250 ok\r\n")
    assert said(machine) == b"RCPT TO:<c@example.net>\r\n"
    machine.receive(b"250 ok\r\n354 go\r\n")
    said(machine)
    machine.receive(b"250 ok\r\n")
    assert outcomes(machine) == [("failed", "5.6.7"), ("delivered", "2.0.0")]


@pytest.mark.parametrize(
    ("before", "stage"),
    [
        (b"", "mail"),
        (b"250 ok\r\n", "rcpt"),
        (b"250 ok\r\n250 ok\r\n", "data"),
        (b"250 ok\r\n250 ok\r\n354 go\r\n", "final"),
    ],
)
def test_421_at_any_stage_defers_and_ends_the_session(before: bytes, stage: str) -> None:
    machine = client()
    machine.send(message())
    said(machine)
    machine.receive(before)
    said(machine)
    machine.receive(b"421 4.3.2 shutting down\r\n")
    assert outcomes(machine) == [("deferred", "4.3.2")]
    fault = machine.next_event()
    assert isinstance(fault, Fault)
    assert fault.stage == stage
    assert machine.ended


def test_a_connection_lost_after_the_dot_is_said_so() -> None:
    machine = client()
    machine.send(message())
    said(machine)
    machine.receive(b"250 ok\r\n250 ok\r\n354 go\r\n")
    said(machine)
    machine.fail("the connection ended")
    event = machine.next_event()
    while not isinstance(event, Finished):
        event = machine.next_event()
    assert event.committed
    assert event.outcomes[0].result is Result.DEFERRED
    assert event.outcomes[0].words == "the connection ended after the whole message was sent"


def test_yes_before_the_message_was_written_is_not_believed() -> None:
    machine = client(b"250-p\r\n250 PIPELINING\r\n")
    machine.send(message(octets=b"Subject: x\r\n\r\n" + b"y" * 70 + b"\r\n" * 100_000))
    said(machine)
    machine.receive(b"250 ok\r\n250 ok\r\n354 go\r\n")
    machine.outgoing()
    machine.receive(b"250 ok\r\n")
    assert outcomes(machine) == [("deferred", "4.4.2")]
    assert machine.ended


def test_no_before_the_message_was_written_ends_the_session() -> None:
    machine = client(b"250-p\r\n250 PIPELINING\r\n")
    machine.send(message(octets=b"Subject: x\r\n\r\n" + b"\r\n" * 100_000))
    said(machine)
    machine.receive(b"250 ok\r\n250 ok\r\n354 go\r\n")
    machine.outgoing()
    machine.receive(b"554 5.6.0 we do not like it\r\n")
    assert outcomes(machine) == [("failed", "5.6.0")]
    assert machine.ended


@pytest.mark.parametrize(
    ("octets", "words"),
    [
        (b"SSH-2.0-OpenSSH\r\n", "not-a-reply"),
        (b"220-a\r\n221 b\r\n", "code-changed"),
        (b"220 " + b"x" * 100_000, "line-too-long"),
        (b"220-x\r\n" * 1000, "too-many-lines"),
    ],
)
def test_what_is_no_reply_ends_the_session_within_bounds(octets: bytes, words: str) -> None:
    machine = SmtpClient(hello="mx.example.net")
    machine.receive(octets)
    event = machine.next_event()
    assert isinstance(event, Fault)
    assert words in event.words
    assert len(event.words) < 300


def test_521_is_for_good_and_554_is_not() -> None:
    for reply, permanent in [(b"521 no mail here\r\n", True), (b"554 not today\r\n", False)]:
        machine = SmtpClient(hello="mx.example.net")
        machine.receive(reply)
        event = machine.next_event()
        assert isinstance(event, Fault)
        assert event.permanent is permanent


def test_patience_is_that_of_the_standard() -> None:
    machine = SmtpClient(hello="mx.example.net")
    assert machine.patience_s == 300
    machine.receive(GREETED)
    assert machine.patience_s == 300
    machine.receive(OFFER)
    assert machine.patience_s is None
    machine.send(message())
    said(machine)
    for reply, patience in [(b"", 300), (b"250 ok\r\n", 300), (b"250 ok\r\n", 120), (b"354 go\r\n", 180)]:
        machine.receive(reply)
        assert machine.patience_s == patience
    said(machine)
    assert machine.patience_s == 600


DIALOGUE = (
    GREETED
    + OFFER
    + b"250 ok\r\n250-ok\r\n250 really\r\n550 5.1.1 no\r\n354 go\r\n250 2.0.0 taken\r\n421 bye\r\n"
)


@given(cuts=st.lists(st.integers(0, len(DIALOGUE)), max_size=20))
def test_cut_anywhere_the_dialogue_means_the_same(cuts: list[int]) -> None:
    def play(pieces: list[bytes]) -> list[str]:
        machine = SmtpClient(hello="mx.example.net")
        seen: list[str] = []
        sent = False
        for piece in pieces:
            machine.receive(piece)
            said(machine)
            while (event := machine.next_event()) is not NEED_REPLY:
                seen.append(repr(event))
            if machine.idle and not sent:
                sent = True
                machine.send(message("b@example.net", "c@example.net"))
                said(machine)
        return seen

    offered = len(GREETED + OFFER)
    edges = sorted({0, offered, len(DIALOGUE), *cuts})
    # After 354 the machine must be let write before the answer to the message comes.
    go = DIALOGUE.index(b"354 go\r\n") + 8
    edges = sorted({*edges, go})
    pieces = [DIALOGUE[start:end] for start, end in pairwise(edges)]
    whole = [DIALOGUE[:offered], DIALOGUE[offered:go], DIALOGUE[go:]]
    assert play(pieces) == play(whole)


@given(
    st.lists(
        st.sampled_from(
            [
                b"250 ok\r\n",
                b"354 go\r\n",
                b"550 no\r\n",
                b"421 x\r\n",
                b"2",
                b"\r\n",
                b"999 x\r\n",
                b"250-x\r\n",
            ]
        ),
        max_size=30,
    )
)
def test_no_server_makes_it_raise_or_lose_a_recipient(pieces: list[bytes]) -> None:
    machine = client()
    machine.send(message("b@example.net", "c@example.net"))
    finished: list[Finished] = []
    for piece in [*pieces, None]:
        said(machine)
        if piece is None:
            machine.fail("the connection ended")
        else:
            machine.receive(piece)
        while (event := machine.next_event()) is not NEED_REPLY:
            if isinstance(event, Finished):
                finished.append(event)
    assert len(finished) == 1
    assert len(finished[0].outcomes) == 2
