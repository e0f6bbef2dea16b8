"""Wires an `Intake` for judging files: no store, no memory, DNS as the caller wishes."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Coroutine
from dataclasses import replace
from pathlib import Path
from typing import Any

from gatepost.app.lookers import Lookers
from gatepost.app.opinions import LearntModel
from gatepost.app.wiring import build_intake
from gatepost.config.load import ConfigError
from gatepost.config.schema import Loaded, defaults, load
from gatepost.dns.answer import Resolver
from gatepost.dns.zone import Zone
from gatepost.intake import Intake
from gatepost.net.resolver import CachingResolver
from gatepost.scan.nothing import NOTHING, EverybodyKnown, Forgetful, KeepsNothing, NoDns
from gatepost.store.ref import new_ref
from gatepost.store.snapshots import Snapshots

AT_THE_DOOR_ONLY = {"recipients", "rates", "greylist"}
"""Checks about the moment of RCPT TO, which a file no longer has."""


async def open_examiner(
    config: str | None, *, zones: tuple[str, ...], resolver: str | None, dns: bool
) -> tuple[Intake, Loaded, Callable[[], Coroutine[Any, Any, None]]]:
    """An intake that stores nothing, its configuration, and how to close what was opened.

    Raises ConfigError, or ZoneError for a zone file.
    """
    loaded = load(Path(config)) if config else defaults()
    checks = tuple(one for one in loaded.checks if one.name not in AT_THE_DOOR_ONLY)
    loaded = replace(loaded, checks=checks)
    asked, close = open_resolver(loaded, zones=zones, resolver=resolver, dns=dns)
    forgetful, lookers = Forgetful(), Lookers(loaded)
    intake = build_intake(
        loaded, store=KeepsNothing(), resolver=asked, memory=forgetful, recipients=EverybodyKnown(),
        correspondents=forgetful, expand=lambda _: (), acquaint=lambda *_: None, announce=lambda _: None, dns=dns,
        model=LearntModel(Snapshots(loaded.state, clock=time.monotonic)) if config else NOTHING,
        unpacker=lookers.unpacker, scanner=lookers.scanner,
    )  # fmt: skip

    async def close_all() -> None:
        await lookers.close()
        await close()

    return intake, loaded, close_all


def open_resolver(
    loaded: Loaded, *, zones: tuple[str, ...], resolver: str | None, dns: bool
) -> tuple[Resolver, Callable[[], Coroutine[Any, Any, None]]]:
    """Answers from zone files, a named resolver, or the configured one."""
    if not dns:
        return NoDns(), nothing
    if zones:
        texts = []
        for name in zones:
            try:
                texts.append(Path(name).read_text("utf-8"))
            except (OSError, UnicodeDecodeError) as fault:
                why = fault.strerror if isinstance(fault, OSError) else "it is not UTF-8"
                raise ConfigError(name, "", f"cannot be read as a zone: {why}.") from None
        return Zone.parse(*texts, name=zones), nothing
    settings = replace(loaded.config.dns, servers=(resolver,)) if resolver else loaded.config.dns
    try:
        asking = CachingResolver(settings)
    except ValueError as fault:
        raise ConfigError("--resolver" if resolver else "dns", "", f"{fault}.") from None
    return asking, asking.close


async def nothing() -> None:
    """Nothing to close."""


def fresh_ref(now: float) -> str:
    """A reference for a message that is only looked at."""
    return new_ref(now, os.urandom(8))
