"""A message as it was received: octets, header fields as spans, where the body starts (RFC 5322 §2).

The octets are never rewritten. Fields are found once, by offsets, so that DKIM has the exact
bytes and release from quarantine is byte for byte. Only CRLF ends a line here; a bare CR or LF is
a defect and part of the line it stands in. Parts, encodings and addresses are left to others.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache, partial
from typing import NamedTuple, TypeVar, cast

T = TypeVar("T")

MAX_FIELDS = 2000
"""Header fields looked at; real mail stays below 300."""

# Where a header field ends: a CRLF that no continuation line follows (RFC 5322 §2.2.3).
END_OF_FIELD = re.compile(rb"\r\n(?![ \t])")
# RFC 5322 §2.2, §4.5: blanks before the colon are obsolete, not wrong.
NAME = re.compile(rb"([!-9;-~]++)[ \t]*+")
LONG_NAME = 100


class HeaderField(NamedTuple):
    """One header field: offsets into the message's octets. A tuple, because each message makes dozens."""

    name: bytes
    """Lower case, without blanks before the colon."""
    start: int
    """Of the name's first octet."""
    colon: int
    """Of the colon."""
    end: int
    """Just behind the field's last CRLF."""


# What HeaderField._make does, without a call to Python for each.
_NEW_FIELD: Callable[[tuple[bytes, int, int, int]], HeaderField] = partial(tuple.__new__, HeaderField)


@dataclass(frozen=True, slots=True)
class Message:
    """Octets with CRLF line ends, and where things are in them."""

    octets: bytes
    fields: tuple[HeaderField, ...]
    """In order of appearance, the topmost first."""
    body_start: int
    """Offset of the first body octet; len(octets) when there is no body."""
    defects: tuple[str, ...] = ()
    """Names of what is wrong with the header, each once: ``blank-before-colon``, ``leading-continuation``, ``not-a-field``
    (an mbox ``From`` line, garbage), ``too-many-fields``, ``bare-cr``, ``bare-lf``; and ``nul`` anywhere."""
    _by_name: dict[bytes, list[HeaderField]] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )
    _worked_out: dict[object, object] = field(default_factory=dict, init=False, repr=False, compare=False)

    @classmethod
    def parse(cls, octets: bytes, *, max_fields: int = MAX_FIELDS) -> Message:
        """Find the header fields of any octets; never raises.

        The header ends at the first empty line; without one, all of it is header. Lines that are no
        field are passed over and noted. What is beyond `max_fields` fields and other lines is not listed, and
        that is noted: such a message must not be judged by its listed fields alone.
        """
        header_end, body_start = _split(octets)
        fields: list[tuple[bytes, int, int, int]] = []
        defects = _stray_octets(octets, header_end)
        pieces = END_OF_FIELD.split(octets[:header_end], max_fields)
        rest = pieces.pop()
        if len(pieces) == max_fields and rest:
            defects.append("too-many-fields")
        elif rest:
            pieces.append(rest)
        start = 0
        for piece in pieces:
            end = min(start + len(piece) + 2, header_end)
            colon = piece.find(b":")
            # Most names have been seen before, but not every name is worth remembering.
            name = (
                _name(piece[:colon]) if 0 < colon < LONG_NAME else _name.__wrapped__(piece[: max(colon, 0)])
            )
            if name is None:
                leading = start == 0 and piece[:1] in (b" ", b"\t")
                defects.append("leading-continuation" if leading else "not-a-field")
            else:
                if len(name) != colon:
                    defects.append("blank-before-colon")
                fields.append((name, start, start + colon, end))
            start = end
        found = tuple(map(_NEW_FIELD, fields))
        return cls(octets, found, body_start, tuple(dict.fromkeys(defects)))

    @property
    def body(self) -> memoryview:
        """The body's octets, not copied."""
        return memoryview(self.octets)[self.body_start :]

    def named(self, name: bytes) -> Sequence[HeaderField]:
        """The fields called `name` (lower case), the topmost first."""
        if not self._by_name:
            for each in self.fields:
                self._by_name.setdefault(each.name, []).append(each)
        return self._by_name.get(name, ())

    def once(self, work_out: Callable[[Message], T]) -> T:
        """`work_out(self)`, done the first time anybody asks: several checks read the same text, parts and links."""
        done = self._worked_out
        if work_out not in done:
            done[work_out] = work_out(self)
        return cast("T", done[work_out])

    def count(self, name: bytes) -> int:
        """How many fields are called `name` (lower case)."""
        return len(self.named(name))

    def get(self, name: bytes) -> bytes | None:
        """The value of the topmost field called `name` (lower case), None when there is none."""
        found = self.named(name)
        return self.value(found[0]) if found else None

    def values(self, name: bytes) -> list[bytes]:
        """The values of all fields called `name` (lower case), the topmost first."""
        return [self.value(each) for each in self.named(name)]

    def value(self, header_field: HeaderField) -> bytes:
        """What follows the colon, unfolded (RFC 5322 §2.2.3), without blanks around it."""
        folded = self.octets[header_field.colon + 1 : header_field.end]
        return folded.replace(b"\r\n", b"").strip(b" \t")

    def raw(self, header_field: HeaderField) -> bytes:
        """The field as received, name, folds and last CRLF included."""
        return self.octets[header_field.start : header_field.end]


def to_crlf(octets: bytes) -> bytes:
    """The same text with every bare LF turned into CRLF, for files that were stored with LF."""
    if octets.count(b"\n") == octets.count(b"\r\n"):
        return octets
    return octets.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")


def _split(octets: bytes) -> tuple[int, int]:
    """Where the header ends, and where the body starts."""
    if octets.startswith(b"\r\n"):
        return 0, 2
    empty_line = octets.find(b"\r\n\r\n")
    if empty_line < 0:
        return len(octets), len(octets)
    return empty_line + 2, empty_line + 4


@lru_cache(maxsize=4096)
def _name(octets: bytes) -> bytes | None:
    """What stands before a colon as a field's name, None when it is none."""
    found = NAME.fullmatch(octets)
    return found[1].lower() if found else None


def _stray_octets(octets: bytes, header_end: int) -> list[str]:
    """Octets that SMTP forbids (RFC 5321 §2.3.8, RFC 5322 §4)."""
    line_ends = octets.count(b"\r\n", 0, header_end)
    defects = []
    if octets.count(b"\r", 0, header_end) != line_ends:
        defects.append("bare-cr")
    if octets.count(b"\n", 0, header_end) != line_ends:
        defects.append("bare-lf")
    if b"\0" in octets:
        defects.append("nul")
    return defects
