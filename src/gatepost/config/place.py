"""Where an installation keeps what it keeps: the little of its configuration that looking into it takes.

The whole configuration is put together from every room's settings, and so imports every room. Commands that cron, hooks and
people call often look into the store alone, which this finds for a fraction of that. It proves nothing else of the file:
what happened can be looked up while a setting is wrong.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from gatepost.config.load import ConfigError, parse_toml, read_table, shown
from gatepost.store.sealing import QuarantineSettings
from gatepost.store.store import StoreSettings

STATE = "var"
"""The folder where none is named."""


@dataclass(frozen=True, slots=True)
class Place:
    """An installation's store."""

    path: Path
    """The configuration file."""
    state: Path
    """The folder of everything that is kept."""
    store: StoreSettings
    key_file: Path | None
    """The master keys of the quarantine, where the configuration names them."""


def place_of(path: Path) -> Place:
    """As the configuration file has it. Raises ConfigError."""
    table, folder = parse_toml(path), path.absolute().parent
    state = table.get("state", STATE)
    if not isinstance(state, str):
        raise ConfigError(str(path), "state", f'is {shown(state)}, but text in "quotes" is wanted.')
    store = read_table(table.get("store", {}), StoreSettings, file=str(path), at="store")
    quarantine = read_table(table.get("quarantine", {}), QuarantineSettings, file=str(path), at="quarantine")
    return Place(path, folder / state, store, key_file_at(quarantine.key_file, folder))


def key_file_at(named: str, folder: Path) -> Path | None:
    """The file that ``quarantine.key_file`` means, None where it names none. A credential that is not handed over is named as it
    would be: it is not there."""
    if not named:
        return None
    from gatepost.net.tls import TlsUnusable, expand

    try:
        return expand(named, folder)
    except TlsUnusable:
        return Path(named)
