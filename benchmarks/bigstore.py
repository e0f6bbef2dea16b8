"""Makes a store as large as years leave it: history with its gists and counters, quarantine, queue. Through no socket, in SQL.

What can be searched for is made so that each kind of search is there: common senders and domains, rare ones, and letters that
are alone of their kind and the oldest of all.
"""

from __future__ import annotations

from ipaddress import ip_address
from pathlib import Path

from pysqlite3 import dbapi2

from gatepost.mail.address import Address
from gatepost.mail.client import Client, Envelope, Recipient
from gatepost.mail.finding import Finding, Mode
from gatepost.mail.verdict import Action, Verdict, Weighed
from gatepost.store.json import encode
from gatepost.store.records import HistoryEntry, Judged

DAYS = 30
"""Over which a million messages are spread; more messages reach back further."""
ACTIONS = (
    "deliver",
    "deliver",
    "deliver",
    "deliver",
    "junk",
    "quarantine",
    "refuse",
    "refuse",
    "deliver",
    "defer",
)
RULES = ("default.deliver", "default.deliver", "default.deliver", "default.deliver", "score.junk", "score.quarantine", "dmarc.reject",
         "dnsbl.listed", "default.deliver", "greylist.first")  # fmt: skip
WORDS = (
    "Invoice", "Re: your order", "Meeting on Monday", "請求書のお知らせ", "Newsletter", "Offer", "Delivery note", "Fwd: photos", "会議の件",
    "Contract for signature", "Password expires", "Weekly report", "Grüße aus Köln", "Reminder", "Ticket", "Holiday plans",
)  # fmt: skip
HELD = 20_000
DECIDED = 50_000
QUEUED = 5_000
HISTORY = """
WITH RECURSIVE counted(n) AS (SELECT ?1 - 1 UNION ALL SELECT n - 1 FROM counted WHERE n > 0)
INSERT INTO history (ref, at, kind, action, sender, client, message_id, recipient_domains, facts)
SELECT printf('9%012d', ?1 - n), ?2 - (n * ?3), CASE WHEN n % 17 = 0 THEN 'attempt' ELSE 'message' END, a.action,
  CASE WHEN n = ?1 - 1 THEN 'once.example old' WHEN n % 10 < 3 THEN 'common.example u' || (n % 997)
    WHEN n > ?1 * 0.9 AND n % 3 = 0 THEN 'gone.example u' || (n % 97) ELSE printf('other%d.example u%d', n % 5000, n % 7) END,
  CASE WHEN n = ?1 - 1 THEN '203.0.113.1' WHEN n % 20 = 0 THEN '203.0.113.9' ELSE printf('198.51.%d.%d', n % 256, n / 256 % 256) END,
  printf('%d@other.example', n), CASE WHEN n % 50 = 1 THEN ' example.org ' ELSE ' example.net ' END,
  CAST(replace(replace(replace(?4, 'REF-HERE', printf('9%012d', ?1 - n)), 'SUBJECT-HERE',
    CASE WHEN n = ?1 - 1 THEN 'The only one of its kind' ELSE w.word || ' ' || n END),
    '"at":0.0', '"at":' || (?2 - (n * ?3))) AS BLOB)
FROM counted CROSS JOIN actions a ON a.place = n % 10 CROSS JOIN words w ON w.place = n / 10 % 16
"""
RECIPIENTS = """
INSERT INTO history_recipients
SELECT trim(recipient_domains) || CASE WHEN id % 4 = 0 THEN ' info' ELSE ' person' || (id % 500) END AS recipient, at, id
FROM history ORDER BY recipient, at
"""
GISTS = """
INSERT INTO history_gist SELECT h.at, h.id, h.kind, h.action, h.sender, h.client, h.account, h.recipient_domains,
  ' ' || a.rule || ' ', CASE WHEN n = ?1 - 1 THEN 'the only one of its kind' ELSE w.folded || ' ' || n END
FROM (SELECT *, CAST(message_id AS INTEGER) AS n FROM history) h
CROSS JOIN actions a ON a.place = n % 10 CROSS JOIN words w ON w.place = n / 10 % 16 ORDER BY h.id
"""
NUMBERS = (
    "SELECT 'verdict', CAST(at / 3600 AS INTEGER), kind || '|' || action, count(*) FROM history_gist GROUP BY 2, 3",
    "SELECT 'rule', CAST(at / 3600 AS INTEGER), action || '|' || trim(rules), count(*) FROM history_gist GROUP BY 2, 3",
    "SELECT 'score', CAST(at / 3600 AS INTEGER), CAST(id * 7 % 60 / 2.0 - 15 AS TEXT), count(*) FROM history_gist GROUP BY 2, 3",
    "SELECT 'ms', CAST(at / 3600 AS INTEGER), CAST(id % 20 AS TEXT), count(*) FROM history_gist GROUP BY 2, 3",
    "SELECT 'list', CAST(at / 3600 AS INTEGER), 'hit|bl' || (id % 8) || '.example', count(*) FROM history_gist GROUP BY 2, 3",
)
KEPT = """
INSERT INTO messages (ref, created_at, envelope, added_header, removed_fields, may_bounce, size, octets)
SELECT ref, at, ?2, x'', CAST('[]' AS BLOB), 0, 4096, zeroblob(4096) FROM history WHERE action = ?1 AND kind = 'message' ORDER BY id DESC LIMIT ?3
"""
QUARANTINE = """
INSERT INTO quarantine (message, ref, sender, size, recipient, to_address, junk, original, held_at, reason, rule, category, state,
  changed_at, changed_by, changed_why)
SELECT CASE WHEN ?2 THEN m.id END, h.ref, replace(h.sender, ' ', '@'), 4096, ?1,
  CASE WHEN h.id % 25 = 0 THEN 'ana@example.net' ELSE 'person' || (h.id % 500) || '@example.net' END, 0, 0, h.at,
  'The score says so.', 'score.quarantine', CASE h.id % 3 WHEN 0 THEN 'spam' WHEN 1 THEN 'phishing' ELSE 'malware' END,
  CASE WHEN ?2 THEN 'held' ELSE 'expired' END, h.at, '', ''
FROM history h LEFT JOIN messages m ON m.ref = h.ref
WHERE h.action = 'quarantine' AND h.kind = 'message' AND (m.id IS NULL) <> ?2 ORDER BY h.id DESC LIMIT ?3
"""
QUEUE = """
INSERT INTO queue (message, recipient, to_address, junk, created_at, due_at)
SELECT m.id, ?1, 'person' || (m.id % 500) || '@next' || (m.id % 40) || '.example', 0, m.created_at, m.created_at + 1e9
FROM messages m JOIN history h ON h.ref = m.ref WHERE h.action = 'deliver'
"""


def fill(path: Path, messages: int, now: float, *, findings: int = 14) -> None:
    """A database that has its tables and nothing in them becomes one of so many messages, the newest at `now`.

    With fewer findings an entry is smaller: fourteen make 3 KB.
    """
    connection = dbapi2.connect(str(path), isolation_level=None)
    try:
        connection.execute("PRAGMA journal_mode = OFF")  # nobody else has it open
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute("PRAGMA cache_size = -400000")
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("CREATE TEMP TABLE actions (place INTEGER PRIMARY KEY, action TEXT, rule TEXT)")
        rows = [(place, action, RULES[place]) for place, action in enumerate(ACTIONS)]
        connection.executemany("INSERT INTO actions VALUES (?, ?, ?)", rows)
        connection.execute("CREATE TEMP TABLE words (place INTEGER PRIMARY KEY, word TEXT, folded TEXT)")
        words = [(place, word, word.casefold()) for place, word in enumerate(WORDS)]
        connection.executemany("INSERT INTO words VALUES (?, ?, ?)", words)
        step_s = DAYS * 86_400 / 1_000_000 if messages > 1_000_000 else DAYS * 86_400 / messages
        connection.execute(HISTORY, (messages, now, step_s, typical(findings)))
        connection.execute(RECIPIENTS)
        connection.execute(GISTS, (messages,))
        for statement in NUMBERS:
            connection.execute("INSERT INTO numbers " + statement)
        recipient = encode(Recipient(address=Address("ana", "example.net")))
        envelope = encode(Envelope(sender=Address("u", "other.example"), recipients=(Recipient(address=Address("ana", "example.net")),)))  # fmt: skip
        connection.execute(KEPT, ("quarantine", envelope, HELD))
        connection.execute(QUARANTINE, (recipient, 0, DECIDED))
        connection.execute(QUARANTINE, (recipient, 1, HELD))
        connection.execute(KEPT, ("deliver", envelope, QUEUED))
        connection.execute(QUEUE, (recipient,))
        connection.execute("COMMIT")
        connection.execute("PRAGMA journal_mode = WAL")
    finally:
        connection.close()


def typical(findings: int) -> str:
    """The facts of a message."""
    names = (
        "spf.pass",
        "dkim.pass",
        "dmarc.pass",
        "rdns.confirmed",
        "dnsbl.asked",
        "correspondents.first",
        "spam.opinion",
    )
    text = "A sentence about what was seen, as long as they usually are in this place."
    weighed = tuple(
        Weighed(Finding(names[place % 7], text, {"asked": 3, "words": ["a", "b"]}), 0.4, Mode.ENFORCE)
        for place in range(findings)
    )
    verdict = Verdict(
        action=Action.DELIVER, would_action=Action.DELIVER, rule="default.deliver", reason=text, score=1.5, weighed=weighed,
    )  # fmt: skip
    recipient = Recipient(address=Address("ana", "example.net"))
    return encode(
        HistoryEntry(
            ref="REF-HERE", at=0.0, kind="message", client=Client(ip=ip_address("198.51.100.1"), hello="mx.other.example"),
            envelope=Envelope(sender=Address("u", "other.example"), recipients=(recipient,)),
            judged=(Judged(recipient=recipient, verdict=verdict),), subject="SUBJECT-HERE", reply="250 2.0.0 Ok", size=12_345,
            milliseconds={"total": 12.0},
        )
    ).decode()  # fmt: skip
