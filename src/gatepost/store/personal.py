"""Everything that is kept about one address, part by part: found for who asks, counted, and erased where it may be.

`PARTS` is the one table that access (GDPR Art. 15) and erasure (Art. 17) read; `NOBODYS` and `KEPT_APART` name every other
table of the database with the reason why it is no part, so that none is forgotten.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from gatepost.mail.address import Address
from gatepost.store import accounts, gone, holds, journal, messages
from gatepost.store.database import Connection
from gatepost.store.history import typed_key
from gatepost.store.json import decode_entry, encode
from gatepost.store.quarantine import COLUMNS, NOW_HELD, held_from
from gatepost.store.records import HistoryEntry

MOST = 20_000
"""Rows of one part in an export."""
ERASED = "(erased)"
NOBODYS = {
    "journal_anchor": "a chain value", "entries_version": "a counter", "numbers": "counts of hours",
    "sts_known": "policies of domains", "tls_sessions": "sessions of domains", "tls_reports": "reports of domains",
    "signing_keys": "our keys", "sts_policies": "our policies", "sts_evidence": "counts of days",
    "key_changes": "our certificates", "retention_runs": "counts", "challenges": "minutes old, by random digests",
    "strikes": "by digests, gone with the sign-ins",
}  # fmt: skip
KEPT_APART = {
    "messages": "with queue and quarantine", "history_recipients": "with history", "history_gist": "with history",
    "journal_fields": "with the journal", "accounts": "the account", "account_addresses": "the account", "passkeys": "the account",
    "recovery_codes": "the account", "enrolment_links": "the account", "sessions": "the account", "known_devices": "the account",
    "provider_identities": "the account", "app_passwords": "the account", "client_certificates": "the account",
    "api_tokens": "the account", "policies": "who decided about the policy: as the journal",
    "candidates": "who is at work on a policy: gone when done", "glass": "with looks",
    "gone": "so that no backup brings it back", "data_requests": "the proof that a request was answered", "legal_holds": "the proof of a hold",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Erased:
    """What became of one part."""

    erased: int = 0
    changed: int = 0
    """Rows that stay for others, without this address."""
    kept: Mapping[str, int] = field(default_factory=dict)
    """Why -> how many: a key of `WHY_KEPT`."""
    files: Sequence[str] = ()
    """Files of the spool to be removed after the commit."""


WHY_KEPT = {
    "hold": "a legal hold is in force",
    "recipient": "it is held for its recipient, who decides about it",
    "under way": "it is on its way, and gone within days",
    "account": "the account is in use: remove it under People first, the rest goes with it",
    "accountability": "who read held mail, and by what right, is the owner's to know; it goes with the journal",
    "chain": "number, time and kind of each act stay, without a name, so that the chain still proves the others",
    "others": "somebody else's wish about this sender",
    "short": "a counter of limits or a short memory, gone by itself",
}
Find = Callable[[Connection, str], Iterator[dict[str, Any]]]
Erase = Callable[[Connection, str, bool], Erased]
"""With the address; True does it, False only counts."""


@dataclass(frozen=True, slots=True)
class Part:
    """One kind of data about an address."""

    name: str
    about: str
    find: Find
    erase: Erase
    tables: tuple[str, ...]


def collected(connection: Connection, address: str) -> dict[str, list[dict[str, Any]]]:
    """Everything about an address, by part."""
    asked = address.strip().lower()
    return {part.name: list(_bounded(part.find(connection, asked))) for part in PARTS}


def planned(connection: Connection, address: str) -> dict[str, Erased]:
    """What an erasure would do, by part; nothing is changed."""
    return {part.name: part.erase(connection, address.strip().lower(), False) for part in PARTS}


def erase(connection: Connection, address: str) -> dict[str, Erased]:
    """Erase what may be erased, in the transaction of the caller; what is erased is overwritten in the file."""
    connection.execute("PRAGMA secure_delete = ON")
    try:
        gone.note(connection, "erased", address.strip().lower())
        return {part.name: part.erase(connection, address.strip().lower(), True) for part in PARTS}
    finally:
        connection.execute("PRAGMA secure_delete = OFF")


def _bounded(rows: Iterator[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for _, row in zip(range(MOST), rows, strict=False):
        yield row


# Messages


def _history_ids(connection: Connection, address: str) -> list[tuple[int, float, bytes, bool]]:
    """Number, time, facts, and whether a hold is over it."""
    rows: list[tuple[int, float, bytes, bool]] = connection.execute(
        f"SELECT h.id, h.at, h.facts, NOT ({holds.HISTORY}) FROM history h WHERE h.id IN"  # noqa: S608 - our own words
        " (SELECT id FROM history WHERE sender = ?1 UNION SELECT history FROM history_recipients WHERE recipient = ?1"
        " UNION SELECT id FROM history WHERE account = ?2 AND account <> '') ORDER BY h.at DESC",
        (typed_key(address), address),
    ).fetchall()
    return rows


def _messages(connection: Connection, address: str) -> Iterator[dict[str, Any]]:
    for _, _, facts, _ in _history_ids(connection, address):
        entry = decode_entry(facts)
        mine = entry if _is_from(entry, address) else _of_recipient(entry, address)
        yield json.loads(encode(mine))


def _of_recipient(entry: HistoryEntry, address: str) -> HistoryEntry:
    """The entry without the other recipients."""
    return replace(
        entry,
        envelope=replace(entry.envelope, recipients=tuple(one for one in entry.envelope.recipients if _is(one.address, address))),
        judged=tuple(one for one in entry.judged if _is(one.recipient.address, address)),
    )  # fmt: skip


def _is(one: Address | None, address: str) -> bool:
    return one is not None and str(one).lower() == address


def _is_from(entry: HistoryEntry, address: str) -> bool:
    return _is(entry.envelope.sender, address) or entry.client.account.lower() == address


def _erase_messages(connection: Connection, address: str, really: bool) -> Erased:
    gone = changed = held = 0
    for number, at, facts, on_hold in _history_ids(connection, address):
        entry = decode_entry(facts)
        if on_hold:
            held += 1
        elif _is_from(entry, address) or all(_is(one.address, address) for one in entry.envelope.recipients):
            gone += 1
            if really:
                _forget_entry(connection, number, at, entry.ref)
        else:
            changed += 1
            if really:
                _forget_recipient(connection, number, at, entry, address)
    return Erased(gone, changed, {"hold": held} if held else {})


def _forget_entry(connection: Connection, number: int, at: float, ref: str) -> None:
    connection.execute("DELETE FROM history_recipients WHERE history = ? AND at = ?", (number, at))
    connection.execute("DELETE FROM history_gist WHERE at = ? AND id = ?", (at, number))
    connection.execute("DELETE FROM history WHERE id = ?", (number,))
    connection.execute("DELETE FROM attempts WHERE ref = ?", (ref,))


def _forget_recipient(
    connection: Connection, number: int, at: float, entry: HistoryEntry, address: str
) -> None:
    """The entry stays for its other recipients, and names this one no more."""
    others = replace(
        entry,
        envelope=replace(
            entry.envelope, recipients=tuple(one for one in entry.envelope.recipients if not _is(one.address, address))
        ),
        judged=tuple(one for one in entry.judged if not _is(one.recipient.address, address)),
    )  # fmt: skip
    left = json.dumps(without(json.loads(encode(others)), address), ensure_ascii=False).encode()
    connection.execute("UPDATE history SET facts = ? WHERE id = ?", (left, number))
    connection.execute(
        "DELETE FROM history_recipients WHERE recipient = ? AND at = ? AND history = ?",
        (typed_key(address), at, number),
    )


def without(value: Any, address: str) -> Any:
    """The same with every whole mention of the address replaced."""
    whole = re.compile(rf"(?<![\w.+@-]){re.escape(address)}(?![\w@-]|\.\w)", re.IGNORECASE)
    match value:
        case str():
            return whole.sub(ERASED, value)
        case list():
            return [
                without(one, address)
                for one in value
                if not (isinstance(one, str) and one.lower() == address)
            ]
        case dict():
            return {name: without(one, address) for name, one in value.items()}
    return value


def _attempts(connection: Connection, address: str) -> Iterator[dict[str, Any]]:
    # All of them are looked at: to whom mail for an alias went in the end stands nowhere else.
    rows = connection.execute(
        f"SELECT t.ref, t.facts FROM attempts t WHERE lower({holds.TO}) = ?",  # noqa: S608 - our own words
        (address,),
    )
    for ref, facts in rows:
        yield {"ref": ref, **json.loads(facts)}


def _erase_attempts(connection: Connection, address: str, really: bool) -> Erased:
    return _erased(
        connection, "attempts AS t", f"lower({holds.TO}) = ?", (address,), holds.ATTEMPTS, really=really
    )


def _held(connection: Connection, address: str) -> Iterator[dict[str, Any]]:
    rows = connection.execute(
        f"SELECT {COLUMNS} FROM quarantine WHERE lower(to_address) = ?1 OR lower(sender) = ?1 ORDER BY id DESC",  # noqa: S608
        (address,),
    )
    yield from (asdict(held_from(row)) for row in rows)


def _erase_held(connection: Connection, address: str, really: bool) -> Erased:
    rows = connection.execute(
        f"SELECT id, message, lower(to_address) = ?1, {NOW_HELD}, NOT ({holds.QUARANTINE}) FROM quarantine"  # noqa: S608
        " WHERE lower(to_address) = ?1 OR lower(sender) = ?1",
        (address,),
    ).fetchall()
    gone = [
        (number, message)
        for number, message, own, undecided, on_hold in rows
        if not on_hold and (own or not undecided)
    ]
    kept = {
        "hold": sum(bool(row[4]) for row in rows),
        "recipient": sum(not on_hold and not own and undecided for _, _, own, undecided, on_hold in rows),
    }
    files: list[str | None] = []
    if really:
        connection.executemany("DELETE FROM quarantine WHERE id = ?", [(number,) for number, _ in gone])
        whole = {message for _, message in gone if message is not None}
        files = [messages.drop_if_unused(connection, message) for message in whole]
    return Erased(len(gone), 0, _some(kept), [one for one in files if one is not None])


def _queued(connection: Connection, address: str) -> Iterator[dict[str, Any]]:
    rows = connection.execute(
        "SELECT m.ref, q.to_address, q.created_at, q.due_at, q.attempts FROM queue q JOIN messages m ON m.id = q.message"
        " WHERE lower(q.to_address) = ?1 OR m.account = ?1"
        " OR lower(json_extract(CAST(m.envelope AS TEXT), '$.sender.local') || '@'"
        " || json_extract(CAST(m.envelope AS TEXT), '$.sender.domain')) = ?1",
        (address,),
    )
    for ref, to, created_at, due_at, attempts in rows:
        yield {"ref": ref, "to": to, "created_at": created_at, "due_at": due_at, "attempts": attempts}


def _stays(find: Find, why: str) -> Erase:
    def counted(connection: Connection, address: str, _: bool) -> Erased:
        return Erased(0, 0, _some({why: sum(1 for _ in find(connection, address))}))

    return counted


def _account(connection: Connection, address: str) -> Iterator[dict[str, Any]]:
    from gatepost.store import apitokens, apppasswords

    account = accounts.owner_of(connection, address) or accounts.find(connection, login=address)
    if account is None:
        return
    yield {
        "account": _plain(asdict(account)),
        "addresses": list(accounts.addresses(connection, account.id)),
        "passkeys": [_plain(asdict(one)) for one in accounts.passkeys(connection, account.id)],
        "app_passwords": [_plain(asdict(one)) for one in apppasswords.listed(connection, account.id)],
        "certificates": [_plain(asdict(one)) for one in apppasswords.certificates(connection, account.id)],
        "api_tokens": [_plain(asdict(one)) for one in apitokens.listed(connection, account.id)],
    }


SECRET = frozenset(
    {"password", "seed", "seal", "hash", "salt", "handle", "public_key", "credential", "selector"}
)


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    """Without what is secret or only makes sense inside."""
    return {
        name: sorted(map(str, value)) if isinstance(value, frozenset | set) else str(value) if isinstance(value, bytes) else value
        for name, value in row.items()
        if name not in SECRET
    }  # fmt: skip


_ACCOUNTS = (
    "(SELECT id FROM accounts WHERE login = ?1 UNION SELECT account FROM account_addresses WHERE address = ?1"
    " AND delegated = 0)"
)


# Tables with a column that holds the address


def _rows(table: str, where: str, columns: Sequence[str] = ()) -> Find:
    def find(connection: Connection, address: str) -> Iterator[dict[str, Any]]:
        cursor = connection.execute(  # our own words; what is searched for is bound
            f"SELECT {', '.join(columns) or '*'} FROM {table} WHERE {where}",  # noqa: S608
            (address,),
        )
        names = [one[0] for one in cursor.description]
        for row in cursor:
            yield {
                name: value.hex() if isinstance(value, bytes) else value
                for name, value in zip(names, row, strict=True)
            }

    return find


def _erases(table: str, where: str, free: str) -> Erase:
    def erase_rows(connection: Connection, address: str, really: bool) -> Erased:
        return _erased(connection, table, where, (address,), free, really=really)

    return erase_rows


def _erased(
    connection: Connection, table: str, where: str, values: tuple[str, ...], free: str, *, really: bool
) -> Erased:
    """Count rows of a table, or delete those under no hold."""
    (every, gone) = connection.execute(
        f"SELECT count(*), coalesce(sum({free}), 0) FROM {table} WHERE {where}",  # noqa: S608 - our own words
        values,
    ).fetchone()
    if really and gone:
        connection.execute(
            f"DELETE FROM {table} WHERE ({where}) AND {free}",  # noqa: S608 - our own words
            values,
        )
    return Erased(int(gone), 0, _some({"hold": int(every - gone)}))


def _erase_entries(connection: Connection, address: str, really: bool) -> Erased:
    own = "lower(owner) = ?1 OR lower(recipient) = ?1"
    done = _erased(connection, "entries", own, (address,), holds.ENTRIES, really=really)
    (others,) = connection.execute(
        f"SELECT count(*) FROM entries WHERE identity = ?1 AND NOT ({own})",  # noqa: S608
        (address,),
    ).fetchone()
    if really and done.erased:
        connection.execute("UPDATE entries_version SET number = number + 1")
    return replace(done, kept=_some({**done.kept, "others": int(others)}))


def _journal(connection: Connection, address: str) -> Iterator[dict[str, Any]]:
    for one in journal.read(connection, about=address, limit=MOST):
        yield asdict(one)


def _erase_journal(connection: Connection, address: str, really: bool) -> Erased:
    naming = list(journal.naming(connection, address))
    if holds.concerning(connection, address):
        return Erased(0, 0, _some({"hold": len(naming)}))
    chain = len({number for number, _ in naming})
    if really:
        journal.erase(connection, address)
    return Erased(len(naming), 0, _some({"chain": chain}))


def _some(counts: Mapping[str, int]) -> dict[str, int]:
    return {name: number for name, number in counts.items() if number}


LOOKS_OF = _rows("views", "lower(owner) = ?1")
MEMORY = _rows("memory", "instr(lower(key), ?1)")
HELD_ACCOUNT = _rows("held_accounts", "lower(account) = ?1")
PARTS: tuple[Part, ...] = (
    Part("journal", "Acts of theirs or about them, in the journal", _journal, _erase_journal, ("journal",)),
    Part("attempts", "Attempts to deliver to them", _attempts, _erase_attempts, ("attempts",)),
    Part("messages", "Facts about messages from or to them", _messages, _erase_messages, ("history",)),
    Part("held", "Held mail from or to them", _held, _erase_held, ("quarantine",)),
    Part("queued", "Mail of theirs that waits for delivery", _queued, _stays(_queued, "under way"), ("queue",)),
    Part(
        "correspondents", "Whom they write to", _rows("correspondents", "lower(identity) = ?1"),
        _erases("correspondents", "lower(identity) = ?1", holds.CORRESPONDENTS), ("correspondents",),
    ),
    Part(
        "senders", "Senders that they allow or block, and what others said of them",
        _rows("entries", "lower(owner) = ?1 OR lower(recipient) = ?1 OR identity = ?1"), _erase_entries, ("entries",),
    ),
    Part(
        "lessons", "What they taught the classifier",
        _rows("lessons", "lower(owner) = ?1 OR lower(who) = ?1", ("number", "at", "owner", "spam", "how", "who", "ref")),
        _erases("lessons", "lower(owner) = ?1 OR lower(who) = ?1", holds.LESSONS), ("lessons",),
    ),
    Part(
        "digests", "How often they get a letter about held mail", _rows("digests", "address = ?1"),
        _erases("digests", "address = ?1", "1"), ("digests",),
    ),
    Part(
        "sign_ins", "Their sign-ins", _rows("sign_ins", f"account IN {_ACCOUNTS}"),
        _erases("sign_ins", f"account IN {_ACCOUNTS}", holds.SIGN_INS), ("sign_ins",),
    ),
    Part("looks", "Who looked at their held mail", LOOKS_OF, _stays(LOOKS_OF, "accountability"), ("views",)),
    Part("account", "Their account, without its secrets", _account, _stays(_account, "account"), ("accounts",)),
    Part(
        "account_held", "Their account's mail is held", HELD_ACCOUNT, _stays(HELD_ACCOUNT, "short"), ("held_accounts",)
    ),
    Part("memory", "Counters and short memories", MEMORY, _stays(MEMORY, "short"), ("memory",)),
)  # fmt: skip
"""The order matters: attempts before the messages they belong to."""
