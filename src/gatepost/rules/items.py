"""What rules may ask of one link, attachment or file."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, cast

from gatepost.dns.names import registrable_domain
from gatepost.mail.filereport import FileReport
from gatepost.mail.mime import Part
from gatepost.mail.urls import Link
from gatepost.rules.wording import folded

if TYPE_CHECKING:
    from gatepost.rules.facts import Facts

SHOWN_HOST = re.compile(r"(?:https?://|www\.)?([a-z0-9-]+(?:\.[a-z0-9-]+)+)(?:[:/?#]\S*)?")
ADDRESS_HOST = re.compile(r"[0-9.]+|\[.*\]")
LONGEST = 2_000
"""Characters of a path, a shown text or a name that rules look at."""
MOST_FILE_TEXT = 10_000


@lru_cache(maxsize=8192)
def organisation_of(domain: str) -> str:
    """The registered domain; the name itself when it has none, such as an address."""
    if not domain or ADDRESS_HOST.fullmatch(domain):
        return domain
    return registrable_domain(domain) or domain


class Item:
    """One of several; its fields are worked out when asked for."""

    fields: Mapping[str, ItemField] = {}
    kind = ""
    facts: Facts

    def __init__(self) -> None:
        self.values: dict[str, object] = {}
        self._hits: dict[str, frozenset[int]] = {}

    def value(self, name: str) -> object:
        """A field."""
        if name not in self.values:
            self.values[name] = self.fields[name].get(self)
        return self.values[name]

    def hits(self, name: str) -> frozenset[int]:
        """Which of the patterns over that field match."""
        found = self._hits.get(name)
        if found is None:
            target = f"{self.kind}.{name}"
            found = self._hits[name] = self.facts.patterns.hits(target, cast("str", self.value(name)))
        return found


@dataclass(frozen=True, slots=True)
class ItemField:
    """``text``, ``truth``, ``number`` or ``texts``, where it comes from, and one line for the manual."""

    type: str
    get: Callable[[Any], object]
    about: str


class LinkSeen(Item):
    """A link."""

    kind = "links"

    def __init__(self, link: Link) -> None:
        super().__init__()
        self.link = link


class Attachment(Item):
    """A part that a client offers to open."""

    kind = "attachments"

    def __init__(self, part: Part) -> None:
        super().__init__()
        self.part = part


class File(Item):
    """An attachment as the sandboxed child saw it, or something inside."""

    kind = "files"

    def __init__(self, report: FileReport) -> None:
        super().__init__()
        self.report = report


def _foreign(link: LinkSeen) -> bool:
    organisation = cast("str", link.value("organisation"))
    return bool(organisation) and link.link.scheme in ("http", "https") and not link.facts.own(organisation)


def _shows_other_host(link: LinkSeen) -> bool:
    match = SHOWN_HOST.fullmatch(link.link.shown.strip().lower()[:LONGEST])
    if match is None or not link.link.host:
        return False
    shown = registrable_domain(match[1])
    return shown is not None and shown != link.value("organisation") and match[1].rpartition(".")[2].isalpha()


def _extension(name: str) -> str:
    return name.lower().rstrip(" .").rpartition(".")[2][:20] if "." in name else ""


def _size(part: Part) -> int:
    return len(part.raw) * 3 // 4 if part.encoding == "base64" else len(part.raw)


LinkSeen.fields = {
    "url": ItemField("text", lambda i: i.link.url[:LONGEST].lower(), "The whole address."),
    "scheme": ItemField("text", lambda i: i.link.scheme, "http, https, mailto, tel, data …"),
    "host": ItemField("text", lambda i: i.link.host, "The host."),
    "organisation": ItemField("text", lambda i: organisation_of(i.link.host), "Its registered domain."),
    "path": ItemField("text", lambda i: i.link.path[:LONGEST].lower(), "From the first slash on, with the query."),
    "shown": ItemField("text", lambda i: folded(i.link.shown[:LONGEST]), "What a person clicks on."),
    "where": ItemField("text", lambda i: i.link.where, "text, html, form, image, refresh, css, header, calendar, file, qr."),
    "user": ItemField("text", lambda i: i.link.user.lower(), "What stands before an @ in front of the host."),
    "foreign": ItemField("truth", _foreign, "A web link to a host that is not of the author's or sender's organisation."),
    "shows_other_host": ItemField("truth", _shows_other_host, "The text shown is a host of another organisation."),
    "is_address": ItemField("truth", lambda i: ADDRESS_HOST.fullmatch(i.link.host) is not None, "The host is an IP address."),
}  # fmt: skip

Attachment.fields = {
    "name": ItemField("text", lambda i: folded(i.part.filename[:LONGEST]), "The file name."),
    "extension": ItemField("text", lambda i: _extension(i.part.filename), "What follows the last dot, lower case."),
    "type": ItemField("text", lambda i: i.part.content_type, "The declared content type."),
    "inline": ItemField("truth", lambda i: bool(i.part.content_id) or i.part.disposition == "inline", "Shown in the text."),
    "size": ItemField("number", lambda i: _size(i.part), "Octets, about."),
}  # fmt: skip

File.fields = {
    "name": ItemField("text", lambda i: folded(i.report.name[:LONGEST]), "The file name."),
    "extension": ItemField("text", lambda i: _extension(i.report.name), "What follows the last dot, lower case."),
    "kind": ItemField("text", lambda i: i.report.kind, "What it truly is: pe, zip, word, pdf, html …; empty when unknown."),
    "type": ItemField("text", lambda i: i.report.declared, "The declared content type; empty for members of archives."),
    "size": ItemField("number", lambda i: i.report.size, "Octets, unpacked."),
    "inside": ItemField("number", lambda i: max(0, len(i.report.path) - 1), "How many archives it is in."),
    "text": ItemField("text", lambda i: folded(i.report.text[:MOST_FILE_TEXT]), "What a reader sees in it."),
    "facts": ItemField("texts", lambda i: tuple(one.name for one in i.report.facts), "Names of what was noted: macro, encrypted …"),
    "links": ItemField("number", lambda i: len(i.report.links), "How many links lead out of it."),
}  # fmt: skip
