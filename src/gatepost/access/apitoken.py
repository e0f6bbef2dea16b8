"""Tokens that programs call the API with: random and long, so that a hash keeps them; pure.

``gatepost_<selector>_<secret>``: the word in front lets scanners of source code find one that was left there.
"""

from __future__ import annotations

import hashlib
import re
from base64 import b32encode
from collections.abc import Iterable
from dataclasses import dataclass, field

from gatepost.access.rights import Right

SELECTOR_OCTETS = 8
SECRET_OCTETS = 32
OCTETS = SELECTOR_OCTETS + SECRET_OCTETS
_WRITTEN = re.compile(r"gatepost_([0-9a-f]{16})_([a-z2-7]{52})")

NEVER = frozenset({Right.BREAK_GLASS, Right.APPROVE, Right.ROLES})
"""What takes a person, there and then: no token has these rights."""


@dataclass(frozen=True, slots=True)
class ApiToken:
    """A token, taken apart."""

    selector: str
    """Finds it; no secret."""
    secret: str = field(repr=False)

    def __str__(self) -> str:
        """As it is shown, once."""
        return f"gatepost_{self.selector}_{self.secret}"

    @property
    def digest(self) -> bytes:
        """What is kept of it."""
        return hashlib.sha256(str(self).encode("ascii")).digest()


def new_token(random: bytes) -> ApiToken:
    """Made of `OCTETS` random octets."""
    selector, secret = random[:SELECTOR_OCTETS], random[SELECTOR_OCTETS:OCTETS]
    return ApiToken(selector.hex(), b32encode(secret).decode().lower().rstrip("="))


def read_token(text: str) -> ApiToken | None:
    """None when it cannot be one."""
    match = _WRITTEN.fullmatch(text)
    return ApiToken(match[1], match[2]) if match else None


def granted(scopes: Iterable[str], rights: frozenset[Right]) -> frozenset[Right]:
    """What a token with these scopes may do for somebody with these rights: never more than either."""
    wanted = set(scopes)
    return frozenset(right for right in rights if right.value in wanted) - NEVER
