"""Links: what they show, and where they go."""

from __future__ import annotations

import re
from dataclasses import dataclass

from gatepost.mail.address import normal_domain


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """One link of a message."""

    url: str
    """As a client would open it: resolved against the base, entities and quoted-printable undone, without tabs and line ends."""
    scheme: str
    """Lower case: ``http``, ``https``, ``mailto``, ``tel``, ``data``, ``javascript``, …"""
    host: str
    """Lower-case A-labels, or an address literal in its normal form (decimal and octal tricks undone); empty when there is none."""
    shown: str = ""
    """The text a person clicks on; empty where the link shows itself or nothing."""
    where: str = "text"
    """``text``, ``html``, ``form``, ``image``, ``refresh``, ``css``, ``header``, ``calendar``, ``file``, ``qr``."""
    part: int = -1
    """The part it stands in."""
    user: str = ""
    """What stands before an @ in the authority."""
    path: str = ""
    """From the first slash on, with the query; without the fragment."""


# What a client makes clickable: a URL with its scheme, or a host that begins with www.
IN_TEXT = re.compile(r"""(?i:\b(?:https?://|www\.|mailto:))[^\s<>"'\]\[{}|^`\x00-\x1f]{2,2000}""")
SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*(?=:)")
AUTHORITY = re.compile(r"[/\\]*([^/\\?#]*)")


def links_in_text(text: str, *, part: int = -1, limit: int = 500) -> list[Link]:
    """The links that a client would make clickable in plain text."""
    links: list[Link] = []
    for match in IN_TEXT.finditer(text):
        url = match[0].rstrip(".,;:!?)")
        link = link_of("http://" + url if url[:4].lower() == "www." else url, part=part)
        if link is not None:
            links.append(link)
            if len(links) >= limit:
                break
    return links


def link_of(url: str, *, shown: str = "", where: str = "text", part: int = -1) -> Link | None:
    """A link from a URL as written, None when no client would open it; never raises."""
    url = url.strip()
    scheme = SCHEME.match(url)
    if scheme is None:
        return None
    name = scheme[0].lower()
    if name not in ("http", "https", "ftp"):
        return Link(url=url, scheme=name, host="", shown=shown, where=where, part=part)
    rest = AUTHORITY.match(url, scheme.end() + 1)
    authority = rest[1] if rest else ""
    user, _, host = authority.rpartition("@")
    host = host.partition(":")[0].lower().rstrip(".")
    path = url[rest.end() :].partition("#")[0] if rest else ""
    return Link(
        url=url,
        scheme=name,
        host=normal_domain(host) or host,
        shown=shown,
        where=where,
        part=part,
        user=user,
        path=path,
    )
