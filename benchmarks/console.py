"""How quickly Overview and Messages answer with a million messages in history. Makes the history itself, through no socket.

    .venv/bin/python benchmarks/console.py [--messages 1000000] [--rounds 60]

Requests go through the whole ASGI application (session, rights, queries, templates) in one process, one after another.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

import httpx
from pysqlite3 import dbapi2

sys.path.insert(0, str(Path(__file__).resolve().parent))

from gatepost.access.rights import Role, on_this_machine
from gatepost.access.standing import Strength
from gatepost.config.schema import defaults
from gatepost.office import people, sessions
from gatepost.office.office import Office
from gatepost.store.store import Store
from gatepost.web.looks import Looks
from gatepost.web.sessions import OfficeSessions
from gatepost.web.site import site
from gatepost.web.visit import LANGUAGES, Premises

DAYS = 30
ORIGIN = "http://localhost:8080"
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
HISTORY = """
WITH RECURSIVE counted(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM counted WHERE n < ?1 - 1)
INSERT INTO history (ref, at, kind, action, sender, client, message_id, recipient_domains, facts)
SELECT printf('9%012d', n), ?2 - (n * ?3), CASE WHEN n % 17 = 0 THEN 'attempt' ELSE 'message' END, a.action,
  printf('other%d.example u%d', n % 5000, n % 7), printf('198.51.%d.%d', n % 256, n / 256 % 256), printf('%d@other.example', n),
  ' example.net ', CAST(replace(replace(replace(?4, 'REF-HERE', printf('9%012d', n)), 'SUBJECT-HERE', 'Subject ' || n), '"at":0.0',
  '"at":' || (?2 - (n * ?3))) AS BLOB)
FROM counted JOIN actions a ON a.place = n % 10
"""
RECIPIENTS = """
INSERT INTO history_recipients SELECT printf('example.net person%d', id % 500), at, id FROM history
"""
GISTS = """
INSERT INTO history_gist SELECT h.at, h.id, h.kind, h.action, h.sender, h.client, h.account, h.recipient_domains,
  ' ' || a.rule || ' ', 'subject ' || substr(h.message_id, 1, instr(h.message_id, '@') - 1)
FROM history h JOIN actions a ON a.place = h.id % 10 ORDER BY h.id DESC
"""
NUMBERS = (
    "INSERT INTO numbers SELECT 'verdict', CAST(at / 3600 AS INTEGER), kind || '|' || action, count(*) FROM history GROUP BY 2, 3",
    "INSERT INTO numbers SELECT 'rule', CAST(at / 3600 AS INTEGER), h.action || '|' || a.rule, count(*) FROM history h JOIN actions a ON a.place = h.id % 10 GROUP BY 2, 3",
    "INSERT INTO numbers SELECT 'score', CAST(at / 3600 AS INTEGER), CAST(id * 7 % 60 / 2.0 - 15 AS TEXT), count(*) FROM history GROUP BY 2, 3",
    "INSERT INTO numbers SELECT 'ms', CAST(at / 3600 AS INTEGER), CAST(id % 20 AS TEXT), count(*) FROM history GROUP BY 2, 3",
    "INSERT INTO numbers SELECT 'list', CAST(at / 3600 AS INTEGER), 'hit|bl' || (id % 8) || '.example', count(*) FROM history GROUP BY 2, 3",
)


def fill(path: Path, messages: int, now: float) -> None:
    """The history and its counters, as the gate would have kept them."""
    facts = typical()
    connection = dbapi2.connect(str(path), isolation_level=None)
    try:
        connection.execute("PRAGMA journal_mode = OFF")  # nobody else has it open
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute("PRAGMA cache_size = -400000")
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("CREATE TEMP TABLE actions (place INTEGER, action TEXT, rule TEXT)")
        rows = [(place, action, RULES[place]) for place, action in enumerate(ACTIONS)]
        connection.executemany("INSERT INTO actions VALUES (?, ?, ?)", rows)
        connection.execute(HISTORY, (messages, now, DAYS * 86_400 / messages, facts))
        connection.execute(RECIPIENTS)
        connection.execute(GISTS)
        for statement in NUMBERS:
            connection.execute(statement)
        connection.execute("COMMIT")
        connection.execute("PRAGMA journal_mode = WAL")
    finally:
        connection.close()


def typical() -> str:
    """The facts of a message with a dozen findings, about 3 KB."""
    from ipaddress import ip_address

    from gatepost.mail.address import Address
    from gatepost.mail.client import Client, Envelope, Recipient
    from gatepost.mail.finding import Finding, Mode
    from gatepost.mail.verdict import Action, Verdict, Weighed
    from gatepost.store.json import encode
    from gatepost.store.records import HistoryEntry, Judged

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
        Weighed(Finding(name, text, {"asked": 3, "words": ["a", "b"]}), 0.4, Mode.ENFORCE)
        for name in names * 2
    )
    verdict = Verdict(
        action=Action.DELIVER,
        would_action=Action.DELIVER,
        rule="default.deliver",
        reason=text,
        score=1.5,
        weighed=weighed,
    )
    recipient = Recipient(address=Address("ana", "example.net"))
    return encode(
        HistoryEntry(
            ref="REF-HERE", at=0.0, kind="message", client=Client(ip=ip_address("198.51.100.1"), hello="mx.other.example"),
            envelope=Envelope(sender=Address("u", "other.example"), recipients=(recipient,)),
            judged=(Judged(recipient=recipient, verdict=verdict),), subject="SUBJECT-HERE", reply="250 2.0.0 Ok", size=12_345,
            milliseconds={"total": 12.0},
        )
    ).decode()  # fmt: skip


async def measure(folder: Path, messages: int, rounds: int) -> dict[str, dict[str, float]]:
    """Milliseconds by page."""
    now = time.time()
    await Store.open(folder).close()
    fill(folder / "gatepost.db", messages, now)
    store = Store.open(folder)
    office = Office(store=store, clock=lambda: now, random=os.urandom, hostname="mx.example.net")
    account = await people.add(office, on_this_machine("bench"), "ana@example.net", roles=(Role.OWNER,))
    token = await sessions.start(office, account, strength=Strength.PASSKEY, ip=None)
    loaded = defaults("mx.example.net")
    premises = Premises(
        office=office,
        sessions=OfficeSessions(office),
        origin=ORIGIN,
        looks=Looks(LANGUAGES),
        policies=lambda: loaded.policies,
    )
    app = site(office, premises.sessions, origin=ORIGIN, premises=premises)
    middle = store.find(search(), limit=1).entries[0].ref
    paths = {
        "Overview": "/overview",
        "Messages, newest": "/messages",
        "Messages, refused, 24 hours": "/messages?action=refuse&hours=24",
        "Messages, deep page": f"/messages?after={now - 20 * 86_400!r}-500000",
        "Messages, one sender": "/messages?sender=u3%40other1003.example",
        "Messages, one recipient": "/messages?recipient=person77%40example.net",
        "Messages, a common domain": "/messages?recipient=example.net",
        "Messages, a subject (20,000 looked at)": "/messages?subject=nothing-like-it",
        "One message": f"/messages/{middle}",
        "Search field": "/messages?q=u3%40other1003.example",
    }
    found = {}
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(
        transport=transport, base_url=ORIGIN, cookies={premises.cookie: token}
    ) as client:
        for name, path in paths.items():
            times: list[float] = []
            used: list[float] = []
            for _ in range(rounds if "looked at" not in name else max(5, rounds // 10)):
                begun, spent = time.perf_counter(), time.process_time()
                answer = await client.get(path)
                times.append((time.perf_counter() - begun) * 1000)
                used.append((time.process_time() - spent) * 1000)
                assert answer.status_code == 200, (path, answer.status_code)
            times.sort()
            used.sort()
            found[name] = {
                "median": statistics.median(times),
                "p95": times[int(len(times) * 0.95) - 1],
                "CPU p95": used[int(len(used) * 0.95) - 1],
                "first": times[-1],
            }
    await store.close()
    return found


def search() -> object:
    """Everything."""
    from gatepost.store.history import Search

    return Search()


def main() -> None:
    """Print a table; --json prints figures for programs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=60)
    parser.add_argument("--json", action="store_true")
    wanted = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="gatepost-console-") as folder:
        begun = time.monotonic()
        found = asyncio.run(measure(Path(folder), wanted.messages, wanted.rounds))
        size = sum(one.stat().st_size for one in Path(folder).iterdir() if one.is_file())
    if wanted.json:
        print(json.dumps({"messages": wanted.messages, "milliseconds": found}))
        return
    print(
        f"{wanted.messages:,} messages, {size / 1024**2:,.0f} MiB; {time.monotonic() - begun:.0f} s in all\n"
    )
    print(f"{'page':<42} {'median':>8} {'p95':>8} {'slowest':>8} {'CPU p95':>8}  ms")
    for name, one in found.items():
        print(
            f"{name:<42} {one['median']:>8.1f} {one['p95']:>8.1f} {one['first']:>8.1f} {one['CPU p95']:>8.1f}"
        )


if __name__ == "__main__":
    main()
