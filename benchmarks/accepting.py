"""Where the CPU of accepting a message goes, each step by itself in one process: the session, the intake, the store.

Plain text of 4 KB, one recipient, every check off, SPF, DKIM, ARC and DMARC too; what the kernel does for sockets is not in it (see
`benchmarks/handover.py` for the way of a connection to its worker). Prints the middle of five runs.
Run: .venv/bin/python benchmarks/accepting.py [--messages 3000]
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from ipaddress import ip_address
from pathlib import Path
from typing import Any, cast

from servers import CONTENT, PROVING, SENDER

from gatepost.app.parts import Parts
from gatepost.app.warmup import warm_up
from gatepost.config.schema import settle
from gatepost.dns.zone import Zone
from gatepost.intake import Intake
from gatepost.mail.address import Address
from gatepost.mail.client import Attempt, Client, Envelope, Recipient
from gatepost.net.service import Service
from gatepost.net.session import Session
from gatepost.smtp.dialect import Dialect, Offers
from gatepost.smtp.handler import Screened
from gatepost.smtp.reply import Reply
from gatepost.smtp.server import SmtpServer

AT_ONCE = 10
BODY = b"Shall we meet at noon, and talk about the rest as before?\r\n" * 66
CLIENT = Client(ip=ip_address("192.0.2.1"), port=1, role="mx", hello="mail.example.org", extended=True)
SENT_BY, SENT_TO = Address("ana", "example.org"), Recipient(address=Address("bo", "example.net"))
COMMANDS = (
    b"EHLO mail.example.org\r\n", b"MAIL FROM:<ana@example.org>\r\n", b"RCPT TO:<bo@example.net>\r\n", b"DATA\r\n",
)  # fmt: skip


class Yes:
    """A handler that takes everything."""

    async def screen(self, _: Attempt) -> Screened:
        return Screened(Reply(250, "2.1.5", "Recipient ok"), ())

    async def receive(self, *_: object) -> list[Reply]:
        return [Reply(250, "2.0.0", "Kept for delivery")]


class Wire:
    """A transport that leads nowhere."""

    def __getattr__(self, _: str) -> Callable[..., None]:
        return lambda *_: None


def letter(number: int) -> bytes:
    """One message, like no other by its Message-ID."""
    return (
        f"From: Ana <ana@example.org>\r\nTo: bo@example.net\r\nSubject: agenda {number}\r\n"
        "Date: Tue, 24 Nov 2026 08:00:00 +0000\r\n"
        f"Message-ID: <{number}.{time.time_ns()}@example.org>\r\n\r\n"
    ).encode() + BODY


async def session(service: Service, number: int) -> None:
    """One connection with one message, from the greeting to QUIT."""
    machine = SmtpServer(Dialect.MX, service.smtp_limits, hostname="mx.example.net", offers=Offers())
    over = asyncio.get_running_loop().create_future()
    one = Session(service, machine, CLIENT, ended=over.set_result, renamed=cast("Any", None))
    one.connection_made(cast("Any", Wire()))
    for command in COMMANDS:
        one.data_received(command)
    one.data_received(letter(number) + b".\r\n")
    while machine.awaiting:
        await asyncio.sleep(0)
    one.data_received(b"QUIT\r\n")
    one.connection_lost(None)
    await over


async def message(intake: Intake, number: int) -> None:
    """RCPT TO and the end of the data."""
    screened = await intake.screen(Attempt(client=CLIENT, sender=SENT_BY, recipient=SENT_TO))
    (reply,) = await intake.receive(
        CLIENT, Envelope(sender=SENT_BY, recipients=(SENT_TO,)), letter(number), [screened]
    )
    assert reply.code == 250, reply


async def told(what: str, one: Callable[[int], Awaitable[None]], messages: int) -> None:
    """CPU milliseconds a message, AT_ONCE at a time."""

    async def run() -> float:
        numbers, began = iter(range(messages)), time.process_time()

        async def caller() -> None:
            for number in numbers:
                await one(number)

        await asyncio.gather(*(caller() for _ in range(AT_ONCE)))
        return (time.process_time() - began) * 1000 / messages

    runs = [await run() for _ in range(5)]
    print(f"{what:36} {statistics.median(runs):.3f} ms CPU a message ({min(runs):.3f} to {max(runs):.3f})")


async def measured(folder: Path, messages: int) -> None:
    service = Service(hostname="mx.example.net", handler=cast("Any", Yes()))
    await told("session and protocol", lambda number: session(service, number), messages)
    table: dict[str, Any] = {
        "hostname": "mx.example.net",
        "state": "var",
        "domains": [{"name": "example.net", "recipients": ["bo@example.net"], "deliver": "maildir:mail"}],
        "policy": {"modes": dict.fromkeys((*SENDER, *CONTENT, *PROVING), "off")},
    }
    parts = Parts(settle(table, file="benchmark", path=None, folder=folder))
    async with parts.opened(checkpointer=True):
        intake = parts.doors(lambda _: None).intake
        real, names = intake.tools, Zone.parse("example.org. 300 IN A 192.0.2.1\n")
        intake = replace(intake, tools=lambda now: replace(cast("Any", real(now)), resolver=names))
        await told("intake, store and commit", lambda number: message(intake, number), messages)

        async def kept(_: object) -> None:
            return None

        object.__setattr__(intake.store, "carry_out", kept)
        await told("intake without the store", lambda number: message(intake, number), messages)


def main() -> None:
    asked = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    asked.add_argument("--messages", type=int, default=3000)
    warm_up("mx.example.net")
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(measured(Path(folder), asked.parse_args().messages))


if __name__ == "__main__":
    main()
