"""What can be wrong with each room's settings by themselves, asked of the room: a key, and one sentence."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from gatepost.access.oidc import provider_problems
from gatepost.access.settings import problem as access_problem
from gatepost.config.load import ConfigError
from gatepost.delivery.settings import MOST_PROCESSES
from gatepost.delivery.signing import signing_problems
from gatepost.jobs.heads import journal_problems
from gatepost.jobs.ownpolicy import policy_problems
from gatepost.mail.address import normal_domain, parse_address
from gatepost.net.authority import certificate_problems
from gatepost.net.destinations import destination_problems
from gatepost.net.directoryservice import source_problems
from gatepost.net.resolver import servers_of
from gatepost.store.retention import retention_problems
from gatepost.web.settings import problem as console_problem

if TYPE_CHECKING:
    from gatepost.config.schema import Config

JUNK_HEADER = re.compile(r"X-[A-Za-z0-9-]{1,60}: [ -~]{1,200}")


def refuse_unusable(config: Config, file: str) -> None:
    """Raises ConfigError with the first thing that is wrong."""
    for key, problem in problems(config):
        raise ConfigError(file, key, problem)


def problems(config: Config) -> Iterator[tuple[str, str]]:
    """Everything that one room can tell without asking another."""
    if normal_domain(config.hostname) is None:
        yield "hostname", f'is "{config.hostname}", which is no host name.'
    for key, unusable in (
        ("access", access_problem(config.access)),
        ("console", console_problem(config.console, has_certificate=bool(config.tls.certificate))),
    ):
        if unusable is not None:
            yield f"{key}.{unusable[0]}", unusable[1]
    if config.workers < 0:
        yield "workers", "cannot be less than 0."
    if not 0 <= config.delivery.processes <= MOST_PROCESSES:
        yield "delivery.processes", f"is {config.delivery.processes}, but 0 to {MOST_PROCESSES} is wanted."
    try:
        servers_of(config.dns)
    except ValueError as fault:
        yield "dns.servers", str(fault)
    yield from of_letters(config)
    for room, said in (
        ("people_source", source_problems(config.people_source)),
        ("identity_provider", provider_problems(config.identity_provider)),
        ("journal", journal_problems(config.journal)),
        ("outbound", destination_problems(config.outbound)),
        ("signing", signing_problems(config.signing)),
    ):
        yield from ((room, problem) for problem in said)
    for room, told in (
        ("retention", retention_problems(config.retention)),
        ("certificates", certificate_problems(config.certificates, config.mta_sts.address)),
        ("mta_sts", policy_problems(config.mta_sts)),
    ):
        yield from ((f"{room}.{key}", problem) for key, problem in told)
    port = config.metrics.address.rpartition(":")[2]
    if config.metrics.address and not (
        port.isdecimal() and ":" in config.metrics.address and int(port) < 65536
    ):
        yield "metrics.address", f'is "{config.metrics.address}", but host:port is wanted.'


def of_letters(config: Config) -> Iterator[tuple[str, str]]:
    """What we write into other people's mail, and to whom we write ourselves."""
    for text in config.marking.junk_headers:
        if not JUNK_HEADER.fullmatch(text):
            yield "marking.junk_headers", f'"{text}" is no header field such as "X-Spam-Flag: YES".'
    for text in config.alerts.to:
        if parse_address(text, smtputf8=True) is None:
            yield "alerts.to", f'"{text}" is no mail address.'
    if not 0 <= config.digests.hour < 24:
        yield "digests.hour", f"is {config.digests.hour}, but 0 to 23 is wanted."
