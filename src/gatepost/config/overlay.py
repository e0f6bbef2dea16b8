"""What the console laid over the configuration file: ``policy-console.toml`` in the state folder, read after it.

It may say ``mode`` and ``[policy]``, and nothing else: who may change the policy must not be able to move the mail.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from gatepost.config.load import ConfigError, nearest, parse_toml, table_of

NAME = "policy-console.toml"
MAY = ("mode", "policy")
MODE_ALONE = {"recipients", "mode"}
"""What an override says that gives a mode and nothing else."""
HEADING = "# Saved from the console and laid over the configuration file. Change it there: its history would not know.\n"
BARE = re.compile(r"[A-Za-z0-9_-]+")
KEY = re.compile(r'\s*(?:"((?:[^"\\]|\\.)*)"|([A-Za-z0-9_-]+))\s*(?:\.|$)')


def read_overlay(state: Path) -> tuple[dict[str, Any], str]:
    """The overlay's table, and its file as errors name it; an empty table where there is none. Raises ConfigError."""
    path = state / NAME
    try:
        there = path.exists()
    except OSError:  # whoever may not look there is no gate
        return {}, str(path)
    return (proved(parse_toml(path), str(path)) if there else {}), str(path)


def parsed(text: str, file: str = NAME) -> dict[str, Any]:
    """A text as an overlay. Raises ConfigError."""
    return proved(table_of(text, file), file)


def proved(table: dict[str, Any], file: str) -> dict[str, Any]:
    """The table, when it says only what it may."""
    for key in table:
        if key not in MAY:
            raise ConfigError(file, key, "cannot be set from the console.", nearest(key, set(MAY)))
    if not isinstance(table.get("policy", {}), dict):
        raise ConfigError(file, "policy", "is no table ([policy]).")
    return table


def merged(table: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Both, `over` winning key by key; lists are replaced whole."""
    made = dict(table)
    for key, value in over.items():
        before = made.get(key)
        made[key] = merged(before, value) if isinstance(before, dict) and isinstance(value, dict) else value
    return made


def with_setting(text: str, key: str, value: str | float | None) -> str:
    """The text with one setting set, or with None taken out; comments do not survive. Raises ConfigError."""
    table = parsed(text)
    path = list(split(key))
    if not path:
        raise ConfigError(NAME, key, "is no setting.")
    inner: Any = table
    for step in path[:-1]:
        inner = inner.setdefault(step, {})
        if not isinstance(inner, dict):
            raise ConfigError(NAME, key, "is no setting.")
    if value is None:
        inner.pop(path[-1], None)
    else:
        inner[path[-1]] = value
    return "".join(dumped(pruned(proved(table, NAME))))


def with_modes(text: str, table: Mapping[str, Any], domains: Sequence[str], mode: str) -> str:
    """The text with a mode of its own for the mail of these domains. Raises ConfigError.

    `table` is the configuration file's. Lists are laid over whole, so its overrides go into the text with the first of ours.
    """
    over = parsed(text)
    policy = over.setdefault("policy", {})
    given = policy["overrides"] if "overrides" in policy else table.get("policy", {}).get("overrides", [])
    kept = [without(one, domains) if set(one) == MODE_ALONE else one for one in given]
    kept = [one for one in kept if one["recipients"]]
    if kept and set(kept[-1]) == MODE_ALONE and kept[-1]["mode"] == mode:
        kept[-1] = {**kept[-1], "recipients": [*kept[-1]["recipients"], *domains]}
    else:
        kept.append({"recipients": list(domains), "mode": mode})  # the last one wins
    policy["overrides"] = kept
    return "".join(dumped(pruned(proved(over, NAME))))


def without(override: Mapping[str, Any], domains: Sequence[str]) -> dict[str, Any]:
    """An override that no longer names these domains."""
    left = [one for one in override["recipients"] if one.lower().lstrip("@") not in domains]
    return {**override, "recipients": left}


def pruned(table: Mapping[str, Any]) -> dict[str, Any]:
    """Without tables that say nothing."""
    made = {key: pruned(one) if isinstance(one, dict) else one for key, one in table.items()}
    return {key: one for key, one in made.items() if one != {}}


def split(key: str) -> Iterator[str]:
    """The steps of a dotted key, some in quotes. Raises ConfigError."""
    at = 0
    while at < len(key):
        step = KEY.match(key, at)
        if step is None:
            raise ConfigError(NAME, key, "is no setting.")
        try:
            yield json.loads(f'"{step[1]}"') if step[1] is not None else step[2]
        except ValueError:  # an escape that JSON does not know
            raise ConfigError(NAME, key, "is no setting.") from None
        at = step.end()


def dumped(table: Mapping[str, Any], at: tuple[str, ...] = ()) -> Iterator[str]:
    """A table as TOML: its plain values, then the tables in it, then lists of tables."""
    plain = {key: one for key, one in table.items() if not isinstance(one, dict) and not is_tables(one)}
    if at and plain:
        yield f"[{'.'.join(quoted(one) for one in at)}]\n"
    for key, one in plain.items():
        yield f"{quoted(key)} = {value_text(one)}\n"
    if plain:
        yield "\n"
    for key, one in table.items():
        if isinstance(one, dict):
            yield from dumped(one, (*at, key))
        elif is_tables(one):
            for each in one:
                name = ".".join(quoted(step) for step in (*at, key))
                yield f"[[{name}]]\n"
                for inner, value in each.items():
                    yield f"{quoted(inner)} = {value_text(value)}\n"
                yield "\n"


def is_tables(value: object) -> bool:
    """A list of tables?"""
    return isinstance(value, list) and bool(value) and all(isinstance(one, dict) for one in value)


def quoted(key: str) -> str:
    """A key as it is written."""
    return key if BARE.fullmatch(key) else text_of(key)


def text_of(text: str) -> str:
    """A basic string (TOML 1.0): JSON's, but for DEL, which JSON lets stand."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def value_text(value: Any) -> str:
    """A value as it is written."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return text_of(value)
    if isinstance(value, list):
        return "[" + ", ".join(value_text(one) for one in value) + "]"
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{quoted(key)} = {value_text(one)}" for key, one in value.items()) + " }"
    return repr(value)
