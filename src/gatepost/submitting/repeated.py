"""Header fields that stand more than once where one may be (RFC 5322 §3.6): made one of where nothing is lost by it.

Some receivers read the first of two, some the last, and some verify no signature over either. RFC 6409 §8 lets submission
mend that: lists of addresses and of message ids become one list, fields that say the same stay once. Two texts that differ
(two subjects) are nobody's to choose from: such a message is refused with the name of the field.
"""

from __future__ import annotations

from dataclasses import dataclass

from gatepost.mail.author import Reading, as_text, tokenize
from gatepost.mail.message import HeaderField, Message

ADDRESSES = {b"to": b"To", b"cc": b"Cc", b"reply-to": b"Reply-To"}
IDS = {b"in-reply-to": b"In-Reply-To", b"references": b"References"}
TEXTS = {
    b"subject": b"Subject",
    b"date": b"Date",
    b"message-id": b"Message-ID",
    b"mime-version": b"MIME-Version",
    b"content-type": b"Content-Type",
    b"content-transfer-encoding": b"Content-Transfer-Encoding",
}
"""From and Sender are not here: two of them are refused in any case (`checks.outgoing.account`). Bcc is left out."""
ONCE = {**ADDRESSES, **IDS, **TEXTS}
AROUND = b" \t\r\n,"


@dataclass(frozen=True, slots=True, kw_only=True)
class Repeated:
    """What is done about it."""

    added: bytes = b""
    """Fields in the place of several, CRLF ended."""
    removed: tuple[HeaderField, ...] = ()
    merged: tuple[str, ...] = ()
    """Names of fields of which one was made, as they are usually written."""
    clashing: tuple[str, ...] = ()
    """Names of those that say different things: nobody knows which is meant."""


def repeated(message: Message) -> Repeated:
    """What stands more than once in the header. Never raises; worked out once."""
    return message.once(_repeated)


def _repeated(message: Message) -> Repeated:
    added, removed, merged, clashing = b"", [], [], []
    for name, written in ONCE.items():
        fields = message.named(name)
        if len(fields) < 2:
            continue
        said: dict[bytes, HeaderField] = {}
        for each in fields:
            if value := message.value(each):
                said.setdefault(value, each)
        if len(said) < 2:
            stays = next(iter(said.values()), fields[0])
            removed += [each for each in fields if each is not stays]
        elif name in IDS or (name in ADDRESSES and all(is_whole(value) for value in said)):
            values = [message.octets[each.colon + 1 : each.end].strip(AROUND) for each in said.values()]
            between = b",\r\n " if name in ADDRESSES else b"\r\n "
            added += written + b": " + between.join(one for one in values if one) + b"\r\n"
            removed += fields
        else:
            clashing.append(written.decode("ascii"))
            continue
        merged.append(written.decode("ascii"))
    return Repeated(added=added, removed=tuple(removed), merged=tuple(merged), clashing=tuple(clashing))


def is_whole(value: bytes) -> bool:
    """Does a list of addresses end where it ends, with no quote, comment, bracket or group left open to swallow the next?"""
    reading = Reading()
    kinds = [token.kind for token in tokenize(as_text(value), reading)]
    return (
        not reading.problems and kinds.count("<") == kinds.count(">") and kinds.count(":") == kinds.count(";")
    )
