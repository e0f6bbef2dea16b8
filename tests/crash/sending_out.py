"""A process that empties a queue towards one host, as the gate's delivery does, or several that are started again when they die;
killed by the test whenever it likes. Each says its id when it begins.
"""

from __future__ import annotations

import asyncio
import logging
import os
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
from gatepost.delivery.share import Share, Troubled, part_of
from gatepost.dns.zone import Zone
from gatepost.mail.address import Address
from gatepost.net.outbound import Outbound
from gatepost.smtp.client import Patience
from gatepost.store.store import Store

ZONE = "far.example. MX 10 mx.far.example.\nmx.far.example. A 127.0.0.1\n"


MOST = 4


async def main(folder: Path, port: int, share: Share) -> None:
    store = Store.open(folder, SETTINGS)
    quick = ScheduleSettings(destination_pause_s=0.02, destination_pause_longest_s=0.05)
    out = Outbound(
        "gate.test", Zone.parse(ZONE), smtp_port=port,
        patience=Patience(greeting_s=1, hello_s=1, mail_s=1, rcpt_s=1, data_s=1, body_s=1, final_s=1),
    )  # fmt: skip
    settings = part_of(DeliverySettings(schedule=quick, poll_s=0.05), share.number, share.of)
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
        worker=f"delivery-{share.number}",
        gone=[f"delivery-{number}" for number in range(share.of, MOST)] if share.number == 0 else (),
        share=share,
    )
    os.write(1, b"%d\n" % os.getpid())
    await runner.run()


def several(folder: Path, port: int, of: int) -> None:
    """Like the gate's supervisor."""
    troubled, running = Troubled(), dict[int, int]()
    waiting = set(range(of))
    while True:
        for number in waiting:
            pid = os.fork()
            if pid == 0:
                asyncio.run(main(folder, port, Share(number, of, troubled)))
                os._exit(0)
            running[pid] = number
        waiting = {running.pop(os.wait()[0])}


logging.basicConfig(level=logging.INFO)
if sys.argv[3:]:
    several(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
else:
    asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2]), Share()))
