"""The parts of a message, by offsets (RFC 2045, RFC 2046): a bounded walk, decoded only when asked.

Reads as the most careless client would. Where two readers could disagree, every plausible reading is among the
parts, and the ambiguity is named.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from gatepost.mail.encoded_words import decode_words
from gatepost.mail.message import Message
from gatepost.mail.parameters import read_structured
from gatepost.mail.part import Ambiguity, Part, Tree

__all__ = ["Ambiguity", "Part", "Tree", "tree_of"]

MAX_PARTS = 1000
MAX_DEPTH = 40

EMPTY_LINE = re.compile(rb"\n\r?\n")
FOLD = re.compile(rb"\r?\n(?=[ \t])")
MESSAGES = frozenset({"message/rfc822", "message/global", "message/news"})
Fields = Mapping[bytes, Sequence[bytes]]
CONTENT = (b"content-type", b"content-transfer-encoding", b"content-disposition", b"content-id")


def tree_of(message: Message) -> Tree:
    """The parts of `message`; never raises. Worked out once: ask `content.content_of`."""
    walk = _Walk()
    fields = {name: message.values(name) for name in CONTENT}
    walk.entity(message.octets, fields, message.body_start, len(message.octets))
    return Tree(tuple(walk.parts), tuple(walk.ambiguities), walk.truncated)


class _Walk:
    def __init__(self) -> None:
        self.parts: list[Part] = []
        self.ambiguities: list[Ambiguity] = []
        self.truncated = False

    def entity(  # noqa: PLR0917
        self,
        source: bytes,
        fields: Fields,
        start: int,
        end: int,
        parent: int = -1,
        depth: int = 0,
        reading: str = "",
    ) -> None:
        if len(self.parts) >= MAX_PARTS or depth > MAX_DEPTH:
            self.truncated = True
            return
        types = fields.get(b"content-type") or [b""]
        kind = read_structured(types[0])
        where = read_structured((fields.get(b"content-disposition") or [b""])[0])
        name = where.parameters.get("filename") or kind.parameters.get("name") or ""
        encodings = fields.get(b"content-transfer-encoding") or [b""]
        content_type = kind.word if "/" in kind.word else "text/plain"
        part = Part(
            index=len(self.parts), parent=parent, depth=depth, content_type=content_type,
            parameters=kind.parameters, disposition=where.word, filename=decode_words(name),
            encoding=encodings[0].decode("ascii", "replace").strip().lower(), source=source, start=start,
            end=end, reading=reading,
            content_id=(fields.get(b"content-id") or [b""])[0].decode("ascii", "replace").strip("<> \t"),
        )  # fmt: skip
        self.parts.append(part)
        if part.is_multipart:
            self.multipart(part)
        elif content_type in MESSAGES:
            octets, begin, stop = source, start, end
            if part.encoding in ("base64", "quoted-printable"):
                octets, begin, stop = part.octets, 0, len(part.octets)
            self.inner(octets, begin, stop, part)

    def multipart(self, part: Part) -> None:
        boundary = part.parameters.get("boundary", "")
        if not boundary or part.end is None:
            return
        mark = b"--" + boundary.encode("utf-8", "replace")
        line = re.compile(rb"(?:\A|(?<=\n))" + re.escape(mark) + rb"(--)?[ \t]*(?:\r?\n|\Z)")
        begin = -1
        for count, match in enumerate(line.finditer(part.source, part.start, part.end)):
            if count > MAX_PARTS:
                self.truncated = True
                return
            if begin >= 0:
                self.inner(part.source, begin, _before(part.source, match.start()), part)
            begin = match.end()
            if match[1]:
                return
        if begin >= 0:
            self.inner(part.source, begin, part.end, part)

    def inner(self, source: bytes, start: int, end: int, part: Part) -> None:
        end = max(start, end)
        fields, body = _header(source, start, end)
        self.entity(source, fields, body, end, part.index, part.depth + 1, part.reading)


def _before(source: bytes, at: int) -> int:
    """Where a part ends whose delimiter line starts at `at`: the line end before it is the delimiter's."""
    if source[at - 1 : at] == b"\n":
        at -= 1
        if source[at - 1 : at] == b"\r":
            at -= 1
    return at


def _header(source: bytes, start: int, end: int) -> tuple[Fields, int]:
    """The header fields of an entity, and where its body starts."""
    if source.startswith((b"\n", b"\r\n"), start):
        return {}, source.index(b"\n", start) + 1
    found = EMPTY_LINE.search(source, start, end)
    header, body = (source[start : found.start()], found.end()) if found else (source[start:end], end)
    fields: dict[bytes, list[bytes]] = {}
    for line in FOLD.sub(b"", header[:65536]).split(b"\n"):
        name, colon, value = line.partition(b":")
        if colon:
            fields.setdefault(name.strip().lower(), []).append(value.strip())
    return fields, body
