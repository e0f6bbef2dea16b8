"""What a configuration says of the jobs, as `jobs.work` wants to know it."""

from __future__ import annotations

from gatepost import __version__
from gatepost.checks.connection.dnsbl import DnsblSettings
from gatepost.checks.content.linklists import SurblSettings
from gatepost.checks.dnslists.lists import DnsList
from gatepost.config.schema import Loaded
from gatepost.jobs.work import Orders
from gatepost.net.destinations import Destinations


def orders(loaded: Loaded) -> Orders:
    """Of this moment: cheap, asked anew at each beat."""
    config = loaded.config
    return Orders(
        hostname=config.hostname,
        mode=config.mode.value,
        version=__version__,
        folder=loaded.folder,
        jobs=config.jobs,
        alerts=config.alerts,
        retention=config.retention,
        tls=config.tls,
        lists=lists_of(loaded),
        metrics=config.metrics.address,
        domains=tuple(one.name for one in config.domains),
        ways=Destinations.of(config.outbound).hosts,
    )


def lists_of(loaded: Loaded) -> tuple[DnsList, ...]:
    """The DNS lists that are set up, of clients and of links; none where the check is off."""
    return tuple(
        each
        for one in loaded.checks
        if isinstance(one.settings, DnsblSettings | SurblSettings) and one.wanted
        for each in one.settings.lists
    )
