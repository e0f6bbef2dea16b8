"""What people search for of each entry of history, in few octets: kept in the same commit, read instead of the entry itself."""

from __future__ import annotations

from typing import TYPE_CHECKING
from unicodedata import normalize

from gatepost.store.records import HistoryEntry

if TYPE_CHECKING:
    from gatepost.store.database import Connection  # which brings its tables up to date with `folded`

SUBJECT_LONGEST = 200
"""Characters of a subject that are searched."""
RULES_LONGEST = 1000


def insert(
    connection: Connection,
    number: int,
    entry: HistoryEntry,
    *,
    action: str,
    sender: str,
    domains: str,
    account: str,
) -> None:
    """Keep the gist of the entry with this number; the words are those of its row in history."""
    connection.execute(
        "INSERT INTO history_gist (at, id, kind, action, sender, client, account, domains, rules, subject)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            entry.at, number, entry.kind, action, sender, str(entry.client.ip or ""), account, domains,
            f" {' '.join(rules_of(entry))[:RULES_LONGEST]} ", folded(entry.subject),
        ),
    )  # fmt: skip


def rules_of(entry: HistoryEntry) -> list[str]:
    """What decided, for any of its recipients; for what was turned down before a verdict, the first thing seen."""
    if entry.judged:
        return list(dict.fromkeys(one.verdict.rule for one in entry.judged))
    return [entry.findings[0].name if entry.findings else "session"]


def folded(text: str) -> str:
    """As it is searched: capitals and small letters, wide and narrow ones are the same."""
    if text.isascii():
        return text.lower()[:SUBJECT_LONGEST]
    return normalize("NFKC", text[:SUBJECT_LONGEST]).casefold()[:SUBJECT_LONGEST]
