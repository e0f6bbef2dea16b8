"""A person's own data, as one file they can take along: what is kept about them, in plain JSON, and their held mail."""

from __future__ import annotations

import io
import json
import zipfile
from dataclasses import asdict
from functools import partial
from typing import Any

from gatepost.access.rights import Actor, Right
from gatepost.mail.address import Address
from gatepost.office.glass import may_take_out
from gatepost.office.longreads import EXPORT_S
from gatepost.office.office import Office
from gatepost.office.senders import Senders
from gatepost.store import accounts, apppasswords, digests, glass, history, journal, searching, signins
from gatepost.store.approvals import CATEGORY as APPROVAL
from gatepost.store.database import Connection
from gatepost.store.failures import StoreFailed
from gatepost.store.quarantine import Wanted, search

MOST_MESSAGES = 5000
"""Of history, for each address and direction."""
MOST_HELD = 200
MOST_OCTETS = 64 << 20
"""Of held mail in one file; the rest is named only, and so is malware."""
SECRET = frozenset({"password", "seed", "seal", "hash", "salt", "handle", "public_key", "credential"})


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
    told = await office.read_long(actor, partial(collected, office=office, actor=actor), seconds=EXPORT_S)
    made, room = io.BytesIO(), MOST_OCTETS
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as folder:
        folder.writestr("data.json", json.dumps(told, ensure_ascii=False, indent=1, default=str))
        for one in told["held"][:MOST_HELD]:
            if one["state"] not in ("held", "requested") or one["size"] > room:
                continue
            if not may_take_out(actor, office.store.held(ref=one["ref"])):
                continue
            try:
                octets = office.store.octets_of(one["ref"])
            except (KeyError, StoreFailed):
                continue
            room -= len(octets)
            folder.writestr(f"held/{one['ref']}.eml", octets)
    return made.getvalue()


def collected(connection: Connection, *, office: Office, actor: Actor) -> dict[str, Any]:
    """What is kept about the actor, without secrets and without others' addresses beyond those of each message."""
    account = accounts.find(connection, id=actor.account)
    held = (
        search(
            connection, Wanted(addresses=actor.addresses, decided=True, without=APPROVAL), limit=MOST_MESSAGES
        )
        if actor.addresses
        else []
    )
    return {
        "made_at": office.clock(),
        "account": plain(asdict(account)) if account else {"login": actor.login},
        "addresses": list(actor.addresses),
        "passkeys": [plain(asdict(one)) for one in accounts.passkeys(connection, actor.account)],
        "app_passwords": [plain(asdict(one)) for one in apppasswords.listed(connection, actor.account)],
        "sign_ins": [asdict(one) for one in signins.noted(connection, actor.account, limit=MOST_MESSAGES)],
        "senders": [asdict(one) for one in Senders(office=office).listed(actor, mine=True)],
        "digests": [asdict(digests.standing(connection, one)) for one in actor.addresses],
        "held": [asdict(one) for one in held],
        "messages": [message for one in actor.addresses for message in messages(connection, one)],
        "journal": [asdict(one) for one in journal.read(connection, who=actor.who, limit=MOST_MESSAGES)],
        "looked_at_by": [
            asdict(one) for one in glass.views(connection, owners=actor.addresses, limit=MOST_MESSAGES)
        ],
    }


def messages(connection: Connection, address: str) -> list[dict[str, Any]]:
    """What is on record of mail from and to an address."""
    found = {}
    for wanted in (history.Search(recipient=address), history.Search(sender=address)):
        for entry in searching.find(connection, wanted, limit=MOST_MESSAGES).entries:
            mine = [one for one in entry.judged if same(one.recipient.address, address)]
            found[entry.ref] = {
                "ref": entry.ref, "at": entry.at, "from": str(entry.envelope.sender or ""), "author": entry.author,
                "subject": entry.subject, "size": entry.size, "message_id": entry.message_id,
                "client": str(entry.client.ip or ""),
                "verdicts": [{"action": one.verdict.action.value, "reason": one.verdict.reason} for one in mine],
            }  # fmt: skip
    return sorted(found.values(), key=lambda one: -one["at"])


def same(address: Address, text: str) -> bool:
    """Is it this one?"""
    return str(address).lower() == text.lower()


def plain(row: dict[str, Any]) -> dict[str, Any]:
    """Without what is secret or only makes sense inside."""
    return {
        name: sorted(map(str, value)) if isinstance(value, frozenset | set) else value
        for name, value in row.items()
        if name not in SECRET
    }
