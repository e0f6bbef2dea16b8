"""What a parser notes of one file while it reads, within what is left of the look's allowance."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from gatepost.files.limits import FileLimits
from gatepost.mail.address import printable
from gatepost.mail.filereport import FileFact
from gatepost.mail.finding import Evidence

MAX_FACTS = 60


class Spent(Exception):
    """The allowance is used up: nothing further is opened."""


class Allowance:
    """What is left of one look, shared by all files in it."""

    def __init__(self, limits: FileLimits, passwords: Sequence[str], scratch: str | None) -> None:
        self.limits = limits
        self.passwords = tuple(dict.fromkeys(passwords))[: limits.max_passwords]
        self.scratch = scratch
        self.members = limits.max_members - 1
        self.octets = limits.max_total_octets
        self.kept = limits.kept_octets
        self._until = time.process_time() + limits.max_seconds

    def check_time(self) -> None:
        """Raises Spent when the CPU time is used up; parsers ask it in their loops."""
        if time.process_time() > self._until:
            raise Spent("the time for this attachment is used up")


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A file found inside another."""

    name: str
    octets: bytes
    size: int
    """As unpacked, or as claimed when it was not unpacked."""
    hidden: bool = False
    """A virus scanner that is given the attachment might not find it."""
    facts: tuple[FileFact, ...] = ()
    """What its container knows of it."""


@dataclass(slots=True)
class Notes:
    """The facts, links, text and members of one file."""

    name: str
    octets: bytes
    kind: str
    allowance: Allowance
    declared: str = ""
    facts: list[FileFact] = field(default_factory=list)
    links: dict[str, None] = field(default_factory=dict)
    text: list[str] = field(default_factory=list)
    members: list[Member] = field(default_factory=list)
    _text_left: int = -1

    @property
    def limits(self) -> FileLimits:
        """The bounds."""
        return self.allowance.limits

    def fact(self, name: str, text: str, evidence: Evidence | None = None) -> None:
        """Note a fact; the same sentence counts once."""
        one = FileFact(name, printable(text, 400), evidence or {})
        if len(self.facts) < MAX_FACTS and all((f.name, f.text) != (name, one.text) for f in self.facts):
            self.facts.append(one)

    def has(self, name: str) -> bool:
        """Was that fact noted?"""
        return any(fact.name == name for fact in self.facts)

    def link(self, url: str) -> None:
        """Note where it leads; at most `max_links`, each once."""
        url = url.strip()[:4000]
        if url and len(self.links) < self.limits.max_links:
            self.links[url] = None

    def read(self, text: str) -> bool:
        """Note text a reader sees; False when there is enough."""
        if self._text_left < 0:
            self._text_left = self.limits.max_text
        text = text[: self._text_left]
        if text:
            self.text.append(text)
            self._text_left -= len(text)
        return self._text_left > 0

    def room(self) -> int:
        """How many octets the next member may have; raises Spent when no further one may be opened."""
        self.allowance.check_time()
        if self.allowance.members <= 0 or self.allowance.octets <= 0:
            raise Spent("the members are too many or too large")
        return min(self.limits.max_member_octets, self.allowance.octets)

    def member(
        self,
        name: str,
        octets: bytes,
        *,
        size: int | None = None,
        hidden: bool = False,
        facts: Sequence[FileFact] = (),
    ) -> None:
        """Note a file inside; it is looked into when this one is done. Raises Spent."""
        room = self.room()
        cut = octets[:room]
        self.allowance.octets -= len(cut)
        self.allowance.members -= 1
        self.members.append(
            Member(
                name=name,
                octets=cut,
                size=len(octets) if size is None else size,
                hidden=hidden,
                facts=tuple(facts),
            )
        )
