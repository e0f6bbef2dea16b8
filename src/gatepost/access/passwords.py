"""Passwords that people choose: argon2id (RFC 9106), and what is too easy to guess."""

from __future__ import annotations

import unicodedata
from base64 import b64encode

from argon2 import Type, low_level
from argon2.exceptions import Argon2Error, InvalidHashError

from gatepost.access.settings import PasswordCost

SHORTEST = 12
"""Characters; a second factor is always asked for beside it (NIST SP 800-63B-4 §3.1.1.2 asks for 8 then)."""
LONGEST = 256
_TAG = 32


def hashed(password: str, *, salt: bytes, cost: PasswordCost) -> str:
    """What is kept of a password. Slow on purpose: call it in a thread."""
    return low_level.hash_secret(
        _octets(password), salt, time_cost=cost.passes, memory_cost=cost.memory_kib, parallelism=cost.lanes,
        hash_len=_TAG, type=Type.ID,
    ).decode("ascii")  # fmt: skip


def matches(kept: str, password: str) -> bool:
    """Is it this password? As slow as `hashed`."""
    try:
        return low_level.verify_secret(kept.encode("ascii"), _octets(password), Type.ID)
    except (Argon2Error, InvalidHashError, ValueError):
        return False


def outdated(kept: str, cost: PasswordCost) -> bool:
    """Was it hashed at another cost than new ones are? Then hash it anew when the password is next typed."""
    return not kept.startswith(f"$argon2id$v=19$m={cost.memory_kib},t={cost.passes},p={cost.lanes}$")


def nobodys(cost: PasswordCost) -> str:
    """What no password matches, at the cost of one that does: for accounts that are not there."""
    salt, tag = (b64encode(bytes(size)).decode().rstrip("=") for size in (16, _TAG))
    return f"$argon2id$v=19$m={cost.memory_kib},t={cost.passes},p={cost.lanes}${salt}${tag}"


def weakness(password: str, *names: str) -> str:
    """Why it is too easy to guess, in a sentence; empty when it is not. `names`: the person's, the site's."""
    plain = unicodedata.normalize("NFKC", password)
    if len(plain) < SHORTEST:
        return f"A password has at least {SHORTEST} characters; four random words are easy to remember."
    if len(plain) > LONGEST:
        return f"A password has at most {LONGEST} characters."
    folded = plain.casefold()
    if len(set(folded)) < 6:
        return "This password repeats a few characters: take four random words."
    left = folded
    parts = [part.casefold() for name in names for part in name.replace("@", ".").split(".")]
    for part in sorted((*parts, *_COMMON), key=len, reverse=True):
        if len(part) >= 3:
            left = left.replace(part, "")
    if len(left) < SHORTEST // 2:
        return "This password is made of your name, our name or very common words: take four random words."
    return ""


_COMMON = (
    "password", "passwort", "passw0rd", "welcome", "gatepost", "letmein", "changeme", "secret", "admin", "qwerty",
    "qwertz", "asdfgh", "iloveyou", "abc123", "123456789", "12345678", "1234567", "123456", "12345", "1234", "123",
    "summer", "winter", "spring", "autumn", "2024", "2025", "2026", "2027",
)  # fmt: skip


def _octets(password: str) -> bytes:
    """One form for one password, however the keyboard composes it (RFC 8265 §4.2.2); bounded."""
    return unicodedata.normalize("NFKC", password[:LONGEST]).encode("utf-8", "replace")
