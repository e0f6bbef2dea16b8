"""Rules tried on messages: the examples beside them, folders of mail, and mail that is only remembered."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from math import ceil
from pathlib import Path

from gatepost.mail.address import parse_address
from gatepost.mail.authresults import AuthResults
from gatepost.mail.client import Client, Envelope, Recipient
from gatepost.mail.message import Message, to_crlf
from gatepost.rules.facts import Facts, Told
from gatepost.rules.rulefile import Rule
from gatepost.rules.ruleset import RuleSet

LARGEST_EXAMPLE_OCTETS = 1 << 20


@dataclass(frozen=True, slots=True)
class Failure:
    """A rule that does not do what its examples say."""

    rule: Rule
    text: str


@dataclass(slots=True)
class Hits:
    """How often each rule matched among some messages."""

    label: str
    wanted: bool = False
    """Nobody complained about these: hits are false alarms."""
    messages: int = 0
    matched: Counter[str] = field(default_factory=Counter)
    unknown: Counter[str] = field(default_factory=Counter)

    def add(self, facts: Facts, rules: RuleSet) -> None:
        """One message more."""
        outcome = rules.judge(facts)
        self.messages += 1
        self.matched.update(one.name for one in outcome.matched)
        self.unknown.update(one.name for one in outcome.unknown)

    def over_budget(self, rule: Rule) -> bool:
        """More false alarms than the rule may give among so many messages."""
        return self.wanted and self.matched[rule.name] > ceil(rule.budget * self.messages)


def facts_of(octets: bytes, rules: RuleSet, *, files_known: bool = False) -> Facts:
    """A message of which nothing is known but itself; its sender is the Return-Path, its recipients those in To."""
    message = Message.parse(to_crlf(octets))
    told = Told(proved=False, known_correspondent=False, files=() if files_known else None)
    path = message.get(b"return-path") or b""
    sender = parse_address(path.decode("utf-8", "replace").strip("<> "), smtputf8=True)
    recipients = tuple(
        Recipient(address=address)
        for value in message.values(b"delivered-to")[:1]
        if (address := parse_address(value.decode("utf-8", "replace").strip("<> "))) is not None
    )
    return Facts(
        Client(ip=None), Envelope(sender=sender, recipients=recipients), message, AuthResults(),
        rules.patterns, rules.brands, told,
    )  # fmt: skip


def failures(rules: RuleSet) -> Iterator[Failure]:
    """Every rule that lacks examples, or whose examples disagree with it.

    A rule about files inside attachments, which only the sandboxed child can know, needs no example that matches.
    """
    for rule in rules.rules:
        matching, passing = rule.examples("match"), rule.examples("pass")
        if not matching and "files." not in rule.condition and "'qr'" not in rule.condition:
            yield Failure(rule, f"has no message it must match ({rule.name}.match.eml)")
        if not passing:
            yield Failure(rule, f"has no message it must let pass ({rule.name}.pass.eml)")
        for path in (*matching, *passing):
            wanted = path in matching
            text = _tried(path, rule, rules, wanted=wanted)
            if text:
                yield Failure(rule, text)


def _tried(path: Path, rule: Rule, rules: RuleSet, *, wanted: bool) -> str:
    try:
        octets = path.read_bytes()
    except OSError as fault:
        return f"{path.name} cannot be read: {fault.strerror}"
    if len(octets) > LARGEST_EXAMPLE_OCTETS:
        return f"{path.name} is larger than {LARGEST_EXAMPLE_OCTETS:,} octets"
    outcome = rules.judge(facts_of(octets, rules, files_known=True), [rule.name])
    matched = bool(outcome.matched)
    if matched == wanted:
        return ""
    return (
        f"{path.name} is not matched, and must be" if wanted else f"{path.name} is matched, and must not be"
    )


def facts_remembered(
    client: Client, envelope: Envelope, auth: AuthResults, *, author: str, subject: str, rules: RuleSet
) -> Facts:
    """Recorded mail: connection, envelope, authentication, From and Subject are known, and nothing else is."""
    header = f"From: {author}\r\nSubject: {subject}\r\n\r\n".encode("utf-8", "replace")
    told = Told(recorded=True, proved=auth.dmarc.result == "pass" or None)
    return Facts(client, envelope, Message.parse(header), auth, rules.patterns, rules.brands, told)
