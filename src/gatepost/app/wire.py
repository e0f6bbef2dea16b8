"""The wire to others, put together: connections out, the policies they are held to, and the reports about them."""

from __future__ import annotations

import random
import socket
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from ipaddress import ip_address

from gatepost.config.schema import Loaded
from gatepost.jobs.rounds import Round
from gatepost.jobs.tlsreports import TlsReports, report_about
from gatepost.mail.address import Address
from gatepost.net.outbound import Outbound, OutboundSettings
from gatepost.net.resolver import CachingResolver
from gatepost.net.stspolicies import StsPolicies
from gatepost.store.store import Store
from gatepost.store.wire import StoredPolicies, TlsTallies
from gatepost.tlspolicy.tlsrpt import Report

REFRESH_EVERY_S = 3600.0


@dataclass(frozen=True, slots=True)
class Wire:
    """What one process sends with."""

    outbound: Outbound
    sts: StsPolicies
    policies: StoredPolicies
    tallies: TlsTallies

    def rounds(
        self, loaded: Callable[[], Loaded], store: Store, *, contact: Callable[[], Address],
        new_ref: Callable[[float], str],
    ) -> Sequence[Round]:  # fmt: skip
        """For the clock of the process that delivers."""
        config = loaded().config
        reports = TlsReports(
            store=store,
            tallies=self.tallies,
            resolver=self.outbound.resolver,
            hostname=config.hostname,
            organization=config.hostname,
            contact=contact,
            clock=time.time,
            new_ref=new_ref,
            enabled=lambda: loaded().config.outbound.tls_reports,
            trust_anchors=self.outbound.settings.trust_anchors,
        )
        return [*reports.rounds(), Round("mta-sts", REFRESH_EVERY_S, self.sts.refresh)]

    def rounds_beside(self) -> Sequence[Round]:
        """For the clock of a process that delivers beside that one."""
        return [Round("mta-sts", REFRESH_EVERY_S, self.sts.tell_used)]

    async def close(self) -> None:
        """Connections first, then what they have to write."""
        await self.outbound.close()
        await self.tallies.close()
        await self.policies.close()


def wire_of(loaded: Loaded, store: Store, resolver: CachingResolver) -> Wire:
    """The wire that `loaded` describes."""
    config, settings = loaded.config, rooted(loaded)
    policies = StoredPolicies(store.database, time.time)
    tallies = TlsTallies(store.database, time.time)
    sts = StsPolicies(resolver=resolver, clock=time.time, kept=policies, trust_anchors=settings.trust_anchors)
    outbound = Outbound(
        hello=config.hostname,
        resolver=resolver,
        settings=settings,
        shuffle=random.shuffle,
        own_addresses=own_addresses(loaded),
        public_only=not settings.private_addresses,
        sts=sts,
        tally=tallies.count,
    )
    return Wire(outbound, sts, policies, tallies)


def report_of(loaded: Loaded, store: Store, domain: str, day: int) -> Report:
    """A day's report to a domain, for who wants to see it here. Days are counted since 1970."""
    name = loaded.config.hostname
    contact = loaded.config.delivery.postmaster or f"postmaster@{loaded.routes.domains[0].name.lstrip('.')}"
    counted = TlsTallies(store.database, time.time).counted(day, domain)
    return report_about(domain, day, counted, organization=name, contact=contact)


def rooted(loaded: Loaded) -> OutboundSettings:
    """The settings with every file named from the configuration's folder."""
    settings = loaded.config.outbound
    if settings.trust_anchors:
        settings = replace(settings, trust_anchors=str(loaded.folder / settings.trust_anchors))
    if settings.smarthost_password_file and not settings.smarthost_password_file.startswith("%d/"):
        settings = replace(
            settings, smarthost_password_file=str(loaded.folder / settings.smarthost_password_file)
        )
    return replace(
        settings,
        destinations=tuple(
            replace(one, password_file=str(loaded.folder / one.password_file))
            if one.password_file and not one.password_file.startswith("%d/")
            else one
            for one in settings.destinations
        ),
    )


@dataclass(frozen=True, slots=True)
class OwnAddresses:
    """Where we take mail ourselves on the port that others send to: mail for there would come back."""

    named: frozenset[str]
    everywhere: bool = False
    """At every address of this machine."""

    def __contains__(self, address: object) -> bool:
        return address in self.named or (self.everywhere and is_of_this_machine(str(address)))


def own_addresses(loaded: Loaded) -> OwnAddresses:
    """As the listeners say."""
    named, everywhere = set(), False
    for one in loaded.config.listeners:
        host, _, port = one.address.rpartition(":")
        if one.role == "mx" and port == "25":
            try:
                address = ip_address(host.strip("[]"))
            except ValueError:
                continue
            everywhere |= address.is_unspecified
            named.add(str(address))
    return OwnAddresses(frozenset(named), everywhere)


def is_of_this_machine(address: str) -> bool:
    """Only the machine's own addresses can be bound."""
    try:
        family = socket.AF_INET6 if ip_address(address).version == 6 else socket.AF_INET
        with socket.socket(family, socket.SOCK_STREAM) as sock:
            sock.bind((address, 0))
    except (OSError, ValueError):
        return False
    return True
