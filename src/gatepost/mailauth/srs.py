"""SRS: the sender of forwarded mail rewritten to an address of ours, and back for bounces. Pure.

``SRS0=HASH=DAY=host=local@ours`` stands for ``local@host``; an address that another forwarder rewrote becomes
``SRS1=HASH=forwarder=rest@ours``, which leads back to that forwarder's ``SRS0``. The hash is a keyed one, so that
nobody can make us pass mail on; the day lets an address end: it is written in an ``SRS0`` and only hashed in an ``SRS1``,
which has no room for it. The scheme is the one of the SRS paper (Wong, 2003), which has no RFC; hash and day are in
base32, so that they survive hosts which fold case.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Sequence

from gatepost.mail.address import Address, normal_domain

HASH_LENGTH = {"0": 6, "1": 7}
"""Characters of five bits: whoever guesses asks RCPT TO half a billion times. An SRS1 is tried with every day it may be of."""
DAYS = 1024
DAY_S = 86_400.0
VALID_DAYS = 10
"""As long as a message is tried (five days, RFC 5321 §4.5.4.1), and then its bounce on the way back."""
LOCAL_MOST = 64
"""RFC 5321 §4.5.3.1.1."""
BASE32 = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
REWRITTEN = re.compile(r"SRS([01])([=+-])(.*)", re.IGNORECASE | re.DOTALL)
REST = re.compile(r"[^=]*=([^=]+)=[=+-].*", re.DOTALL)
"""Behind ``SRS1=``: the forwarder's hash, whose SRS0 it is, and the rest of that with its separator in front."""


def is_rewritten(address: Address) -> bool:
    """Does it look like one of these, ours or not?"""
    return REWRITTEN.fullmatch(address.local) is not None


def rewritten(sender: Address, *, domain: str, secret: bytes, now: float) -> Address | None:
    """The sender of a forwarded message as an address at `domain`, ours; None when it does not fit into 64 octets."""
    found = REWRITTEN.fullmatch(sender.local)
    if found is None or not _leads_back(found):
        day = _day(now)
        tail = f"{day}={sender.domain}={sender.local}"
        local = f"SRS0={_hash(tail, secret, kind='0')}={tail}"
    else:
        # Some forwarder's SRS1: its hash is for itself alone and is replaced by ours.
        again = found[1] == "1"
        tail = found[3].partition("=")[2] if again else f"{sender.domain}={found[2]}{found[3]}"
        local = f"SRS1={_hash(tail, secret, kind='1', day=_day(now))}={tail}"
    return Address(local, domain) if len(local.encode()) <= LOCAL_MOST else None


def _leads_back(found: re.Match[str]) -> bool:
    """Is an SRS1 as forwarders write them, so that the SRS0 in it can be found again? Others are names like any."""
    if found[1] == "0":
        return True
    parts = REST.fullmatch(found[3])
    return parts is not None and normal_domain(parts[1]) is not None


def stands_for(address: Address) -> str:
    """Whom one of our rewritten addresses is for, in lower case: the same for the addresses of every day and every domain of
    ours. Proves nothing: that is `restored`'s."""
    found = REWRITTEN.fullmatch(address.local)
    if found is None:
        return address.key
    tail = found[3].partition("=")[2]
    if found[1] == "0":
        host, _, local = tail.partition("=")[2].partition("=")
        return f"{local}@{host}".lower()
    host, _, rest = tail.partition("=")
    return f"SRS0{rest}@{host}".lower()


def restored(
    address: Address, *, secrets: Sequence[bytes], now: float, valid_days: int = VALID_DAYS
) -> Address | None:
    """Whom a bounce to one of our rewritten addresses is for; None when it is not ours, was altered, or has ended."""
    found = REWRITTEN.fullmatch(address.local)
    if found is None:
        return None
    given, _, tail = found[3].partition("=")
    if found[1] == "1":
        host, _, rest = tail.partition("=")
        ours = any(_is_hash(given, tail, secrets, kind="1", day=day) for day in _recent(now, valid_days))
        return _address(f"SRS0{rest}", host) if ours and rest.startswith(("=", "+", "-")) else None
    day, _, rest = tail.partition("=")
    host, separator, local = rest.partition("=")
    if not separator or day.upper() not in _recent(now, valid_days):
        return None
    return _address(local, host) if _is_hash(given, tail, secrets, kind="0") else None


def _is_hash(given: str, tail: str, secrets: Sequence[bytes], *, kind: str, day: str = "") -> bool:
    """Is it ours, under one of the secrets?"""
    hashed = given.upper().encode("utf-8", "surrogateescape")
    return any(hmac.compare_digest(_hash(tail, one, kind=kind, day=day).encode(), hashed) for one in secrets)


def _address(local: str, host: str) -> Address | None:
    domain = normal_domain(host)
    return Address(local, domain) if domain else None


def _hash(tail: str, secret: bytes, *, kind: str, day: str = "") -> str:
    """Case does not count: hosts on the way may fold it. `kind`, 0 or 1, counts: what a stranger has us rewrite to one
    kind is no address of the other."""
    said = f"{kind}={day and day + '='}{tail.lower()}".encode("utf-8", "surrogateescape")
    return base64.b32encode(hmac.digest(secret, said, hashlib.sha256)).decode()[: HASH_LENGTH[kind]]


def _day(now: float) -> str:
    number = int(now // DAY_S) % DAYS
    return BASE32[number // 32] + BASE32[number % 32]


def _recent(now: float, valid_days: int) -> list[str]:
    """The days an address may be of, today's first; tomorrow's last, for a host whose clock is a little ahead."""
    return [_day(now - ago * DAY_S) for ago in (*range(valid_days + 1), -1)]
