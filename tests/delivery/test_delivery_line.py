"""The thin line: what is in the queue comes out, into a Maildir and to the next hop."""

from __future__ import annotations

import asyncio
from pathlib import Path

from delivery_bench import MAIL, bench, mailbox_files, queue_mail
from scripted_peer import Peer


def test_into_a_maildir(tmp_path: Path) -> None:
    async def go() -> None:
        async with bench(tmp_path, deliver="maildir:mail") as it:
            await queue_mail(it.store, "AAAA", to=("ana@example.net",))
            await it.until_idle()
        (copy,) = mailbox_files(tmp_path / "mail/example.net/ana")
        expected = b"Return-Path: <sam@example.org>\r\nDelivered-To: ana@example.net\r\n" + MAIL
        assert copy.read_bytes() == expected.replace(b"\r\n", b"\n")

    asyncio.run(go())


def test_to_the_next_hop(tmp_path: Path) -> None:
    async def go() -> None:
        async with Peer().serve() as peer:
            async with bench(tmp_path, deliver=f"smtp:127.0.0.1:{peer.port}") as it:
                await queue_mail(it.store, "AAAA", to=("ana@example.net", "ben@example.net"))
                await it.until_idle()
                statuses = [(one.to, one.status, one.reply) for one in it.store.attempts_of("AAAA")]
            assert peer.messages == [MAIL]
            assert [line for line in peer.lines if line.startswith("RCPT")] == [
                "RCPT TO:<ana@example.net>",
                "RCPT TO:<ben@example.net>",
            ]
            assert statuses == [
                ("ana@example.net", "delivered", "250 2.0.0 taken"),
                ("ben@example.net", "delivered", "250 2.0.0 taken"),
            ]

    asyncio.run(go())
