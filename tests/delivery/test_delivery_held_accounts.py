"""Between the moment an account is held and the next transaction nothing of it leaves, claimed or not."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

from delivery_bench import NOW, bench
from gatepost.delivery.settings import DeliverySettings
from gatepost.net.outbound import Sent
from gatepost.smtp.sending import Outcome, Outgoing, Result
from gatepost.store.records import AccountHold, QueueItem
from store_samples import acceptance

HOLD = AccountHold(account="ana@example.org", at=NOW, reason="a flood")


class Slow:
    """Takes the first message and thinks about it until told."""

    def __init__(self) -> None:
        self.sent: list[str] = []
        self.thinking, self.go_on = asyncio.Event(), asyncio.Event()

    async def send_to_domain(self, domain: str, message: Outgoing, *_: object, **__: object) -> Sent:
        self.sent.append(message.octets.decode().rpartition("\r\n\r\n")[2].strip())
        self.thinking.set()
        await self.go_on.wait()
        outcomes = tuple(
            Outcome(result=Result.DELIVERED, status="2.0.0", words="taken") for _ in message.recipients
        )
        return Sent(host=domain, address="", outcomes=outcomes)


def test_what_waits_for_its_turn_in_the_runners_hands_stays(tmp_path: Path) -> None:
    async def story() -> None:
        async with bench(tmp_path, settings=DeliverySettings(at_once_per_destination=1)) as it:
            slow = Slow()
            it.runner.carrier.sender = slow  # type: ignore[assignment]
            for number in range(3):
                made = acceptance(
                    f"M{number}", at=NOW, recipients=("bo@elsewhere.example",), sender="ana@example.org",
                    octets=f"Subject: x\r\n\r\nnumber {number}\r\n".encode(),
                )  # fmt: skip
                await it.store.carry_out(replace(made, account="ana@example.org"))
            other = acceptance(
                "OTHER", at=NOW, recipients=("bo@elsewhere.example",), octets=b"A: b\r\n\r\nother\r\n"
            )
            await it.store.carry_out(other)
            running = asyncio.create_task(it.runner.run())
            await asyncio.wait_for(slow.thinking.wait(), 10)
            assert it.due() == 0, "all of them are claimed"
            await it.store.hold_account(HOLD)
            slow.go_on.set()
            while it.runner._in_hand:
                await asyncio.sleep(0.002)
            it.runner.stop()
            await running
            assert sorted(slow.sent) == ["number 0", "other"], "one was with the other side already"
            assert [to for to, _ in it.held()] == ["bo@elsewhere.example"] * 2

    asyncio.run(story())


def test_what_is_given_up_is_told_with_its_account(tmp_path: Path) -> None:
    async def story() -> None:
        async with bench(tmp_path) as it:
            told: list[str] = []

            async def failed(item: QueueItem) -> None:
                told.append(item.account)

            it.runner.results.on_failed = failed
            gone = acceptance("M1", at=NOW, recipients=("bo@nowhere.invalid",), sender="ana@example.org")
            await it.store.carry_out(replace(gone, account="ana@example.org", may_bounce=True))
            await it.until_idle()
            assert [one for one in told if one] == ["ana@example.org"], "what comes back of it is nobody's"

    asyncio.run(story())
