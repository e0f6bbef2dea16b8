"""A person's own data, as one file they can take along: what is kept about them, in plain JSON, and their held mail.

What is kept about an address says `store/personal.py` alone, the same for the data protection officer's file. What of it is about
others, or theirs to say, is left out here: who wants that asks for access, and a person answers.
"""

from __future__ import annotations

import asyncio
import io
import json
import zipfile
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from gatepost.access.rights import Actor, Right
from gatepost.office.glass import may_take_out
from gatepost.office.longreads import EXPORT_S
from gatepost.office.office import Office
from gatepost.store import journal, personal
from gatepost.store.approvals import CATEGORY as APPROVAL
from gatepost.store.database import Connection
from gatepost.store.failures import StoreFailed
from gatepost.store.quarantine import State

MOST_HELD = 200
MOST_OCTETS = 64 << 20
"""Of held mail in one file; the rest is named only, and so is malware."""
Row = Mapping[str, Any]


async def export(office: Office, actor: Actor) -> bytes:
    """A ZIP with ``data.json`` and the held messages as they came; in the journal before it leaves.

    Raises NotAllowed, or ProveAgain.
    """
    office.insist(actor, Right.OWN)
    office.insist_on_proof(actor)
    why = office.why(actor)
    await office.store.database.commit(
        partial(journal.append, at=why.at, who=why.who, what=f"data export <{actor.login}>", why="")
    )
    found = await office.read_long(actor, partial(collected, actor=actor), seconds=EXPORT_S)
    told = {
        "made_at": office.clock(), "addresses": list(actor.addresses), "data": found,
        "about": {part.name: part.about for part in personal.PARTS},
    }  # fmt: skip
    files = {"data.json": json.dumps(told, ensure_ascii=False, indent=1, default=str).encode()}
    files |= letters(office, actor, [one for parts in found.values() for one in parts["held"]])
    return await asyncio.to_thread(zipped, files)  # long enough to keep the loop from others


def letters(office: Office, actor: Actor, held: list[Row]) -> dict[str, bytes]:
    """The held messages that may be taken out, by the names of their files."""
    room, found = MOST_OCTETS, dict[str, bytes]()
    for one in held[:MOST_HELD]:
        if one["state"] not in ("held", "requested") or one["size"] > room:
            continue
        if not may_take_out(actor, office.store.held(ref=one["ref"])):
            continue
        try:
            octets = office.store.octets_of(one["ref"])
        except (KeyError, StoreFailed):
            continue
        room -= len(octets)
        found[f"held/{one['ref']}.eml"] = octets
    return found


def zipped(files: Mapping[str, bytes]) -> bytes:
    """As one file."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as folder:
        for name, octets in files.items():
            folder.writestr(name, octets)
    return made.getvalue()


def collected(connection: Connection, *, actor: Actor) -> dict[str, dict[str, list[Row]]]:
    """Address -> part -> rows, of the actor's own addresses: what is theirs to see."""
    waiting = unknown_to_recipients(connection, actor)
    found: dict[str, dict[str, list[Row]]] = {}
    for address in dict.fromkeys([actor.login, *actor.addresses]):
        parts = personal.collected(connection, address)
        found[address] = {
            name: [one for one in rows if OWN.get(name, everything)(one, actor, waiting)]
            for name, rows in parts.items()
        }
    return found


def unknown_to_recipients(connection: Connection, actor: Actor) -> frozenset[str]:
    """References of mail to the actor that waits for approval on its way out, or was declined: they know nothing of it."""
    marks = ", ".join("?" * len(actor.addresses))
    rows = connection.execute(
        f"SELECT ref FROM quarantine WHERE category = ? AND state <> ? AND lower(to_address) IN ({marks})",  # noqa: S608
        (APPROVAL, State.RELEASED, *actor.addresses),
    )
    return frozenset(ref for (ref,) in rows)


def everything(_: Row, __: Actor, ___: frozenset[str]) -> bool:
    """All of a part."""
    return True


def _mine(row: Row, actor: Actor, *fields: str) -> bool:
    return any(actor.owns(str(row[name])) for name in fields)


OWN: Mapping[str, Callable[[Row, Actor, frozenset[str]], bool]] = {
    # What others did stays with them; who looked at one's mail is a part of its own.
    "journal": lambda row, actor, _: row["who"] == actor.who,
    "messages": lambda row, actor, waiting: row["ref"] not in waiting or row["client"].get("user") == actor.login,
    "held": lambda row, actor, _: _mine(row, actor, "to") and row["category"] != APPROVAL,
    # Whether somebody else blocks them is that one's own.
    "senders": lambda row, actor, _: _mine(row, actor, "owner", "recipient"),
}  # fmt: skip
"""Of these parts some rows only."""
