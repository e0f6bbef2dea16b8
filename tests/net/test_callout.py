"""Asking the next hop about a recipient."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from gatepost.dns.zone import Zone
from gatepost.mail.address import Address
from gatepost.net.callout import CalloutSettings, RecipientCallout
from gatepost.net.outbound import Outbound
from gatepost.smtp.sending import Hop
from gatepost.tools import Standing
from scripted_peer import Answer, Peer

ANA = Address("ana", "example.net")


def asking(
    act: Callable[[RecipientCallout, Hop, list[float]], Awaitable[None]],
    answer: Callable[[str, str], Answer] = lambda verb, line: None,
    settings: CalloutSettings | None = None,
) -> Peer:
    """A callout with a clock of its own, and the peer it asks."""
    peer = Peer(answer=answer)

    async def go() -> None:
        async with peer.serve():
            now = [0.0]
            sender = Outbound("mx.example.net", Zone.parse(""))
            callout = RecipientCallout(sender, lambda: now[0], settings or CalloutSettings())
            await act(callout, Hop(host="127.0.0.1", port=peer.port), now)
            await sender.close()

    asyncio.run(go())
    return peer


@pytest.mark.parametrize(
    ("verb", "reply", "standing"),
    [
        ("RCPT", "250 ok", Standing.KNOWN),
        ("RCPT", "550 5.1.1 nobody", Standing.UNKNOWN),
        ("RCPT", "550 no such user", Standing.UNKNOWN),
        ("RCPT", "450 4.2.1 later", Standing.UNSURE),
        ("RCPT", "554 5.7.1 relay access denied", Standing.UNSURE),
        ("MAIL", "550 5.7.1 no bounces", Standing.UNSURE),
        ("greeting", "554 go away", Standing.UNSURE),
        ("RCPT", "die", Standing.UNSURE),
        ("RCPT", "silent", Standing.UNSURE),
    ],
)
def test_what_an_answer_means(verb: str, reply: str, standing: Standing) -> None:
    async def act(callout: RecipientCallout, hop: Hop, now: list[float]) -> None:
        assert (await callout.ask(hop, ANA)).standing is standing

    patience_s = 0.3 if reply == "silent" else 20.0  # only who says nothing is waited for
    settings = CalloutSettings(timeout_s=patience_s)
    peer = asking(act, lambda asked, line: reply if asked == verb else None, settings)
    assert peer.messages == []
    assert "DATA" not in peer.lines


@pytest.mark.parametrize("reply", ["550 5.1.1 nobody in room 7", "450 4.2.1 later, says room 7"])
def test_who_asks_hears_nothing_of_the_host_behind_us(reply: str) -> None:
    async def act(callout: RecipientCallout, hop: Hop, now: list[float]) -> None:
        answer = await callout.ask(hop, ANA)
        assert "127.0.0.1" not in answer.text
        assert "room 7" not in answer.text
        assert str(hop) in answer.behind
        assert "room 7" in answer.behind

    asking(act, lambda verb, line: reply if verb == "RCPT" else None)


def test_yes_is_kept_long_and_no_shortly() -> None:
    async def act(callout: RecipientCallout, hop: Hop, now: list[float]) -> None:
        for moment, address in [
            (0, "ana"),
            (21_599, "ana"),
            (21_600, "ana"),
            (0, "no"),
            (599, "no"),
            (600, "no"),
        ]:
            now[0] = moment if address == "ana" else 50_000 + moment
            await callout.ask(hop, Address(address, "example.net"))

    peer = asking(act, lambda verb, line: "550 5.1.1 no" if verb == "RCPT" and "<no@" in line else None)
    asked = [line for line in peer.lines if line.startswith("RCPT")]
    assert asked == ["RCPT TO:<ana@example.net>"] * 2 + ["RCPT TO:<no@example.net>"] * 2
    assert peer.connections == 1


def test_the_same_question_at_the_same_time_is_asked_once() -> None:
    async def act(callout: RecipientCallout, hop: Hop, now: list[float]) -> None:
        answers = await asyncio.gather(*(callout.ask(hop, ANA) for _ in range(20)))
        assert {one.standing for one in answers} == {Standing.KNOWN}

    peer = asking(act)
    assert sum(line.startswith("RCPT") for line in peer.lines) == 1


def test_a_flood_of_questions_is_bounded() -> None:
    async def act(callout: RecipientCallout, hop: Hop, now: list[float]) -> None:
        answers = await asyncio.gather(
            *(callout.ask(hop, Address(f"u{number}", "example.net")) for number in range(50))
        )
        assert sum(one.standing is Standing.UNSURE for one in answers) == 44
        assert len(callout._answers) <= 5

    peer = asking(act, settings=CalloutSettings(at_once=2, waiting=4, kept=5))
    assert peer.connections <= 2
