"""The runner over a real store: what waits, what fails, who is told, and what a next hop that dies costs."""

from __future__ import annotations

import asyncio
import email
import email.policy
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from delivery_bench import MAIL, NOW, Bench, bench, mailbox_files, queue_mail
from gatepost.delivery.maildir import copy_name, file_copy
from gatepost.delivery.settings import DeliverySettings, DomainSettings
from gatepost.mail.address import Address
from scripted_peer import Answer, Peer

DAY = 86400.0


def story(
    folder: Path, act: Callable[[Bench, Peer], Awaitable[None]], *, peer: Peer | None = None, **options: Any
) -> Peer:
    """A runner whose domain's mail goes to `peer`."""
    peer = peer or Peer()

    async def go() -> None:
        async with (
            peer.serve(),
            bench(
                folder, deliver=f"{'lmtp' if peer.lmtp else 'smtp'}:127.0.0.1:{peer.port}", **options
            ) as it,
        ):
            await act(it, peer)

    asyncio.run(go())
    return peer


def at(stage: str, answer: str) -> Callable[[str, str], Answer]:
    return lambda verb, line: answer if verb == stage else None


def dsn_in(mailbox: Path) -> Any:
    """The one notification in a mailbox, parsed."""
    (copy,) = mailbox_files(mailbox)
    return email.message_from_bytes(copy.read_bytes(), policy=email.policy.default)


SENDER_IS_OURS = (
    DomainSettings(name="example.org", deliver="maildir:back"),
    DomainSettings(name="example.net", deliver="maildir:mail"),
)


@pytest.mark.parametrize("stage", ["greeting", "EHLO", "MAIL", "RCPT", "DATA", "message"])
def test_a_next_hop_that_dies_anywhere_costs_nothing(tmp_path: Path, stage: str) -> None:
    died: list[str] = []

    def answer(verb: str, line: str) -> Answer:
        if verb == stage and not died:
            died.append(verb)
            return "die"
        return None

    async def act(it: Bench, peer: Peer) -> None:
        await queue_mail(it.store, "AAAA")
        await it.until_idle()
        assert it.waiting() == [("ana@example.net", 60.0, 1)]
        it.now += 60
        await it.until_idle()
        assert it.waiting() == []
        assert [one.status for one in it.store.attempts_of("AAAA")] == ["deferred", "delivered"]

    assert story(tmp_path, act, peer=Peer(answer=answer)).messages == [MAIL]


def test_waits_grow_and_after_five_days_the_sender_is_told(tmp_path: Path) -> None:
    async def act(it: Bench, peer: Peer) -> None:
        await queue_mail(it.store, "AAAA", envid="QQ1", ret="FULL")
        due: list[float] = []
        while waiting := [one for one in it.waiting() if one[0] == "ana@example.net"]:
            due.append(waiting[0][1])
            it.now += waiting[0][1]
            await it.until_idle()
        assert due[:5] == [0, 60, 120, 240, 480]
        assert sum(due) == 5 * DAY
        notices = it.rows("SELECT octets FROM messages ORDER BY id")
        assert len(notices) == 2, "one that it is delayed, one that it failed"
        delay, failure = (
            email.message_from_bytes(octets, policy=email.policy.default) for (octets,) in notices
        )
        assert delay["Subject"] == "Your message is delayed"
        assert failure["Subject"] == "Your message could not be delivered"
        status = failure.get_payload(1).get_payload()
        assert status[0]["Original-Envelope-Id"] == "QQ1"
        assert (status[1]["Action"], status[1]["Status"]) == ("failed", "4.2.1")
        assert failure.get_payload(2).get_payload(0)["Subject"] == "hello"
        assert [to for to, _, _ in it.waiting()] == ["sam@example.org"] * 2

    story(tmp_path, act, peer=Peer(answer=at("RCPT", "450 4.2.1 not now")), zone="$FAIL example.org.\n")


def failing(tmp_path: Path, **mail: Any) -> tuple[list[str], list[tuple[str, str]], Path]:
    """A message that is refused: what the next hop's domain's postmaster and the sender got, and what is held."""
    result: list[Any] = []

    async def act(it: Bench, peer: Peer) -> None:
        await queue_mail(it.store, "AAAA", **mail)
        await it.until_idle()
        assert it.waiting() == []
        result.extend([[str(one) for one in peer.lines], it.held()])

    peer = Peer(answer=lambda verb, line: "550 5.1.1 nobody" if "<ana@" in line and verb == "RCPT" else None)

    async def go() -> None:
        async with peer.serve():
            domains = (
                DomainSettings(name="example.org", deliver="maildir:back"),
                DomainSettings(name="example.net", deliver=f"smtp:127.0.0.1:{peer.port}"),
            )
            async with bench(tmp_path, domains=domains) as it:
                await act(it, peer)

    asyncio.run(go())
    return result[0], result[1], tmp_path / "back/example.org/sam"


def test_a_refusal_goes_back_to_a_proved_sender(tmp_path: Path) -> None:
    _, held, mailbox = failing(tmp_path)
    assert held == []
    message = dsn_in(mailbox)
    assert message["Return-Path"] == "<>"
    assert message["Auto-Submitted"] == "auto-replied"
    status = message.get_payload(1).get_payload()[1]
    assert (status["Final-Recipient"], status["Action"], status["Status"], status["Diagnostic-Code"]) == (
        "rfc822; ana@example.net",
        "failed",
        "5.1.1",
        "smtp; 550 5.1.1 nobody",
    )
    assert message.get_payload(2).get_payload(0)["Subject"] == "hello"


@pytest.mark.parametrize("mail", [{"may_bounce": False}, {"sender": ""}, {"may_bounce": False, "sender": ""}])
def test_nobody_who_was_not_proved_gets_a_dsn(tmp_path: Path, mail: dict[str, Any]) -> None:
    lines, held, mailbox = failing(tmp_path, **mail)
    assert mailbox_files(mailbox) == []
    ((to, reason),) = held
    assert to == "ana@example.net"
    assert reason.startswith("Undeliverable, and ")
    assert reason.endswith("550 5.1.1 nobody")
    assert "RCPT TO:<postmaster@example.net>" in lines, "the postmaster is told"
    assert not any("sam@" in line for line in lines if line.startswith("RCPT"))


@pytest.mark.parametrize(
    ("notify", "told"), [({"NEVER"}, 0), ({"SUCCESS"}, 0), ({"DELAY"}, 0), ({"FAILURE"}, 1), (set(), 1)]
)
def test_notify_is_honoured_for_a_failure(tmp_path: Path, notify: set[str], told: int) -> None:
    _, held, mailbox = failing(tmp_path, notify=frozenset(notify))
    assert held == []
    assert len(mailbox_files(mailbox)) == told


@pytest.mark.parametrize(
    ("deliver", "keywords", "actions"),
    [
        ("maildir:mail", (), ["delivered"]),
        ("smtp", ("PIPELINING",), ["relayed"]),
        ("smtp", ("PIPELINING", "DSN"), []),
        ("lmtp", (), ["delivered"]),
    ],
)
def test_success_is_told_to_who_asked(
    tmp_path: Path, deliver: str, keywords: tuple[str, ...], actions: list[str]
) -> None:
    async def go() -> None:
        async with Peer(keywords=keywords, lmtp=deliver == "lmtp").serve() as peer:
            where = deliver if ":" in deliver else f"{deliver}:127.0.0.1:{peer.port}"
            domains = (
                DomainSettings(name="example.org", deliver="maildir:back"),
                DomainSettings(name="example.net", deliver=where),
            )
            async with bench(tmp_path, domains=domains) as it:
                await queue_mail(it.store, "AAAA", notify=frozenset({"SUCCESS"}))
                await queue_mail(it.store, "BBBB")
                await it.until_idle()

    asyncio.run(go())
    copies = mailbox_files(tmp_path / "back/example.org/sam")
    found = [
        email.message_from_bytes(one.read_bytes(), policy=email.policy.default)
        .get_payload(1)
        .get_payload()[1]["Action"]
        for one in copies
    ]
    assert found == actions


def test_the_postmaster_is_not_flooded(tmp_path: Path) -> None:
    async def act(it: Bench, peer: Peer) -> None:
        for number in range(5):
            await queue_mail(it.store, f"M{number}", may_bounce=False)
        await it.until_idle()
        assert len(it.held()) == 5
        it.now += 3600
        await queue_mail(it.store, "LAST", may_bounce=False, at=it.now)
        await it.until_idle()

    peer = Peer(answer=lambda verb, line: "550 5.1.1 nobody" if "<ana@" in line and verb == "RCPT" else None)
    story(tmp_path, act, peer=peer, settings=DeliverySettings(notices_per_hour=2))
    assert len(peer.messages) == 3
    assert b"3 more since the last notice are held as well." in peer.messages[-1]


def test_a_notice_that_the_postmaster_does_not_get_makes_no_other(tmp_path: Path) -> None:
    async def act(it: Bench, peer: Peer) -> None:
        await queue_mail(it.store, "AAAA", may_bounce=False)
        await it.until_idle()
        assert [to for to, _ in it.held()] == ["ana@example.net", "postmaster@example.net"]

    story(tmp_path, act, peer=Peer(answer=at("RCPT", "550 5.1.1 nobody at all")))


def test_each_recipient_has_its_own_fate(tmp_path: Path) -> None:
    def answer(verb: str, line: str) -> Answer:
        if verb == "RCPT":
            return {"a": "250 ok", "b": "450 4.2.1 later", "c": "550 5.1.1 no"}[line[9]]
        return None

    async def act(it: Bench, peer: Peer) -> None:
        await queue_mail(
            it.store,
            "AAAA",
            to=("a@example.net", "b@example.net", "c@example.net"),
            notify=frozenset({"NEVER"}),
        )
        await it.until_idle()
        assert it.waiting() == [("b@example.net", 60.0, 1)]
        assert {one.to: one.status for one in it.store.attempts_of("AAAA")} == {
            "a@example.net": "delivered",
            "b@example.net": "deferred",
            "c@example.net": "failed",
        }

    assert len(story(tmp_path, act, peer=Peer(answer=answer)).messages) == 1


def test_a_host_that_takes_few_recipients_at_once_gets_the_rest_at_once(tmp_path: Path) -> None:
    """RFC 5321 §4.5.3.1.10: what is too many for one transaction goes in the next, not after a wait."""
    taken = 0

    def answer(verb: str, line: str) -> Answer:
        nonlocal taken
        taken = 0 if verb == "MAIL" else taken + (verb == "RCPT")
        return "452 too many recipients" if verb == "RCPT" and taken > 2 else None

    async def go() -> tuple[list[Any], list[list[str]]]:
        async with (
            Peer(answer=answer).serve() as peer,
            bench(tmp_path, deliver=f"smtp:127.0.0.1:{peer.port}") as it,
        ):
            await queue_mail(it.store, "M1", to=tuple(f"r{at}@example.net" for at in range(5)))
            await it.until_idle()
            asked = "\n".join(peer.lines).split("MAIL FROM")[1:]
            return it.waiting(), [one.count("RCPT TO") for one in asked]

    waiting, asked = asyncio.run(go())
    assert waiting == []
    assert asked == [5, 3, 1]


def test_a_host_that_has_no_room_for_the_rest_is_not_asked_on_and_on(tmp_path: Path) -> None:
    def answer(verb: str, line: str) -> Answer:
        return "452 4.5.3 too many" if verb == "RCPT" and "r0@" not in line else None

    async def go() -> tuple[list[Any], int]:
        async with (
            Peer(answer=answer).serve() as peer,
            bench(tmp_path, deliver=f"smtp:127.0.0.1:{peer.port}") as it,
        ):
            await queue_mail(it.store, "M1", to=tuple(f"r{at}@example.net" for at in range(5)))
            await it.until_idle()
            return it.waiting(), sum(line.startswith("MAIL") for line in peer.lines)

    waiting, asked = asyncio.run(go())
    assert [(to, due) for to, due, _ in waiting] == [(f"r{at}@example.net", 60.0) for at in range(1, 5)]
    assert asked == 2


def test_a_destination_that_is_down_is_not_asked_for_every_message(tmp_path: Path) -> None:
    async def act(it: Bench, peer: Peer) -> None:
        for number in range(30):
            await queue_mail(it.store, f"M{number}")
        await it.until_idle()
        assert peer.connections <= 9, "those that were on the way when the first one failed"
        assert all(due >= 30 for _, due, _ in it.waiting())
        assert len(it.waiting()) == 30

    story(tmp_path, act, peer=Peer(answer=at("greeting", "die")))


def test_junk_is_marked_for_the_next_hop_and_filed_as_junk_here(tmp_path: Path) -> None:
    async def act(it: Bench, peer: Peer) -> None:
        await queue_mail(it.store, "AAAA", junk=True)
        await it.until_idle()

    assert story(tmp_path, act).messages == [b"X-Gatepost-Verdict: junk\r\n" + MAIL]

    async def here() -> None:
        async with bench(tmp_path / "2") as it:
            await queue_mail(it.store, "AAAA", junk=True)
            await it.until_idle()

    asyncio.run(here())
    assert len(mailbox_files(tmp_path / "2/mail/example.net/ana/.Junk")) == 1
    assert mailbox_files(tmp_path / "2/mail/example.net/ana") == []


def test_a_forward_carries_delivered_to_and_a_second_round_is_a_loop(tmp_path: Path) -> None:
    async def act(it: Bench, peer: Peer) -> None:
        await queue_mail(it.store, "AAAA", to=("sales@example.net",), final=("zoe@example.net",))
        await it.until_idle()
        (first,) = peer.messages
        assert first == b"Delivered-To: sales@example.net\r\n" + MAIL
        await queue_mail(
            it.store, "BBBB", to=("sales@example.net",), final=("zoe@example.net",), octets=first
        )
        await it.until_idle()
        (attempt,) = it.store.attempts_of("BBBB")
        assert attempt.status == "failed"
        assert "it is in a loop" in attempt.reply

    story(tmp_path, act)


@pytest.mark.parametrize(
    ("front", "delivered"),
    [
        (b"Received: by a\r\n" * 100, True),
        (b"Received: by a\r\n" * 101, False),
        (b"Delivered-To: ana@example.net\r\n", False),
        (b"delivered-to:\tANA@example.net \r\n", False),
        (b"Delivered-To: ben@example.net\r\n", True),
        (b"X: y\r\n\r\nDelivered-To: ana@example.net\r\n", True),
    ],
)
def test_loops_are_cut(tmp_path: Path, front: bytes, *, delivered: bool) -> None:
    async def go() -> None:
        async with bench(tmp_path) as it:
            await queue_mail(it.store, "AAAA", octets=front + MAIL, notify=frozenset({"NEVER"}))
            await it.until_idle()
            (attempt,) = it.store.attempts_of("AAAA")
            assert attempt.status == ("delivered" if delivered else "failed")

    asyncio.run(go())
    assert len(mailbox_files(tmp_path / "mail/example.net/ana")) == delivered


def test_a_copy_filed_before_the_crash_is_not_filed_again(tmp_path: Path) -> None:
    async def go() -> None:
        async with bench(tmp_path) as it:
            await queue_mail(it.store, "AAAA")
            ((number,),) = it.rows("SELECT id FROM queue")
            name = copy_name(created_at=NOW, ref="AAAA", item=number, hostname="mx.example.net")
            file_copy(base=tmp_path / "mail", to=Address("ana", "example.net"), octets=b"x\r\n", name=name)
            await it.until_idle()
            assert it.waiting() == []

    asyncio.run(go())
    (copy,) = mailbox_files(tmp_path / "mail/example.net/ana")
    assert copy.read_bytes() == b"x\n"


def test_a_mailbox_that_cannot_be_written_makes_the_message_wait(tmp_path: Path) -> None:
    async def go() -> None:
        async with bench(tmp_path) as it:
            (tmp_path / "mail").mkdir()
            (tmp_path / "mail/example.net").write_text("in the way")
            await queue_mail(it.store, "AAAA")
            await it.until_idle()
            assert it.waiting() == [("ana@example.net", 60.0, 1)]
            (attempt,) = it.store.attempts_of("AAAA")
            assert attempt.reply.startswith("The mailbox could not be written: ")

    asyncio.run(go())


def test_a_poke_wakes_the_runner_and_stop_finishes_what_is_in_hand(tmp_path: Path) -> None:
    async def act(it: Bench, peer: Peer) -> None:
        task = asyncio.create_task(it.runner.run())
        await asyncio.sleep(0)
        await queue_mail(it.store, "AAAA")
        it.runner.poke()
        async with asyncio.timeout(5):
            while not it.runner._in_hand:
                await asyncio.sleep(0.001)
            it.runner.stop()
            await task
        assert it.waiting() == []

    story(tmp_path, act, settings=DeliverySettings(poll_s=3600.0))


def test_what_was_in_hand_at_a_crash_is_taken_up_at_once(tmp_path: Path) -> None:
    async def act(it: Bench, peer: Peer) -> None:
        await queue_mail(it.store, "AAAA")
        await it.store.claim(it.now, 10, 3600.0, "delivery")  # and then the process dies
        assert it.due() == 0
        task = asyncio.create_task(it.runner.run())
        async with asyncio.timeout(5):
            while not peer.messages:
                await asyncio.sleep(0.001)
        it.runner.stop()
        await task

    assert story(tmp_path, act).messages == [MAIL]


def test_mail_elsewhere_finds_its_host_by_mx(tmp_path: Path) -> None:
    async def go() -> None:
        async with Peer().serve() as peer:
            zone = "far.example. MX 10 mx.far.example.\nmx.far.example. A 127.0.0.1\nnull.example. MX 0 .\n"
            async with bench(tmp_path, zone=zone, smtp_port=peer.port) as it:
                await queue_mail(
                    it.store,
                    "AAAA",
                    to=("ana@example.net", "ben@example.net"),
                    final=("zoe@far.example", "zoe@null.example"),
                    notify=frozenset({"NEVER"}),
                )
                await it.until_idle()
                found = {one.to: (one.host, one.address, one.status) for one in it.store.attempts_of("AAAA")}
        assert found == {
            "zoe@far.example": ("mx.far.example", "127.0.0.1", "delivered"),
            "zoe@null.example": ("null.example", "", "failed"),
        }

    asyncio.run(go())


def test_a_message_without_its_octets_is_held_and_said(tmp_path: Path) -> None:
    async def go() -> None:
        async with bench(tmp_path) as it:
            await queue_mail(it.store, "AAAA", octets=MAIL + b"x" * 100_000 + b"\r\n")
            for path in (tmp_path / "state/spool").rglob("*"):
                if path.is_file():
                    path.unlink()
            await it.until_idle()
            ((_, reason),) = it.held()
            assert reason.startswith("The message cannot be read")

    asyncio.run(go())


def test_copies_that_fail_together_come_again_together(tmp_path: Path) -> None:
    """Else a message for a hundred recipients becomes a hundred transactions once its next hop was down."""
    jitters = iter(number / 100 for number in range(100))
    peer = Peer(answer=at("greeting", "421 4.3.2 not now"))

    async def act(it: Bench, peer: Peer) -> None:
        it.runner.results.jitter = lambda: next(jitters)
        for ref in ("MANY", "MORE"):
            await queue_mail(it.store, ref, to=tuple(f"{ref}{number}@example.net" for number in range(5)))
        await it.until_idle()
        due = {to[:4]: at for to, at, _ in it.waiting()}
        assert len(due) == 2
        assert len({(to[:4], at) for to, at, _ in it.waiting()}) == 2

    story(tmp_path, act, peer=peer)
