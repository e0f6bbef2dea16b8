"""What our own people and machines send: who may, as whom, what is added, and what becomes of it."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address

import pytest

from gatepost.mail.client import Client, Envelope, Recipient
from gatepost.mail.message import Message
from gatepost.mail.verdict import Action
from gatepost.mailauth.dkim_sign import OVERSIGNED
from gatepost.smtp.handler import Screened
from gatepost.smtp.reply import Reply
from sending import ANA, LETTER, PRINTER, STRANGER, desk, known, letter


def test_mail_goes_out_and_stays_as_it_was() -> None:
    gate = desk()
    reply = gate.send()
    assert (reply.code, reply.text.startswith("Kept for delivery [ref ")) == (250, True)
    (copy,) = gate.last.deliveries
    assert (copy.to, copy.held, copy.junk) == ("bo@example.org", False, False)
    assert gate.last.octets == LETTER
    added = gate.delivered.removesuffix(LETTER)
    assert added.startswith(b"Received: by mx.example.net with ESMTPSA id ")
    assert added.count(b"\r\n") - added.count(b"\r\n ") == 1, "one field and nothing else"


def test_nothing_of_where_it_was_written_goes_out() -> None:
    gate = desk()
    gate.send()
    for word in (b"192.0.2.55", b"laptop", b"TLS_AES", b"Authentication-Results", b"X-Gatepost"):
        assert word not in gate.delivered


def test_mail_between_our_own_stays_inside() -> None:
    gate = desk()
    assert gate.send(LETTER, "ben@example.net", "bo@example.org").code == 250
    assert [one.to for one in gate.last.deliveries] == ["ben@example.net", "bo@example.org"]


def test_a_recipient_of_ours_that_does_not_exist_is_told_at_once() -> None:
    reply = desk().send(LETTER, "nobody@example.net")
    assert (reply.code, reply.enhanced) == (550, "5.1.1")


@pytest.mark.parametrize(
    "sender", ["ana@example.net", "ANA@Example.NET", "info@example.net", "x@lists.example.net", None]
)
def test_own_and_delegated_addresses_may_send(sender: str | None) -> None:
    assert desk().send(sender=sender).code == 250


@pytest.mark.parametrize(
    "sender", ["ben@example.net", "ana@example.org", "x@sub.lists.example.net", "x@example.net"]
)
def test_another_envelope_sender_is_refused_with_the_addresses_that_are_allowed(sender: str) -> None:
    reply = desk().send(sender=sender)
    assert (reply.code, reply.enhanced) == (553, "5.7.1")
    assert "ana@example.net, info@example.net, any address at lists.example.net" in reply.text
    assert sender in reply.text


@pytest.mark.parametrize("author", ["ben@example.net", "boss@example.org", "ana@example.net.example.org"])
def test_another_author_is_refused_with_the_addresses_that_are_allowed(author: str) -> None:
    reply = desk().send(letter(author=author))
    assert (reply.code, reply.enhanced) == (550, "5.7.1")
    assert "From and Sender both must be among these" in reply.text
    assert author in reply.text
    assert "info@example.net" in reply.text


@pytest.mark.parametrize(
    ("fields", "enhanced"),
    [
        (["Sender: ben@example.net"], "5.7.1"),
        (["Sender: ana@example.net"], "2.0.0"),
        (["Sender: ana@example.net", "Sender: ana@example.net"], "5.6.0"),
        (["Sender: ana@example.net, info@example.net"], "5.6.0"),
        (["Sender: <<<"], "5.6.0"),
        (["From: Ana <ana@example.net>"], "5.6.0"),
        (["From: Boss <boss@example.org>"], "5.6.0"),
    ],
)
def test_sender_and_a_second_from(fields: list[str], enhanced: str) -> None:
    assert desk().send(letter(*fields)).enhanced == enhanced


def test_several_authors_need_a_sender_and_all_of_them_to_be_ones_own() -> None:
    both = b"From: ana@example.net, info@example.net\r\n"
    rest = LETTER.partition(b"\r\n")[2]
    assert desk().send(both + rest).enhanced == "5.7.1"
    assert desk().send(both + b"Sender: ana@example.net\r\n" + rest).code == 250
    other = b"From: ana@example.net, x@lists.example.net, ben@example.net\r\nSender: ana@example.net\r\n"
    reply = desk().send(other + rest)
    assert reply.enhanced == "5.7.1"
    assert "ben@example.net" in reply.text


@pytest.mark.parametrize(
    "author",
    [
        "ana@example.net <boss@example.org>", "Group: ana@example.net;", "<@x:ana@example.net>", "", "ana",
        '"a\\r\\n" <ana@example.net', "ana@example.net (", "=?utf-8?q?boss=40example.org?= <boss@example.org",
    ],
)  # fmt: skip
def test_an_author_that_programs_read_differently_is_refused(author: str) -> None:
    reply = desk().send(f"From: {author}\r\n".encode() + LETTER.partition(b"\r\n")[2])
    assert reply.code == 550


def test_a_message_without_from_is_refused() -> None:
    reply = desk().send(LETTER.partition(b"\r\n")[2])
    assert (reply.code, reply.enhanced) == (550, "5.6.0")
    assert "no From field" in reply.text


def test_what_was_forgotten_is_added_and_told() -> None:
    gate = desk()
    gate.send(b"From: ana@example.net\r\nTo: bo@example.org\r\n\r\nhello\r\n")
    header = gate.delivered.partition(b"\r\n\r\n")[0]
    assert header.count(b"\r\nDate: ") == 1
    made = f"<{gate.last.entry.ref.lower()}@example.net>"
    assert f"\r\nMessage-ID: {made}\r\n".encode() in header + b"\r\n"
    assert gate.last.entry.message_id == made
    assert {"author.date_added", "author.id_added"} <= set(gate.findings())
    assert gate.delivered.endswith(b"From: ana@example.net\r\nTo: bo@example.org\r\n\r\nhello\r\n")


def test_bcc_does_not_go_out() -> None:
    gate = desk()
    gate.send(letter("Bcc: eve@example.org,\r\n fay@example.org", "X: y", "bcc: gus@example.org"))
    for word in (b"eve@", b"fay@", b"gus@", b"cc:"):
        assert word not in gate.delivered.lower().replace(b"x: y", b"")
    assert b"\r\nX: y\r\n" in gate.delivered
    assert "author.bcc_removed" in gate.findings()


def test_lists_that_stand_twice_become_one_and_nobody_is_lost() -> None:
    """Two To fields are what some programs write; no receiver's signature check gets over them."""
    gate = desk()
    twice = letter(
        'To: "Eve, of course" <eve@example.org>,\r\n fay@example.org,', "Cc: x@example.org", "cc: friends: gus@example.org;",
        "Reply-To: ana@example.net", "Reply-To: ana@example.net", "References: <a@x>", "References: <b@x>\r\n <c@x>",
        "Cc:",
    )  # fmt: skip
    assert gate.send(twice).code == 250
    sent = Message.parse(gate.delivered)
    assert sent.values(b"to") == [b'bo@example.org, "Eve, of course" <eve@example.org>, fay@example.org']
    assert sent.values(b"cc") == [b"x@example.org, friends: gus@example.org;"]
    assert sent.values(b"reply-to") == [b"ana@example.net"]
    assert sent.values(b"references") == [b"<a@x> <b@x> <c@x>"]
    assert "author.merged" in gate.findings()


@pytest.mark.parametrize(
    ("field", "other"),
    [
        ("Subject", "dinner"), ("Date", "Wed, 25 Nov 2026 08:00:00 +0000"), ("Message-ID", "<2@example.net>"),
        ("To", '"never closed <eve@example.org>'), ("To", "(open"), ("Cc", "<eve@example.org"), ("Cc", "group: eve@example.org"),
    ],
)  # fmt: skip
def test_fields_that_stand_twice_and_cannot_be_made_one_are_refused_by_name(field: str, other: str) -> None:
    gate = desk()
    reply = gate.send(letter("Cc: bo@example.org", f"{field}: {other}"))
    assert (reply.code, reply.enhanced) == (550, "5.6.0")
    assert f"2 {field} fields" in reply.text
    assert "send it again with one of them" in reply.text


@pytest.mark.parametrize(
    "field", ["Subject: lunch", "Date: Tue, 24 Nov 2026 08:00:00 +0000", "Message-ID: <1@example.net>"]
)
def test_a_field_that_says_the_same_twice_says_it_once(field: str) -> None:
    gate = desk()
    assert gate.send(letter(field)).code == 250
    assert gate.delivered.count(f"\r\n{field}\r\n".encode()) == 1


@pytest.mark.parametrize("name", sorted(OVERSIGNED))
def test_what_a_signature_oversigns_goes_out_once_at_most(name: str) -> None:
    """Named once more than it is there, so that none can be added: with two there, verifiers do not agree on the order."""
    gate = desk()
    reply = gate.send(letter(f"{name}: one", f"{name}: another"))
    assert reply.code == 550 or Message.parse(gate.delivered).count(name.encode()) == 1


TRACES = [
    "Received: from laptop.lan (laptop.lan [192.168.1.7]) by mail.example.net; Tue, 24 Nov 2026 07:00:00 +0000",
    "Received: from [IPv6:fd00::1] by mail.example.net; Tue, 24 Nov 2026 07:00:00 +0000",
    "Received: from printer by mail.example.net; Tue, 24 Nov 2026 07:00:00 +0000",
    "Received: from mail.example.org (mail.example.org [9.9.9.9]) by in.example.net; Tue, 24 Nov 2026 07:00:00 +0000",
    "Received: by mx.example.net with ESMTPSA id 1; Tue, 24 Nov 2026 07:00:00 +0000",
]


def test_traces_of_the_inside_are_withheld_and_others_stay() -> None:
    gate = desk()
    gate.send(letter(*TRACES))
    kept = [trace for trace in TRACES if trace.encode() in gate.delivered]
    assert kept == TRACES[3:]
    assert "author.trace_withheld" in gate.findings()
    gate = desk(submission={"earlier_received": "keep"})
    gate.send(letter(*TRACES))
    assert all(trace.encode() in gate.delivered for trace in TRACES)


def test_a_loop_ends() -> None:
    hops = ["Received: by mx.example.net with ESMTPSA id 1; Tue, 24 Nov 2026 07:00:00 +0000"] * 101
    reply = desk().send(letter(*hops))
    assert (reply.code, reply.enhanced) == (554, "5.4.6")


def test_a_machine_of_the_own_network_writes_as_our_domains_only() -> None:
    gate = desk()
    assert (
        gate.send(letter(author="scanner@example.net"), client=PRINTER, sender="scanner@example.net").code
        == 250
    )
    assert gate.last.account == "10.0.0.9"
    assert gate.send(client=PRINTER, sender="x@example.org").code == 553
    assert (
        gate.send(letter(author="x@example.org"), client=PRINTER, sender="x@example.net").enhanced == "5.7.1"
    )


def test_a_machine_may_be_given_other_addresses() -> None:
    gate = desk(submission={"machines_send_as": ["alarm@example.org"]})
    assert (
        gate.send(letter(author="alarm@example.org"), client=PRINTER, sender="alarm@example.org").code == 250
    )
    assert gate.send(client=PRINTER).code == 553


@pytest.mark.parametrize("mode", ["enforce", "observe"])
@pytest.mark.parametrize("to", ["bo@example.org", "ben@example.net"])
@pytest.mark.parametrize("sender", ["ana@example.net", "x@example.org", None])
def test_nobody_else_sends_anything(sender: str | None, to: str, mode: str) -> None:
    reply = desk(mode=mode).send(LETTER, to, client=STRANGER, sender=sender)
    assert (reply.code, reply.enhanced) == (530, "5.7.0")


def test_mail_to_an_address_in_brackets_is_refused() -> None:
    assert desk().send(LETTER, "x@[127.0.0.1]").enhanced == "5.1.2"


def test_whom_we_write_to_is_a_correspondent() -> None:
    gate = desk()
    gate.send(LETTER, "bo@example.org", "eve@gmail.com")
    assert [(one.identity, one.domain, one.ours) for one in gate.contacts] == [
        ("example.org", "example.net", True),
        ("eve@gmail.com", "example.net", True),
    ]


def test_a_report_of_failure_may_come_back_to_who_signed_in_and_never_to_the_null_sender() -> None:
    gate = desk()
    gate.send()
    assert gate.last.may_bounce
    gate.send(sender=None)
    assert not gate.last.may_bounce


def test_dsn_and_other_parameters_are_kept() -> None:
    gate = desk()
    gate.send(LETTER, body="8BITMIME", smtputf8=True, ret="HDRS", envid="e1")
    envelope = gate.last.entry.envelope
    assert (envelope.body, envelope.smtputf8, envelope.ret, envelope.envid) == (
        "8BITMIME",
        True,
        "HDRS",
        "e1",
    )
    assert b"with UTF8SMTPSA" in gate.delivered


class Scanner:
    """Knows one virus."""

    async def scan(self, octets: bytes) -> str | None:
        return "Eicar" if b"VIRUS" in octets else None


@pytest.mark.parametrize("mode", ["enforce", "observe"])
def test_malware_never_leaves_whatever_the_mode(mode: str) -> None:
    gate = desk(mode=mode, scanner=Scanner(), checks={"antivirus": {"clamd": "tcp:127.0.0.1:1"}})
    reply = gate.send(letter(body="VIRUS\r\n"))
    assert (reply.code, reply.enhanced) == (550, "5.7.1")
    assert "virus scanner found Eicar" in reply.text
    assert not gate.store.acceptances


def test_mail_over_the_line_waits_for_approval() -> None:
    gate = desk(submission={"policy": {"hold_at": 1.0, "weights": {"structure.fragment": 9.0}}})
    reply = gate.send(letter("MIME-Version: 1.0", "Content-Type: message/partial; id=1; number=1; total=2"))
    assert (reply.code, reply.text.partition(" [")[0]) == (250, "Held until it is approved")
    (copy,) = gate.last.deliveries
    assert (copy.held, copy.category) == (True, "approval")
    assert gate.contacts == [], "nobody was written to yet"


def test_an_action_may_refuse() -> None:
    gate = desk(submission={"policy": {"actions": {"structure.fragment": "refuse"}}})
    reply = gate.send(letter("MIME-Version: 1.0", "Content-Type: message/partial; id=1; number=1; total=2"))
    assert reply.code == 550


def test_incoming_checks_stay_out_of_it() -> None:
    gate = desk()
    names = {one.name for one in (*gate.submission.door, *gate.submission.content)}
    assert names.isdisjoint(
        {"spf", "dkim", "dmarc", "dnsbl", "greylist", "rates", "hello", "headers", "senders"}
    )
    assert {
        "account",
        "quota",
        "author",
        "habits",
        "fanout",
        "bounces",
        "rules",
        "attachments",
        "links",
    } <= names


def test_the_store_being_full_is_said() -> None:
    gate = desk()
    gate.store.room = False
    assert gate.send().code == 452


def test_the_story_says_who_sent_it() -> None:
    gate = desk()
    gate.send()
    (entry,) = gate.told
    assert entry.client.account == "ana@example.net"
    assert entry.judged[0].verdict.action is Action.DELIVER


def test_an_account_is_a_login_or_a_machine_and_strangers_have_none() -> None:
    assert ANA.account == "ana@example.net"
    assert PRINTER.account == "10.0.0.9"
    assert STRANGER.account == ""
    assert replace(PRINTER, user="ana@example.net").account == "ana@example.net"
    assert Client(ip=ip_address("10.0.0.9")).account == ""


def test_an_app_password_that_is_for_one_address_lends_no_other_one() -> None:
    narrow = replace(ANA, sends_as=("alerts@example.net",))
    assert desk().send(client=narrow).code == 553
    assert (
        desk().send(letter(author="alerts@example.net"), client=narrow, sender="alerts@example.net").code
        == 250
    )


def test_an_international_address_is_ones_own_in_every_writing() -> None:
    jo = replace(ANA, user="jörg@example.net", sends_as=("jörg@example.net",))
    octets = "From: Jörg <jörg@example.net>\r\nTo: bo@example.org\r\n\r\nhallo\r\n".encode()
    for sender in ("jörg@example.net", "JÖRG@example.net", "jo\u0308rg@example.net"):
        assert desk().send(octets, client=jo, sender=sender, smtputf8=True).code == 250
    assert desk().send(octets, client=ANA, smtputf8=True).enhanced == "5.7.1"


def test_a_receipt_goes_out_from_the_null_sender_in_ones_own_name_only() -> None:
    assert desk().send(sender=None).code == 250
    assert desk().send(letter(author="ben@example.net"), sender=None).enhanced == "5.7.1"


def test_an_author_of_ones_own_is_asked_for_while_the_gate_observes() -> None:
    assert desk(mode="observe").send(letter(author="ben@example.net")).enhanced == "5.7.1"


def test_malware_stays_refused_when_its_default_decision_is_taken_away() -> None:
    tables = {"checks": {"antivirus": {"clamd": "tcp:127.0.0.1:1"}}}
    for action in ("deliver", "quarantine"):
        gate = desk(
            scanner=Scanner(), submission={"policy": {"actions": {"antivirus.found": action}}}, **tables
        )
        assert gate.send(letter(body="VIRUS\r\n")).code == 550


def test_lmtp_behind_a_front_that_names_who_signed_in_is_answered_for_each_recipient() -> None:
    import asyncio

    gate = desk()
    client = replace(ANA, role="lmtp")
    to = [Recipient(address=known(one)) for one in ("a@example.org", "b@example.org")]
    envelope = Envelope(sender=known("ana@example.net"), recipients=tuple(to))
    ok = [Screened(Reply(250, "2.1.5", "ok"))] * 2
    assert [one.code for one in asyncio.run(gate.submission.receive(client, envelope, LETTER, ok))] == [
        250,
        250,
    ]
