"""What it costs to sign a message with both algorithms and to queue it: CPU time of this process a message.

    python benchmarks/signing.py [--messages 4000] [--octets 4000] [--profile]

A message of our own is judged already and on its way into the store: it is parsed as it will be delivered, signed with
RSA (2048 bits) and Ed25519, and kept by 32 at a time, as so many sessions would. TLS and content checks are not in it.
"""

from __future__ import annotations

import argparse
import asyncio
import cProfile
import pstats
import tempfile
import time
from ipaddress import ip_address
from pathlib import Path

from gatepost.app.parts import Keeper
from gatepost.delivery.signing import Signer, SigningSettings
from gatepost.mail.address import Address
from gatepost.mail.authresults import AuthResults
from gatepost.mail.client import Client, Envelope, Recipient
from gatepost.mailauth.dkim_sign import SigningKey
from gatepost.store.records import Acceptance, HistoryEntry, NewDelivery
from gatepost.store.signingkeys import generate
from gatepost.store.store import Store

AT_ONCE = 32
HEADER = (
    b"From: Ana Example <ana@example.net>\r\nTo: Sam Sample <sam@example.org>\r\nCc: Ben <ben@example.org>\r\n"
    b"Subject: Minutes of the meeting\r\nDate: Tue, 24 Nov 2026 07:00:00 +0000\r\nMIME-Version: 1.0\r\n"
    b"Message-ID: <20261124070000.1234@example.net>\r\nContent-Type: text/plain; charset=utf-8\r\n"
    b"Content-Transfer-Encoding: 8bit\r\nUser-Agent: Example 1.0\r\n\r\n"
)
LINE = b"It was decided that nothing is decided before the next meeting.\r\n"
TRACE = (
    b"Received: from [192.0.2.7] (client.example.net [192.0.2.7])\r\n\tby mx.example.net with ESMTPSA id 2N515RPF08P1Z\r\n"
    b"\tfor <sam@example.org>; Tue, 24 Nov 2026 07:00:01 +0000\r\n"
)


class Known:
    """The keys of one domain."""

    def __init__(self, *algorithms: str) -> None:
        self.keys = tuple(SigningKey("example.net", one[0], generate(one)) for one in algorithms)

    def of(self, domain: str) -> tuple[SigningKey, ...]:
        return self.keys if domain == "example.net" else ()


def message(number: int, octets: bytes) -> Acceptance:
    to = Recipient(address=Address("sam", "example.org"))
    entry = HistoryEntry(
        ref=f"{number:013X}",
        at=1_795_000_000.0 + number,
        kind="message",
        client=Client(ip=ip_address("192.0.2.7"), user="ana@example.net", role="submission"),
        envelope=Envelope(sender=Address("ana", "example.net"), recipients=(to,)),
        auth=AuthResults(),
        size=len(octets),
    )
    return Acceptance(
        entry=entry,
        octets=octets,
        added_header=TRACE,
        deliveries=(NewDelivery(recipient=to, to="sam@example.org"),),
    )


async def measure(folder: Path, signer: Signer, messages: int, octets: bytes) -> float:
    """Seconds of CPU a message."""
    store = Store.open(folder)
    keeper = Keeper(store, signer)
    numbers = iter(range(messages + 200))
    made = {number: message(number, octets) for number in range(messages + 200)}

    async def session(most: int) -> None:
        while (number := next(numbers, None)) is not None and number < most:
            await keeper.carry_out(made[number])

    async def sessions(most: int) -> None:
        await asyncio.gather(*(session(most) for _ in range(AT_ONCE)))

    await sessions(100)
    began = time.process_time()
    await sessions(messages + 200)
    spent = time.process_time() - began
    await store.close()
    return spent / messages


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("--messages", type=int, default=4000)
    options.add_argument("--octets", type=int, default=4000)
    options.add_argument("--profile", action="store_true")
    chosen = options.parse_args()
    octets = HEADER + LINE * max(1, (chosen.octets - len(HEADER)) // len(LINE))
    ways = {
        "queued unsigned": Signer(keys=Known(), ours=bool, settings=SigningSettings(enabled=False)),
        "rsa-sha256": Signer(keys=Known("rsa-sha256"), ours=bool, settings=SigningSettings()),
        "both": Signer(keys=Known("rsa-sha256", "ed25519-sha256"), ours=bool, settings=SigningSettings()),
    }
    for name, signer in ways.items():
        best = []
        for _ in range(3):
            with tempfile.TemporaryDirectory() as folder:
                best.append(asyncio.run(measure(Path(folder), signer, chosen.messages, octets)))
        print(
            f"{name:16} {min(best) * 1000:.3f} ms CPU a message (of {len(octets)} octets), worst {max(best) * 1000:.3f}"
        )
    if chosen.profile:
        profile = cProfile.Profile()
        with tempfile.TemporaryDirectory() as folder:
            profile.runcall(asyncio.run, measure(Path(folder), ways["both"], chosen.messages, octets))
        pstats.Stats(profile).sort_stats("tottime").print_stats(25)


if __name__ == "__main__":
    main()
