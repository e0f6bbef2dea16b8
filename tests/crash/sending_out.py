"""A process that empties a queue towards one host, as the gate's delivery does; killed by the test whenever it likes."""

from __future__ import annotations

import asyncio
import logging
import random
import sys
import time
from pathlib import Path

from promise import SETTINGS

from gatepost.delivery.carrying import Carrier
from gatepost.delivery.notices import Notices
from gatepost.delivery.results import Results
from gatepost.delivery.routes import Routes
from gatepost.delivery.runner import DeliveryRunner
from gatepost.delivery.settings import DeliverySettings, ScheduleSettings
from gatepost.dns.zone import Zone
from gatepost.mail.address import Address
from gatepost.net.outbound import Outbound
from gatepost.smtp.client import Patience
from gatepost.store.store import Store

ZONE = "far.example. MX 10 mx.far.example.\nmx.far.example. A 127.0.0.1\n"


async def main(folder: Path, port: int) -> None:
    store = Store.open(folder, SETTINGS)
    quick = ScheduleSettings(destination_pause_s=0.02, destination_pause_longest_s=0.05)
    out = Outbound(
        "gate.test", Zone.parse(ZONE), smtp_port=port,
        patience=Patience(greeting_s=1, hello_s=1, mail_s=1, rcpt_s=1, data_s=1, body_s=1, final_s=1),
    )  # fmt: skip
    settings = DeliverySettings(schedule=quick, poll_s=0.05)
    runner = DeliveryRunner(
        store=store,
        routes=Routes([]),
        carrier=Carrier(store=store, sender=out, hostname="gate.test", clock=time.time, settings=settings),
        results=Results(
            store=store,
            notices=Notices(
                hostname="gate.test",
                postmaster=Address("postmaster", "gate.test"),
                original=store.octets_of,
                new_ref=lambda now: f"NOTICE{now}",
            ),
            hostname="gate.test",
            clock=time.time,
            jitter=random.random,
            settings=settings,
            retry_first_s=0.02,
        ),
        clock=time.time,
        settings=settings,
    )
    print("begun", flush=True)
    await runner.run()


logging.basicConfig(level=logging.INFO)
asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2])))
