"""What a trusted forwarder sealed about a message: reading ARC-Authentication-Results (RFC 8617 §4.1.1, RFC 8601 §2.2).

A seal is believed only where it and every later one are of trusted domains: whoever seals last vouches
for all that the message became on its way. Left out: everything but DMARC's result and its ``header.from``.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from gatepost.mail.authresults import ArcResult

LONGEST = 8_192
"""Characters of one payload that are read; a pass beyond them does not count."""
# One statement at a time, so that neither a comment nor a quoted string can pose as a result.
_PIECE = re.compile(r'"(?:[^"\\]|\\.)*+"|[^"();]++|[()";]', re.DOTALL)
_DMARC_PASS = re.compile(r"\s*dmarc\s*(?:/\s*1\s*)?=\s*pass(?:\s|$)", re.IGNORECASE)
_HEADER_FROM = re.compile(r"\sheader\s*\.\s*from\s*=\s*(\S+)", re.IGNORECASE)


def sealed_pass(arc: ArcResult, author_domain: str | None, trusted: Sequence[str]) -> str | None:
    """The trusted domain whose sealed results say that DMARC passed for `author_domain`, else None."""
    if arc.result != "pass" or author_domain is None or not trusted:
        return None
    pairs = list(zip(arc.sealers, arc.authentication_results, strict=False))
    for sealer, payload in reversed(pairs):
        if sealer.lower() not in trusted:
            return None
        if says_dmarc_pass(payload, author_domain):
            return sealer
    return None


def says_dmarc_pass(payload: str, author_domain: str) -> bool:
    """Does an Authentication-Results payload hold ``dmarc=pass``, for this domain where it names one?"""
    for statement in _statements(payload[:LONGEST])[1:]:
        if _DMARC_PASS.match(statement):
            named = _HEADER_FROM.search(statement)
            if named is None or named[1].strip('"').lower() == author_domain.lower():
                return True
    return False


def _statements(payload: str) -> list[str]:
    """Split at semicolons outside comments and quoted strings; comments become a blank."""
    statements, depth = [[""]], 0
    for piece in _PIECE.findall(payload):
        if piece == "(":
            depth += 1
            statements[-1].append(" ")
        elif piece == ")" and depth:
            depth -= 1
        elif depth:
            continue
        elif piece == ";":
            statements.append([])
        else:
            statements[-1].append(piece)
    if depth:
        statements.pop()  # a comment that never ends swallows the rest
    return ["".join(one) for one in statements]
