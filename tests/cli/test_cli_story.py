"""How a message's story reads: the answer first, where to read more, and nothing wider than the terminal."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from ipaddress import ip_address
from pathlib import Path

import pytest
from click.testing import CliRunner

from gatepost.checks.references import reference_of
from gatepost.checks.registry import configure
from gatepost.cli.root import gatepost
from gatepost.cli.story import odds, tell
from gatepost.cli.terminal import folded
from gatepost.mail.client import Client, Envelope, Recipient
from gatepost.mail.finding import Finding, Mode
from gatepost.mail.verdict import Action
from gatepost.policy import PolicySettings, assemble, decide
from gatepost.store.records import DeliveryAttempt, HistoryEntry, Judged
from gatepost.store.store import Store
from judging import known

ANA = Recipient(address=known("ana@example.net"))
BEN = Recipient(address=known("ben@example.net"))
FORGED = Finding(
    "dmarc.reject", "the author's domain bank.example is not proved, and its owner asks to reject such mail"
)
NAMELESS = Finding("rdns.missing", "192.0.2.7 has no name in the DNS")


def entry(*findings: Finding, mode: Mode = Mode.ENFORCE, to: tuple[Recipient, ...] = (ANA,)) -> HistoryEntry:
    policy = assemble(PolicySettings(), configure({}), mode=mode).default
    return HistoryEntry(
        ref="2N50XR3CZPCTX",
        at=0.0,
        kind="message",
        client=Client(ip=ip_address("192.0.2.7"), hello="mx.example.org"),
        envelope=Envelope(sender=known("security@bank.example"), recipients=to),
        judged=tuple(Judged(recipient=one, verdict=decide(findings, policy)) for one in to),
        findings=findings,
        mode=mode.value,
        reply="550 5.7.1 no",
    )


def lines(one: HistoryEntry, *attempts: DeliveryAttempt, only_looked_at: bool = False) -> list[str]:
    return [label + text for label, text in tell(one, attempts, only_looked_at=only_looked_at)]


def arrival(to: str) -> DeliveryAttempt:
    return DeliveryAttempt(
        at=1.0, to=to, host="mx.example.net", address="", status="delivered", reply="250 Ok"
    )


def test_the_first_line_says_what_was_done_and_why() -> None:
    assert lines(entry(FORGED))[0] == (
        "Refused, because the author's domain bank.example is not proved, and its owner asks to reject such mail."
    )


def test_a_session_that_was_ended_is_told_in_one_sentence_too() -> None:
    turned_away = entry(Finding("session.bare-lf", "The message has a CR or LF standing alone"))
    verdict = replace(
        turned_away.judged[0].verdict, action=Action.REFUSE, would_action=Action.REFUSE, rule="session.bare-lf",
        reason="The message has a CR or LF standing alone",
    )  # fmt: skip
    story = lines(replace(turned_away, judged=(Judged(recipient=ANA, verdict=verdict),)))
    assert story[0] == "Refused, because the message has a CR or LF standing alone."


def test_the_deciding_rule_and_each_fact_name_where_to_read_more() -> None:
    story = lines(entry(FORGED, NAMELESS))
    assert "  Rule     dmarc.reject (see RFC 9989 §5.3.6)" in story
    assert any("has no name in the DNS  [rdns.missing, RFC 1912 §2.1]" in line for line in story)


def test_mail_that_waits_is_not_said_to_have_arrived() -> None:
    assert lines(entry())[0].startswith("Accepted for delivery, because ")
    assert lines(entry(), arrival("ana@example.net"))[0].startswith("Delivered, because ")


def test_a_gate_that_observes_says_what_it_would_have_done() -> None:
    story = lines(entry(FORGED, mode=Mode.OBSERVE))
    assert story[0].startswith(
        "Accepted for delivery, because the gate only observes. Enforcing, it would have been refused, because the author"
    )


def test_a_file_that_was_only_looked_at_was_not_refused_by_anybody() -> None:
    story = lines(entry(FORGED), only_looked_at=True)
    assert story[0].startswith("Would be refused, because ")
    assert "What happened then" not in story


def test_recipients_who_fare_alike_are_told_of_once_and_others_apart() -> None:
    assert sum("because" in line for line in lines(entry(FORGED, to=(ANA, BEN)))) == 1
    one, other = entry(FORGED, to=(ANA, BEN)), entry(to=(BEN,))
    story = lines(replace(one, judged=(one.judged[0], other.judged[0])))
    assert story[0].startswith("Refused for ana@example.net, because ")
    assert story[1].startswith("Accepted for delivery for ben@example.net, because ")


def test_a_thousand_recipients_are_counted_rather_than_listed() -> None:
    crowd = tuple(Recipient(address=known(f"u{number}@example.net")) for number in range(1000))
    assert any(line.endswith("u9@example.net and 990 more") for line in lines(entry(to=crowd)))


@pytest.mark.parametrize(
    ("score", "words"),
    [
        (0.0, "as likely wanted as not"),
        (2.31, "odds of 10 to 1 that it is unwanted"),
        (-2.31, "odds of 10 to 1 that it is wanted"),
        (7.0, "odds of 1,100 to 1 that it is unwanted"),
        (1e9, "odds of 1,000,000 to 1 that it is unwanted"),
    ],
)
def test_scores_are_said_as_odds(score: float, words: str) -> None:
    assert odds(score) == words


def test_lines_are_folded_under_their_own_beginning_and_only_for_people() -> None:
    text = "  Rule     " + "word " * 40 + "RFC 9989 §5.3.6"
    assert folded(text, hang=11, width=None) == text
    shown = folded(text, hang=11, width=60).split("\n")
    assert max(map(len, shown)) <= 60
    assert shown[0].startswith("  Rule     word")
    assert all(line.startswith(" " * 11 + "w") or "RFC 9989 §5.3.6" in line for line in shown[1:])


def test_one_endless_word_is_broken_too() -> None:
    assert max(map(len, folded("x" * 500, hang=4, width=80).split("\n"))) <= 80


@pytest.mark.parametrize(
    "rule",
    [
        "score.junk",
        "default.deliver",
        "loop.hops",
        "session.too-long",
        "dnsbl.unavailable",
        "dnsbl.listed:zen.example",
    ],
)
def test_rules_that_are_no_facts_have_a_reference_too(rule: str) -> None:
    assert reference_of(rule).startswith(("RFC ", "operating guide"))


def test_history_finds_what_enforcing_would_have_done(tmp_path: Path) -> None:
    config = tmp_path / "gatepost.toml"
    config.write_text(
        'hostname = "mx.example.net"\nstate = "state"\nmode = "observe"\n[[listeners]]\naddress = "127.0.0.1:0"\nrole = "mx"\n'
    )

    async def keep() -> None:
        store = Store.open(tmp_path / "state")
        for ref, findings in (("2N50XR3CZPCTX", (FORGED,)), ("2N50XR3CZPCTY", ())):
            one = replace(entry(*findings, mode=Mode.OBSERVE), ref=ref)
            await store.record(one)
        await store.close()

    asyncio.run(keep())
    said = CliRunner().invoke(gatepost, ["history", "--config", str(config), "--would", "refuse"])
    assert said.output.startswith("2N50XR3CZPCTX  ")
    assert len(said.output.splitlines()) == 1
