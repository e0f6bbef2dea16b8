"""Is the client, or a name it uses, on a DNS list? RFC 5782.

Block lists speak against mail, welcome lists for it. Lists start in observe. `dnslists` asks, says what an answer
means, and takes broken lists out of service.
Left out: TXT explanations, for they are as often advertising as reasons.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from gatepost.checks.check import Check, Emits
from gatepost.checks.connection.network import is_public
from gatepost.checks.dnslists.asking import ListFacts, Subject, ask_lists, weights
from gatepost.checks.dnslists.lists import Identity, ListSettings, problems
from gatepost.dns.names import normal, ptr_name, reversed_name, valid_query_name
from gatepost.mail.address import printable
from gatepost.mail.client import Attempt
from gatepost.mail.finding import Finding, Mode
from gatepost.tools import Tools

LISTED = Emits(
    name="dnsbl.listed",
    about="A block list has the client or a name it uses.",
    reference="RFC 5782 §2.1",
    weight=2.0,
    group="reputation",
    at_door=True,
    excused_by=("dnsbl.welcome",),
    reply="550 5.7.1",
)
WELCOME = Emits(
    name="dnsbl.welcome",
    about="A welcome list has the client or a name it uses.",
    reference="RFC 5782 §2.2",
    weight=-2.0,
    group="welcome",
    at_door=True,
)
ERROR = Emits(
    name="dnsbl.error",
    about="A list answered with an error: we may not ask, or ask too much.",
    reference="RFC 5782 §5",
)
SILENT = Emits(name="dnsbl.silent", about="A list did not answer.", reference="RFC 5782 §6")
OUT = Emits(
    name="dnsbl.out_of_service",
    about="A list is not asked because it is not in order.",
    reference="RFC 5782 §5",
)
ASKED = Emits(name="dnsbl.asked", about="Which lists were asked, for their figures.", reference="RFC 5782 §6")

FACTS = ListFacts(listed=LISTED, welcome=WELCOME, error=ERROR, silent=SILENT, out=OUT, asked=ASKED)


@dataclass(frozen=True, slots=True, kw_only=True)
class DnsblSettings:
    """DNS lists to ask at RCPT TO."""

    mode: Mode = Mode.ENFORCE
    """Of the check as a whole; each list has its own."""
    lists: tuple[ListSettings, ...] = ()
    """The lists, block lists and welcome lists."""


async def listed(attempt: Attempt, tools: Tools, settings: DnsblSettings) -> Sequence[Finding]:
    """What the lists say. Nobody is asked about those who signed in, or about private addresses."""
    client = attempt.client
    if client.user is not None or client.ip is None or not is_public(client.ip):
        return ()
    return await ask_lists(settings.lists, partial(_subjects, attempt, tools), tools, FACTS)


async def _subjects(attempt: Attempt, tools: Tools, one: ListSettings) -> Sequence[Subject]:
    """What to ask a list about; nothing when there is no such name."""
    client = attempt.client
    if client.ip is None:
        return ()
    if one.identity is Identity.IP:
        return (Subject(reversed_name(client.ip), str(client.ip), client.ip),)
    if one.identity is Identity.HELLO:
        return _name(client.hello)
    if one.identity is Identity.SENDER_DOMAIN:
        return () if attempt.sender is None else _name(attempt.sender.domain)
    answer = await tools.resolver.lookup(ptr_name(client.ip), "PTR")
    return _name(answer.records[0]) if answer.records else ()


def _name(text: str) -> tuple[Subject, ...]:
    name = normal(text)
    if "." not in name or not valid_query_name(name) or name.startswith("["):
        return ()
    return (Subject(name, printable(name)),)


DNSBL = Check(
    name="dnsbl",
    subject=Attempt,
    settings=DnsblSettings,
    run=listed,
    emits=FACTS.all,
    timeout_s=5.0,
    problems=lambda settings: problems(settings.lists),
    idle=lambda settings: not settings.lists,
    needs_dns=True,
    weights_of=lambda settings: weights(settings.lists, FACTS),
)
