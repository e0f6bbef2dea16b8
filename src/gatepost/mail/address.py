"""Mail addresses in one normal form (RFC 5321 §4.1.2, RFC 6531 §3.3, IDNA by RFC 5891).

An address here is one of an envelope path: comments, folding blanks and obsolete forms, which a header field
may hold (RFC 5322 §4.4), are refused. Domains meet as lower-case A-labels, so that they can be compared.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import AddressValueError, IPv4Address, IPv6Address

import idna

LOCAL_PART_MAX_OCTETS = 64
"""RFC 5321 §4.5.3.1.1, counted as written, quotes included."""
ADDRESS_MAX_OCTETS = 254
"""A path holds 256 octets with its angle brackets (RFC 5321 §4.5.3.1.3)."""
DOMAIN_MAX_OCTETS = 253
"""The longest domain name that DNS can carry (RFC 1035 §2.3.4), in text form."""

ATEXT = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]"
UTF8_ATEXT = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~\-\u0080-\U0010ffff]"
# Dot-string = Atom *("." Atom)   RFC 5321 §4.1.2
_DOT_STRING = re.compile(rf"{ATEXT}+(?:\.{ATEXT}+)*")
_UTF8_DOT_STRING = re.compile(rf"{UTF8_ATEXT}+(?:\.{UTF8_ATEXT}+)*")
# Quoted-string = DQUOTE *QcontentSMTP DQUOTE; quoted-pairSMTP = %d92 %d32-126   RFC 5321 §4.1.2
_QUOTED_STRING = re.compile(r'"(?:[ !#-\[\]-~]|\\[ -~])*"')
_UTF8_QUOTED_STRING = re.compile(r'"(?:[ !#-\[\]-~\u0080-\U0010ffff]|\\[ -~])*"')
# Labels of letters, digits, hyphens (RFC 1035 §2.3.1), and the underscore that real host names carry.
_LABEL = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_DOMAIN = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")
# The usual address in one go: local part, domain.
_PLAIN = re.compile(rf"({ATEXT}+(?:\.{ATEXT}+)*)@({_LABEL}(?:\.{_LABEL})*)", re.ASCII | re.IGNORECASE)
_IPV6_TEXT = re.compile(r"[0-9A-Fa-f:.]+")
# C1 controls, line and paragraph separators, directional overrides and isolates, halves of surrogate pairs.
_NEVER_IN_LOCAL = re.compile(r"[\x80-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
# Printable by Unicode's book and yet seen by nobody: joiners, fillers, variation selectors, blank Braille.
_UNSEEN = re.compile(
    r"[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"
)


@dataclass(frozen=True, slots=True)
class Address:
    """A mailbox. Two addresses are the same mailbox when they compare equal by `key`."""

    local: str
    """The local part without quoting, case kept (RFC 5321 §2.4)."""
    domain: str
    """Lower-case A-labels without a final dot, or a literal such as ``[192.0.2.1]``; empty only for ``<postmaster>``."""

    def __str__(self) -> str:
        """As in an envelope path, quoted where it must be (RFC 5321 §4.1.2); ``postmaster`` alone has no domain."""
        local = self.local
        if not _UTF8_DOT_STRING.fullmatch(local):
            local = '"' + local.replace("\\", "\\\\").replace('"', '\\"') + '"'
        if not local.isascii() or not local.isprintable():
            local = _CONTROL.sub("?", local)
        return f"{local}@{self.domain}" if self.domain else local

    @property
    def key(self) -> str:
        """What comparing, counting and looking up use: case is folded, equivalent code points are one."""
        local = self.local
        if local.isascii():
            return f"{local.lower()}@{self.domain}"
        return f"{unicodedata.normalize('NFC', local.casefold())}@{self.domain}"


def parse_address(text: str, *, smtputf8: bool = False) -> Address | None:
    """The addr-spec of an envelope path, without angle brackets (RFC 5321 §4.1.2 Mailbox); None when it is none.

    Code points beyond ASCII count only with `smtputf8` (RFC 6531 §3.3); U-labels become A-labels.
    """
    return _parsed(text, smtputf8)


@lru_cache(maxsize=2048)
def _parsed(text: str, smtputf8: bool) -> Address | None:
    # Remembered, because mail comes from and goes to the same people all the time.
    plain = _PLAIN.fullmatch(text)
    if plain:
        local, domain = plain.groups()
        if len(local) > LOCAL_PART_MAX_OCTETS or len(text) > ADDRESS_MAX_OCTETS:
            return None
        return Address(local, domain.lower())
    if len(text) > ADDRESS_MAX_OCTETS or not (smtputf8 or text.isascii()):
        return None
    written, at, name = text.rpartition("@")
    local_part = _local_part(written, smtputf8=smtputf8) if at else None
    if local_part is None:
        return None
    normal = _literal(name) if name.startswith("[") else None if name.endswith(".") else normal_domain(name)
    if normal is None or len(normal) + len(written) + 1 > ADDRESS_MAX_OCTETS:
        return None
    return Address(local_part, normal)


def _local_part(written: str, *, smtputf8: bool) -> str | None:
    """The local part without its quoting, or None."""
    if smtputf8 and not written.isascii():
        if _NEVER_IN_LOCAL.search(written) or len(written.encode()) > LOCAL_PART_MAX_OCTETS:
            return None
        dot_string, quoted_string = _UTF8_DOT_STRING, _UTF8_QUOTED_STRING
    else:
        dot_string, quoted_string = _DOT_STRING, _QUOTED_STRING
    if len(written) > LOCAL_PART_MAX_OCTETS:
        return None
    if dot_string.fullmatch(written):
        return written
    if quoted_string.fullmatch(written):
        return re.sub(r"\\(.)", r"\1", written[1:-1])
    return None


def _literal(text: str) -> str | None:
    """An address literal in normal form (RFC 5321 §4.1.3); no general literals, since no tag but IPv6 is registered."""
    if not text.endswith("]"):
        return None
    inner = text[1:-1]
    try:
        if inner[:5].lower() != "ipv6:":
            return f"[{IPv4Address(inner)}]" if inner.isascii() else None
        inner = inner[5:]
        if not _IPV6_TEXT.fullmatch(inner):
            return None
        address = IPv6Address(inner)
    except AddressValueError:
        return None
    # "::" stands for two groups at least (RFC 5321 §4.1.3): six others, where a dotted quad is two.
    groups = sum(2 if "." in group else 1 for group in inner.split(":") if group)
    if "::" in inner and groups > 6:
        return None
    return f"[IPv6:{address.compressed}]"


def normal_domain(text: str) -> str | None:
    """A domain as lower-case A-labels without a final dot; None when it cannot be a name.

    U-labels are mapped by UTS 46 (non-transitional) and checked by RFC 5891. An underscore may stand
    anywhere in a label, since names in use have it.
    """
    if not text.isascii():
        if len(text) > DOMAIN_MAX_OCTETS + 1 or "\u00ad" in text:
            return None
        try:
            text = idna.encode(text, uts46=True).decode("ascii")
        except (idna.IDNAError, UnicodeError):
            return None
    name = text.removesuffix(".").lower()
    if len(name) > DOMAIN_MAX_OCTETS or not _DOMAIN.fullmatch(name):
        return None
    return name


def printable(text: str, limit: int = 200) -> str:
    """Text somebody else chose, made safe for a log line, a terminal or a header field.

    Control, directional and invisible code points become ``\\xNN``, ``\\uNNNN``; at most `limit` code points
    come back, the last three being ``...`` when there was more.
    """
    cut = text[: limit + 1]
    if not cut.isprintable():
        cut = "".join(c if c.isprintable() else _escaped(c) for c in cut)
    if not cut.isascii():
        cut = _UNSEEN.sub(lambda match: _escaped(match[0]), cut)
    return cut if len(cut) <= limit else cut[: max(limit - 3, 0)] + "..."[:limit]


def _escaped(character: str) -> str:
    code = ord(character)
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
