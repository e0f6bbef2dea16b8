"""What holds for every session, whatever the octets."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gatepost.mail.address import Address
from gatepost.mail.client import Recipient
from gatepost.smtp.dialect import Dialect, Offers
from gatepost.smtp.events import NEED_DATA, AuthRequest, BodyEnd, MailFrom, RcptTo, Violation
from gatepost.smtp.limits import SmtpLimits
from gatepost.smtp.reply import OK, START_DATA, Reply, timed_out
from gatepost.smtp.sasl import MECHANISMS
from gatepost.smtp.server import SmtpServer
from talk import HOSTNAME, MemoryPeer

ALL = Offers(
    auth=MECHANISMS, auth_without_tls=True, auth_excused=True, starttls=True, xclient=True, binarymime=True
)
USUAL = SmtpLimits()
NOTHING = Offers()
SMALL = SmtpLimits(message_octets=200, discard_octets=400, errors=8, header_octets=120, text_line_octets=60)


def peer_of(
    dialect: Dialect = Dialect.MX,
    *,
    piece: int = 0,
    limits: SmtpLimits = USUAL,
    offers: Offers = NOTHING,
) -> MemoryPeer:
    return MemoryPeer(SmtpServer(dialect, limits, hostname=HOSTNAME, offers=offers), piece=piece)


WORDS = [
    b"EHLO a.example\r\n",
    b"HELO a\r\n",
    b"LHLO a\r\n",
    b"MAIL FROM:<ana@example.org>\r\n",
    b"MAIL FROM:<ana@example.org> BODY=BINARYMIME\r\n",
    b"MAIL FROM:<> SIZE=300\r\n",
    b"RCPT TO:<ben@example.net>\r\n",
    b"RCPT TO:<nobody@example.net>\r\n",
    b"RCPT TO:<full@example.net>\r\n",
    b"DATA\r\n",
    b"a: b\r\n\r\n..c\r\n.\r\n",
    b"x" * 250 + b"\r\n.\r\n",
    b".\r\n",
    b"\n.\r\n",
    b"\r\n",
    b"BDAT 3\r\nx\r\n",
    b"BDAT 6 LAST\r\nRSET\r\n",
    b"BDAT 300 LAST\r\n" + b"NOOP\r\n" * 50,
    b"RSET\r\n",
    b"NOOP\r\n",
    b"QUIT\r\n",
    b"STARTTLS\r\n",
    b"AUTH PLAIN\r\n",
    b"AUTH PLAIN AGFuYQBzZWNyZXQ=\r\n",
    b"AUTH SCRAM-SHA-256 biwsbj1hbmEscj1yT3ByTkdmd0ViZVJXZ2JORWtxTw==\r\n",
    b"AUTH OAUTHBEARER bixhPWFuYUBleGFtcGxlLm5ldCwBYXV0aD1CZWFyZXIgYmFkAQE=\r\n",
    b"AQ==\r\n",
    b"*\r\n",
    b"XCLIENT ADDR=192.0.2.1\r\n",
    b"GET / HTTP/1.1\r\n",
    b"\xff\r\n",
]
TALKATIVE = st.lists(st.sampled_from(WORDS) | st.binary(max_size=8), max_size=25).map(b"".join)
DEPENDS_ON_TIMING = {"data-pipelined", "starttls-injection"}


@given(TALKATIVE | st.binary(max_size=300), st.sampled_from(Dialect), st.integers(1, 9))
@settings(max_examples=250, deadline=None)
def test_pieces_make_no_difference(octets, dialect, piece):
    whole = peer_of(dialect, limits=SMALL, offers=ALL)
    pieces = peer_of(dialect, limits=SMALL, offers=ALL, piece=piece)
    whole.send(octets)
    pieces.send(octets)
    last = whole.events[-1] if whole.events else None
    if isinstance(last, Violation) and last.what in DEPENDS_ON_TIMING:
        # What is refused because it came too early can only be seen when it did; until then all is the same.
        assert pieces.events[: len(whole.events) - 1] == whole.events[:-1]
    else:
        assert pieces.events == whole.events
        assert pieces.wire == whole.wire


REPLY_LINE = re.compile(rb"[2-5][0-9]{2}[ -][ -~]{0,506}\r\n")


@given(TALKATIVE | st.binary(max_size=400), st.sampled_from(Dialect), st.integers(0, 3), st.booleans())
@settings(max_examples=250, deadline=None)
def test_any_octets_give_replies_and_never_raise(octets, dialect, piece, eof):
    peer = peer_of(dialect, limits=SMALL, offers=ALL, piece=piece)
    peer.send(octets)
    if eof:
        peer.eof()
        assert peer.machine.closed
    lines = bytes(peer.wire).splitlines(keepends=True)
    assert all(REPLY_LINE.fullmatch(line) for line in lines)
    assert peer.machine.patience_s > 0


@given(TALKATIVE, st.sampled_from(Dialect))
@settings(max_examples=150, deadline=None)
def test_a_body_ends_only_what_a_sender_and_a_recipient_began(octets, dialect):
    peer = peer_of(dialect, limits=SMALL, offers=ALL)
    peer.send(octets)
    sender = recipients = 0
    for event in peer.events:
        if isinstance(event, MailFrom):
            sender, recipients = 1, 0
        elif isinstance(event, RcptTo):
            recipients += event.recipient.address.local != "nobody"
        elif isinstance(event, BodyEnd):
            assert sender
            assert recipients
            sender = 0


FALSE_ENDS = [
    before + b"." + after
    for before in (
        b"\n",
        b"\r",
        b"\r\n",
        b"\n\r",
        b"\r\r",
        b"\0\r\n",
        b"\r\n\0",
        b"\r\0\n",
        b"\x85",
        b"\xe2\x80\xa8",
    )
    for after in (
        b"\n",
        b"\r",
        b"\r\n",
        b"\n\r",
        b"\r\r",
        b"\0\r\n",
        b"\r\0\n",
        b" \r\n",
        b"\t\r\n",
        b"\r\r\n",
    )
    if (before, after) != (b"\r\n", b"\r\n")
] + [b"\r\n.\r", b"\r\r\n.\r\n", b"\n\n.\r\n", b"\r\n.\n.\r\n"]
INNER = (
    b"MAIL FROM:<ceo@example.org>\r\nRCPT TO:<ben@example.net>\r\nDATA\r\nSubject: inner\r\n\r\nx\r\n.\r\n"
)


@pytest.mark.parametrize("end", FALSE_ENDS, ids=repr)
@pytest.mark.parametrize("piece", [0, 1])
@pytest.mark.parametrize("exempt", [False, True])
def test_smuggling_never_makes_two_messages(end, piece, exempt):
    peer = peer_of(piece=piece, offers=Offers(allow_bare_lf=exempt))
    peer.send(b"EHLO a.example\r\nMAIL FROM:<ana@example.org>\r\nRCPT TO:<ben@example.net>\r\nDATA\r\n")
    peer.send(b"Subject: outer\r\n\r\nbody" + end + INNER)
    assert peer.messages <= 1
    assert not any(body.startswith(b"Subject: inner") for body in peer.bodies)
    assert Address("ceo", "example.org") not in [e.sender for e in peer.events if isinstance(e, MailFrom)]


@pytest.mark.parametrize("end", FALSE_ENDS, ids=repr)
def test_a_too_big_message_smuggles_nothing_either(end):
    peer = peer_of(limits=SmtpLimits(message_octets=1000))
    peer.send(b"EHLO a.example\r\nMAIL FROM:<ana@example.org>\r\nRCPT TO:<ben@example.net>\r\nDATA\r\n")
    for _ in range(70):
        peer.send(b"x" * 998 + b"\r\n")
    peer.send(b"body" + end + INNER)
    assert Address("ceo", "example.org") not in [e.sender for e in peer.events if isinstance(e, MailFrom)]


def test_nothing_follows_starttls():
    peer = peer_of(offers=Offers(starttls=True))
    peer.send(b"EHLO a.example\r\n")
    peer.send(b"STARTTLS\r\nMAIL FROM:<evil@example.org>\r\n")
    assert peer.machine.closed
    assert [event.what for event in peer.events if isinstance(event, Violation)] == ["starttls-injection"]


def test_nothing_comes_between_the_220_and_the_handshake():
    peer = peer_of(offers=Offers(starttls=True))
    peer.send(b"EHLO a.example\r\nSTARTTLS\r\n")
    peer.send(b"MAIL FROM:<evil@example.org>\r\n")
    assert peer.machine.closed
    assert not any(isinstance(event, MailFrom) for event in peer.events)


def test_nothing_comes_while_we_think_about_starttls():
    machine = SmtpServer(Dialect.MX, SmtpLimits(), hostname=HOSTNAME, offers=Offers(starttls=True))
    machine.greet(Reply(220, "", "hi"))
    machine.receive(b"EHLO a\r\n")
    machine.next_event()
    machine.reply(OK)
    machine.receive(b"STARTTLS\r\n")
    machine.next_event()
    machine.receive(b"EHLO b\r\n")
    machine.reply(Reply(220, "2.0.0", "go"))
    assert machine.closed
    assert b"220 2.0.0" not in machine.outgoing()


def test_one_question_at_a_time():
    machine = SmtpServer(Dialect.MX, SmtpLimits(input_octets=100), hostname=HOSTNAME, offers=Offers())
    machine.greet(Reply(220, "", "hi"))
    machine.outgoing()
    machine.receive(b"HELO a\r\n" + b"NOOP\r\n" * 30)
    machine.next_event()
    assert machine.awaiting
    assert machine.outgoing() == b""
    assert not machine.wants_input
    machine.reply(Reply(250, "", "hi"))
    assert machine.next_event() is NEED_DATA
    assert machine.outgoing() == b"250 hi\r\n" + b"250 2.0.0 OK\r\n" * 30
    assert machine.wants_input


def test_a_greeting_that_refuses_takes_only_quit():
    machine = SmtpServer(Dialect.MX, SmtpLimits(), hostname=HOSTNAME, offers=Offers())
    peer = MemoryPeer(machine, greeting=Reply(554, "5.7.1", "No service"))
    peer.send(b"EHLO a\r\nMAIL FROM:<ana@example.org>\r\nQUIT\r\n")
    assert [line[:3] for line in bytes(peer.wire).splitlines()] == [b"554", b"503", b"503", b"221"]


def test_words_before_the_greeting_wait_and_are_noticed():
    machine = SmtpServer(Dialect.MX, SmtpLimits(), hostname=HOSTNAME, offers=Offers())
    machine.receive(b"HELO a\r\n")
    assert machine.next_event() is NEED_DATA
    assert machine.spoke_early


def test_data_refused_by_the_handler_keeps_the_transaction():
    def answer(event):
        return Reply(452, "4.3.1", "Disk full") if type(event).__name__ == "BodyStart" else OK

    machine = SmtpServer(Dialect.MX, SmtpLimits(), hostname=HOSTNAME, offers=Offers())
    peer = MemoryPeer(machine, answer=answer)
    peer.send(b"HELO a\r\nMAIL FROM:<a@example.org>\r\nRCPT TO:<ben@example.net>\r\nDATA\r\n")
    assert machine.envelope is not None
    peer.send(b"DATA\r\nSubject: x\r\n")
    assert machine.closed
    assert peer.wire.count(b"452 4.3.1") == 2


def test_the_envelope_has_what_was_accepted():
    peer = peer_of()
    peer.send(
        b"EHLO a\r\nMAIL FROM:<Ana@Example.org> RET=FULL ENVID=x+2B1 SIZE=5 SMTPUTF8 BODY=8BITMIME\r\n"
        b"RCPT TO:<nobody@example.net>\r\nRCPT TO:<ben@example.net> NOTIFY=DELAY,FAILURE ORCPT=rfc822;b+3Dn@x\r\n"
    )
    envelope = peer.machine.envelope
    assert envelope is not None
    assert envelope.sender == Address("Ana", "example.org")
    assert (envelope.ret, envelope.envid, envelope.size, envelope.smtputf8) == ("FULL", "x+1", 5, True)
    assert envelope.recipients == (
        Recipient(
            address=Address("ben", "example.net"),
            notify=frozenset({"DELAY", "FAILURE"}),
            orcpt="rfc822;b=n@x",
        ),
    )


def test_body_is_unstuffed_and_without_its_end():
    peer = peer_of()
    peer.send(b"HELO a\r\nMAIL FROM:<>\r\nRCPT TO:<ben@example.net>\r\nDATA\r\n..\r\n.a\r\n...b\r\n.\r\n")
    assert peer.bodies == [b".\r\na\r\n..b\r\n"]


def test_patience_and_progress():
    limits = SmtpLimits(command_s=1, data_s=2, auth_s=3, handshake_s=4, data_block_octets=100)
    peer = peer_of(limits=limits, offers=Offers(starttls=True))
    machine = peer.machine
    assert machine.patience_s == 1
    before = machine.progress
    peer.send(b"HEL")
    assert machine.progress == before
    peer.send(b"O a\r\nMAIL FROM:<>\r\nRCPT TO:<ben@example.net>\r\nDATA\r\n")
    assert machine.progress > before
    assert machine.patience_s == 2
    before = machine.progress
    peer.send(b"x" * 100)
    assert machine.progress == before + 1
    peer.send(b"\r\n.\r\nSTARTTLS\r\n")
    assert machine.patience_s == 4


def test_a_timeout_says_so_and_closes():
    peer = peer_of()
    peer.send(b"HELO a\r\nMAIL FROM:<>\r\n")
    peer.machine.end(timed_out(HOSTNAME))
    assert peer.machine.closed
    assert peer.machine.outgoing() == b"421 4.4.2 mx.example.net timeout exceeded\r\n"


def test_the_driver_is_told_when_it_errs():
    machine = SmtpServer(Dialect.MX, SmtpLimits(), hostname=HOSTNAME, offers=Offers())
    with pytest.raises(RuntimeError):
        machine.reply(OK)
    with pytest.raises(RuntimeError):
        machine.tls_started()
    with pytest.raises(RuntimeError):
        machine.reply_each([OK])
    machine.greet(Reply(220, "", "hi"))
    with pytest.raises(RuntimeError):
        machine.greet(Reply(220, "", "hi"))


def test_lmtp_wants_a_reply_for_each():
    machine = SmtpServer(Dialect.LMTP, SmtpLimits(), hostname=HOSTNAME, offers=Offers())
    machine.greet(Reply(220, "", "hi"))
    machine.receive(b"LHLO a\r\nMAIL FROM:<>\r\nRCPT TO:<a@b>\r\nRCPT TO:<b@b>\r\nDATA\r\nx\r\n.\r\n")
    for reply in (OK, OK, OK, OK, START_DATA):
        machine.next_event()
        machine.reply(reply)
    assert isinstance(machine.next_event(), BodyEnd)
    machine.outgoing()
    with pytest.raises(ValueError, match="1 replies for 2"):
        machine.reply_each([OK])
    machine.reply(Reply(451, "4.3.0", "later"))
    assert machine.outgoing() == b"451 4.3.0 later\r\n" * 2


def test_a_violation_is_answered_with_the_reference_for_each_recipient_of_lmtp():
    machine = SmtpServer(Dialect.LMTP, SmtpLimits(), hostname=HOSTNAME, offers=Offers())
    machine.greet(Reply(220, "", "hi"))
    machine.receive(b"LHLO a\r\nMAIL FROM:<>\r\nRCPT TO:<a@b>\r\nRCPT TO:<b@b>\r\nDATA\r\nx\ny\r\n.\r\n")
    for reply in (OK, OK, OK, OK, START_DATA):
        machine.next_event()
        machine.reply(reply)
    event = machine.next_event()
    assert isinstance(event, Violation)
    machine.refer("2N50XR3CZPCTX")
    told = event.reply.referring("2N50XR3CZPCTX").render()
    assert told.endswith(b" [ref 2N50XR3CZPCTX]\r\n")
    assert machine.outgoing().endswith(told * 2)


def test_credentials_never_show():
    peer = peer_of(Dialect.SUBMISSION, offers=ALL)
    peer.send(b"EHLO a\r\nAUTH PLAIN AGFuYQBzZWNyZXQ=\r\n")
    requests = [event for event in peer.events if isinstance(event, AuthRequest)]
    assert len(requests) == 1
    assert "secret" not in repr(peer.events)
    assert peer.machine.authenticated
