"""What becomes of mail that fails DMARC, of mail to several people, and while the gate only observes."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace

import pytest
from forging import (
    ACCEPTED,
    SEALER_KEY,
    US,
    VICTIM_KEY,
    ZONE_TEXT,
    Kept,
    client,
    envelope,
    examined,
    gate,
    signed,
)

from gatepost.dns.answer import Answer
from gatepost.dns.zone import Zone
from gatepost.mail.authresults import ArcResult
from gatepost.mail.client import Attempt
from gatepost.mail.message import Message
from gatepost.mail.verdict import Action
from gatepost.mailauth.arc_seal import seal
from gatepost.smtp.reply import Reply

FORGED = signed(b"From: ceo@victim.example\r\n")
ON_A_LIST = signed(b"From: ceo@victim.example\r\nList-Id: <l.attacker.example>\r\n")
BROKEN = signed(b"From: ceo@victim.example\r\n", domain="victim.example", key=VICTIM_KEY).replace(
    b"pay.", b"PAY."
)
SEALED_BY_A_STRANGER = b"ARC-Seal: i=1; cv=none; d=x.example; s=s; a=rsa-sha256; b=AA\r\n" + FORGED
SENT_ON = (
    seal(
        Message.parse(FORGED), chain=ArcResult(), results=f"{US}; dmarc=pass header.from=victim.example",
        domain="sealer.example", selector="s", key=SEALER_KEY, now=1_790_000_000.0,
    ) + FORGED
)  # fmt: skip
LISTS = {"dnsbl": {"lists": [{"zone": "bl.example", "mode": "enforce", "weight": 3.0}]}}
KNOWN = {"forwarder": {"known": ["198.51.100.0/24"]}}
REFUSE = {"dmarc": {"on_reject": "refuse"}}


@pytest.mark.parametrize(
    ("octets", "checks", "action"),
    [
        (FORGED, {}, Action.REFUSE),
        (ON_A_LIST, {}, Action.QUARANTINE),
        (BROKEN, {}, Action.QUARANTINE),
        (SEALED_BY_A_STRANGER, {}, Action.QUARANTINE),
        (FORGED, KNOWN, Action.QUARANTINE),
        (ON_A_LIST, REFUSE, Action.REFUSE),
        (BROKEN, REFUSE, Action.REFUSE),
        (SEALED_BY_A_STRANGER, REFUSE, Action.REFUSE),
        (FORGED, KNOWN | REFUSE, Action.REFUSE),
        (SENT_ON, {}, Action.DELIVER),
        (SENT_ON, REFUSE, Action.DELIVER),
        (signed(b"From: ceo@quarantiner.example\r\n"), {}, Action.JUNK),
        (signed(b"From: ceo@quarantiner.example\r\nList-Id: <l.attacker.example>\r\n"), {}, Action.JUNK),
        (signed(b"From: ceo@quarantiner.example\r\n"), REFUSE, Action.JUNK),
    ],
)  # fmt: skip
def test_a_failed_policy(octets: bytes, checks: dict[str, object], action: Action) -> None:
    verdict = examined(octets, intake=gate(checks=checks)).judged[0].verdict
    assert verdict.action is action
    if action is Action.QUARANTINE:
        assert "quarantine rather than refuse, because" in verdict.reason


def test_a_reputation_that_agrees_refuses_what_may_have_been_forwarded() -> None:
    asked = client(), "x@attacker.example"
    intake = gate(checks=LISTS)
    screened = asyncio.run(
        intake.screen(Attempt(client=asked[0], sender=None, recipient=envelope(asked[1]).recipients[0]))
    )
    assert screened.reply.positive
    (verdict,) = (
        one.verdict
        for one in asyncio.run(
            intake.examine(asked[0], envelope(asked[1]), Message.parse(ON_A_LIST), [screened], now=1_790_000_000.0, ref="R")
        ).judged
    )  # fmt: skip
    assert verdict.action is Action.REFUSE
    assert verdict.rule == "dmarc.reject"


def taken(
    octets: bytes, *recipients: str, role: str = "mx", sender: str = "x@attacker.example", **tables: object
) -> tuple[Sequence[Reply], Kept]:
    kept = Kept()
    told = envelope(sender, *recipients)
    replies = asyncio.run(
        gate(store=kept, **tables).receive(
            replace(client(), role=role), told, octets, [ACCEPTED] * len(recipients)
        )
    )
    return replies, kept


ANA, BEN = "ana@gate.example", "ben@gate.example"
ANA_OBSERVES = {"policy": {"overrides": [{"recipients": [ANA], "mode": "observe"}]}}


def test_all_refused_is_refused_and_nothing_is_kept() -> None:
    replies, kept = taken(FORGED, ANA, BEN)
    assert [(reply.code, reply.enhanced) for reply in replies] == [(550, "5.7.1")]
    assert "[ref " in replies[0].text
    assert not kept.acceptances
    assert len(kept.turned_down) == 1


def test_one_answer_for_two_who_differ_holds_what_one_would_have_refused() -> None:
    replies, kept = taken(FORGED, ANA, BEN, **ANA_OBSERVES)
    assert [reply.code for reply in replies] == [250]
    (acceptance,) = kept.acceptances
    assert {(str(one.recipient.address), one.held) for one in acceptance.deliveries} == {
        (ANA, False),
        (BEN, True),
    }
    assert not acceptance.may_bounce or acceptance.entry.auth.spf_mail_from.result == "pass"
    alone = {str(one.recipient.address): one.verdict.would_action for one in acceptance.entry.judged}
    assert alone == {ANA: Action.REFUSE, BEN: Action.REFUSE}


def test_lmtp_answers_each() -> None:
    replies, kept = taken(FORGED, ANA, BEN, role="lmtp", **ANA_OBSERVES)
    assert [reply.code for reply in replies] == [250, 550]
    (acceptance,) = kept.acceptances
    assert [str(one.recipient.address) for one in acceptance.deliveries] == [ANA]


def test_if_one_must_wait_all_wait() -> None:
    failing = ZONE_TEXT.replace(
        '_dmarc.victim.example. TXT "v=DMARC1; p=reject"', "$FAIL _dmarc.victim.example."
    )
    tables = {"policy": {"overrides": [{"recipients": [ANA], "mode": "observe"}]}}
    replies, kept = taken(FORGED, ANA, BEN, zone=failing, **tables)
    assert [reply.code for reply in replies] == [451]
    assert not kept.acceptances
    replies, kept = taken(FORGED, ANA, zone=failing, **tables)
    assert [reply.code for reply in replies] == [250]


def test_an_observing_gate_takes_the_forgery_and_says_what_it_would_have_done() -> None:
    replies, kept = taken(FORGED, ANA, BEN, mode="observe")
    assert [reply.code for reply in replies] == [250]
    (acceptance,) = kept.acceptances
    assert {one.verdict.action for one in acceptance.entry.judged} == {Action.DELIVER}
    assert {one.verdict.would_action for one in acceptance.entry.judged} == {Action.REFUSE}
    assert not any(one.held or one.junk for one in acceptance.deliveries)


class Dawdling:
    """Name servers of the attacker's that never answer; everybody else's do."""

    def __init__(self) -> None:
        self.zone = Zone.parse(ZONE_TEXT)

    async def lookup(self, name: str, kind: str) -> Answer:
        if name.endswith("attacker.example"):
            await asyncio.sleep(60)
        return await self.zone.lookup(name, kind)


def test_slow_name_servers_do_not_hide_the_victims_policy() -> None:
    intake = gate()
    old = intake.tools
    dawdling = replace(intake, patience_s=0.05, tools=lambda now: replace(old(now), resolver=Dawdling()))  # type: ignore[type-var]
    for octets in (FORGED, ON_A_LIST):
        verdict = examined(octets, intake=dawdling).judged[0].verdict
        assert verdict.action is Action.DEFER
        assert verdict.rule == "dmarc.temperror"


@pytest.mark.parametrize("role", ["mx", "lmtp"])
def test_a_loop_is_cut_in_every_mode(role: str) -> None:
    looping = b"Received: from a by b; Mon, 21 Sep 2026 14:13:20 +0000\r\n" * 101 + FORGED
    replies, kept = taken(looping, ANA, BEN, mode="observe", role=role)
    assert [reply.code for reply in replies] == [554] * (2 if role == "lmtp" else 1)
    assert not kept.acceptances


def test_nobody_bounces_to_a_forged_sender() -> None:
    replies, kept = taken(signed(b"From: x@attacker.example\r\n"), ANA, sender="ceo@victim.example")
    assert replies[0].code == 250
    assert not kept.acceptances[0].may_bounce
