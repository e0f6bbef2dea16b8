"""Is the header what RFC 5322 §3.6 asks of it? Missing, repeated and malformed fields.

Mail of our own users is not looked at: what it lacks is added at submission (RFC 6409 §8).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gatepost.checks.check import Check, Emits
from gatepost.mail.address import printable
from gatepost.mail.author import Authors, authors
from gatepost.mail.client import Mail
from gatepost.mail.finding import Finding, Mode
from gatepost.mail.message import Message
from gatepost.mail.verdict import Action
from gatepost.tools import Tools

NO_FROM = Emits(
    name="headers.no_from",
    about="There is no From field.",
    reference="RFC 5322 §3.6",
    weight=3.0,
    group="header",
)
SEVERAL_FROM = Emits(
    name="headers.several_from",
    about="There are several From fields: programs differ in which they show.",
    reference="RFC 5322 §3.6",
    weight=5.0,
    group="header",
)
BAD_FROM = Emits(
    name="headers.bad_from",
    about="From cannot be read in one way only: it may show another author than the one judged.",
    reference="RFC 5322 §3.6.2",
    weight=2.5,
    group="header",
)
BAD_NAME = Emits(
    name="headers.misleading_name",
    about="The name beside the author's address shows another address, or characters that nobody sees.",
    reference="RFC 5322 §3.4",
    weight=0.5,
    group="header",
)
NO_DATE = Emits(
    name="headers.no_date",
    about="There is no Date field.",
    reference="RFC 5322 §3.6.1",
    weight=1.0,
    group="header",
)
NO_ID = Emits(
    name="headers.no_message_id",
    about="There is no Message-ID field.",
    reference="RFC 5322 §3.6.4",
    weight=1.0,
    group="header",
)
REPEATED = Emits(
    name="headers.repeated",
    about="A field that may occur once occurs several times.",
    reference="RFC 5322 §3.6",
    weight=1.5,
    group="header",
)
MALFORMED = Emits(
    name="headers.malformed",
    about="The header holds octets or lines that it must not.",
    reference="RFC 5322 §2.2",
    weight=1.5,
    group="header",
)
TOO_MANY = Emits(
    name="headers.too_many",
    about="There are more fields than are read: what the rest would change is unknown.",
    reference="configuration reference, [checks.headers]",
    weight=4.0,
    group="header",
    action=Action.QUARANTINE,
)

# RFC 5322 §3.6: the fields that occur at most once, From apart.
ONCE = (
    b"date",
    b"subject",
    b"to",
    b"cc",
    b"reply-to",
    b"sender",
    b"message-id",
    b"references",
    b"in-reply-to",
)
# Remarks of `mail.author` about a display name that may be taken for the author.
MISLEADING = frozenset(
    {
        "another address in the display name",
        "a directional or invisible character in the display name",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class HeadersSettings:
    """How a header must look."""

    mode: Mode = Mode.ENFORCE
    """off, observe or enforce."""


async def headers(mail: Mail, tools: Tools, settings: HeadersSettings) -> Sequence[Finding]:  # noqa: ARG001
    """What is wrong with the header."""
    if mail.client.user is not None:
        return ()
    message = mail.message
    found = _author(message)
    if not message.count(b"date"):
        found.append(NO_DATE.found("the message has no date"))
    if not message.count(b"message-id"):
        found.append(NO_ID.found("the message has no Message-ID"))
    repeated = [name.decode() for name in ONCE if message.count(name) > 1]
    if repeated:
        found.append(REPEATED.found(f"{', '.join(repeated)} occurs more than once", {"fields": repeated}))
    if message.defects:
        found += _defects(message.defects)
    return found


def _author(message: Message) -> list[Finding]:
    count = message.count(b"from")
    if count == 0:
        return [NO_FROM.found("the message names no author")]
    if count > 1:
        return [SEVERAL_FROM.found(f"the message has {count} From fields", {"count": count})]
    author = authors(message)
    problems = [one for one in author.problems if not one.endswith("in the header")]
    if problems:
        return [BAD_FROM.found(f"From cannot be trusted: {', '.join(problems)}", {"problems": problems})]
    misleading = [one for one in author.remarks if one in MISLEADING]
    if not misleading:
        return []
    text = f"the author's name may mislead: {', '.join(misleading)} beside {_addresses(author)}"
    return [BAD_NAME.found(text, {"remarks": misleading})]


def _addresses(author: Authors) -> str:
    return " and ".join(printable(str(address), 100) for address in author.addresses[:3])


def _defects(defects: Sequence[str]) -> list[Finding]:
    found = []
    plain = [one for one in defects if one != "too-many-fields"]
    if len(plain) < len(defects):
        found.append(TOO_MANY.found("the header has more fields than are read"))
    if plain:
        words = ", ".join(one.replace("-", " ") for one in plain)
        found.append(MALFORMED.found(f"the header is malformed: {words}", {"defects": plain}))
    return found


HEADERS = Check(
    name="headers",
    subject=Mail,
    settings=HeadersSettings,
    run=headers,
    emits=(NO_FROM, SEVERAL_FROM, BAD_FROM, BAD_NAME, NO_DATE, NO_ID, REPEATED, MALFORMED, TOO_MANY),
    asks=False,
)
