"""Does the client's address have a name that leads back to it? RFC 1912 §2.1, RFC 8601 §3 (``iprev``)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from gatepost.checks.check import Check, Emits
from gatepost.checks.connection.network import is_public
from gatepost.dns.answer import Status
from gatepost.dns.names import ptr_name, valid_query_name
from gatepost.mail.address import printable
from gatepost.mail.client import Attempt, IpAddress
from gatepost.mail.finding import Finding, Mode
from gatepost.tools import Tools, Unavailable

CONFIRMED = Emits(
    name="rdns.confirmed",
    about="The client's address has a name that leads back to it.",
    reference="RFC 8601 §3",
)
MISSING = Emits(
    name="rdns.missing",
    about="The client's address has no name.",
    reference="RFC 1912 §2.1",
    weight=1.2,
    group="connection",
)
UNCONFIRMED = Emits(
    name="rdns.unconfirmed",
    about="The client's address has a name that does not lead back to it.",
    reference="RFC 8601 §3",
    weight=1.0,
    group="connection",
)
GENERIC = Emits(
    name="rdns.generic",
    about="The name is one that providers give to whole ranges, not to mail servers.",
    reference="RFC 1912 §2.1",
    weight=1.0,
    group="connection",
)
MOST_NAMES = 3
"""PTR records followed; an address owner may publish any number."""
_DYNAMIC = re.compile(
    r"(?:^|[.-])(?:dyn(?:amic)?|dhcp|pool|dsl|adsl|ppp|dial(?:up|in)?|cable|customer)(?:[.-]|\d|$)"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class RdnsSettings:
    """Names of client addresses."""

    mode: Mode = Mode.ENFORCE
    """off, observe or enforce."""


async def reverse_dns(attempt: Attempt, tools: Tools, settings: RdnsSettings) -> Sequence[Finding]:  # noqa: ARG001
    """The client's name, forward-confirmed."""
    client = attempt.client
    if client.ip is None or client.user is not None or not is_public(client.ip):
        return ()
    ip = str(client.ip)
    answer = await tools.resolver.lookup(ptr_name(client.ip), "PTR")
    if answer.status is Status.FAILED:
        raise Unavailable(f"the name of {ip} could not be looked up ({answer.problem})")
    names = [name for name in answer.records if valid_query_name(name)][:MOST_NAMES]
    if not names:
        return (MISSING.found(f"{ip} has no name in the DNS", {"ip": ip}),)
    shown = printable(names[0])
    for name in names:
        if await _leads_back(name, ip, tools):
            evidence = {"ip": ip, "name": name}
            if looks_generic(name, client.ip):
                return (GENERIC.found(f"{ip} is {printable(name)}, a name out of a range", evidence),)
            return (CONFIRMED.found(f"{ip} is {printable(name)}", evidence),)
    text = f"{ip} calls itself {shown}, but that name does not lead back"
    return (UNCONFIRMED.found(text, {"ip": ip, "name": names[0]}),)


async def _leads_back(name: str, ip: str, tools: Tools) -> bool:
    answer = await tools.resolver.lookup(name, "AAAA" if ":" in ip else "A")
    if answer.status is Status.FAILED:
        raise Unavailable(f"{printable(name)} could not be looked up ({answer.problem})")
    return ip in answer.records


@lru_cache(maxsize=4096)
def looks_generic(name: str, ip: IpAddress) -> bool:
    """Does the name hold the address, or a word for lines that change hands?"""
    first = name.lower()
    if ip.version == 4:
        octets = str(ip).split(".")
        held = sum(1 for octet in octets if re.search(rf"(?<!\d)0{{0,2}}{octet}(?!\d)", first))
        if held >= 3 or "".join(f"{int(octet):03d}" for octet in octets) in first or ip.packed.hex() in first:
            return True
    return bool(_DYNAMIC.search(first))


RDNS = Check(
    name="rdns",
    subject=Attempt,
    settings=RdnsSettings,
    run=reverse_dns,
    emits=(CONFIRMED, MISSING, UNCONFIRMED, GENERIC),
    timeout_s=5.0,
    needs_dns=True,
)
