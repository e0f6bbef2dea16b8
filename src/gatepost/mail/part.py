"""What a part of a message is: where it stands, what it says it is, and its octets, decoded when asked for.

`mime.tree_of` makes them. Offsets point into `source`: the message's own octets, or what was decoded out of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from gatepost.mail.transfer import decode_transfer


@dataclass(frozen=True, kw_only=True, eq=False)
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
    filenames: tuple[str, ...] = ()
    """Every name some client would take, `filename` first: they need not agree."""
    encoding: str = ""
    """The transfer encoding, lower case."""
    content_id: str = ""
    """Without angle brackets."""
    source: bytes = field(repr=False, default=b"")
    """The octets that `start` and `end` point into."""
    start: int = 0
    end: int | None = None
    reading: str = ""
    """Empty for the usual reading; else which other reading of the message shows this part."""

    @property
    def raw(self) -> bytes:
        """The body as it stands in the message, still encoded. A copy each time."""
        return self.source[self.start : self.end]

    @property
    def size(self) -> int:
        """Octets of the body as it stands in the message."""
        return (len(self.source) if self.end is None else self.end) - self.start

    @cached_property
    def octets(self) -> bytes:
        """The body decoded, as leniently as the most lenient client."""
        return decode_transfer(self.raw, self.encoding)

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
