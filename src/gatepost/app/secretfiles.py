"""Are keys and passwords closed to other accounts of this machine? For `check-config`, `doctor`, and the log of `serve`."""

from __future__ import annotations

import dataclasses
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from gatepost.config.schema import Loaded
from gatepost.net.tls import TlsUnusable, expand

NAMED = frozenset(
    {"key", "key_file", "password_file", "smarthost_password_file", "client_secret_file", "account_key_file"}
)
"""Settings that name a file with a secret in it, wherever they stand."""
OTHERS_READ_OR_WRITE = stat.S_IROTH | stat.S_IWOTH


def exposed(loaded: Loaded) -> Iterator[str]:
    """One sentence for each secret that every user of this machine can read or change: where, and what to do."""
    for setting, path in secrets(loaded):
        what = reach_of_others(path)
        if what:
            yield f"{setting}: {path} can be {what} by every user of this machine: chmod o= {path}"


def secrets(loaded: Loaded) -> Iterator[tuple[str, Path]]:
    """Every file with a secret, and the setting that names it; systemd's credentials are closed by nature."""
    for setting, named in settings_of(loaded.config, ""):
        if not named.startswith("%d/"):
            try:
                yield setting, expand(named, loaded.folder)
            except TlsUnusable:
                continue
    for folder in (loaded.state / "keys", loaded.state / "certificates"):
        if folder.is_dir():
            yield from (("state", one) for one in sorted(folder.rglob("*")) if one.is_file())


def settings_of(part: Any, at: str) -> Iterator[tuple[str, str]]:
    """Dotted names and values of the settings in `NAMED` that are given."""
    if isinstance(part, tuple | list):
        for number, one in enumerate(part):
            yield from settings_of(one, f"{at}[{number}]")
    elif isinstance(part, dict):
        for name, one in part.items():
            yield from settings_of(one, f"{at}.{name}")
    elif dataclasses.is_dataclass(part):
        for one in dataclasses.fields(part):
            value, name = getattr(part, one.name), f"{at}.{one.name}".lstrip(".")
            if one.name in NAMED and isinstance(value, str):
                if value:
                    yield name, value
            else:
                yield from settings_of(value, name)


def reach_of_others(path: Path) -> str:
    """``read`` or ``changed`` when the file's mode and every folder above it let anybody; "" otherwise."""
    try:
        mode = path.stat().st_mode
        closed = any(not one.stat().st_mode & stat.S_IXOTH for one in path.absolute().parents)
    except OSError:
        return ""
    if closed or not mode & OTHERS_READ_OR_WRITE:
        return ""
    return "read" if mode & stat.S_IROTH else "changed"
