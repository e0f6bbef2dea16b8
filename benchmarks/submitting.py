"""What a submitted message costs: CPU of one process from RCPT TO to the 250, store and all, TLS and AUTH apart.

Plain text of 5 KB, one recipient, 40 accounts that have sent before; 32 at a time, as sessions share a commit. Prints the
CPU milliseconds a message with no content checks (signed with both algorithms and not), with those of the defaults (no virus scanner), and what the outgoing
checks alone make of it.
Run: .venv/bin/python benchmarks/submitting.py [--messages 4000]
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
import time
from collections.abc import Iterable
from dataclasses import replace
from ipaddress import ip_address
from pathlib import Path

from gatepost.app.parts import Parts
from gatepost.app.warmup import warm_up
from gatepost.config.schema import settle
from gatepost.delivery.signing import SigningSettings
from gatepost.mail.address import Address
from gatepost.mail.client import Attempt, Client, Envelope, Recipient, TlsFacts
from gatepost.mailauth.dkim_sign import SigningKey
from gatepost.store.signingkeys import generate
from gatepost.submission import Submission

BODY = (
    b"The agenda: https://www.example.org/agenda\r\n"
    + b"Shall we meet at noon, and talk about the rest as we did before the holidays? I think so.\r\n" * 55
)
AT_ONCE = 32
ACCOUNTS = 40
OUTGOING = frozenset({"account", "quota", "author", "habits", "fanout", "bounces", "recipients"})
FREE = dict.fromkeys(
    ("messages_hour", "messages_day", "recipients_hour", "recipients_day", "strangers_hour"), 0
)


class Known:
    """Both keys of our domain."""

    def __init__(self) -> None:
        self.keys = tuple(
            SigningKey("example.net", one[0], generate(one)) for one in ("rsa-sha256", "ed25519-sha256")
        )

    def of(self, domain: str) -> tuple[SigningKey, ...]:
        return self.keys if domain == "example.net" else ()


def letter(number: int, who: str) -> bytes:
    return (
        f"From: Somebody <{who}>\r\nTo: r{number % 500}@example.org\r\nSubject: agenda {number}\r\n"
        f"Date: Tue, 24 Nov 2026 08:00:00 +0000\r\nMessage-ID: <{number}.{time.time_ns()}@example.net>\r\n"
        "User-Agent: Mozilla Thunderbird\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n"
    ).encode() + BODY


async def one(submission: Submission, number: int) -> None:
    who = f"p{number % ACCOUNTS}@example.net"
    client = Client(
        ip=ip_address(f"192.0.2.{number % ACCOUNTS + 1}"), hello="laptop.lan", role="submission", user=who, sends_as=(who,),
        device="laptop", tls=TlsFacts(version="TLSv1.3", cipher="TLS_AES_256_GCM_SHA384"),
    )  # fmt: skip
    sender = Address(*who.split("@"))
    recipient = Recipient(address=Address(f"r{number % 500}", "example.org"))
    screened = await submission.screen(Attempt(client=client, sender=sender, recipient=recipient))
    assert screened.reply.positive, screened.reply
    envelope = Envelope(sender=sender, recipients=(recipient,))
    (reply,) = await submission.receive(client, envelope, letter(number, who), [screened])
    assert reply.code == 250, reply


async def many(submission: Submission, numbers: Iterable[int]) -> float:
    """CPU milliseconds a message."""
    waiting = list(numbers)
    began = time.process_time()
    queue = iter(waiting)

    async def session() -> None:
        for number in queue:
            await one(submission, number)

    await asyncio.gather(*(session() for _ in range(AT_ONCE)))
    return (time.process_time() - began) * 1000 / len(waiting)


async def measured(folder: Path, messages: int) -> None:
    table = {
        "hostname": "mx.example.net",
        "state": "var",
        "domains": [{"name": "example.net", "recipients": "*", "deliver": "maildir:mail"}],
        "checks": {"quota": {"account": FREE, "device": FREE}},
    }
    loaded = settle(table, file="benchmark", path=None, folder=folder)
    parts = Parts(loaded)
    async with parts.opened(checkpointer=True):
        whole = parts.doors(lambda _: None).submission
        outgoing = replace(whole, content=tuple(each for each in whole.content if each.name in OUTGOING))
        bare = replace(whole, content=tuple(each for each in whole.content if each.name == "author"))
        await many(whole, range(1000))  # everybody has habits and correspondents
        unsigned = parts.keeper.signer
        parts.keeper.signer = replace(unsigned, keys=Known(), settings=SigningSettings())
        await told("no content checks, signed", bare, messages)
        parts.keeper.signer = unsigned
        for what, way in (
            ("no content checks", bare),
            ("checks of accounts alone", outgoing),
            ("all checks of the defaults", whole),
        ):
            await told(what, way, messages)


async def told(what: str, way: Submission, messages: int) -> None:
    """The middle of three runs."""
    runs = sorted([await many(way, range(messages)) for _ in range(3)])
    print(f"{what:30} {runs[1]:6.3f} ms CPU a message ({runs[0]:.3f} to {runs[2]:.3f}, {messages:,} each)")


def main() -> None:
    asked = argparse.ArgumentParser()
    asked.add_argument("--messages", type=int, default=4000)
    warm_up("mx.example.net")
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(measured(Path(folder), asked.parse_args().messages))


if __name__ == "__main__":
    main()
