"""What is kept about somebody, as a file to be handed out: a ZIP with an index for people and one for programs."""

from __future__ import annotations

import asyncio
import hashlib
import io
import json
import re
import zipfile
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime

from gatepost.access.rights import Actor, Right
from gatepost.office.glass import may_take_out
from gatepost.office.office import Office
from gatepost.store.failures import StoreFailed
from gatepost.store.personal import PARTS
from gatepost.store.requests import DataRequest

MOST_OCTETS = 64 << 20
"""Of held mail in one file; the rest is named only."""
FOLDER = re.compile(r"[^\w.@+-]")
"""What of an address is no part of a file's name."""


def in_english(text: str, **values: object) -> str:
    """A text of ours with what is filled in."""
    return text % values if values else text


Found = Mapping[str, Mapping[str, Sequence[dict[str, object]]]]
"""Address -> name of the part -> its rows."""


def packed(
    one: DataRequest,
    found: Found,
    letters: Mapping[str, Mapping[str, bytes]],
    *,
    hostname: str,
    now: float,
    say: Callable[..., str],
) -> bytes:
    """The ZIP: ``index.md`` for people, ``index.json`` with a SHA-256 of each file, a folder for each address.

    It takes seconds where there is much, and touches nothing but its arguments: a thread may do it.
    """
    files: dict[str, bytes] = {}
    for address, parts in found.items():
        folder = FOLDER.sub("_", address)
        for part in PARTS:
            rows = parts[part.name]
            if rows:
                text = json.dumps(rows, ensure_ascii=False, indent=1, default=str)
                files[f"{folder}/{part.name}.json"] = text.encode()
        files |= {f"{folder}/held/{ref}.eml": octets for ref, octets in letters.get(address, {}).items()}
    lines = [
        f"# {say('What is kept about %(addresses)s', addresses=', '.join(one.addresses))}", "",
        say("Request %(number)s, answered by %(host)s on %(day)s.", number=one.id, host=hostname, day=_day(now)),
        "", f"| {say('What')} | {say('Entries')} | {say('File')} |", "|---|---|---|",
    ]  # fmt: skip
    for address, parts in found.items():
        for part in PARTS:
            name = f"{FOLDER.sub('_', address)}/{part.name}.json"
            lines.append(
                f"| {say(part.about)} ({address}) | {len(parts[part.name])} | {name if name in files else '—'} |"
            )
    lines += [
        "",
        say("Messages name the others they were exchanged with: their addresses are their own data too."),
    ]
    index = {
        "request": one.id, "addresses": list(one.addresses), "made_at": _day(now), "made_by": hostname,
        "files": {name: {"octets": len(octets), "sha256": hashlib.sha256(octets).hexdigest()} for name, octets in files.items()},
    }  # fmt: skip
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("index.md", "\n".join(lines) + "\n")
        archive.writestr("index.json", json.dumps(index, ensure_ascii=False, indent=1))
        for name, octets in files.items():
            archive.writestr(name, octets)
    return made.getvalue()


async def letters(office: Office, actor: Actor, found: Found) -> dict[str, dict[str, bytes]]:
    """Address -> reference -> the held message itself, for who may read them."""
    if not actor.may(Right.CONTENT):
        return {}
    return {address: await _held_of(office, actor, parts["held"]) for address, parts in found.items()}


async def _held_of(office: Office, actor: Actor, held: Sequence[dict[str, object]]) -> dict[str, bytes]:
    room, read = MOST_OCTETS, {}
    for ref in dict.fromkeys(str(one["ref"]) for one in held if one["state"] in ("held", "requested")):
        if not may_take_out(actor, office.store.held(ref=ref)):
            continue
        try:
            octets = office.store.octets_of(ref)
        except (KeyError, StoreFailed):
            continue
        if len(octets) <= room:
            room -= len(octets)
            read[ref] = octets
        await asyncio.sleep(0)  # others want to be answered, too
    return read


def _day(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d")
