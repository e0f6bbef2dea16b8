"""The configuration told back: every effective value, its meaning and where it came from.

The manual page is generated from the same dataclasses, so that it cannot disagree with the program.
A field's meaning is the string literal written under it.
"""

from __future__ import annotations

import ast
import dataclasses
import enum
import functools
import inspect
import json
import textwrap
import types
import typing
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from gatepost.config.load import joined, required, type_hints, written_name

TIMES = {"d": 86400.0, "h": 3600.0, "m": 60.0, "s": 1.0}
SIZES = {"GiB": 1024.0**3, "MiB": 1024.0**2, "KiB": 1024.0}


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting as the operator sees it."""

    key: str
    """Dotted path as written in the file."""
    kind: str
    """What it takes, in words."""
    default: str
    about: str
    value: str = ""
    """The effective value, when explained for a file."""
    given: bool = False
    """It stands in the file, or in the overlay."""
    console: bool = False
    """It was saved from the console."""


@functools.cache
def field_docs(kind: type[Any]) -> Mapping[str, str]:
    """Field name -> the docstring under it, here or in the dataclass it is inherited from. Read from the source once."""
    docs: dict[str, str] = {}
    for base in kind.__bases__:
        if dataclasses.is_dataclass(base):
            docs |= field_docs(base)
    try:
        source = textwrap.dedent(inspect.getsource(kind))
    except OSError:  # put together at run time: its tables speak for themselves
        return docs
    body = typing.cast("ast.ClassDef", ast.parse(source).body[0]).body
    for node, following in zip(body, [*body[1:], None], strict=True):
        if (
            isinstance(node, ast.AnnAssign)
            and isinstance(node.target, ast.Name)
            and isinstance(following, ast.Expr)
            and isinstance(following.value, ast.Constant)
            and isinstance(following.value.value, str)
        ):
            docs[node.target.id] = " ".join(following.value.value.split())
    return docs


def describe(
    kind: type[Any],
    *,
    at: str = "",
    instance: object | None = None,
    given: Mapping[str, Any] | None = None,
    overlay: Mapping[str, Any] | None = None,
    meanings: bool = True,
) -> Iterator[Setting]:
    """Every setting below the dataclass `kind`, depth first, in the order of the code.

    With an `instance` the effective values are told; `given` is the table of the file and `overlay` that of the console,
    to say what came from them. Without `meanings` none are told, and no source is read for them.
    """
    docs = field_docs(kind) if meanings else {}  # type: ignore[arg-type]  # a class can be hashed, whatever it makes
    hints = type_hints(kind)
    for field in dataclasses.fields(kind):
        name = written_name(field.name)
        key = joined(at, name)
        hint = hints[field.name]
        inner = dataclass_in(hint)
        value = getattr(instance, field.name) if instance is not None else None
        written = given.get(name) if isinstance(given, Mapping) else None
        over = overlay.get(name) if isinstance(overlay, Mapping) else None
        if inner is not None and inner is hint:
            yield from describe(inner, at=key, instance=value, given=written, overlay=over, meanings=meanings)
            continue
        yield Setting(
            key, words_for(hint, field.name), default_of(field), docs.get(field.name, ""),
            toml_text(value, field.name) if instance is not None else "", written is not None, over is not None,
        )  # fmt: skip
        if inner is not None and instance is None:
            yield from describe(inner, at=f"{key}[]", meanings=meanings)
        elif inner is not None and isinstance(value, tuple):
            for index, one in enumerate(value):
                table = written[index] if isinstance(written, list) and index < len(written) else None
                if dataclasses.is_dataclass(one):
                    yield from describe(
                        type(one), at=f"{key}[{index}]", instance=one, given=table, meanings=meanings
                    )


def dataclass_in(hint: Any) -> type[Any] | None:
    """The settings dataclass that `hint` is, or is a tuple of."""
    if isinstance(hint, type) and dataclasses.is_dataclass(hint):
        return hint
    for argument in typing.get_args(hint):
        if isinstance(argument, type) and dataclasses.is_dataclass(argument):
            return argument
        if typing.get_origin(argument) is tuple and (inner := dataclass_in(argument)):
            return inner
    return None


def words_for(hint: Any, name: str) -> str:
    """What a field takes, for the manual."""
    if typing.get_origin(hint) in (types.UnionType, typing.Union):
        return " or ".join(words_for(one, name) for one in typing.get_args(hint) if one is not type(None))
    if typing.get_origin(hint) is tuple:
        return f"list of {words_for(typing.get_args(hint)[0], name)}"
    if typing.get_origin(hint) in (dict, Mapping):
        return f"table of {words_for(typing.get_args(hint)[1], name)}"
    if isinstance(hint, type) and issubclass(hint, enum.Enum):
        return " | ".join(str(one.value) for one in hint)
    if dataclasses.is_dataclass(hint):
        return "table"
    if name.endswith("_s") and hint in (int, float):
        return "time"
    if name.endswith("_octets"):
        return "size"
    return {str: "text", int: "whole number", float: "number", bool: "true | false"}.get(hint, "value")


def default_of(field: dataclasses.Field[Any]) -> str:
    """The default as it would be written, or "required"."""
    if required(field):
        return "required"
    if field.default is not dataclasses.MISSING:
        return toml_text(field.default, field.name)
    if field.default_factory is not dataclasses.MISSING:
        return toml_text(field.default_factory(), field.name)
    return ""


def toml_text(value: Any, name: str = "") -> str:
    """A value as it would stand in the file."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, enum.Enum):
        return f'"{value.value}"'
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, int | float) and name.endswith("_s"):
        return in_units(value, TIMES, least="s")
    if isinstance(value, int) and name.endswith("_octets"):
        return in_units(value, SIZES)
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, tuple | list):
        if any(dataclasses.is_dataclass(one) for one in value):
            return f"{len(value)} below"
        return "[" + ", ".join(toml_text(one) for one in value) + "]"
    if isinstance(value, Mapping):
        return (
            "{ " + ", ".join(f"{key} = {toml_text(one)}" for key, one in value.items()) + " }"
            if value
            else "{}"
        )
    if dataclasses.is_dataclass(value):
        return "its own defaults"
    return str(value)


def in_units(value: float, units: Mapping[str, float], *, least: str = "") -> str:
    """A quantity in the largest unit that it is a whole number of, so that `load.py` reads the same from it."""
    for unit, size in units.items():
        if value and value % size == 0:
            return f'"{value / size:.0f}{unit}"'
    digits = f"{value:.6f}".rstrip("0").rstrip(".")
    return f'"{digits}{least}"' if least else digits
