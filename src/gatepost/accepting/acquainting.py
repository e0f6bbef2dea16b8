"""Whom our people write to is no stranger when the answer comes: what a message that goes out makes known."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from gatepost.accepting.desk import Contact
from gatepost.checks.sender.identity import SHARED_DOMAINS
from gatepost.mail.address import Address, parse_address
from gatepost.store import correspondents, history
from gatepost.store.database import Connection
from gatepost.store.records import HistoryEntry
from gatepost.tools import Acquaintance


def written_to(entry: HistoryEntry, recipients: Iterable[Address], *, at: float) -> Iterator[Contact]:
    """Those of the recipients whom a person of ours made known by writing to them; a machine makes nobody known."""
    sender = entry.envelope.sender
    if sender is None or entry.client.user is None:
        return
    for address in recipients:
        whom = address.key if address.domain in SHARED_DOMAINS else address.domain
        yield Contact(whom, sender.domain, at, ours=True)


def remember_let_go(connection: Connection, copies: Iterable[tuple[str, str]], *, at: float) -> None:
    """Within the transaction that lets copies of held outgoing mail go: reference and final address of each."""
    by_ref: dict[str, list[Address]] = {}
    for ref, to in copies:
        address = parse_address(to, smtputf8=True)
        if address is not None:
            by_ref.setdefault(ref, []).append(address)
    learned = {}
    for ref, addresses in by_ref.items():
        entry = history.entry(connection, ref)
        for one in written_to(entry, addresses, at=at) if entry is not None else ():
            learned[one.identity.lower(), one.domain.lower()] = Acquaintance(
                first_seen=at, last_seen=at, messages=0, replied=True
            )
    correspondents.write(connection, learned)
