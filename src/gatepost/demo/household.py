"""The demo's people: one who looks after the gate, and those whose mail comes here. Nobody has a password."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from gatepost.access.rights import Role, on_this_machine
from gatepost.app.office import office_of
from gatepost.config.schema import Loaded
from gatepost.demo.world import OUR_DOMAIN
from gatepost.office import people
from gatepost.store.store import Store

HOUSEHOLD: Mapping[str, tuple[str, tuple[Role, ...]]] = {
    "ana": ("Ana Moreno", (Role.OWNER, Role.QUARANTINE_MANAGER)),
    "ben": ("Ben Okafor", (Role.PERSON,)),
    "chie": ("Chie Tanaka", (Role.DATA_PROTECTION_OFFICER,)),
}
"""Local part -> name and roles."""
IN_CHARGE = f"ana@{OUR_DOMAIN}"


def move_in(loaded: Loaded) -> None:
    """Give everybody an account."""
    asyncio.run(_move_in(loaded))


async def _move_in(loaded: Loaded) -> None:
    store = Store.open(loaded.state, loaded.config.store, key_file=loaded.key_file)
    try:
        office, demo = office_of(loaded, store), on_this_machine("demo")
        for local, (name, roles) in HOUSEHOLD.items():
            await people.add(
                office, demo, f"{local}@{OUR_DOMAIN}", name=name, roles=roles,
                language="ja" if local == "chie" else "en",
            )  # fmt: skip
    finally:
        await store.close()
