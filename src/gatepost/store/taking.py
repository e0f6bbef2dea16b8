"""All rows of what is taken in, whoever it comes from: an accepted message, a message of our own, an account's hold."""

from __future__ import annotations

from gatepost.mail.client import Envelope, Recipient
from gatepost.store import heldaccounts, history, messages, quarantine, queue
from gatepost.store.database import Connection
from gatepost.store.numbers import Counter
from gatepost.store.records import Acceptance, AccountHold, Notice
from gatepost.store.sealing import Seal


def accept(
    connection: Connection, acceptance: Acceptance, octets: bytes | None, seal: Seal | None
) -> list[Counter]:
    """All rows of one accepted message but its counters, which are returned for `numbers.count`.

    `octets` as they are kept, None when they are in the spool.
    """
    entry = acceptance.entry
    counters = history.insert_uncounted(connection, entry)
    if not acceptance.deliveries:
        return counters
    message = messages.insert(
        connection,
        ref=entry.ref,
        at=entry.at,
        envelope=entry.envelope,
        size=len(acceptance.octets),
        octets=octets,
        seal=seal,
        added_header=acceptance.added_header,
        removed_fields=acceptance.removed_fields,
        may_bounce=acceptance.may_bounce,
        account=acceptance.account,
    )
    if acceptance.hold is not None:
        hold_account(connection, acceptance.hold)
    held = heldaccounts.held_because(connection, acceptance.account)
    for copy in acceptance.deliveries:
        if copy.held:
            sender = str(entry.envelope.sender or "")
            quarantine.hold(
                connection,
                message,
                copy,
                ref=entry.ref,
                sender=sender,
                size=len(acceptance.octets),
                now=entry.at,
            )
        else:
            queue.add(
                connection,
                message,
                copy.recipient,
                copy.to,
                junk=copy.junk,
                now=entry.at,
                changes=copy.changes,
                held_because=held,
            )
    return counters


def hold_account(connection: Connection, hold: AccountHold) -> None:
    """Hold an account's mail, and tell who is to be told when that is new."""
    if heldaccounts.hold(connection, hold):
        for notice in hold.notices:
            add_notice(connection, notice)


def add_notice(connection: Connection, notice: Notice, front: bytes = b"") -> None:
    """The rows of a message of our own, delivered with `front` before it."""
    recipient = Recipient(address=notice.recipient, notify=notice.notify)
    envelope = Envelope(sender=notice.sender, recipients=(recipient,))
    message = messages.insert(
        connection,
        ref=notice.ref,
        at=notice.at,
        envelope=envelope,
        size=len(notice.octets),
        octets=notice.octets,
        added_header=front,
    )
    queue.add(connection, message, recipient, str(notice.recipient), junk=False, now=notice.at)
    if notice.entry is not None:
        history.insert(connection, notice.entry)
