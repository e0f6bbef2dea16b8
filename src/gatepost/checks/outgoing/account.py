"""May this client send, and as whom? RFC 6409 §4.3, §6.1; RFC 4954 §6.

Holds whatever the mode of the gate: without it we would lend our name to anybody. The envelope sender is looked at for
each recipient, the header's authors at the end of the data.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gatepost.checks.check import OUTGOING, Check, Emits, OnFailure
from gatepost.mail.address import Address, printable
from gatepost.mail.author import addresses_in, authors
from gatepost.mail.client import Attempt, Mail
from gatepost.mail.finding import Finding
from gatepost.mail.verdict import Action
from gatepost.submitting.repeated import repeated
from gatepost.submitting.senders import allowed, in_words, may_write_as
from gatepost.tools import Tools

HERE = "operating guide, “Sending”"


def _refused(name: str, about: str, reference: str, reply: str, *, at_door: bool = False) -> Emits:
    return Emits(
        name=name, about=about, reference=reference, action=Action.REFUSE, at_door=at_door, binding=True, reply=reply
    )  # fmt: skip


NOBODY = _refused(
    "account.nobody", "Nobody has signed in, and this machine is not one that need not.", "RFC 4954 §6",
    "530 5.7.0", at_door=True,
)  # fmt: skip
NOT_YOURS = _refused(
    "account.sender", "The envelope sender is none of the addresses that this account may write as.", HERE,
    "553 5.7.1", at_door=True,
)  # fmt: skip
LITERAL = _refused(
    "account.literal",
    "The recipient is at an address in brackets, not at a domain.",
    HERE,
    "550 5.1.2",
    at_door=True,
)
NO_AUTHOR = _refused("author.none", "The message has no From field.", "RFC 6409 §8", "550 5.6.0")
SEVERAL = _refused("author.several", "The message has several From fields.", "RFC 5322 §3.6", "550 5.6.0")
TWICE = _refused(
    "author.twice",
    "A field that may stand once stands several times and says different things.",
    "RFC 5322 §3.6",
    "550 5.6.0",
)
MALFORMED = _refused(
    "author.malformed",
    "From, Sender or the header cannot be read in one way only.",
    "RFC 5322 §3.6.2",
    "550 5.6.0",
)
NOT_THEIRS = _refused(
    "author.not_own", "The message is written in the name of an address that this account may not write as.", HERE,
    "550 5.7.1",
)  # fmt: skip
NO_SENDER = _refused(
    "author.no_sender", "Several authors, and no Sender field that says which of them sent it.", "RFC 5322 §3.6.2",
    "550 5.7.1",
)  # fmt: skip

HELD = Emits(
    name="account.held",
    about="The account behaves as if somebody else had it: all its mail is held from this message on.",
    reference=HERE,
)
IS_HELD = Emits(name="account.is_held", about="All mail of the account is held just now.", reference=HERE)
DATE_ADDED = Emits(
    name="author.date_added", about="The message had no Date and got one.", reference="RFC 6409 §8.1"
)
ID_ADDED = Emits(
    name="author.id_added", about="The message had no Message-ID and got one.", reference="RFC 6409 §8.3"
)
BCC_REMOVED = Emits(name="author.bcc_removed", about="Bcc was left out.", reference="RFC 5322 §3.6.3")
MERGED = Emits(
    name="author.merged", about="Fields that stood several times were made one.", reference="RFC 6409 §8"
)
TRACE_WITHHELD = Emits(
    name="author.trace_withheld",
    about="Earlier Received fields with private addresses or inner names were left out.",
    reference=HERE,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountSettings:
    """Nothing to set here: whose an address is stands with the accounts, and in `[submission]` for machines."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthorSettings:
    """Nothing to set here either."""


async def account(attempt: Attempt, tools: Tools, settings: AccountSettings) -> Sequence[Finding]:  # noqa: ARG001
    """Who signed in may send as who they are, and nobody else may send at all."""
    client, sender = attempt.client, attempt.sender
    if not client.account:
        return (NOBODY.found("sign in first: this is where our own people and machines send their mail"),)
    if attempt.recipient.address.domain.startswith("["):
        return (
            LITERAL.found(f"mail goes to domains, not to {printable(attempt.recipient.address.domain, 60)}"),
        )
    own = allowed(client)
    if sender is None or may_write_as(sender, own):
        return ()  # the null sender is for receipts (RFC 8098 §2.1); the author is looked at in any case
    text = (
        f"{client.account} may send as {in_words(own)}, and {printable(str(sender), 100)} is not among them"
    )
    return (
        NOT_YOURS.found(text, {"account": client.account, "sender": str(sender), "allowed": list(own[:20])}),
    )


async def author(mail: Mail, tools: Tools, settings: AuthorSettings) -> Sequence[Finding]:  # noqa: ARG001
    """One From field, one sender, and both the account's own."""
    message, client = mail.message, mail.client
    count = message.count(b"from")
    if count != 1:
        return (
            (NO_AUTHOR.found("the message has no From field, so nobody would know who wrote it"),)
            if not count
            else (SEVERAL.found(f"the message has {count} From fields where one may be", {"count": count}),)
        )
    found = authors(message)
    problems = [one for one in found.problems if one != "addresses of several domains in From"]
    if problems or not found.addresses:
        said = ", ".join(problems[:3]) or "no address in From"
        return (MALFORMED.found(f"the author cannot be read: {said}", {"problems": problems}),)
    senders = message.named(b"sender")
    sent_by = addresses_in(message.value(senders[0])) if len(senders) == 1 else ()
    if len(senders) > 1 or (senders and len(sent_by) != 1):
        return (MALFORMED.found("the Sender field names exactly one address, once (RFC 5322 §3.6.2)"),)
    own = allowed(client)
    wrong = next((one for one in (*found.addresses, *sent_by) if not may_write_as(one, own)), None)
    if wrong is not None:
        return (_not_theirs(wrong, client.account, own, in_sender=wrong in sent_by),)
    if len(found.addresses) > 1 and not senders:
        return (NO_SENDER.found("the message has several authors, so a Sender field must say who sent it"),)
    clashing = repeated(message).clashing
    if clashing:
        text = (
            f"the message has {message.count(clashing[0].lower().encode())} {clashing[0]} fields that differ, where one may be"
            " (RFC 5322 §3.6): readers and signatures would not agree on which counts, so send it again with one of them"
        )
        return (TWICE.found(text, {"fields": list(clashing)}),)
    return ()


def _not_theirs(wrong: Address, account: str, own: Sequence[str], *, in_sender: bool) -> Finding:
    where = "the Sender field names" if in_sender else "the message is written in the name of"
    text = (
        f"{where} {printable(str(wrong), 100)}, and {account} may write as {in_words(own)}; "
        "From and Sender both must be among these"
    )
    return NOT_THEIRS.found(text, {"account": account, "address": str(wrong), "allowed": list(own[:20])})


ACCOUNT = Check(
    name="account",
    subject=Attempt,
    settings=AccountSettings,
    run=account,
    ways=OUTGOING,
    emits=(NOBODY, NOT_YOURS, LITERAL, HELD, IS_HELD),
    on_failure=OnFailure.DEFER,
    asks=False,
)
AUTHOR = Check(
    name="author",
    subject=Mail,
    settings=AuthorSettings,
    run=author,
    ways=OUTGOING,
    emits=(
        NO_AUTHOR,
        SEVERAL,
        MALFORMED,
        NOT_THEIRS,
        NO_SENDER,
        TWICE,
        DATE_ADDED,
        ID_ADDED,
        BCC_REMOVED,
        MERGED,
        TRACE_WITHHELD,
    ),
    on_failure=OnFailure.DEFER,
    asks=False,
)
