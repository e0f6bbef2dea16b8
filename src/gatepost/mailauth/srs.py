"""SRS: the sender of forwarded mail rewritten to an address of ours, and back for bounces. Pure.

``SRS0=HASH=DAY=host=local@ours`` stands for ``local@host``; an address that another forwarder rewrote becomes
``SRS1=HASH=forwarder=rest@ours``, which leads back to that forwarder's ``SRS0``. The hash is a keyed one, so that
nobody can make us pass mail on; the day lets an address end. The scheme is the one of the SRS paper (Wong, 2003),
which has no RFC; hash and day are in base32, so that they survive hosts which fold case.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Sequence

from gatepost.mail.address import Address, normal_domain

HASH_LENGTH = 6
"""Characters, 30 bits: whoever guesses asks RCPT TO half a billion times."""
DAYS = 1024
DAY_S = 86_400.0
VALID_DAYS = 21
"""Longer than a message is tried, and its bounce on the way back."""
LOCAL_MOST = 64
"""RFC 5321 §4.5.3.1.1."""
BASE32 = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
REWRITTEN = re.compile(r"SRS([01])([=+-])(.*)", re.IGNORECASE | re.DOTALL)


def is_rewritten(address: Address) -> bool:
    """Does it look like one of these, ours or not?"""
    return REWRITTEN.fullmatch(address.local) is not None


def rewritten(sender: Address, *, domain: str, secret: bytes, now: float) -> Address | None:
    """The sender of a forwarded message as an address at `domain`, ours; None when it does not fit into 64 octets."""
    found = REWRITTEN.fullmatch(sender.local)
    if found is None:
        day = _day(now)
        tail = f"{day}={sender.domain}={sender.local}"
        local = f"SRS0={_hash(tail, secret, kind='0')}={tail}"
    elif found[1] == "0":
        tail = f"{sender.domain}={found[2]}{found[3]}"
        local = f"SRS1={_hash(tail, secret, kind='1')}={tail}"
    else:
        # Some forwarder's SRS1: its hash is for itself alone and is replaced by ours.
        _, _, tail = found[3].partition("=")
        local = f"SRS1={_hash(tail, secret, kind='1')}={tail}"
    return Address(local, domain) if len(local.encode()) <= LOCAL_MOST else None


def restored(address: Address, *, secrets: Sequence[bytes], now: float) -> Address | None:
    """Whom a bounce to one of our rewritten addresses is for; None when it is not ours, was altered, or has ended."""
    found = REWRITTEN.fullmatch(address.local)
    if found is None:
        return None
    given, _, tail = found[3].partition("=")
    hashed = given.upper().encode("utf-8", "surrogateescape")
    if not any(hmac.compare_digest(_hash(tail, one, kind=found[1]).encode(), hashed) for one in secrets):
        return None
    if found[1] == "1":
        host, _, rest = tail.partition("=")
        return _address(f"SRS0{rest}", host) if rest.startswith(("=", "+", "-")) else None
    day, _, rest = tail.partition("=")
    host, separator, local = rest.partition("=")
    if not separator or not local or not _is_recent(day, now):
        return None
    return _address(local, host)


def _address(local: str, host: str) -> Address | None:
    domain = normal_domain(host)
    return Address(local, domain) if domain else None


def _hash(tail: str, secret: bytes, *, kind: str) -> str:
    """Case does not count: hosts on the way may fold it. `kind`, 0 or 1, counts: what a stranger has us rewrite to one
    kind is no address of the other."""
    digest = hmac.digest(secret, f"{kind}={tail.lower()}".encode("utf-8", "surrogateescape"), hashlib.sha256)
    return base64.b32encode(digest).decode()[:HASH_LENGTH]


def _day(now: float) -> str:
    number = int(now // DAY_S) % DAYS
    return BASE32[number // 32] + BASE32[number % 32]


def _is_recent(day: str, now: float) -> bool:
    digits = [BASE32.find(character) for character in day.upper()]
    if len(digits) != 2 or min(digits) < 0:
        return False
    made = digits[0] * 32 + digits[1]
    age = (int(now // DAY_S) - made) % DAYS
    return age <= VALID_DAYS or age == DAYS - 1  # made by a host whose clock is a little ahead
