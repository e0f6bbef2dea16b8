"""Are the places a message leads to on a DNS list? Lists of domains, hosts, addresses and hashes (SURBL, URIBL, DBL).

Asked like the lists of clients, by the same mechanism (`checks.dnslists`). Names of our own and those that no list has
are never asked, and a message cannot make us ask about more than `names`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial

from gatepost.checks.check import BOTH_WAYS, Check, Emits
from gatepost.checks.connection.network import is_public
from gatepost.checks.content.targets import Target, address_of, domain_of, file_targets, targets_of
from gatepost.checks.dnslists.asking import ListFacts, Subject, ask_lists, weights
from gatepost.checks.dnslists.hashing import hashed
from gatepost.checks.dnslists.lists import LinkIdentity, LinkList, problems
from gatepost.dns.names import is_subdomain, reversed_name, valid_query_name
from gatepost.mail.address import parse_address, printable
from gatepost.mail.client import IpAddress, Mail
from gatepost.mail.content import content_of
from gatepost.mail.finding import Finding, Mode
from gatepost.mail.known.providers import TOO_LARGE_TO_LIST
from gatepost.mail.replyto import reply_to
from gatepost.tools import Tools

LISTED = Emits(
    name="surbl.listed",
    about="A list has a domain, host or address that the message leads to.",
    reference="RFC 5782 §2.4",
    weight=2.0,
    group="links",
)
ERROR = Emits(
    name="surbl.error",
    about="A list answered with an error: we may not ask, or ask too much.",
    reference="RFC 5782 §5",
)
SILENT = Emits(name="surbl.silent", about="A list did not answer.", reference="RFC 5782 §6")
OUT = Emits(
    name="surbl.out_of_service",
    about="A list is not asked because it is not in order.",
    reference="RFC 5782 §5",
)
ASKED = Emits(name="surbl.asked", about="Which lists were asked, for their figures.", reference="RFC 5782 §6")
FACTS = ListFacts(listed=LISTED, error=ERROR, silent=SILENT, out=OUT, asked=ASKED)

FIRST = ("qr", "form", "refresh", "file")
"""Where the links stand that are asked about first, when there are more than may be asked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SurblSettings:
    """DNS lists to ask about links."""

    mode: Mode = Mode.ENFORCE
    """Of the check as a whole; each list has its own."""
    lists: tuple[LinkList, ...] = ()
    """The lists."""
    names: int = 20
    """About how many names, addresses or hashes a list may be asked for one message."""
    never: tuple[str, ...] = ()
    """Domains that are never asked about, with all below them; our own, our partners' and the very largest need not be named."""


async def listed(mail: Mail, tools: Tools, settings: SurblSettings) -> Sequence[Finding]:
    """What the lists say."""
    targets = [*targets_of(mail.message), *await file_targets(mail, tools)]
    ours = frozenset((*tools.people.own_domains, *settings.never))
    targets = [one for one in targets if _worth_asking(one, ours)]
    subjects = partial(_subjects, mail, _most_telling(targets), tools, settings.names)
    return await ask_lists(settings.lists, subjects, tools, FACTS)


def _worth_asking(target: Target, ours: Iterable[str]) -> bool:
    host = target.link.host
    return target.domain not in TOO_LARGE_TO_LIST and not any(is_subdomain(host, one) for one in ours)


def _most_telling(targets: Sequence[Target]) -> list[Target]:
    """Those that lead on first: codes, forms, files, what is hidden; then the rest, from both ends to the middle, so
    that a heap of harmless links on top does not keep us from the one below."""
    first = [one for one in targets if one.via or one.link.where in FIRST]
    rest = [one for one in targets if not (one.via or one.link.where in FIRST)]
    turns = [one for pair in zip(rest, reversed(rest), strict=True) for one in pair]
    return [*first, *turns[: len(rest)]]


async def _subjects(
    mail: Mail, targets: Sequence[Target], tools: Tools, most: int, one: LinkList
) -> Sequence[Subject]:
    """What to ask a list about, each once, at most so many."""
    identity = one.identity
    if identity is LinkIdentity.HOST_IP:
        hosts = list(dict.fromkeys(target.link.host for target in targets))[:most]
        return await _addresses_of(hosts, tools)
    made: dict[str, Subject] = {}
    if identity is LinkIdentity.ADDRESS_HASH:
        for text in _mail_addresses(mail):
            made[text] = Subject(hashed(text, one.hash), printable(text, 100))
    else:
        for target in targets:
            subject = _subject(target, one)
            if subject is not None:
                made.setdefault(subject.label, subject)
            if len(made) >= most:
                break
    return list(made.values())[:most]


def _subject(target: Target, one: LinkList) -> Subject | None:
    identity, link = one.identity, target.link
    ip = address_of(link.host)
    if identity is LinkIdentity.IP:
        return _of_address(ip, link.host) if ip is not None else None
    if identity is LinkIdentity.URL_HASH:
        text = f"{link.host}{link.path}".rstrip("/")
        return Subject(hashed(text, one.hash), printable(text, 100))
    if ip is not None:
        return None
    by_host = identity in (LinkIdentity.HOST, LinkIdentity.HOST_HASH)
    name = link.host if by_host else domain_of(link.host)
    if "." not in name or not valid_query_name(name):
        return None
    if identity in (LinkIdentity.HOST_HASH, LinkIdentity.DOMAIN_HASH):
        return Subject(hashed(name, one.hash), printable(name, 100))
    return Subject(name, printable(name, 100))


def _of_address(ip: IpAddress, host: str) -> Subject | None:
    return Subject(reversed_name(ip), printable(host, 100), ip) if is_public(ip) else None


async def _addresses_of(hosts: Sequence[str], tools: Tools) -> list[Subject]:
    """The first IPv4 address of each host, asked all at once."""
    asked = [host for host in hosts if address_of(host) is None and valid_query_name(host)]
    answers = await asyncio.gather(*(tools.resolver.lookup(host, "A") for host in asked))
    made: dict[str, Subject] = {}
    for host, answer in zip(asked, answers, strict=True):
        ip = address_of(answer.records[0]) if answer.records else None
        subject = _of_address(ip, f"{host} at {ip}") if ip is not None else None
        if subject is not None:
            made.setdefault(subject.label, subject)
    return list(made.values())


def _mail_addresses(mail: Mail) -> list[str]:
    """Where an answer would go: Reply-To, and mail addresses in links."""
    found = [box.address.key for box in reply_to(mail.message)]
    for link in content_of(mail.message).links:
        if link.scheme == "mailto":
            address = parse_address(link.url.partition(":")[2].partition("?")[0])
            if address is not None:
                found.append(address.key)
    return list(dict.fromkeys(found))


SURBL = Check(
    name="surbl",
    subject=Mail,
    settings=SurblSettings,
    run=listed,
    ways=BOTH_WAYS,
    emits=FACTS.all,
    timeout_s=30.0,
    problems=lambda settings: problems(settings.lists),
    idle=lambda settings: not settings.lists,
    needs_dns=True,
    weights_of=lambda settings: weights(settings.lists, FACTS),
)
