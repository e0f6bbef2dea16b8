"""Strict reading of TOML into frozen settings dataclasses.

An unknown key, a wrong type or a value out of range is a `ConfigError` that says what, where and what
to do, and names the nearest right key. A field that carries its unit in its name (``retry_first_s``,
``max_size_octets``) is written without it (``retry_first = "60s"``, ``max_size = "50MiB"``). A plain number
of a size is octets; of a time it is refused but for 0, since ``held = 30`` was meant in days.
"""

from __future__ import annotations

import dataclasses
import difflib
import enum
import math
import re
import tomllib
import types
import typing
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")

UNIT_SUFFIXES = ("_s", "_octets")
DURATIONS = {"ms": 0.001, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
SIZES = {
    "": 1, "b": 1, "k": 1024, "kib": 1024, "kb": 1000, "m": 1024**2, "mib": 1024**2, "mb": 1000**2,
    "g": 1024**3, "gib": 1024**3, "gb": 1000**3,
}  # fmt: skip
QUANTITY = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([A-Za-z]*)\s*\Z")


class ConfigError(Exception):
    """An operator's mistake in the configuration: file, line where it is known, key, value, and the way out."""

    def __init__(self, file: str, key: str, problem: str, hint: str = "", *, line: int | None = None) -> None:
        self.file, self.key, self.problem, self.hint = file, key, problem, hint
        place = f"{file}:{line}" if line else file
        where = f"{place}: {key}: " if key else f"{place}: "
        super().__init__(where + problem + (f" {hint}" if hint else ""))
        self._line = line

    def __reduce__(self) -> tuple[object, ...]:
        # A process that scans for another hands it over.
        return partial(ConfigError, line=self._line), (self.file, self.key, self.problem, self.hint)


def parse_toml(path: Path) -> dict[str, Any]:
    """The file's table; ConfigError when it cannot be read or is not TOML."""
    try:
        octets = path.read_bytes()
    except OSError as fault:
        raise ConfigError(str(path), "", f"cannot be read: {fault.strerror}.") from None
    try:
        return table_of(octets.decode("utf-8"), str(path))
    except UnicodeDecodeError as fault:
        raise ConfigError(str(path), "", f"is not UTF-8 at octet {fault.start}.") from None


def table_of(text: str, file: str) -> dict[str, Any]:
    """The table that a text is in TOML; ConfigError when it is none."""
    try:
        return tomllib.loads(text)
    except ValueError as fault:  # TOMLDecodeError, or what Python says of a number with thousands of digits
        raise ConfigError(file, "", f"is not TOML: {fault}.") from None
    except RecursionError:
        raise ConfigError(file, "", "is nested too deeply.") from None


def read_table(table: Mapping[str, Any], kind: type[T], *, file: str, at: str = "") -> T:
    """`table` as an instance of the dataclass `kind`; `at` is the dotted path for messages."""
    if not isinstance(table, Mapping):
        raise ConfigError(file, at, f"is {shown(table)}, but a table ([{at}]) is wanted.")
    fields = {written_name(field.name): field for field in dataclasses.fields(kind)}  # type: ignore[arg-type]
    hints = type_hints(kind)
    values: dict[str, Any] = {}
    for key, value in table.items():
        field = fields.get(key)
        if field is None:
            raise ConfigError(file, joined(at, key), "is not a setting I know.", nearest(key, fields))
        values[field.name] = read_value(value, hints[field.name], field.name, file=file, at=joined(at, key))
    for name, field in fields.items():
        if field.name not in values and required(field):
            raise ConfigError(file, joined(at, name), "is missing, and has no default.")
    try:
        return kind(**values)
    except ValueError as fault:
        raise ConfigError(file, at, str(fault)) from None


def read_value(value: Any, hint: Any, name: str, *, file: str, at: str) -> Any:
    """One value as what the type hint `hint` asks for."""
    origin = typing.get_origin(hint)
    arguments = typing.get_args(hint)
    if origin in (types.UnionType, typing.Union):
        return read_union(value, arguments, name, file=file, at=at)
    if origin is tuple:
        if not isinstance(value, list):
            raise ConfigError(file, at, f"is {shown(value)}, but a list is wanted.")
        return tuple(
            read_value(one, arguments[0], name, file=file, at=f"{at}[{index}]")
            for index, one in enumerate(value)
        )
    if origin in (dict, Mapping):
        if not isinstance(value, dict):
            raise ConfigError(file, at, f"is {shown(value)}, but a table is wanted.")
        return {
            key: read_value(one, arguments[1], name, file=file, at=joined(at, key))
            for key, one in value.items()
        }
    if dataclasses.is_dataclass(hint):
        return read_table(value, typing.cast("type[Any]", hint), file=file, at=at)
    if isinstance(hint, type) and issubclass(hint, enum.Enum):
        return read_choice(value, hint, file=file, at=at)
    if hint is Any:
        return value
    return read_scalar(value, hint, name, file=file, at=at)


def read_union(value: Any, arguments: tuple[Any, ...], name: str, *, file: str, at: str) -> Any:
    """The first alternative that fits the value's own kind."""
    choices = [one for one in arguments if one is not type(None)]
    if len(choices) == 1:
        return read_value(value, choices[0], name, file=file, at=at)
    for choice in choices:
        origin = typing.get_origin(choice) or choice
        fits = (
            (isinstance(value, str) and choice is str)
            or (isinstance(value, list) and origin is tuple)
            or (isinstance(value, dict) and (origin is dict or dataclasses.is_dataclass(choice)))
            or (isinstance(value, bool) and choice is bool)
            or (isinstance(value, int | float) and not isinstance(value, bool) and choice in (int, float))
        )
        if fits:
            return read_value(value, choice, name, file=file, at=at)
    raise ConfigError(file, at, f"is {shown(value)}, which is none of the forms this setting takes.")


def read_choice(value: Any, kind: type[enum.Enum], *, file: str, at: str) -> enum.Enum:
    """A word out of an enumeration."""
    words = {str(one.value): one for one in kind}
    if isinstance(value, str) and value in words:
        return words[value]
    raise ConfigError(
        file, at, f"is {shown(value)}, but one of {', '.join(words)} is wanted.",
        nearest(str(value), words) if isinstance(value, str) else "",
    )  # fmt: skip


def read_scalar(value: Any, hint: Any, name: str, *, file: str, at: str) -> Any:
    """A string, number or truth value, with units where the field's name has one."""
    if hint is bool:
        if isinstance(value, bool):
            return value
        raise ConfigError(file, at, f"is {shown(value)}, but true or false is wanted.")
    if hint in (int, float):
        return read_number(value, hint, name, file=file, at=at)
    if hint is str:
        if isinstance(value, str):
            return value
        raise ConfigError(file, at, f'is {shown(value)}, but text in "quotes" is wanted.')
    raise TypeError(f"settings field {at} has type {hint}, which load.py does not read")


def read_number(value: Any, hint: type[int] | type[float], name: str, *, file: str, at: str) -> int | float:
    """A number that can be counted with: neither nan nor inf, and no time or size below nothing."""
    written = value
    if isinstance(value, str):
        value = read_quantity(value, name, file=file, at=at)
    if (
        isinstance(value, bool)
        or not isinstance(value, int | float)
        or not math.isfinite(value)
        or (hint is int and value != int(value))
    ):
        wanted = "a whole number" if hint is int else "a number"
        raise ConfigError(file, at, f"is {shown(value)}, but {wanted} is wanted.")
    if value < 0 and name.endswith(UNIT_SUFFIXES):
        raise ConfigError(file, at, f"is {shown(value)}, but it cannot be less than nothing.")
    if value and written is value and name.endswith("_s"):
        raise ConfigError(
            file,
            at,
            f'is {value:g} without a unit: write "{value:g}s", "{value:g}m", "{value:g}h" or "{value:g}d".',
        )
    return hint(value)


def read_quantity(text: str, name: str, *, file: str, at: str) -> float:
    """``"60s"`` or ``"50MiB"`` in the field's own unit."""
    match = QUANTITY.match(text)
    if name.endswith("_s") and match and match[2].lower() in DURATIONS:
        return float(match[1]) * DURATIONS[match[2].lower()]
    if name.endswith("_octets") and match and match[2].lower() in SIZES:
        return float(int(float(match[1]) * SIZES[match[2].lower()]))
    if name.endswith("_s"):
        raise ConfigError(file, at, f'is "{text}", but a time such as "30s", "5m", "4h" or "5d" is wanted.')
    if name.endswith("_octets"):
        raise ConfigError(file, at, f'is "{text}", but a size such as "32KiB" or "50MiB" is wanted.')
    raise ConfigError(file, at, f'is "{text}", but a number without quotes is wanted.')


def written_name(field_name: str) -> str:
    """The key in the file for a field: its name without the unit."""
    for suffix in UNIT_SUFFIXES:
        if field_name.endswith(suffix):
            return field_name.removesuffix(suffix)
    return field_name


def nearest(key: str, known: Mapping[str, Any] | set[str]) -> str:
    """A hint that names the closest known word, or lists them when none is close."""
    close = difflib.get_close_matches(key, list(known), n=1, cutoff=0.6)
    if close:
        return f"Did you mean {close[0]}?"
    return f"Known here: {', '.join(sorted(known))}." if known else ""


def required(field: dataclasses.Field[Any]) -> bool:
    """Has the field neither a default nor a default factory?"""
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING


def type_hints(kind: type[Any]) -> dict[str, Any]:
    """The resolved annotations of a dataclass."""
    return typing.get_type_hints(kind)


def joined(at: str, key: str) -> str:
    """A dotted path, one key deeper."""
    return f"{at}.{key}" if at else key


def shown(value: Any) -> str:
    """A value as the operator wrote it, shortened."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return "a table"
    if isinstance(value, list):
        return "a list"
    text = f'"{value}"' if isinstance(value, str) else str(value)
    return text if len(text) <= 60 else text[:57] + "…"
