"""A small gate as a program of its own, with supervised workers: run by test_net_worker.py.

usage: gate_process.py WORKERS [user]. Prints its ports when ready. Recipients are told which process answers;
the recipient ``die`` ends that process at once.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from gatepost.mail.client import Attempt, Client, Envelope
from gatepost.net.acceptor import bind
from gatepost.net.handover import Desk
from gatepost.net.life import Life
from gatepost.net.limits import ConnectionLimits, Listener, SessionLimits
from gatepost.net.reception import Reception
from gatepost.net.service import Service
from gatepost.net.worker import Plan, Program, run
from gatepost.smtp.handler import Screened
from gatepost.smtp.reply import Reply


class Handler:
    def __init__(self, life: Life) -> None:
        self.reloads = 0
        life.on_reload(self.reload)

    def reload(self) -> None:
        self.reloads += 1

    async def screen(self, attempt: Attempt) -> Screened:
        local = attempt.recipient.address.local
        if local == "die":
            os._exit(3)
        identity = f"pid={os.getpid()} parent={os.getppid()} uid={os.getuid()} reloads={self.reloads}"
        return Screened(Reply(250, "2.1.5", identity))

    async def receive(
        self, client: Client, envelope: Envelope, octets: bytes, screened: Sequence[Screened]
    ) -> Sequence[Reply]:
        return [Reply(250, "2.0.0", f"{len(octets)} octets in {os.getpid()}")]

    def refused(
        self, client: Client, envelope: Envelope | None, reply: Reply, what: str, ref: str = ""
    ) -> str:
        print(f"refused {client.ip} {what}", flush=True)
        return ""


LISTENERS = (Listener(address="127.0.0.1:0"),)


async def serve(life: Life, desk: Desk) -> None:
    service = Service(
        hostname="mx.example.net", handler=Handler(life), limits=SessionLimits(stop_grace_s=5.0)
    )
    reception = Reception(service, LISTENERS, desk)
    reception.open()
    life.ready()
    await life.stopping.wait()
    await reception.stop()


async def another(life: Life) -> None:
    life.ready()
    await life.stopping.wait()
    with contextlib.suppress(BrokenPipeError):
        print("another stopped", flush=True)


def main() -> int:
    limits = ConnectionLimits(per_client=4, unlimited_clients=())
    listening = bind(LISTENERS, backlog=100)
    ports = " ".join(each.address for each in listening)
    plan = Plan(
        listening=listening,
        limits=limits,
        serve=serve,
        workers=int(sys.argv[1]),
        others=[Program("another", another)],
        user=sys.argv[2] if len(sys.argv) > 2 else None,
        stop_grace_s=5.0,
        on_ready=lambda: print("ready", ports, flush=True),
        on_reload=lambda: print("reloaded", flush=True),
    )
    began = time.monotonic()
    status = run(plan)
    print(f"ended after {time.monotonic() - began:.1f} s", flush=True)
    return status


if __name__ == "__main__":
    sys.exit(main())
