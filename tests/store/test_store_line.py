"""The thin line: accept, claim, settle, find again."""

from __future__ import annotations

import asyncio
from ipaddress import ip_address
from pathlib import Path

import pytest

from gatepost.store.history import Search
from gatepost.store.records import DeliveryAttempt, Done, RetryAt
from gatepost.store.store import DuplicateRef, Store
from store_samples import acceptance

NOW = 1_750_000_000.0


def test_accepted_mail_is_claimed_delivered_and_found(tmp_path: Path) -> None:
    async def story() -> None:
        store = Store.open(tmp_path / "state")
        mail = acceptance("AAAA", at=NOW, added_header=b"Received: by us\r\n", removed_fields=((0, 9),))
        await store.carry_out(mail)
        (item,) = await store.claim(NOW, 10, 60.0, "w1")
        assert (item.ref, item.to, item.sender, item.attempts) == (
            "AAAA",
            "ana@example.net",
            "sam@example.org",
            0,
        )
        assert await store.claim(NOW, 10, 60.0, "w2") == []
        assert store.octets_of("AAAA") == mail.octets
        assert store.delivered_copy("AAAA") == b"Received: by us\r\n" + mail.octets[9:]
        attempt = DeliveryAttempt(
            at=NOW, to=item.to, host="h", address="192.0.2.1", status="deferred", reply="451 x"
        )
        await store.settle(item, attempt, RetryAt(NOW + 60))
        assert await store.claim(NOW + 59, 10, 60.0, "w1") == []
        (again,) = await store.claim(NOW + 60, 10, 60.0, "w1")
        assert again.attempts == 1
        assert again.history == (attempt,)
        await store.settle(again, None, Done())
        with pytest.raises(KeyError):
            store.octets_of("AAAA")
        assert store.find(Search(ref="AA")).entries == (mail.entry,)
        with pytest.raises(DuplicateRef):
            await store.carry_out(mail)
        await store.close()

    asyncio.run(story())


@pytest.mark.parametrize(
    "search",
    [
        Search(sender="sam@example.org"),
        Search(sender="@EXAMPLE.org"),
        Search(recipient="Ana@example.net"),
        Search(recipient="@example.net"),
        Search(client_ip="192.0.2.7"),
        Search(message_id="<1@example.org>"),
        Search(since=NOW, until=NOW + 1),
    ],
)
def test_history_is_found_by(search: Search, tmp_path: Path) -> None:
    async def story() -> None:
        store = Store.open(tmp_path)
        wanted = acceptance("WANTED", at=NOW)
        other = acceptance(
            "OTHER",
            at=NOW - 10,
            sender="x@example.com",
            recipients=("y@example.edu",),
            message_id="<2@x>",
            client_ip=ip_address("192.0.2.8"),
        )
        await asyncio.gather(store.carry_out(wanted), store.carry_out(other))
        assert [entry.ref for entry in store.find(search).entries] == ["WANTED"]
        await store.close()

    asyncio.run(story())
