"""Links that do one thing for one person until a certain time: signed, so that nothing about them need be kept. Pure.

A link is spent when what it is about has changed: it names the state (`stamp`) it was made for. The signature is
HMAC-SHA-256 (RFC 2104) over the whole, under a key for links alone.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from dataclasses import dataclass

import msgspec

LONGEST = 1200
"""Characters of a link's token."""
KEY_OCTETS = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """What a link is for."""

    purpose: str
    """The one thing it can be used for: ``release``, ``request``, ``block``, ``never``."""
    whose: str
    """The address it was sent to."""
    about: int
    """The number of the held copy; 0 for none."""
    stamp: float
    """When the copy last changed: a link made for another state is spent."""
    ends_at: float
    """Unix seconds."""


def written(link: Link, key: bytes) -> str:
    """The link's token: letters, digits, ``-``, ``_`` and one dot."""
    told = msgspec.json.encode((link.purpose, link.whose, link.about, link.stamp, link.ends_at))
    return f"{base64url(told)}.{base64url(_seal(told, key))}"


def read(token: str, key: bytes, *, now: float) -> Link | None:
    """The link a token stands for; None for what is forged, damaged or past its end. Never raises."""
    told, dot, seal = token.partition(".")
    if not dot or len(token) > LONGEST:
        return None
    try:
        octets, given = unbase64url(told), unbase64url(seal)
        if not hmac.compare_digest(given, _seal(octets, key)):
            return None
        purpose, whose, about, stamp, ends_at = msgspec.json.decode(
            octets, type=tuple[str, str, int, float, float]
        )
    except (ValueError, binascii.Error, msgspec.MsgspecError):
        return None
    link = Link(purpose=purpose, whose=whose, about=about, stamp=stamp, ends_at=ends_at)
    return link if now < link.ends_at else None


def _seal(told: bytes, key: bytes) -> bytes:
    return hmac.digest(key, b"gatepost link\0" + told, hashlib.sha256)


def base64url(octets: bytes) -> str:
    """Without padding (RFC 4648 §5)."""
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode("ascii")


def unbase64url(text: str) -> bytes:
    """Back; raises ValueError. One text for one sequence of octets: other spellings are refused."""
    octets = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    if base64url(octets) != text:
        raise ValueError("not the one way to write it")
    return octets
