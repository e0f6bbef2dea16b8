"""What a part of a message is: where it stands, what it says it is, and its octets, decoded when asked for.

`mime.tree_of` makes them. Offsets point into `source`: the message's own octets, or what was decoded out of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from gatepost.mail.transfer import ENCODINGS, decode_transfer


@dataclass(kw_only=True, eq=False)
class Part:
    """One part, leaf or not. Nobody changes one; it is not frozen because that takes four times as long to make."""

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
    end: int = 0
    reading: str = ""
    """Empty for the usual reading; else which other reading of the message shows this part."""

    @property
    def raw(self) -> bytes:
        """The body as it stands in the message, still encoded. A copy each time."""
        return self.source[self.start : self.end]

    @property
    def size(self) -> int:
        """Octets of the body as it stands in the message."""
        return self.end - self.start

    @property
    def plain(self) -> bool:
        """Its octets stand in `source` as they are: no need to copy them."""
        return self.encoding not in ENCODINGS

    def head(self, most: int) -> bytes:
        """The first `most` decoded octets, or some fewer of an encoded body; nothing like the whole is decoded for them."""
        if not self.plain and self.size <= most * 4:
            return self.octets[:most]
        raw = self.source[self.start : min(self.end, self.start + (most if self.plain else most * 3))]
        return raw if self.plain else decode_transfer(raw, self.encoding)[:most]

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


AMBIGUITIES = {
    "second-content-type": "a part says twice what it is, and not the same",
    "second-encoding": "a part says twice how it is encoded, and not the same",
    "odd-encoding": "a transfer encoding is spelt as no standard has it",
    "header-ends-early": "a line in a header is no field: for some readers the body starts there",
    "leading-blank": "an attached message begins with empty lines: for some readers its header is text",
    "missing-boundary": "a multipart does not name its boundary",
    "wrong-boundary": "the boundary a multipart names does not occur in it",
    "several-boundaries": "a multipart can be cut by more than one boundary",
    "boundary-prefix": "lines begin with a boundary and go on",
    "missing-close": "a multipart has no closing delimiter",
    "after-close": "parts stand behind the closing delimiter",
    "around-parts": "there is text around the parts that nobody is meant to see",
    "encoded-multipart": "a multipart is itself encoded",
    "undeclared-multipart": "a text holds parts without saying so",
    "base64-inner-padding": "base64 goes on behind its padding",
    "broken-base64": "base64 holds octets that do not belong there",
    "uuencode": "a file is written into the text as uuencode",
    "yenc": "a file is written into the text as yEnc",
    "binhex": "a file is written into the text as BinHex",
    "filenames-disagree": "a file has names with different endings",
    "message-partial": "the message is a fragment of one",
    "external-body": "the content is somewhere else",
    "sealed": "it is encrypted: what is in it cannot be seen",
    "broken-envelope": "the envelope of a signed or packed message cannot be opened",
}
"""Names of ambiguities, and what each means."""


@dataclass(frozen=True, slots=True)
class Ambiguity:
    """Where two readers could disagree about what the message is."""

    name: str
    """One of AMBIGUITIES."""
    text: str
    part: int = -1


@dataclass(frozen=True, slots=True)
class Tree:
    """All parts in order of appearance, the root first."""

    parts: tuple[Part, ...]
    ambiguities: tuple[Ambiguity, ...] = ()
    truncated: bool = False
    """There were more parts, or deeper ones, than are read."""
