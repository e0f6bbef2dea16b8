"""A message as it was received: octets, header fields as spans, where the body starts (RFC 5322 §2).

The octets are never rewritten. Fields are found once, by offsets, so that DKIM has the exact
bytes and release from quarantine is byte for byte.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class HeaderField:
    """One header field: offsets into the message's octets."""

    name: bytes
    """Lower case, without blanks before the colon."""
    start: int
    """Of the name's first octet."""
    colon: int
    """Of the colon."""
    end: int
    """Just behind the field's last CRLF."""


@dataclass(frozen=True, slots=True)
class Message:
    """Octets with CRLF line ends, and where things are in them."""

    octets: bytes
    fields: tuple[HeaderField, ...]
    """In order of appearance, the topmost first."""
    body_start: int
    """Offset of the first body octet; len(octets) when there is no body."""
    defects: tuple[str, ...] = ()
    """Names of what is wrong with the header, such as ``blank-before-colon``, ``leading-continuation``, ``not-a-field``, ``bare-cr``, ``nul``, ``too-many-fields``."""
