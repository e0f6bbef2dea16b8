"""What a rule may know of a message: every fact by name, worked out when the first rule asks.

Text is folded (`wording`) before any rule sees it, so rules compare without regard to case, accents or disguise. What
cannot be known (the text of mail that is only remembered, files nobody has looked into yet) raises Unknown, and the
condition goes on with what can be known.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import cast

from gatepost.mail.author import Authors, authors
from gatepost.mail.authresults import AuthResults
from gatepost.mail.client import Client, Envelope
from gatepost.mail.content import Content, content_of
from gatepost.mail.filereport import FileReport
from gatepost.mail.message import Message
from gatepost.rules import numbers
from gatepost.rules.brands import Brands
from gatepost.rules.items import Attachment, File, Item, LinkSeen, organisation_of
from gatepost.rules.patterns import Patterns
from gatepost.rules.wording import disguised_words, folded

HEAD, TAIL = 14_000, 4_000
"""Characters of the visible text that rules look at: its beginning and its end."""
MOST_ITEMS = 200
"""Links, attachments or files that rules look at."""
MOST_STEPS = 20_000
"""Items looked at for one message, all rules together; an ordinary one takes a few hundred."""


DATA_TEXT = 400_000
"""Characters that are searched for data that must not leave."""
DATA_PART = 256 * 1024
"""Octets of an attachment up to which it is searched as it is, besides what the child reports of it."""
OPENING = 300
"""Characters of the text in which a reader is greeted."""
SHORTEST_LOCAL = 5
ADDRESS = re.compile(r"[a-z0-9._+-]+@([a-z0-9-]+(?:\.[a-z0-9-]+)+)")


class Unknown(Exception):
    """A fact that cannot be known here; `str()` names it."""


class TooMuch(Exception):
    """The message would take more steps than rules may take."""


class Type(StrEnum):
    """What a fact is, as error messages call it."""

    TRUTH = "yes or no"
    NUMBER = "a number"
    TEXT = "a text"
    TEXTS = "a list of texts"
    LINKS = "links"
    ATTACHMENTS = "attachments"
    FILES = "files"
    HEADER = "the header"


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What the caller knows beside the message; None is "not known"."""

    known_correspondent: bool | None = None
    """A proved sender that has written to us for a while, or that we wrote to."""
    proved: bool | None = None
    """The author's domain is authenticated."""
    files: Sequence[FileReport] | None = None
    recorded: bool = False
    """The message is only remembered: `message` holds nothing but its From and Subject."""


@dataclass(eq=False)
class Facts:
    """One message for all rules."""

    client: Client
    envelope: Envelope
    message: Message
    auth: AuthResults
    patterns: Patterns
    brands: Brands
    told: Told = field(default_factory=Told)
    values: dict[str, object] = field(default_factory=dict)
    _hits: dict[str, frozenset[int]] = field(default_factory=dict)
    _steps: int = 0

    def value(self, name: str) -> object:
        """The fact called `name`; raises Unknown."""
        values = self.values
        if name not in values:
            values[name] = FACTS[name].get(self)
        return values[name]

    def text(self, name: str) -> str:
        """The same for a text."""
        return cast("str", self.value(name))

    def hits(self, name: str) -> frozenset[int]:
        """Which of the phrases sought in the text called `name` stand in it."""
        found = self._hits.get(name)
        if found is None:
            found = self._hits[name] = self.patterns.hits(name, self.text(name))
        return found

    def pattern_hits(self, name: str) -> frozenset[int]:
        """Which of the patterns over that text match."""
        key = f"pattern {name}"
        found = self._hits.get(key)
        if found is None:
            found = self._hits[key] = self.patterns.hits(key, self.text(name))
        return found

    def header(self, name: str) -> str:
        """The topmost field of that name, folded; empty when there is none."""
        key = f"header {name}"
        if key not in self.values:
            raw = self.whole.get(name.encode("ascii", "replace")) or b""
            self.values[key] = folded(raw[:2000].decode("utf-8", "replace"))
        return self.text(key)

    def header_hits(self, name: str) -> frozenset[int]:
        """Which of the patterns over that field match."""
        key = f"header {name}"
        if key not in self._hits:
            self._hits[key] = self.patterns.hits(key, self.header(name))
        return self._hits[key]

    def step(self) -> None:
        """One item more was looked at; raises TooMuch."""
        self._steps += 1
        if self._steps > MOST_STEPS:
            raise TooMuch

    def with_files(self, files: Sequence[FileReport]) -> None:
        """What the unpacker found."""
        self.told = Told(
            known_correspondent=self.told.known_correspondent, proved=self.told.proved, files=files
        )

    def with_known(self, known: bool) -> None:
        """What memory says of the sender."""
        self.told = Told(known_correspondent=known, proved=self.told.proved, files=self.told.files)

    @property
    def whole(self) -> Message:
        """The message, where there is more of it than From and Subject."""
        if self.told.recorded:
            raise Unknown("the message itself")
        return self.message

    @cached_property
    def content(self) -> Content:
        """What is in the message; raises Unknown for one only remembered."""
        return content_of(self.whole)

    @cached_property
    def authors(self) -> Authors:
        """Who From says wrote it."""
        return authors(self.message)

    @cached_property
    def reply_to(self) -> tuple[str, str]:
        """Local part and domain of the first Reply-To address; both empty when there is none."""
        value = self.whole.get(b"reply-to")
        if not value:
            return "", ""
        found = authors(Message.parse(b"From: " + value[:1000] + b"\r\n\r\n")).addresses
        return (found[0].local, found[0].domain) if found else ("", "")

    @cached_property
    def addressed_to(self) -> tuple[str, ...]:
        """Addresses the message was sent to, lower case: the envelope's, and those in To."""
        envelope = [one.address.key for one in self.envelope.recipients[:20]]
        value = self.whole.get(b"to")
        header = authors(Message.parse(b"From: " + value[:2000] + b"\r\n\r\n")).addresses if value else ()
        return tuple(dict.fromkeys([*envelope, *(one.key for one in header[:20])]))

    def own(self, organisation: str) -> bool:
        """Is that the author's or the envelope sender's organisation?"""
        return bool(organisation) and organisation in (
            self.value("author.organisation"), self.value("sender.organisation"),
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Fact:
    """A fact's type, where it comes from, and one line for the manual."""

    type: Type
    get: Callable[[Facts], object]
    about: str


def _wording(facts: Facts) -> str:
    return f"{facts.text('subject')} \n {facts.text('text')}"


def _visible(facts: Facts) -> str:
    text = facts.content.text
    if len(text) > HEAD + TAIL:
        text = f"{text[:HEAD]} {text[-TAIL:]}"
    return folded(text)[: 2 * (HEAD + TAIL)]


def _hidden(facts: Facts) -> str:
    return folded(facts.content.hidden_text[:HEAD])


def _html_only(facts: Facts) -> bool:
    texts = facts.content.texts
    return bool(texts) and all(one.is_html for one in texts)


def _sum_of(name: str) -> Callable[[Facts], object]:
    return lambda facts: sum(getattr(one, name) for one in facts.content.texts)


def _items(facts: Facts, found: list[Item]) -> tuple[Item, ...]:
    for one in found:
        one.facts = facts
    return tuple(found)


def _links(facts: Facts) -> tuple[Item, ...]:
    seen: dict[tuple[str, str, str], LinkSeen] = {}
    for link in facts.content.links:
        key = (link.url, link.shown, link.where)
        if key not in seen:
            seen[key] = LinkSeen(link)
            if len(seen) >= MOST_ITEMS:
                break
    return _items(facts, list(seen.values()))


def _attachments(facts: Facts) -> tuple[Item, ...]:
    return _items(facts, [Attachment(one) for one in facts.content.attachments[:MOST_ITEMS]])


def _files(facts: Facts) -> tuple[Item, ...]:
    if not facts.content.attachments:
        return ()
    if facts.told.files is None:
        raise Unknown("files")
    return _items(facts, [File(one) for one in facts.told.files[:MOST_ITEMS]])


def _data(facts: Facts) -> str:
    """Everything a reader could take out of the message: subject, text seen and unseen, and what files hold; as written."""
    key = "data as written"
    if key not in facts.values:
        content = facts.content
        pieces = [content.subject, content.text, content.hidden_text]
        if content.attachments:
            if facts.told.files is None:
                raise Unknown("files")
            pieces += [one.text for one in facts.told.files[:MOST_ITEMS]]
            pieces += [
                one.octets[:DATA_PART].decode("latin-1")
                for one in content.attachments
                if one.size <= DATA_PART
            ]
        facts.values[key] = "\n\n".join(pieces)[:DATA_TEXT]
    return cast("str", facts.values[key])


def _many(find: Callable[[str], Sequence[str] | frozenset[str]]) -> Callable[[Facts], object]:
    return lambda facts: len(find(_data(facts)))


def _first_author(facts: Facts, which: str) -> str:
    found = facts.authors
    if which == "name":
        return folded(found.display_names[0]) if found.display_names else ""
    if not found.addresses:
        return ""
    return str(getattr(found.addresses[0], which)).lower()


def _sender(facts: Facts, which: str) -> str:
    sender = facts.envelope.sender
    return "" if sender is None else str(getattr(sender, which)).lower()


def _reply_to_differs(facts: Facts) -> bool:
    organisation = facts.text("reply_to.organisation")
    return bool(organisation) and organisation != facts.value("author.organisation")


def _dkim(facts: Facts) -> str:
    results = [one.result for one in facts.auth.dkim]
    return "pass" if "pass" in results else results[0] if results else "none"


def _to_oneself(facts: Facts) -> bool:
    address = facts.text("author.address")
    return bool(address) and address in facts.addressed_to


def _named(facts: Facts, where: str) -> bool:
    text = facts.text(where)
    return any(address in text for address in facts.addressed_to if len(address) > 5)


def _greeted(facts: Facts) -> bool:
    opening = f"{facts.text('subject')} {facts.text('text')[:OPENING]}"
    for address in facts.addressed_to:
        local = address.partition("@")[0]
        if address in opening or (len(local) >= SHORTEST_LOCAL and local in opening):
            return True
    return False


def _names_other_address(facts: Facts) -> bool:
    match = ADDRESS.search(facts.text("author.name"))
    return match is not None and organisation_of(match[1]) != facts.value("author.organisation")


def _named_in_links(facts: Facts) -> bool:
    named = [address for address in facts.addressed_to if len(address) > 5]
    return any(
        address in link.link.url.lower()
        for link in cast("Sequence[LinkSeen]", facts.value("links"))
        for address in named
    )


def _disguised(facts: Facts) -> int:
    name = facts.authors.display_names[0] if facts.authors.display_names else ""
    return disguised_words(f"{name} {facts.content.subject} {facts.content.text[:HEAD]}")


def _known(facts: Facts) -> bool:
    if facts.told.known_correspondent is None:
        raise Unknown("known_correspondent")
    return facts.told.known_correspondent


def _proved(facts: Facts) -> bool:
    if facts.told.proved is None:
        raise Unknown("auth.proved")
    return facts.told.proved


def _claims(where: str) -> Callable[[Facts], object]:
    def claimed(facts: Facts) -> str:
        text = (
            facts.text(where)
            if where != "author"
            else f"{facts.text('author.name')} {facts.text('author.local')}"
        )
        return facts.brands.claimed(text, facts.text("author.organisation"), facts.text("author.domain"))

    return claimed


def _claims_link(facts: Facts) -> str:
    for link in cast("Sequence[LinkSeen]", facts.value("links")):
        brand = facts.brands.in_host(link.link.host, facts.text("author.organisation"))
        if brand:
            return brand
    return ""


TRUTH, NUMBER, TEXT, TEXTS = Type.TRUTH, Type.NUMBER, Type.TEXT, Type.TEXTS

FACTS: Mapping[str, Fact] = {
    "wording": Fact(TEXT, _wording, "Subject and visible text together: what most rules look at."),
    "subject": Fact(TEXT, lambda f: folded(subject_of(f)), "The subject."),
    "text": Fact(TEXT, _visible, f"The visible text of all parts: the first {HEAD:,} and last {TAIL:,} characters."),
    "hidden": Fact(TEXT, _hidden, "Text that is there and cannot be seen."),
    "hidden_how": Fact(
        TEXTS, lambda f: tuple(how for one in f.content.texts for how in one.hidden_how), "How it was hidden."
    ),
    "html_only": Fact(TRUTH, _html_only, "All its text is HTML."),
    "forms": Fact(NUMBER, _sum_of("forms"), "HTML forms."),
    "password_fields": Fact(NUMBER, _sum_of("password_fields"), "Fields for a password."),
    "scripts": Fact(NUMBER, _sum_of("scripts"), "Scripts."),
    "images": Fact(NUMBER, _sum_of("images"), "Images, attached or loaded."),
    "ambiguities": Fact(
        TEXTS, lambda f: tuple(one.name for one in f.content.tree.ambiguities), "Where two readers could disagree."
    ),
    "disguised_words": Fact(NUMBER, _disguised, "Words with look-alike or mathematical letters in name, subject and text."),
    "data.cards": Fact(NUMBER, _many(numbers.cards), "Payment card numbers in subject, text and files, by range and check digit; each once."),
    "data.my_numbers": Fact(
        NUMBER, _many(numbers.my_numbers), "Japanese individual numbers (My Number), by check digit; each once."
    ),
    "data.ibans": Fact(NUMBER, _many(numbers.ibans), "International bank account numbers, by length and mod 97; each once."),
    "data.private_keys": Fact(NUMBER, lambda f: numbers.private_keys(_data(f)), "Private keys."),
    "data.text": Fact(TEXT, lambda f: folded(_data(f)), "Subject, text and what is in files, as one text."),
    "size": Fact(NUMBER, lambda f: len(f.whole.octets), "Octets of the whole message."),
    "author.name": Fact(TEXT, lambda f: _first_author(f, "name"), "The display name in From."),
    "author.names_other": Fact(
        TRUTH, _names_other_address, "The display name holds a mail address of another organisation."
    ),
    "author.address": Fact(
        TEXT, lambda f: f.authors.addresses[0].key if f.authors.addresses else "", "The address in From."
    ),
    "author.local": Fact(TEXT, lambda f: _first_author(f, "local"), "Its part before the @."),
    "author.domain": Fact(TEXT, lambda f: _first_author(f, "domain"), "Its domain."),
    "author.organisation": Fact(
        TEXT, lambda f: organisation_of(f.text("author.domain")), "Its registered domain, as the public suffix list has it."
    ),
    "sender.address": Fact(
        TEXT, lambda f: f.envelope.sender.key if f.envelope.sender else "", "The envelope sender; empty for the null sender."
    ),
    "sender.domain": Fact(TEXT, lambda f: _sender(f, "domain"), "Its domain."),
    "sender.organisation": Fact(TEXT, lambda f: organisation_of(f.text("sender.domain")), "Its registered domain."),
    "reply_to.address": Fact(TEXT, lambda f: "@".join(f.reply_to).strip("@").lower(), "The first Reply-To address."),
    "reply_to.domain": Fact(TEXT, lambda f: f.reply_to[1], "Its domain."),
    "reply_to.organisation": Fact(TEXT, lambda f: organisation_of(f.reply_to[1]), "Its registered domain."),
    "reply_to.differs": Fact(TRUTH, _reply_to_differs, "Answers go to another organisation than the author's."),
    "recipients": Fact(TEXTS, lambda f: tuple(one.address.key for one in f.envelope.recipients), "Envelope recipients."),
    "to_oneself": Fact(TRUTH, _to_oneself, "The author's address is among the recipients'."),
    "addressee.in_subject": Fact(TRUTH, lambda f: _named(f, "subject"), "A recipient's address stands in the subject."),
    "addressee.greeted": Fact(
        TRUTH, _greeted, "A recipient's address or its local part stands in the subject or the first lines."
    ),
    "addressee.in_text": Fact(TRUTH, lambda f: _named(f, "text"), "A recipient's address stands in the text."),
    "addressee.in_links": Fact(TRUTH, _named_in_links, "A recipient's address stands in a link."),
    "client.ip": Fact(TEXT, lambda f: str(f.client.ip or ""), "The client's address."),
    "client.hello": Fact(TEXT, lambda f: f.client.hello.lower(), "What it said in EHLO."),
    "client.signed_in": Fact(TRUTH, lambda f: f.client.user is not None, "One of our own users, signed in."),
    "auth.spf": Fact(TEXT, lambda f: f.auth.spf_mail_from.result, "SPF of the envelope sender: pass, fail, softfail, none …"),
    "auth.spf_domain": Fact(TEXT, lambda f: f.auth.spf_mail_from.domain, "The domain SPF was asked about."),
    "auth.dkim": Fact(TEXT, _dkim, "pass when any signature passes."),
    "auth.dkim_domains": Fact(
        TEXTS, lambda f: tuple(one.domain for one in f.auth.dkim if one.result == "pass"), "Domains whose signature passes."
    ),
    "auth.arc": Fact(TEXT, lambda f: f.auth.arc.result, "none, pass or fail."),
    "auth.dmarc": Fact(TEXT, lambda f: f.auth.dmarc.result, "none, pass, fail …"),
    "auth.dmarc_policy": Fact(TEXT, lambda f: f.auth.dmarc.policy or "", "none, quarantine, reject, or empty."),
    "auth.aligned_by": Fact(TEXTS, lambda f: f.auth.dmarc.aligned_by, "dkim, spf: what proves the author's domain."),
    "auth.proved": Fact(TRUTH, _proved, "The author's domain is authenticated."),
    "known_correspondent": Fact(TRUTH, _known, "A proved sender we know: it wrote often enough, or we wrote to it."),
    "claims.author": Fact(TEXT, _claims("author"), "The brand that the author's name gives itself, when the address is not the brand's; else empty."),
    "claims.subject": Fact(TEXT, _claims("subject"), "The same for the subject."),
    "claims.wording": Fact(TEXT, _claims("wording"), "The same for subject and text."),
    "claims.link": Fact(TEXT, _claims_link, "A brand in the host name of a link that is not the brand's."),
    "links": Fact(Type.LINKS, _links, f"The first {MOST_ITEMS} links."),
    "attachments": Fact(Type.ATTACHMENTS, _attachments, "What a client offers to open or save."),
    "files": Fact(Type.FILES, _files, "What the attachments truly are and hold, as the sandboxed child reports."),
    "header": Fact(Type.HEADER, lambda f: f.whole, "Header fields, by name."),
}  # fmt: skip


def subject_of(facts: Facts) -> str:
    """The subject as a reader sees it, also of remembered mail."""
    return content_of(facts.message).subject
