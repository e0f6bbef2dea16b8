"""Where an address is and whose network it is, from a file the operator provides (MaxMind's format).

Nothing depends on it: without the file, or where it does not know, there is no answer. Country files and files of
network owners (ASN) are both understood, and one that has both.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from gatepost.mail.client import IpAddress


@lru_cache(maxsize=4096)
def places_of(ip: IpAddress, file: str) -> tuple[str, ...]:
    """``DE`` and ``AS3320``, as far as `file` knows them."""
    reader = _open(file)
    if reader is None:
        return ()
    try:
        row = reader.get(ip)
    except Exception:  # noqa: BLE001 - whatever is wrong with the operator's file, mail goes on without it
        return ()
    if not isinstance(row, dict):
        return ()
    country = row.get("country") or row.get("registered_country")
    code = country.get("iso_code") if isinstance(country, Mapping) else row.get("country_code")
    number = row.get("autonomous_system_number")
    found = []
    if isinstance(code, str) and code.isascii() and code.isalpha() and len(code) == 2:
        found.append(code.upper())
    if isinstance(number, int):
        found.append(f"AS{number}")
    return tuple(found)


@lru_cache(maxsize=4)
def _open(file: str) -> Any:
    import maxminddb

    try:
        return maxminddb.open_database(file)
    except Exception:  # noqa: BLE001 - the library raises its own and the C library's
        return None


def problem_with(file: str) -> str:
    """What is wrong with the file, one sentence; empty when nothing is."""
    return (
        ""
        if not file or _open(file) is not None
        else f"{file} is no file of MaxMind's format that can be read"
    )


def forget_networks() -> None:
    """Read the file anew; for a reload of the configuration."""
    _open.cache_clear()
    places_of.cache_clear()
