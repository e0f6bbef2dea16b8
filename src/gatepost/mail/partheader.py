"""The header of a part, and what it says the part is (RFC 2045 §3, RFC 2183), read as loosely as clients do.

A header may say a thing twice, or go on behind a line that is no field. `described` gives the usual reading first
and then every other one some client would take.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from types import MappingProxyType
from typing import NamedTuple

from gatepost.mail.encoded_words import decode_words
from gatepost.mail.parameters import Structured, read_structured

CONTENT_FIELDS = (b"content-type", b"content-transfer-encoding", b"content-disposition", b"content-id")
MAX_HEADER = 65_536
MAX_NAME = 1000
MAX_READINGS = 4
"""Different values of one field that are followed."""

Fields = Mapping[bytes, Sequence[bytes]]

EMPTY_LINE = re.compile(rb"\n\r?\n")
FOLD = re.compile(rb"\r?\n(?=[ \t])")
# A header field, as opposed to a line of something else (RFC 5322 §2.2, §4.5).
FIELD = re.compile(rb"([!-9;-~]++)[ \t]*+:")
CONTROLS = re.compile(r"[\x00-\x1f\x7f]")

ENCODINGS = {
    b"": "", b"7bit": "7bit", b"8bit": "8bit", b"binary": "binary", b"base64": "base64",
    b"quoted-printable": "quoted-printable", b"x-uuencode": "x-uuencode",
}  # fmt: skip
MISSPELT = {
    "base64": "base64", "b64": "base64", "b": "base64", "quotedprintable": "quoted-printable", "qp": "quoted-printable",
    "q": "quoted-printable", "uuencode": "x-uuencode", "xuuencode": "x-uuencode", "uue": "x-uuencode",
    "xuue": "x-uuencode", "yenc": "x-yenc", "xyenc": "x-yenc", "7bit": "7bit", "7bits": "7bit", "8bit": "8bit",
    "8bits": "8bit", "binary": "binary", "none": "", "base64encoded": "base64",
}  # fmt: skip


class Header(NamedTuple):
    """The content fields of one header, and where its body starts."""

    fields: Fields
    body: int
    early: int = -1
    """Where a line that is no field stands: there the body starts for some readers; -1 when there is none."""
    early_fields: Fields = MappingProxyType({})


class Described(NamedTuple):
    """What a header says its part is."""

    kind: Structured
    disposition: str
    names: tuple[str, ...]
    encoding: str
    content_id: str
    value: bytes = b""
    """The Content-Type as written."""
    reading: str = ""


def read_header(source: bytes, start: int, end: int) -> Header:
    """The header of the entity in ``source[start:end]``; never raises."""
    if start >= end:
        return Header({}, end)
    if source.startswith((b"\n", b"\r\n"), start, end):
        return Header({}, source.index(b"\n", start) + 1)
    found = EMPTY_LINE.search(source, start, end)
    stop, body = (found.start() + 1, found.end()) if found is not None else (end, end)
    fields: dict[bytes, list[bytes]] = {}
    early, early_fields = -1, fields
    at = start
    for line in FOLD.sub(_same_length, source[start : min(stop, start + MAX_HEADER)]).split(b"\n"):
        name = FIELD.match(line)
        if name is not None:
            if name[1][:1] in b"cC":
                lowered = name[1].lower()
                if lowered in CONTENT_FIELDS:
                    fields.setdefault(lowered, []).append(line[name.end() :].strip())
        elif early < 0 and line.strip():
            early, early_fields = at, {each: list(values) for each, values in fields.items()}
        at += len(line) + 1
    if early < 0:
        return Header(fields, body)
    if fields == early_fields:
        return Header(fields, early)
    return Header(fields, body, early, early_fields)


def _same_length(fold: re.Match[bytes]) -> bytes:
    # Offsets must not move.
    return b" " * (fold.end() - fold.start())


def described(fields: Fields, default: str = "text/plain") -> tuple[Described, ...]:
    """What the fields say: the usual reading, and behind it the others, each with its name."""
    types = _different(fields.get(b"content-type"))
    encodings = _different(fields.get(b"content-transfer-encoding"))
    places = _different(fields.get(b"content-disposition"))
    # The same few headers come with every message.
    small = sum(map(len, types)) + sum(map(len, encodings)) + sum(map(len, places)) < 400
    readings = (_remembered if small else _described)(types, encodings, places, default)
    identity = fields.get(b"content-id")
    if identity:
        shown = identity[0].decode("ascii", "replace").strip("<> \t")
        return tuple(one._replace(content_id=shown) for one in readings)
    return readings


def _described(
    types: tuple[bytes, ...], encodings: tuple[bytes, ...], places: tuple[bytes, ...], default: str
) -> tuple[Described, ...]:
    kind = _kind(read_structured(types[0]), default)
    place = read_structured(places[0])
    names = _names(place, *(read_structured(other) for other in places[1:]), kind)
    encoding, odd = _encoding(encodings[0])
    usual = Described(kind, place.word, names, encoding, "", types[0])
    readings = [usual]
    for other in types[1:]:
        second = _kind(read_structured(other), default)
        readings.append(
            usual._replace(
                kind=second, names=_names(place, second), value=other, reading="second-content-type"
            )
        )
    if odd:
        readings.append(usual._replace(encoding=odd, reading="odd-encoding"))
    readings += [
        usual._replace(encoding=_encoding(other)[0], reading="second-encoding") for other in encodings[1:]
    ]
    return tuple(readings)


_remembered = lru_cache(maxsize=2048)(_described)


def _different(values: Sequence[bytes] | None) -> tuple[bytes, ...]:
    """At most MAX_READINGS values, each once, the first first."""
    if not values:
        return (b"",)
    if len(values) == 1:
        return (values[0],)
    return tuple({value.lower(): value for value in reversed(values)}.values())[::-1][:MAX_READINGS]


def _kind(kind: Structured, default: str) -> Structured:
    """A type without a subtype is none (RFC 2045 §5.2), but what it was meant to be is plain."""
    if "/" in kind.word and not kind.word.startswith("/"):
        return kind
    return kind._replace(word={"html": "text/html", "text": "text/plain"}.get(kind.word, default))


def _encoding(value: bytes) -> tuple[str, str]:
    """The transfer encoding, and another one when the value is not spelt as it should be."""
    known = ENCODINGS.get(value.lower())
    if known is not None:
        return known, ""
    text = value.decode("ascii", "replace").lower()
    word = re.split(r"[;(,]", text, maxsplit=1)[0].strip().strip("\"'")
    if word in MISSPELT and word in ("base64", "quoted-printable", "7bit", "8bit", "binary"):
        return MISSPELT[word], ""
    squeezed = re.sub(r"[^a-z0-9]", "", word)
    meant = MISSPELT.get(squeezed)
    if meant is not None:
        return meant, "" if meant in ("", "7bit", "8bit", "binary", "x-uuencode", "x-yenc") else "binary"
    return word[:40], "base64"


def _names(*values: Structured) -> tuple[str, ...]:
    """Every file name that some client would take, the usual one first, each once."""
    said = [name for value in values for name in value.all_of("filename") if name]
    said += [name for value in values for name in value.all_of("name") if name]
    if not said:
        return ()
    names: dict[str, None] = {}
    for name in said:
        shown = CONTROLS.sub("", decode_words(name))[:MAX_NAME].strip()
        # Clients save under the last component of a path.
        names[shown.replace("\\", "/").rpartition("/")[2] or shown] = None
        if "\0" in name:
            names[name.partition("\0")[0][:MAX_NAME]] = None
    names.pop("", None)
    return tuple(names)
