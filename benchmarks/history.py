"""Makes a history long: copies of its first message, each with a reference, a sender, a client and a moment of its own."""

from __future__ import annotations

from pathlib import Path

from pysqlite3 import dbapi2

from gatepost.store.turns import turn

HISTORY = """
WITH RECURSIVE counted(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM counted WHERE n < ?1)
INSERT INTO history (ref, at, kind, action, sender, client, message_id, recipient_domains, facts)
SELECT printf('0%012d', n), first.at - n, kind, action, printf('other%d.example u%d', n % 5000, n % 7),
  printf('198.51.%d.%d', n % 256, n / 256 % 256), printf('%d@other.example', n), recipient_domains, facts
FROM counted, (SELECT * FROM history ORDER BY id LIMIT 1) AS first
"""
RECIPIENTS = """
INSERT INTO history_recipients SELECT recipient, h.at, h.id FROM history h,
  (SELECT recipient FROM history_recipients LIMIT 1) WHERE h.ref BETWEEN '0000000000000' AND '0999999999999'
"""
GISTS = """
INSERT INTO history_gist SELECT h.at, h.id, h.kind, h.action, h.sender, h.client, h.account, h.recipient_domains,
  ' default.deliver ', 'subject ' || h.id FROM history h WHERE h.ref BETWEEN '0000000000000' AND '0999999999999'
"""


def fill(database: Path, messages: int) -> None:
    """Add so many; takes its turn as any writer does."""
    with turn(database):
        connection = dbapi2.connect(str(database), isolation_level=None)
        try:
            connection.execute("BEGIN IMMEDIATE")
            connection.execute(HISTORY, (messages,))
            connection.execute(RECIPIENTS)
            connection.execute(GISTS)
            connection.execute("COMMIT")
        finally:
            connection.close()
