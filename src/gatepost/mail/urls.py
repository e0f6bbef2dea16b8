"""Links: what they show, and where they go, read as browsers read them (WHATWG URL).

What counts as a link in plain text is `clickable`.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from gatepost.mail.clickable import clickable
from gatepost.mail.hosts import normal_host


class Link(NamedTuple):
    """One link of a message. A tuple, because a message makes dozens; by keyword, as a rule."""

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


MAX_URL = 8000
"""Characters of a URL that are kept; browsers take more, and nothing that matters stands behind them."""
MAX_SHOWN = 500

SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]{0,40}):")
SPECIAL = frozenset({"http", "https", "ftp", "ws", "wss"})
# Special schemes: any slashes of either kind, then the authority (WHATWG URL §4.4).
AUTHORITY = re.compile(r"[/\\]*([^/\\?#]*)([^#]*)")
PLAIN = re.compile(r"(https?)://([a-z0-9.-]+)(/[^\s#\\]*)?(?:#.*)?\Z", re.DOTALL)
# Browsers strip C0 controls and blanks around a URL, and tabs and line ends inside.
AROUND = "".join(map(chr, range(33)))
INSIDE = {9: None, 10: None, 13: None}
PORT = re.compile(r":\d*\Z")


def link_of(url: str, *, shown: str = "", where: str = "text", part: int = -1, base: str = "") -> Link | None:
    """A link from a URL as written, None when no client would open it; never raises.

    What has no scheme is resolved against `base`, an absolute URL; without a base it leads nowhere.
    """
    plain = PLAIN.match(url)
    if plain is not None and len(url) <= MAX_URL and (host := normal_host(plain[2])):
        return Link(
            url=url,
            scheme=plain[1],
            host=host,
            shown=shown[:MAX_SHOWN],
            where=where,
            part=part,
            path=plain[3] or "",
        )
    url = url[: 4 * MAX_URL].strip(AROUND).translate(INSIDE)[:MAX_URL]
    scheme = SCHEME.match(url)
    if scheme is None or (base and url[scheme.end() :][:1] not in "/\\" and _same_scheme(scheme[1], base)):
        url = _resolved(url if scheme is None else url[scheme.end() :], base)
        scheme = SCHEME.match(url)
    if scheme is None:
        return None
    name = scheme[1].lower()
    shown = shown[:MAX_SHOWN]
    if name not in SPECIAL:
        return Link(
            url=url,
            scheme=name,
            host=_host_beyond(name, url, scheme.end()),
            shown=shown,
            where=where,
            part=part,
        )
    rest = AUTHORITY.match(url, scheme.end())
    assert rest is not None  # every piece of it may be empty
    user, _, host = rest[1].rpartition("@")
    host = normal_host(PORT.sub("", host))
    if not host:
        return None
    return Link(
        url=url,
        scheme=name,
        host=host,
        shown=shown,
        where=where,
        part=part,
        user=user,
        path=rest[2].replace("\\", "/"),
    )


def _same_scheme(scheme: str, base: str) -> bool:
    # ``https:path`` is relative where the base has the same special scheme (WHATWG URL §4.4).
    return scheme.lower() in SPECIAL and base.lower().startswith(scheme.lower() + ":")


def _resolved(url: str, base: str) -> str:
    """A relative reference against an absolute base; empty where it leads nowhere."""
    scheme = SCHEME.match(base)
    rest = AUTHORITY.match(base, scheme.end()) if scheme is not None else None
    if scheme is None or rest is None or not rest[1] or not url:
        # Mail clients take ``//host`` for a web address even without a base.
        return "http:" + url if re.match(r"[/\\]{2}[^/\\]", url) else ""
    if re.match(r"[/\\]{2}", url):
        return scheme[0] + url
    root = f"{scheme[0]}//{rest[1]}"
    if url[0] in "/\\":
        return root + url
    path = rest[2].partition("?")[0]
    if url[0] == "?":
        return f"{root}{path or '/'}{url}"
    path = path.rpartition("/")[0]
    return f"{root}{path}/{url}"


def _host_beyond(scheme: str, url: str, start: int) -> str:
    """The host of schemes that are not the web's: mail goes to a domain, others have an authority or none."""
    if scheme == "mailto":
        return normal_host(url[start:].partition("?")[0].rpartition("@")[2])
    if url.startswith("//", start):
        rest = AUTHORITY.match(url, start)
        return normal_host(PORT.sub("", rest[1].rpartition("@")[2])) if rest is not None else ""
    return ""


def links_in_text(text: str, *, part: int = -1, limit: int = 500, where: str = "text") -> list[Link]:
    """The links that a client would make clickable in plain text, in order, at most `limit`."""
    links = []
    for written in clickable(text, limit):
        link = link_of(written, where=where, part=part)
        if link is not None:
            links.append(link)
    return links
