"""The instruments that look into attachments, by the configuration: the sandboxed children, and the virus scanner."""

from __future__ import annotations

from gatepost.checks.content.antivirus import AntivirusSettings
from gatepost.checks.content.attachments import AttachmentSettings, compiled_rules
from gatepost.config.schema import Loaded
from gatepost.net.clamd import Clamd, Endpoint, Engine, Engines
from gatepost.net.icap import Icap
from gatepost.net.sandbox import Sandbox
from gatepost.net.sandbox_forkserver import Forkserver
from gatepost.scan.nothing import NOTHING
from gatepost.tools import Scanner


class Lookers:
    """One process's. `close` when done."""

    def __init__(self, loaded: Loaded, server: Forkserver | None = None) -> None:
        """`server` is where the children come from, when others share it."""
        self.unpacker = Sandbox(
            loaded.config.sandbox, compiled_rules(_attachments(loaded).rules_folder), server
        )
        self.scanner = scanner_of(loaded)

    def adopt(self, loaded: Loaded) -> None:
        """After a reload: children that still look finish, and then make way for such with the new settings and rules."""
        self.unpacker.adopt(loaded.config.sandbox, compiled_rules(_attachments(loaded).rules_folder))
        self.scanner = scanner_of(loaded)

    async def close(self) -> None:
        """End the children."""
        await self.unpacker.close()


def scanner_of(loaded: Loaded) -> Scanner:
    """The engines that the configuration names, as one."""
    settings = next(one.settings for one in loaded.checks if one.name == "antivirus")
    assert isinstance(settings, AntivirusSettings)
    engines: list[Engine] = []
    if settings.clamd:
        engines.append(
            Clamd(
                Endpoint.parse(settings.clamd), connections=settings.connections,
                largest_octets=settings.largest_octets, scan_s=settings.scan_s,
            )
        )  # fmt: skip
    engines += [
        Icap(
            one,
            connections=settings.connections,
            largest_octets=settings.largest_octets,
            scan_s=settings.scan_s,
        )
        for one in settings.icap
    ]
    if not engines:
        return NOTHING
    return engines[0] if len(engines) == 1 else Engines(tuple(engines))


def _attachments(loaded: Loaded) -> AttachmentSettings:
    settings = next(one.settings for one in loaded.checks if one.name == "attachments")
    assert isinstance(settings, AttachmentSettings)
    return settings
