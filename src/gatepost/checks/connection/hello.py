"""Does the client introduce itself sensibly? RFC 5321 §2.3.5, §4.1.1.1, §4.1.3.

A server MUST NOT refuse mail for a HELO name that does not match (RFC 5321 §4.1.4); it may remember it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import ip_address

from gatepost.checks.check import Check, Emits
from gatepost.dns.answer import Status
from gatepost.dns.names import is_subdomain, normal, valid_query_name
from gatepost.mail.address import printable
from gatepost.mail.client import Attempt, IpAddress
from gatepost.mail.finding import Finding, Mode
from gatepost.tools import Tools

OURS = Emits(
    name="hello.ours",
    about="The client introduces itself with our own name.",
    reference="RFC 5321 §4.1.4",
    weight=3.0,
    group="connection",
)
BARE_ADDRESS = Emits(
    name="hello.bare_address",
    about="The client introduces itself with an address without brackets.",
    reference="RFC 5321 §4.1.3",
    weight=1.5,
    group="connection",
)
WRONG_LITERAL = Emits(
    name="hello.wrong_literal",
    about="The client introduces itself with another address than its own.",
    reference="RFC 5321 §4.1.3",
    weight=1.5,
    group="connection",
)
LITERAL = Emits(
    name="hello.literal",
    about="The client has no name, only its address.",
    reference="RFC 5321 §4.1.4",
    weight=0.7,
    group="connection",
)
NOT_QUALIFIED = Emits(
    name="hello.not_qualified",
    about="The client introduces itself with a name that is no full domain name.",
    reference="RFC 5321 §2.3.5",
    weight=1.0,
    group="connection",
)
UNKNOWN = Emits(
    name="hello.unknown",
    about="The name the client introduces itself with does not exist.",
    reference="RFC 5321 §2.3.5",
    weight=0.5,
    group="connection",
)
_NAME = re.compile(
    r"(?:[A-Za-z0-9_](?:[A-Za-z0-9_-]*[A-Za-z0-9_])?\.)+[A-Za-z](?:[A-Za-z0-9-]*[A-Za-z0-9])?\.?"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class HelloSettings:
    """Names in EHLO and HELO."""

    mode: Mode = Mode.ENFORCE
    """off, observe or enforce."""
    our_names: tuple[str, ...] = ()
    """Names that only we may use; the installation's host name and domains are added by themselves."""


async def introduction(attempt: Attempt, tools: Tools, settings: HelloSettings) -> Sequence[Finding]:
    """What is odd about the name."""
    client = attempt.client
    if client.ip is None or client.user is not None or not client.hello or client.role == "lmtp":
        return ()
    name, shown = client.hello, printable(client.hello)
    evidence = {"hello": shown}
    if name.startswith("["):
        if _literal(name) == client.ip:
            return (LITERAL.found(f"the client calls itself {shown}", evidence),)
        return (WRONG_LITERAL.found(f"the client calls itself {shown}, but is {client.ip}", evidence),)
    if _address(name) is not None:
        return (
            BARE_ADDRESS.found(f"the client calls itself {shown}, an address without brackets", evidence),
        )
    if not client.ip.is_loopback and any(is_subdomain(name, ours) for ours in settings.our_names):
        return (OURS.found(f"the client calls itself {shown}, which is one of our names", evidence),)
    if not valid_query_name(name) or not _NAME.fullmatch(name):
        return (NOT_QUALIFIED.found(f"the client calls itself {shown}, which is no full name", evidence),)
    if await _does_not_exist(normal(name), tools):
        return (UNKNOWN.found(f"the client calls itself {shown}, which does not exist", evidence),)
    return ()


def _literal(text: str) -> IpAddress | None:
    """RFC 5321 §4.1.3."""
    inside = text.removeprefix("[").removesuffix("]")
    return _address(inside[5:] if inside[:5].lower() == "ipv6:" else inside)


def _address(text: str) -> IpAddress | None:
    try:
        return ip_address(text)
    except ValueError:
        return None


async def _does_not_exist(name: str, tools: Tools) -> bool:
    for kind in ("A", "AAAA"):
        answer = await tools.resolver.lookup(name, kind)
        if answer.status is Status.NXDOMAIN:
            return True
        if answer.status is not Status.NODATA:
            return False
    return True


HELLO = Check(
    name="hello",
    subject=Attempt,
    settings=HelloSettings,
    run=introduction,
    emits=(OURS, BARE_ADDRESS, WRONG_LITERAL, LITERAL, NOT_QUALIFIED, UNKNOWN),
    timeout_s=5.0,
    needs_dns=True,
)
