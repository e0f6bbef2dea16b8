"""The parts of a message, by offsets (RFC 2045, RFC 2046): a bounded walk, decoded only when asked.

Reads as the most careless client would. Where two readers could disagree, every plausible reading is among the
parts, behind those of the usual one, and the ambiguity is named. Files written into text, those in a TNEF
container (winmail.dat) and what is in the envelope of a signature (S/MIME) are parts too.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import NamedTuple

from gatepost.mail.boundaries import Delimiter, before, candidates, delimiters, guessed
from gatepost.mail.embedded import embedded_in
from gatepost.mail.message import Message
from gatepost.mail.parameters import Structured
from gatepost.mail.part import AMBIGUITIES, Ambiguity, Part, Tree
from gatepost.mail.partheader import (
    CONTENT_FIELDS,
    FIELD,
    Described,
    Fields,
    described,
    read_header,
)
from gatepost.mail.sealed import (
    CMS_ENDINGS,
    CMS_TYPES,
    PGP_BEGINS,
    inner_name,
    is_pgp_message,
    open_cms,
)
from gatepost.mail.tnef import TNEF_TYPES, read_tnef
from gatepost.mail.transfer import inner_padding, strange_in_base64

__all__ = ["Ambiguity", "Part", "Tree", "tree_of"]

MAX_PARTS = 1000
MAX_DEPTH = 40
MAX_AMBIGUITIES = 100
WORK_FOR_AN_OCTET = 16
"""Octets searched or decoded for each octet of the message, before the walk gives up."""
LEAST_WORK = 1_000_000

MESSAGES = frozenset({"message/rfc822", "message/global", "message/news", "message/external-body"})
WRITTEN = frozenset({"x-uuencode", "x-yenc", "x-binhex"})
DECODED = frozenset({"base64", "quoted-printable", "x-uuencode"})
PLAIN = Described(Structured("text/plain", {}), "", (), "", "")
OCTETS = Structured("application/octet-stream", {})
# What is worth reading in the text around the parts, which nobody is meant to see.
NOTEWORTHY = re.compile(
    rb"https?:|www\.|^content-type[ \t]*:|^begin |^=ybegin|<[a-z!]|[a-z0-9+/]{60}",
    re.IGNORECASE | re.MULTILINE,
)


class Place(NamedTuple):
    """Where a body stands, and how one gets there."""

    source: bytes
    start: int
    end: int
    parent: int = -1
    depth: int = 0
    reading: str = ""
    default: str = "text/plain"


def tree_of(message: Message) -> Tree:
    """The parts of `message`; never raises. Worked out once: ask `content.content_of`."""
    octets = message.octets
    walk = _Walk(left=WORK_FOR_AN_OCTET * len(octets) + LEAST_WORK)
    fields = {name: found for name in CONTENT_FIELDS if (found := message.values(name))}
    walk.entity(Place(octets, message.body_start, len(octets)), fields)
    if message.defects:
        walk.odd_header(message)
    for look in walk.later:  # It grows meanwhile.
        if walk.truncated:
            break
        look()
    walk.later.clear()  # each holds the walk, and the walk them: the octets would stay until the collector comes by
    return Tree(tuple(walk.parts), tuple(walk.ambiguities), walk.truncated)


@dataclass(slots=True)
class _Walk:
    left: int
    """Octets that may still be searched or decoded."""
    parts: list[Part] = field(default_factory=list)
    ambiguities: list[Ambiguity] = field(default_factory=list)
    later: list[Callable[[], object]] = field(default_factory=list)
    """Other readings, looked at when the usual one is done."""
    truncated: bool = False

    def entity(self, place: Place, fields: Fields) -> None:
        """An entity whose header has been read: as it is usually understood, and later as it may be."""
        readings = described(fields, place.default)
        index = len(self.parts)
        self.part(place, readings[0])
        for other in readings[1:]:
            self.unsure(other.reading, index)
            moved = place._replace(reading=place.reading or other.reading)
            self.later.append(partial(self.part, moved, other))

    def inner(self, place: Place) -> None:
        """An entity whose header is still to be read."""
        source, start, end = place[:3]
        header = read_header(source, start, end)
        self.left -= header.body - start + 100
        if header.early >= 0:
            self.unsure("header-ends-early", place.parent)
            early = place._replace(start=header.early, reading=place.reading or "header-ends-early")
            self.later.append(partial(self.entity, early, header.early_fields))
        self.entity(place._replace(start=header.body), header.fields)

    def odd_header(self, message: Message) -> None:
        """Lines in the header that are no field: for some readers the body starts there."""
        header = read_header(message.octets, 0, len(message.octets))
        if 0 < header.body < message.body_start:
            early, fields = header.body, header.fields
        elif header.early > 0:
            early, fields = header.early, header.early_fields
        else:
            return
        self.unsure("header-ends-early", 0)
        place = Place(message.octets, early, len(message.octets), reading="header-ends-early")
        self.later.append(partial(self.entity, place, fields))

    def part(self, place: Place, what: Described) -> None:
        """Add one part, and what is in it."""
        part = self.add(place, what)
        if part is None:
            return
        names = part.filenames
        if len(names) > 1 and len({_ending(name) for name in names} - {""}) > 1:
            self.unsure("filenames-disagree", part.index)
        if part.is_multipart:
            self.multipart(part, what)
        elif part.content_type in MESSAGES:
            self.message(part)
        else:
            self.leaf(part, what)

    def add(self, place: Place, what: Described) -> Part | None:
        """Add one part alone, if there is still room."""
        if self.left < 0 or len(self.parts) >= MAX_PARTS or place.depth > MAX_DEPTH:
            self.truncated = True
            return None
        kind, names = what.kind, what.names
        part = Part(
            index=len(self.parts), parent=place.parent, depth=place.depth, content_type=kind.word,
            parameters=kind.parameters, disposition=what.disposition, filename=names[0] if names else "",
            filenames=names, encoding=what.encoding, content_id=what.content_id, source=place.source,
            start=place.start, end=place.end, reading=place.reading,
        )  # fmt: skip
        self.parts.append(part)
        return part

    def message(self, part: Part) -> None:
        """A message within, whose header follows at once."""
        if part.content_type == "message/external-body":
            self.unsure("external-body", part.index)
        source, start, end = part.source, part.start, part.end
        if part.encoding in DECODED and not FIELD.match(source, start):
            # RFC 2046 §5.2.1 forbids to encode it; programs do, and clients decode it.
            source, start, end = part.octets, 0, len(part.octets)
            self.left -= end
        place = Place(source, start, end, part.index, part.depth + 1, part.reading)
        blank = start
        while source.startswith((b"\n", b"\r\n"), blank, min(end, start + 100)):
            blank = source.index(b"\n", blank) + 1
        if blank > start and FIELD.match(source, blank):
            self.unsure("leading-blank", part.index)
            reading = part.reading or "leading-blank"
            self.later.append(partial(self.inner, place._replace(start=blank, reading=reading)))
        self.inner(place)

    def leaf(self, part: Part, what: Described) -> None:
        """What holds no entities; text may hold files all the same."""
        kind = part.content_type
        if part.encoding == "base64":
            self.base64(part, what)
        if kind == "message/partial":
            self.unsure("message-partial", part.index)
        elif kind in TNEF_TYPES or part.filename.lower() == "winmail.dat":
            self.left -= part.size
            for name, found_type, octets in read_tnef(part.octets):
                names = (name,) if name else ()
                place = Place(octets, 0, len(octets), part.index, part.depth + 1, part.reading)
                self.part(place, PLAIN._replace(kind=Structured(found_type, {}), names=names))
        elif kind in CMS_TYPES or part.filename.lower().endswith(CMS_ENDINGS):
            self.envelope(part)
        elif kind.startswith("text/") and kind != "text/html" and part.encoding not in WRITTEN:
            self.text(part)
        elif kind.startswith("application/") and is_pgp_message(part.head(100), part.filename):
            self.unsure("sealed", part.index)

    def envelope(self, part: Part) -> None:
        """What was signed, which clients show like any message; a signed file is a file (RFC 8551 §3.4.2, RFC 5652)."""
        self.left -= part.size
        opened = open_cms(part.octets)
        if opened.how == "locked":
            self.unsure("sealed", part.index)
        elif opened.how == "unknown" or opened.cut:
            self.unsure("broken-envelope", part.index)
        octets = opened.octets
        if not octets:
            return
        self.left -= len(octets)
        place = Place(octets, 0, len(octets), part.index, part.depth + 1, part.reading)
        if FIELD.match(octets):
            self.inner(place)
        else:
            name = inner_name(part.filename)
            self.part(place, PLAIN._replace(kind=OCTETS, names=(name,) if name else ()))

    def base64(self, part: Part, what: Described) -> None:
        """What decoders of base64 disagree about: padding with more behind it, octets that do not belong there."""
        raw = part.raw
        self.left -= len(raw)
        padded = inner_padding(raw)
        if padded >= 0:
            self.unsure("base64-inner-padding", part.index)
            source, start, end = part.source, part.start, part.end
            place = Place(source, start, end, part.parent, part.depth, part.reading or "base64-other")
            self.later.append(partial(self.add, place._replace(end=start + padded), what))
            self.later.append(partial(self.add, place, what._replace(encoding="base64;padding-skipped")))
        if strange_in_base64(raw):
            self.unsure("broken-base64", part.index)

    def text(self, part: Part) -> None:
        """Files written into text, and parts in text that does not say it holds any."""
        octets, start, end = part.source, part.start, part.end
        if not part.plain:
            octets = part.octets
            start, end = 0, len(octets)
            self.left -= end
        if octets.find(PGP_BEGINS, start, end) >= 0:
            self.unsure("sealed", part.index)
        for found in embedded_in(octets, start, end):
            self.unsure(found.how, part.index)
            names = (found.name,) if found.name else ()
            what = PLAIN._replace(kind=OCTETS, names=names, encoding=found.encoding)
            reading = part.reading or found.how
            self.part(Place(octets, found.start, found.end, part.index, part.depth + 1, reading), what)
        if octets.startswith(b"--", start, end) or octets.find(b"\n--", start, end) >= 0:
            boundary = guessed(octets, start, end)
            if boundary is not None:
                self.unsure("undeclared-multipart", part.index)
                whole = Place(
                    octets, start, end, part.index, part.depth, part.reading or "undeclared-multipart"
                )
                self.later.append(partial(self.children, whole, [boundary]))

    def multipart(self, part: Part, what: Described) -> None:
        """The parts between delimiter lines."""
        place = Place(
            part.source, part.start, part.end, part.index, part.depth, part.reading,
            "message/rfc822" if part.content_type == "multipart/digest" else "text/plain",
        )  # fmt: skip
        said = candidates(what.kind, what.value)
        found = self.children(place, said)
        if part.encoding in DECODED:
            # RFC 2045 §6.4 forbids to encode a multipart; most readers ignore the field, some do decode.
            octets = part.octets
            self.left -= len(octets)
            decoded = place._replace(source=octets, start=0, end=len(octets))
            lines = [delimiters(octets, 0, len(octets), one, MAX_PARTS) for one in said]
            if sum(map(len, lines)) and (not found or part.encoding == "base64"):
                self.unsure("encoded-multipart", part.index)
                reading = part.reading if not found else part.reading or "encoded-multipart"
                found = self.children(decoded._replace(reading=reading), said)
        if found:
            return
        self.unsure("wrong-boundary" if said else "missing-boundary", part.index)
        boundary = guessed(*place[:3])
        if boundary is not None:
            self.children(place, [boundary])
        # Without parts, clients show the body as it stands.
        text = place._replace(depth=part.depth + 1, reading=part.reading or "no-parts")
        self.later.append(partial(self.part, text, PLAIN))

    def children(self, place: Place, boundaries: Sequence[bytes]) -> bool:
        """The parts by the first boundary that has any, and later by the others; whether there were any."""
        source, start, end = place[:3]
        first: list[Delimiter] = []
        for boundary in boundaries:
            self.left -= end - start
            if self.left < 0:
                self.truncated = True
                break
            lines = delimiters(source, start, end, boundary, MAX_PARTS + 1)
            if not any(line.exact for line in lines):
                first = first or lines
            elif not any(line.exact for line in first):
                first = lines
            else:
                self.unsure("several-boundaries", place.parent)
                other = place._replace(reading=place.reading or "other-boundary")
                self.later.append(partial(self.between, other, lines))
        if first:
            self.between(place, first)
        return bool(first)

    def between(self, place: Place, lines: list[Delimiter]) -> None:
        """The parts between these delimiter lines, and what hides around them."""
        exact = [line for line in lines if line.exact]
        if len(exact) < len(lines):
            self.unsure("boundary-prefix", place.parent)
            if exact:
                loose = [line._replace(exact=True) for line in lines]
                other = place._replace(reading=place.reading or "boundary-prefix")
                self.later.append(partial(self.between, other, loose))
            else:
                exact = lines
        source, start, end = place[:3]
        self.stray(place, start, exact[0].start)
        below = place._replace(depth=place.depth + 1)
        opened, closed = -1, False
        for line in exact:
            if opened >= 0:
                self.inner(below._replace(start=opened, end=before(source, opened, line.start)))
                if self.truncated:
                    return
            opened = -1 if line.closes else line.end
            if line.closes:
                closed = True
                last = line
            elif closed and below.reading != "after-close":
                self.unsure("after-close", place.parent)
                below = below._replace(reading=place.reading or "after-close")
        if opened >= 0:
            if not closed:
                self.unsure("missing-close", place.parent)
            self.inner(below._replace(start=opened, end=end))
        elif closed:
            self.stray(place, last.end, end)

    def stray(self, place: Place, start: int, end: int) -> None:
        """Text before the first part or behind the last: nobody is meant to see it, some clients show it."""
        if end - start > 10 and NOTEWORTHY.search(place.source, start, min(end, start + 100_000)):
            self.unsure("around-parts", place.parent)
            text = place._replace(
                start=start, end=end, depth=place.depth + 1, reading=place.reading or "around-parts"
            )
            self.later.append(partial(self.part, text, PLAIN))

    def unsure(self, name: str, part: int) -> None:
        """Note an ambiguity."""
        if len(self.ambiguities) < MAX_AMBIGUITIES:
            self.ambiguities.append(Ambiguity(name, AMBIGUITIES[name], part))


def _ending(name: str) -> str:
    return name.rpartition(".")[2].strip().lower() if "." in name else ""
