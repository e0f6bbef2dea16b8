"""What people did about a message, as `plan.Told` asks for it: released it from quarantine, or wrote back to its sender."""

from __future__ import annotations

from gatepost.checks.sender.identity import SHARED_DOMAINS
from gatepost.plan.compare import Told
from gatepost.store import history, journal
from gatepost.store.database import Connection
from gatepost.store.records import HistoryEntry


def told_by_people(connection: Connection) -> Told:
    """Ask by reference. What was released is in the journal; who was answered, in the memory of correspondents."""
    released = journal.subjects(connection, "quarantine release")
    replied = {
        (identity, domain)
        for identity, domain in connection.execute(
            "SELECT identity, recipient_domain FROM correspondents WHERE replied = 1"
        )
    }

    def told(ref: str) -> frozenset[str]:
        words = {"released"} if ref in released else set()
        entry = history.entry(connection, ref) if replied else None
        if entry is not None and not replied.isdisjoint(pairs(entry)):
            words.add("replied")
        return frozenset(words)

    return told


def pairs(entry: HistoryEntry) -> set[tuple[str, str]]:
    """Proved sender and recipient domain, as correspondents are remembered."""
    domain, sender = entry.auth.dmarc.author_domain, entry.envelope.sender
    if domain is None or entry.auth.dmarc.result != "pass":
        return set()
    identity = domain
    if domain in SHARED_DOMAINS:
        if sender is None or sender.domain != domain:
            return set()
        identity = sender.key
    return {(identity.lower(), recipient.address.domain.lower()) for recipient in entry.envelope.recipients}
