"""What an entry made while the gate runs says of a message, and for whom."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from drive import drive
from gatepost.checks.registry import configure
from gatepost.checks.sender.senders import SENDERS, SendersSettings
from gatepost.mail.address import Address
from gatepost.mail.authresults import AuthResults, DmarcResult
from gatepost.mail.client import Mail
from gatepost.mail.finding import Finding
from gatepost.mail.verdict import Action
from gatepost.policy import PolicySettings, assemble, decide
from gatepost.tools import Entry
from judging import World, mail, names

PROVED = AuthResults(dmarc=DmarcResult(result="pass", author_domain="example.org"))
UNPROVED = AuthResults(dmarc=DmarcResult(result="fail", author_domain="example.org"))


@dataclass
class Some:
    """Implements `tools.Entries` with what it is given."""

    entries: tuple[Entry, ...]
    counted: list[int] = field(default_factory=list)
    some: bool = True

    async def matching(self, identities: Sequence[str], recipients: Sequence[Address]) -> Sequence[Entry]:
        return self.entries

    def count(self, entries: Sequence[Entry]) -> None:
        self.counted += [one.id for one in entries]


def entry(number: int, *, allow: bool, identity: str = "example.org", recipient: str = "") -> Entry:
    return Entry(
        id=number, allow=allow, identity=identity, recipient=recipient, owner="carla", reason="our bank"
    )


def seen(one: Mail, *entries: Entry) -> tuple[list[Finding], list[int]]:
    some = Some(entries)
    return list(drive(SENDERS.run(one, World(entries=some), SendersSettings()))), some.counted


def test_an_allowed_sender_counts_only_when_proved_and_the_finding_names_whose_word_it_is() -> None:
    found, counted = seen(mail(auth=PROVED), entry(1, allow=True))
    assert names(found) == ["senders.allowed"]
    assert found[0].text == "example.org is proved and allowed by carla: our bank"
    assert found[0].evidence["number"] == 1
    assert counted == [1]
    assert seen(mail(auth=UNPROVED), entry(1, allow=True)) == ([], []), "no hit is counted for a forger"


def test_a_blocked_sender_needs_no_proof() -> None:
    found, counted = seen(mail(auth=UNPROVED), entry(2, allow=False))
    assert names(found) == ["senders.blocked"]
    assert counted == [2]


def test_an_allowed_envelope_sender_does_not_vouch_for_another_author() -> None:
    other = mail("From: a@example.com", "Date: x", "Message-ID: <1@x>", auth=PROVED)
    assert seen(other, entry(1, allow=True)) == ([], [])


def test_an_entry_for_one_recipient_concerns_that_copy_alone() -> None:
    (found,), _ = seen(mail(auth=PROVED), entry(3, allow=False, recipient="ben@example.net"))
    assert found.concerns("ben@example.net")
    assert not found.concerns("ana@example.net")
    assert Finding("x.y", "z").concerns("anybody@example.net")


def test_an_entry_never_overrides_malware_and_a_block_beats_an_allowance() -> None:
    policy = assemble(PolicySettings(), configure({"senders": SendersSettings()})).default
    found, _ = seen(mail(auth=PROVED), entry(1, allow=True), entry(2, allow=False))
    assert decide(found, policy).action is Action.QUARANTINE
    assert decide(found, policy).rule == "senders.blocked"
