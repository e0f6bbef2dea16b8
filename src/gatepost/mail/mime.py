"""The parts of a message, by offsets (RFC 2045, RFC 2046): a bounded walk, decoded only when asked.

Reads as the most careless client would. Where two readers could disagree, every plausible reading is among the
parts, and the ambiguity is named.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from gatepost.mail.message import Message

MAX_PARTS = 1000
MAX_DEPTH = 40


@dataclass(frozen=True, kw_only=True)
class Part:
    """One part, leaf or not."""

    index: int
    """Its place in `Tree.parts`, from 0."""
    parent: int = -1
    """The index of the multipart or message around it, -1 for the root."""
    depth: int = 0
    content_type: str = "text/plain"
    """Lower case, without parameters; the default where absent or unreadable."""
    parameters: Mapping[str, str] = field(default_factory=dict)
    """Of Content-Type; names lower case, RFC 2231 decoded."""
    disposition: str = ""
    """``inline``, ``attachment``, or empty."""
    filename: str = ""
    """As a client would show and save it, decoded (RFC 2047 and RFC 2231); empty when it has none."""
    encoding: str = ""
    """The transfer encoding, lower case."""
    content_id: str = ""
    """Without angle brackets."""
    raw: bytes = field(repr=False, default=b"")
    """The body as it stands in the message, still encoded."""
    reading: str = ""
    """Empty for the usual reading; else which other reading of the message shows this part."""

    @cached_property
    def octets(self) -> bytes:
        """The body decoded, as leniently as the most lenient client."""
        if self.encoding == "base64":
            kept = re.sub(rb"[^A-Za-z0-9+/]", b"", self.raw)
            return binascii.a2b_base64(kept[: len(kept) // 4 * 4])
        if self.encoding == "quoted-printable":
            return binascii.a2b_qp(self.raw)
        return self.raw

    @property
    def is_multipart(self) -> bool:
        """Holds parts rather than content."""
        return self.content_type.startswith("multipart/")

    @property
    def charset(self) -> str:
        """The declared character set, lower case; empty when none is."""
        return self.parameters.get("charset", "").lower()


@dataclass(frozen=True, slots=True)
class Ambiguity:
    """Where two readers could disagree about what the message is."""

    name: str
    """``missing-boundary``, ``duplicate-content-type``, ``broken-base64``, …"""
    text: str
    part: int = -1


@dataclass(frozen=True, slots=True)
class Tree:
    """All parts in order of appearance, the root first."""

    parts: tuple[Part, ...]
    ambiguities: tuple[Ambiguity, ...] = ()
    truncated: bool = False
    """There were more parts, or deeper ones, than are read."""


def tree_of(message: Message) -> Tree:
    """The parts of `message`; never raises. Worked out once: ask `content.content_of`."""
    return Tree((Part(index=0, raw=bytes(message.body)),))
