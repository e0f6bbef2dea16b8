"""How quickly the console answers, with a million messages in history or ten. Makes the history itself, through no socket.

    .venv/bin/python benchmarks/console.py [--messages 1000000] [--rounds 40] [--only WORD] [--keep FOLDER] [--profile]

Requests go through the whole ASGI application as `gatepost serve` wires it (session, rights, queries, templates) in one
process, one after another. With more than a million messages an entry is a third as large, for the disk's sake.
FOLDER is used again when it has a store of that many messages. The first request of each page is told apart: it reads from the disk.
"""

from __future__ import annotations

import argparse
import asyncio
import cProfile
import json
import pstats
import statistics
import sys
import tempfile
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import httpx
from pysqlite3 import dbapi2

sys.path.insert(0, str(Path(__file__).resolve().parent))

from bigstore import fill

from gatepost.access.rights import Role, on_this_machine
from gatepost.access.standing import Strength
from gatepost.app.console import Console
from gatepost.app.parts import Parts
from gatepost.config.schema import load
from gatepost.net.life import Life
from gatepost.office import people, sessions
from gatepost.store.store import Store
from gatepost.web.looks import Looks
from gatepost.web.site import site
from gatepost.web.visit import LANGUAGES

CONFIG = """hostname = "mx.example.net"
state = "."
[dns]
servers = ["127.0.0.1:9"]
[console]
address = "127.0.0.1:0"
[[domains]]
name = "example.net"
deliver = "maildir:mail"
"""
LATELY = 120.0
"""Seconds before the newest message."""


def pages(messages: int, deep: str, ref: str) -> dict[str, str]:
    """What is asked for, by name. `deep` is a key in the middle of history, `ref` a message."""
    found = {
        "Overview": "/overview",
        "One message": f"/messages/{ref}",
        "Quarantine": "/quarantine",
        "Quarantine, one recipient": "/quarantine?to=person77@example.net",
        "Quarantine, part of a sender, none": "/quarantine?sender=nobody-like-that",
        "Quarantine, a domain, none": "/quarantine?to=@nowhere.example",
        "Quarantine, expired": "/quarantine?state=expired",
        "Queue": "/queue",
        "Queue, one recipient": "/queue?to=person77@next37.example",
        "Domains": "/domains",
        "System": "/system",
        "Policy": "/policy",
        "People": "/people",
        "Journal": "/privacy/journal",
        "My mail": "/me",
        "My quarantine": "/me/quarantine",
        "My security": "/me/security",
        "Who looked": "/me/looks",
        "My data": "/me/data",
    }
    searches = {
        "newest": "",
        "24 hours": "hours=24",
        "refused": "action=refuse",
        "turned away": "kind=attempt",
        "never (a kind)": "kind=session",
        "a rule": "rule=dmarc.reject",
        "a rule, none": "rule=no.such",
        "a sender": "sender=u3@other1003.example",
        "a busy sender": "sender=u5@common.example",
        "a sender, one old": "sender=old@once.example",
        "a sender, none": "sender=nobody@nowhere.example",
        "a sender's domain, common": "sender=common.example",
        "a sender's domain, common and old": "sender=gone.example",
        "a sender's domain, rare": "sender=other77.example",
        "a recipient": "recipient=person77@example.net",
        "a busy recipient": "recipient=info@example.net",
        "a recipient's domain": "recipient=example.net",
        "a recipient's domain, few": "recipient=example.org",
        "a recipient's domain, none": "recipient=nowhere.example",
        "a client": "client=198.51.7.1",
        "a busy client": "client=203.0.113.9",
        "a client, one old": "client=203.0.113.1",
        "a subject": "subject=invoice",
        "a subject, one word in Japanese": "subject=会議",
        "a subject, one old": "subject=only+one+of+its",
        "a subject, none": "subject=nothing-like-it",
        "sender's domain and refused": "sender=common.example&action=refuse",
        "old domain and refused": "sender=gone.example&action=refuse",
        "domain and a rule that never meet": "sender=common.example&rule=greylist",
        "busy sender and subject": "sender=u5@common.example&subject=invoice",
        "busy recipient and busy client": "recipient=info@example.net&client=203.0.113.9",
        "busy recipient and subject, none": "recipient=info@example.net&subject=nothing-like-it",
        "busy client and refused, none": "client=203.0.113.9&action=refuse",
        "recipient's domain and sender's": "recipient=example.org&sender=common.example",
        "recipient's domain and subject": "recipient=example.org&subject=invoice",
        "subject and refused": "subject=invoice&action=refuse",
        "subject and 24 hours, none": "subject=nothing-like-it&hours=24",
        "refused, 30 days": "action=refuse&hours=720",
    }
    for name, query in searches.items():
        found[f"Messages: {name}"] = f"/messages?{query}"
        found[f"Messages, deep: {name}"] = f"/messages?{query}&after={deep}"
    for name, typed in (("an address", "u3%40other1003.example"), ("a common domain", "common.example"), ("an IP address", "203.0.113.9"),
                        ("a Message-ID", f"%3C{messages - 5}%40other.example%3E"), ("nothing", "nobody%40nowhere.example")):  # fmt: skip
        found[f"Search field: {name}"] = f"/messages?q={typed}"
    return found


async def made(folder: Path, messages: int) -> None:
    """A store of so many, unless there is one."""
    path = folder / "gatepost.db"
    if path.exists():
        with dbapi2.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True) as connection:
            if connection.execute("SELECT max(id) FROM history").fetchone()[0] == messages:
                return
        raise SystemExit(f"{folder} has another store; name an empty folder")
    await Store.open(folder).close()
    fill(path, messages, time.time(), findings=14 if messages <= 1_000_000 else 3)


async def measure(folder: Path, wanted: argparse.Namespace) -> dict[str, dict[str, float]]:
    """Milliseconds by page."""
    await made(folder, wanted.messages)
    (folder / "gatepost.toml").write_text(CONFIG, encoding="utf-8")
    console = Console.bound(load(folder / "gatepost.toml"))
    assert console is not None
    async with Parts(console.loaded).opened() as parts:
        life = cast("Life", SimpleNamespace(reload=lambda: None))
        premises = console.premises(parts, life, Looks(LANGUAGES))
        token = await signed_in(premises.office)
        connection = dbapi2.connect(f"{(folder / 'gatepost.db').absolute().as_uri()}?mode=ro", uri=True)
        at, number, ref = connection.execute(
            "SELECT at, id, ref FROM history WHERE id = ?", (wanted.messages // 2 + 1,)
        ).fetchone()
        connection.close()
        asked = {
            name: path
            for name, path in pages(wanted.messages, f"{at!r}-{number}", ref).items()
            if wanted.only.lower() in name.lower()
        }
        app = site(premises.office, premises.sessions, origin=premises.origin, premises=premises)
        client = httpx.AsyncClient(
            transport=httpx.ASGITransport(app=app), base_url=premises.origin, cookies={premises.cookie: token}
        )
        profile = cProfile.Profile() if wanted.profile else None
        async with client:
            await client.get("/overview")  # what every page needs
            found = {
                name: await asked_often(client, path, wanted.rounds, profile) for name, path in asked.items()
            }
        if profile is not None:
            pstats.Stats(profile).sort_stats("tottime").print_stats(40)
    console.socket.close()
    return found


async def signed_in(office: Any) -> str:
    """The token of an owner whose store may be used for the second time."""
    try:
        account = await people.add(office, on_this_machine("bench"), "ana@example.net", roles=(Role.OWNER,))
    except Exception:  # there is one
        from gatepost.store import accounts

        account = office.store.database.read(lambda c: accounts.find(c, login="ana@example.net"))
    return await sessions.start(office, account, strength=Strength.PASSKEY, ip=None)


async def asked_often(
    client: httpx.AsyncClient, path: str, rounds: int, profile: cProfile.Profile | None
) -> dict[str, float]:
    """One page, again and again."""
    times: list[float] = []
    used: list[float] = []
    if profile is not None:
        profile.enable()
    for _ in range(rounds + 1):
        begun, spent = time.perf_counter(), time.process_time()
        answer = await client.get(path)
        times.append((time.perf_counter() - begun) * 1000)
        used.append((time.process_time() - spent) * 1000)
        assert answer.status_code == 200, (path, answer.status_code, answer.text[-500:])
    if profile is not None:
        profile.disable()
    first, *rest = times
    rest.sort()
    return {
        "first": first, "p50": statistics.median(rest), "p95": rest[int(len(rest) * 0.95) - 1], "max": rest[-1],
        "CPU": statistics.median(used[1:]), "until": float("Looked back as far" in answer.text),
    }  # fmt: skip


def main() -> None:
    """Print a table; --json prints figures for programs."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--messages", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--only", default="", help="pages whose name has this in it")
    parser.add_argument("--keep", type=Path, help="make the store there, and leave it")
    parser.add_argument("--profile", action="store_true")
    parser.add_argument("--json", action="store_true")
    wanted = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="gatepost-console-") as given:
        folder = wanted.keep or Path(given)
        folder.mkdir(parents=True, exist_ok=True)
        begun = time.monotonic()
        found = asyncio.run(measure(folder, wanted))
        size = sum(one.stat().st_size for one in folder.iterdir() if one.is_file())
    if wanted.json:
        print(json.dumps({"messages": wanted.messages, "milliseconds": found}))
        return
    print(
        f"{wanted.messages:,} messages, {size / 1024**2:,.0f} MiB; {time.monotonic() - begun:.0f} s in all\n"
    )
    print(f"{'page':<52} {'p50':>8} {'p95':>8} {'max':>8} {'CPU':>8} {'first':>8}  ms")
    for name, one in found.items():
        note = "  *" if one["until"] else ""
        print(
            f"{name:<52} {one['p50']:>8.1f} {one['p95']:>8.1f} {one['max']:>8.1f} {one['CPU']:>8.1f} {one['first']:>8.1f}{note}"
        )
    print("\n* says how far back it looked, and goes on from there")


if __name__ == "__main__":
    main()
