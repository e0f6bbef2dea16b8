"""Is the configuration file ahead of the gate? What a reload would take up, and what only a restart does."""

from __future__ import annotations

from dataclasses import fields

from gatepost.config.load import ConfigError
from gatepost.config.schema import Config, Loaded, load
from gatepost.office.seen import Ahead

FIXED = (
    "hostname", "state", "workers", "user", "listeners", "certificates", "mta_sts", "dns", "outbound", "callout", "delivery", "store", "quarantine",
    "log", "console",
)  # fmt: skip
"""What a reload cannot change: it takes a restart."""


def ahead(loaded: Loaded) -> Ahead:
    """The tables in which the file says something else than what is in use."""
    if loaded.path is None:
        return Ahead()
    try:
        fresh = load(loaded.path)
    except ConfigError as fault:
        return Ahead(problem=str(fault))
    other = [
        one.name
        for one in fields(Config)
        if getattr(loaded.config, one.name) != getattr(fresh.config, one.name)
    ]
    restart = [name for name in other if name in FIXED]
    if loaded.config.limits.connections != fresh.config.limits.connections:
        restart.append("limits.connections")
    return Ahead(reload=tuple(name for name in other if name not in FIXED), restart=tuple(restart))
