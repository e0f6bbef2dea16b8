"""Everything through one host: it is one destination, however many domains its mail is for."""

from __future__ import annotations

import asyncio
from pathlib import Path

from test_delivery_share import Counting

from delivery_bench import bench, queue_mail
from gatepost.delivery.settings import DeliverySettings
from gatepost.net.destinations import DestinationSettings
from gatepost.net.outbound import OutboundSettings
from scripted_peer import Peer


def smarthost(peer: Peer) -> OutboundSettings:
    return OutboundSettings(smarthost=f"127.0.0.1:{peer.port}")


def test_it_is_talked_to_no_more_often_at_once_than_any_host(tmp_path: Path) -> None:
    async def go() -> tuple[int, int]:
        settings = DeliverySettings(at_once_per_destination=3)
        async with Counting().serve() as peer, bench(
            tmp_path, settings=settings, outbound_settings=smarthost(peer)
        ) as it:  # fmt: skip
            for at in range(40):
                await queue_mail(it.store, f"M{at}", to=(f"bo@d{at}.example",))
            await it.until_idle()
            assert isinstance(peer, Counting)
            return peer.seen, len(peer.messages)

    seen, arrived = asyncio.run(go())
    assert arrived == 40
    assert 1 < seen <= 3


def test_a_message_to_many_domains_goes_once(tmp_path: Path) -> None:
    async def go() -> Peer:
        async with Peer().serve() as peer, bench(tmp_path, outbound_settings=smarthost(peer)) as it:
            await queue_mail(it.store, "M", to=tuple(f"bo@d{at}.example" for at in range(5)))
            await it.until_idle()
            assert it.waiting() == []
            return peer

    peer = asyncio.run(go())
    assert len(peer.messages) == 1
    assert sum(line.startswith("RCPT TO:") for line in peer.lines) == 5


def test_while_it_is_down_it_is_asked_once_and_not_for_each_domain(tmp_path: Path) -> None:
    async def go() -> tuple[int, list[str]]:
        closed = Peer(answer=lambda verb, _: "421 4.3.2 closed" if verb == "greeting" else None)
        one = DeliverySettings(at_once_per_destination=1)
        async with (
            closed.serve() as peer,
            bench(tmp_path, settings=one, outbound_settings=smarthost(peer)) as it,
        ):
            for at in range(10):
                await queue_mail(it.store, f"M{at}", to=(f"bo@d{at}.example",))
            await it.until_idle()
            return peer.connections, [to for to, _, _ in it.waiting()]

    asked, waiting = asyncio.run(go())
    assert len(waiting) == 10
    assert asked == 1


def test_a_domain_with_a_way_of_its_own_keeps_it(tmp_path: Path) -> None:
    async def go() -> tuple[list[str], list[str]]:
        async with Peer().serve() as all_other, Peer().serve() as own:
            settings = OutboundSettings(
                smarthost=f"127.0.0.1:{all_other.port}",
                destinations=(DestinationSettings(domain="branch.example", via=f"127.0.0.1:{own.port}"),),
            )
            async with bench(tmp_path, outbound_settings=settings) as it:
                await queue_mail(it.store, "M", to=("bo@branch.example", "bo@far.example"))
                await it.until_idle()
        return [[line for line in peer.lines if line.startswith("RCPT")] for peer in (own, all_other)]  # type: ignore[return-value]

    own, others = asyncio.run(go())
    assert own == ["RCPT TO:<bo@branch.example>"]
    assert others == ["RCPT TO:<bo@far.example>"]
