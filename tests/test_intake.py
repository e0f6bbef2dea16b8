"""The story of a message in one file: what is answered, what is kept, and in which order."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from ipaddress import ip_address

import pytest

from gatepost.accepting.copies import together
from gatepost.app.wiring import build_intake
from gatepost.cli.story import NOT_ASKED, tell
from gatepost.config.schema import settle
from gatepost.dns.answer import Answer
from gatepost.dns.zone import Zone
from gatepost.intake import Intake
from gatepost.mail.address import Address, parse_address
from gatepost.mail.authresults import AuthResults, DkimResult, DmarcResult
from gatepost.mail.client import Attempt, Client, Envelope, Recipient
from gatepost.mail.verdict import Action
from gatepost.scan.nothing import Forgetful
from gatepost.smtp.handler import Screened
from gatepost.smtp.reply import Reply
from gatepost.store.failures import StoreFailed, StoreFull
from gatepost.store.records import Acceptance, HistoryEntry
from gatepost.tools import RecipientAnswer, Standing

NOW = 1_795_500_000.0
ZONE = """
good.example. TXT "v=spf1 ip4:192.0.2.1 -all"
_dmarc.good.example. TXT "v=DMARC1; p=reject"
mail.good.example. A 192.0.2.1
1.2.0.192.in-addr.arpa. PTR mail.good.example.
$FAIL _dmarc.silent.example.
"""


class OurPeople:
    async def find(self, address: Address) -> RecipientAnswer:
        known = address.local in ("ana", "ben")
        return RecipientAnswer(Standing.KNOWN if known else Standing.UNKNOWN, f"there is no {address}")

    def next_hops(self, _: Address) -> tuple[str, ...]:
        return ()


@dataclass
class Shelf:
    """A store that remembers what it was given, or fails."""

    kept: list[Acceptance] = field(default_factory=list)
    recorded: list[HistoryEntry] = field(default_factory=list)
    failure: Exception | None = None
    room: bool = True

    async def carry_out(self, acceptance: Acceptance) -> None:
        if self.failure is not None:
            raise self.failure
        self.kept.append(acceptance)

    def record_soon(self, entry: HistoryEntry) -> None:
        self.recorded.append(entry)

    def has_room(self) -> bool:
        return self.room


def intake(shelf: Shelf, *, resolver: object = None, **more: object) -> Intake:
    loaded = settle({"hostname": "mx.example.net", **more}, file="t.toml", path=None, folder=None)  # type: ignore[arg-type]
    forgetful = Forgetful()
    return build_intake(
        loaded, store=shelf, resolver=resolver or Zone.parse(ZONE), memory=forgetful, recipients=OurPeople(),
        correspondents=forgetful, expand=lambda address: (str(address),), acquaint=lambda *_: None,
        announce=lambda _: None, clock=lambda: NOW,
    )  # fmt: skip


GOOD = Client(ip=ip_address("192.0.2.1"), hello="mail.good.example")
STRANGER = Client(ip=ip_address("203.0.113.9"), hello="mail.good.example")


def message(domain: str = "good.example", extra: bytes = b"") -> bytes:
    return (
        f"From: A <a@{domain}>\r\nTo: ana@example.net\r\nSubject: hi\r\nDate: Tue, 24 Nov 2026 07:00:00 +0000\r\n"
        f"Message-ID: <1@{domain}>\r\n".encode()
        + extra
        + b"\r\nhello\r\n"
    )


def envelope(domain: str = "good.example", *people: str) -> Envelope:
    recipients = tuple(Recipient(address=Address(one, "example.net")) for one in people or ("ana",))
    return Envelope(sender=parse_address(f"a@{domain}"), recipients=recipients)


def receive(gate: Intake, client: Client, to: Envelope, octets: bytes) -> list[Reply]:
    passed = [Screened(Reply(250, "2.1.5", "ok"))] * len(to.recipients)
    return list(asyncio.run(gate.receive(client, to, octets, passed)))


def test_proved_mail_is_kept_before_the_250() -> None:
    shelf = Shelf()
    (reply,) = receive(intake(shelf), GOOD, envelope(), message())
    assert reply.code == 250
    (kept,) = shelf.kept
    assert f"[ref {kept.entry.ref}]" in reply.text
    assert kept.octets == message()
    assert kept.may_bounce
    assert [copy.to for copy in kept.deliveries] == ["ana@example.net"]
    assert b"Authentication-Results: mx.example.net;" in kept.added_header


def test_a_forger_is_refused_while_he_listens_with_a_reference_and_a_reason() -> None:
    shelf = Shelf()
    (reply,) = receive(intake(shelf), STRANGER, envelope(), message())
    assert (reply.code, shelf.kept) == (550, [])
    (entry,) = shelf.recorded
    assert f"[ref {entry.ref}]" in reply.text
    assert "good.example is not proved" in reply.text
    assert entry.judged[0].verdict.rule == "dmarc.reject"


def test_observing_delivers_and_records_what_would_have_been() -> None:
    shelf = Shelf()
    (reply,) = receive(intake(shelf, mode="observe"), STRANGER, envelope(), message())
    verdict = shelf.kept[0].entry.judged[0].verdict
    assert (reply.code, verdict.action, verdict.would_action) == (250, Action.DELIVER, Action.REFUSE)
    assert not shelf.kept[0].may_bounce


def test_dns_failure_that_could_decide_asks_to_come_back() -> None:
    shelf = Shelf()
    (reply,) = receive(intake(shelf), STRANGER, envelope("silent.example"), message("silent.example"))
    assert (reply.code // 100, shelf.kept) == (4, [])
    assert shelf.recorded[0].judged[0].verdict.action is Action.DEFER


class Untouchable:
    async def lookup(self, name: str, kind: str) -> Answer:
        raise AssertionError(f"{name} {kind} was asked for")


ALL_OFF = {"policy": {"modes": dict.fromkeys(("spf", "dkim", "arc", "dmarc"), "off")}}


def test_with_spf_dkim_arc_and_dmarc_off_nobody_is_asked_and_nothing_is_claimed() -> None:
    shelf = Shelf()
    (reply,) = receive(intake(shelf, resolver=Untouchable(), **ALL_OFF), STRANGER, envelope(), message())
    (kept,) = shelf.kept
    assert reply.code == 250
    assert b"Authentication-Results: mx.example.net;\r\n none\r\n" in kept.added_header
    assert not kept.may_bounce, "a sender nobody proved gets no report"
    assert ("  ", NOT_ASKED) in tell(kept.entry, ())


def test_one_of_the_four_is_enough_to_prove_the_sender() -> None:
    shelf = Shelf()
    modes = {"policy": {"modes": dict.fromkeys(("spf", "dkim", "arc"), "off")}}
    (reply,) = receive(intake(shelf, **modes), STRANGER, envelope(), message())
    assert (reply.code, shelf.recorded[0].judged[0].verdict.rule) == (550, "dmarc.reject")


class Dawdler:
    async def lookup(self, name: str, kind: str) -> Answer:
        await asyncio.Event().wait()
        raise AssertionError


def test_name_servers_that_never_answer_end_in_a_deferral_not_in_a_hang() -> None:
    shelf = Shelf()
    gate = replace(intake(shelf, resolver=Dawdler()), patience_s=0.02)
    (reply,) = receive(gate, GOOD, envelope(), message())
    assert reply.code // 100 == 4


@pytest.mark.parametrize(
    ("failure", "code", "enhanced"), [(StoreFull("disk"), 452, "4.3.1"), (StoreFailed("disk"), 451, "4.3.0")]
)
def test_what_could_not_be_stored_is_not_accepted(failure: Exception, code: int, enhanced: str) -> None:
    shelf = Shelf(failure=failure)
    (reply,) = receive(intake(shelf), GOOD, envelope(), message())
    assert (reply.code, reply.enhanced, shelf.kept) == (code, enhanced, [])
    (entry,) = shelf.recorded  # and whoever looks for it finds why
    assert (entry.judged[0].verdict.action, entry.judged[0].verdict.rule) == (Action.DEFER, "store.failed")
    assert f"[ref {entry.ref}]" in reply.text


def test_a_disk_at_its_watermark_turns_recipients_away_in_time() -> None:
    told: list[HistoryEntry] = []
    gate = replace(intake(Shelf(room=False)), announce=told.append)
    attempt = Attempt(client=GOOD, sender=None, recipient=Recipient(address=Address("ana", "example.net")))
    reply = asyncio.run(gate.screen(attempt)).reply
    assert reply.code == 452
    assert f"[ref {told[0].ref}]" in reply.text
    assert told[0].reply.endswith(f"[ref {told[0].ref}]")
    assert [one.judged[0].verdict.rule for one in told] == ["store.full"]  # the log and the metrics have it


def test_an_unknown_recipient_is_refused_at_the_door_and_on_record() -> None:
    shelf = Shelf()
    attempt = Attempt(client=GOOD, sender=None, recipient=Recipient(address=Address("zoe", "example.net")))
    reply = asyncio.run(intake(shelf).screen(attempt)).reply
    assert (reply.code, reply.enhanced) == (550, "5.1.1")
    assert shelf.recorded[0].kind == "attempt"
    assert shelf.recorded[0].ref in reply.text


def test_what_the_session_refuses_has_a_reference_too() -> None:
    shelf = Shelf()
    ref = intake(shelf).refused(GOOD, None, Reply(552, "5.3.4", "Message too big"), "too-big")
    assert shelf.recorded[0].ref == ref
    assert shelf.recorded[0].reply == f"552 5.3.4 Message too big [ref {ref}]"


def test_lmtp_answers_each_recipient() -> None:
    shelf = Shelf()
    to = envelope("good.example", "ana", "ben")
    overrides = {"overrides": [{"recipients": ["ben@example.net"], "mode": "observe"}]}
    gate = intake(shelf, policy=overrides)
    replies = receive(gate, replace(STRANGER, role="lmtp"), to, message())
    assert [reply.code for reply in replies] == [550, 250]
    assert [copy.to for copy in shelf.kept[0].deliveries] == ["ben@example.net"]


def test_smtp_holds_the_refused_copy_when_another_recipient_takes_the_mail() -> None:
    shelf = Shelf()
    to = envelope("good.example", "ana", "ben")
    gate = intake(shelf, policy={"overrides": [{"recipients": ["ben@example.net"], "mode": "observe"}]})
    (reply,) = receive(gate, STRANGER, to, message())
    assert reply.code == 250
    assert [(copy.to, copy.held) for copy in shelf.kept[0].deliveries] == [
        ("ana@example.net", True),
        ("ben@example.net", False),
    ]


def test_a_message_in_a_loop_is_cut() -> None:
    shelf = Shelf()
    hops = b"Received: from x by y\r\n" * 101
    (reply,) = receive(intake(shelf), GOOD, envelope(), message(extra=hops))
    assert (reply.code, reply.enhanced, shelf.kept) == (554, "5.4.6", [])


def test_foreign_results_under_our_name_do_not_travel_on() -> None:
    shelf = Shelf()
    forged = b"Authentication-Results: mx.example.net; dmarc=pass\r\n"
    receive(intake(shelf), GOOD, envelope(), message(extra=forged))
    (span,) = shelf.kept[0].removed_fields
    assert shelf.kept[0].octets[span[0] : span[1]] == forged


def test_nobody_else_may_say_what_we_decided() -> None:
    shelf = Shelf()
    forged = b"X-Gatepost-Verdict: deliver\r\nx-gatepost: score=-9\r\n"
    receive(intake(shelf), GOOD, envelope(), message(extra=forged))
    removed = b"".join(shelf.kept[0].octets[start:end] for start, end in shelf.kept[0].removed_fields)
    assert removed == forged


def test_behind_our_own_relay_the_outer_client_is_judged() -> None:
    shelf = Shelf()
    relay = Client(ip=ip_address("10.0.0.1"), hello="inner.example.net")
    seen = b"Received: from mail.good.example (mail.good.example [192.0.2.1]) by inner.example.net\r\n"
    gate = intake(shelf, trusted_relays=["10.0.0.0/8"])
    (reply,) = receive(gate, relay, envelope(), seen + message())
    entry = shelf.kept[0].entry
    assert reply.code == 250
    assert (str(entry.client.ip), entry.auth.spf_mail_from.result) == ("192.0.2.1", "pass")


@pytest.mark.parametrize(
    ("each", "answer"),
    [
        ("DELIVER REFUSE", "DELIVER QUARANTINE"),
        ("REFUSE REFUSE", "REFUSE REFUSE"),
        ("DELIVER DEFER REFUSE", "DEFER DEFER DEFER"),
        ("JUNK DELIVER", "JUNK DELIVER"),
    ],
)
def test_one_answer_for_all(each: str, answer: str) -> None:
    assert together([Action[one] for one in each.split()]) == [Action[one] for one in answer.split()]


@pytest.mark.parametrize(
    ("final", "marked"),
    [
        (("ana@example.net",), True),
        (("ana@example.net", "ben@example.net"), True),
        (("far@away.example",), False),
        (("ana@example.net", "far@away.example"), False),
    ],
)
def test_mail_sent_on_elsewhere_keeps_the_signature_it_came_with(
    final: tuple[str, ...], marked: bool
) -> None:
    """Whatever the settings say of our own mailboxes: without it the next host sees a forgery, and refuses."""

    async def signed(*_: object, **__: object) -> AuthResults:
        return AuthResults(
            dkim=(DkimResult(result="pass", domain="good.example"),),
            dmarc=DmarcResult(result="pass", author_domain="good.example"),
        )

    shelf = Shelf()
    gate = intake(
        shelf,
        domains=[{"name": "example.net", "recipients": ["ana", "ben"], "deliver": "lmtp:127.0.0.1:24"}],
        marking={"deliver": {"banner": True, "despite_signatures": True}, "deliver_from": -1000.0},
    )
    gate = replace(gate, prove=signed, expand=lambda _: final)
    receive(gate, GOOD, envelope(), message())
    changes = [copy.changes for copy in shelf.kept[0].deliveries]
    assert [bool(one) for one in changes] == [marked] * len(final)
    if not marked:
        assert "signature of good.example" in shelf.kept[0].entry.judged[0].verdict.changes[0].text
