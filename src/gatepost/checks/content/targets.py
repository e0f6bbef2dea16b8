"""Where a message leads: its web links, those in its files, and the targets that a link hides in a parameter.

Worked out once a message for all who judge links. Nothing is fetched, ever.
"""

from __future__ import annotations

import asyncio
import binascii
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from ipaddress import ip_address
from urllib.parse import unquote

from gatepost.begin import Done, begin
from gatepost.dns.names import registrable_domain
from gatepost.mail.client import IpAddress, Mail
from gatepost.mail.content import content_of
from gatepost.mail.message import Message
from gatepost.mail.urls import Link, link_of
from gatepost.tools import Tools, Unavailable

WEB = frozenset({"http", "https", "ftp"})
MOST_FILE_LINKS = 200
MOST_HIDDEN = 3
"""Targets taken out of one link."""
DEEPEST = 3
"""A redirector of a redirector of a redirector."""
PATIENCE_S = 20.0
"""How long files may be looked into before links do without them."""


@dataclass(frozen=True, slots=True)
class Target:
    """A place on the web."""

    link: Link
    domain: str
    """The registered domain; the host itself where it has none, as an address has."""
    via: str = ""
    """The host of the link that hides this one in a parameter; empty for a plain link."""
    file: str = ""
    """The attached file it stands in; printable."""


def targets_of(message: Message) -> tuple[Target, ...]:
    """Of the text and its HTML, in their order; a link's hidden targets behind it. The same for whoever asks."""
    return message.once(_targets)


def _targets(message: Message) -> tuple[Target, ...]:
    seen: set[tuple[str, str]] = set()
    found: list[Target] = []
    for link in content_of(message).links:
        if link.host and link.scheme in WEB and (link.url, link.shown) not in seen:
            seen.add((link.url, link.shown))
            found.append(Target(link, domain_of(link.host)))
            found += hidden_in(link)
    return tuple(found)


async def file_targets(mail: Mail, tools: Tools) -> list[Target]:
    """Those in attached files. Nobody is asked where nothing is attached; a child that cannot answer is not our finding."""
    content = content_of(mail.message)
    if not (
        content.attachments
        or content.within_text
        or any(part.content_type.startswith("image/") for part in content.parts)
    ):
        return []
    found: list[Target] = []
    try:
        begun = begin(tools.unpacker.inspect(mail.message))
        if isinstance(begun, Done):
            reports = begun.result
        else:
            task = asyncio.ensure_future(begun)
            try:
                await asyncio.wait({task}, timeout=PATIENCE_S)
                reports = task.result() if task.done() else ()
            finally:
                task.cancel()
    except Unavailable:
        return []
    for report in reports:
        qr = any(fact.name in ("qr-code", "text-qr") for fact in report.facts)
        for url in report.links:
            link = link_of(url, where="qr" if qr else "file", part=report.part)
            if link is not None and link.host and link.scheme in WEB:
                found.append(Target(link, domain_of(link.host), file=report.shown))
                found += (replace(one, file=report.shown) for one in hidden_in(link))
                if len(found) >= MOST_FILE_LINKS:
                    return found
    return found


# A whole URL, percent-encoded any number of times, or the base 64 of its beginning; Bing's redirector writes "a1" before that.
HIDDEN = re.compile(
    r"(?i:https?(?::|%(?:25){0,4}3a)(?:[/\\]|%(?:25){0,4}(?:2f|5c)){1,3})|(?:(?<![A-Za-z0-9+/_-])|(?<=[=&]a1))aHR0c(?:HM6Ly|DovL)[A-Za-z0-9+/_-]+"
)


def hidden_in(link: Link, depth: int = DEEPEST) -> Iterator[Target]:
    """Targets in a link's path and query, and in theirs."""
    path = link.path
    if depth == 0 or ("http" not in path.lower() and "aHR0c" not in path):
        return
    at, number = 1, 0
    while number < MOST_HIDDEN and (match := HIDDEN.search(path, at)) is not None:
        number += 1
        text, at = _unwrapped(path, match)
        inner = link_of(text, where=link.where, part=link.part) if text else None
        if inner is not None and inner.host and inner.scheme in WEB:
            yield Target(inner, domain_of(inner.host), via=link.host)
            yield from hidden_in(inner, depth - 1)


def _unwrapped(path: str, match: re.Match[str]) -> tuple[str, int]:
    """The URL that begins at `match`, decoded (empty when it is none), and where it ends in `path`."""
    if match[0].startswith("aHR0c"):
        octets = match[0].replace("-", "+").replace("_", "/")
        try:
            # Written without its padding, as a rule.
            octets = octets[: len(octets) - (len(octets) % 4 == 1)]
            padded = octets + "=" * (-len(octets) % 4)
            return binascii.a2b_base64(padded).decode("utf-8", "replace"), match.end()
        except (binascii.Error, ValueError):
            return "", match.end()
    # A parameter ends at the next one; a URL that is not encoded and stands in the path goes on to the end.
    in_query = "?" in path[: match.start()]
    end = path.find("&", match.start()) if in_query else -1
    end = end if end >= 0 else len(path)
    text = path[match.start() : end][:2000]
    for _ in range(5):
        decoded = unquote(text)
        if decoded == text:
            break
        text = decoded
    return text, end


@lru_cache(maxsize=20_000)
def domain_of(host: str) -> str:
    """The registered domain of a host, the host itself where it has none."""
    return host if address_of(host) is not None else registrable_domain(host) or host


@lru_cache(maxsize=4096)
def address_of(host: str) -> IpAddress | None:
    """The address that a host is, None for a name."""
    text = host.strip("[]")
    if not text or not (text[-1].isdigit() or ":" in text):
        return None
    try:
        return ip_address(text.removeprefix("IPv6:"))
    except ValueError:
        return None
