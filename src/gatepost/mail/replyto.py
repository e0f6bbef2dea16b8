"""Where an answer would go: the Reply-To field (RFC 5322 §3.6.2)."""

from __future__ import annotations

from gatepost.mail.author import Mailbox, read_mailboxes
from gatepost.mail.message import Message


def reply_to(message: Message) -> tuple[Mailbox, ...]:
    """The mailboxes of the first Reply-To; none where there is none, or none that can be read."""
    return message.once(_reply_to)


def _reply_to(message: Message) -> tuple[Mailbox, ...]:
    value = message.get(b"reply-to")
    return tuple(read_mailboxes(value).mailboxes) if value else ()
