"""What acceptor and worker say to each other arrives, also when one of them is slow to read."""

from __future__ import annotations

import asyncio
import socket
from ipaddress import ip_address

from gatepost.net.handover import RemoteDesk, RemotePost


class Acceptor:
    """Hears, and leaves the answers to the test."""

    def __init__(self) -> None:
        self.gone = asyncio.Event()

    def renamed(self, post, number, ip):
        pass

    def ended(self, post, number):
        pass

    def lost(self, post):
        self.gone.set()


def test_no_answer_is_lost_when_a_worker_is_slow_to_read() -> None:
    """A session whose answer is lost would wait for it without an end."""

    async def main() -> int:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        acceptor = Acceptor()
        post = RemotePost(ours, acceptor)
        desk = RemoteDesk(theirs, on_lost=lambda: None)
        questions = [asyncio.ensure_future(desk.renamed(n, ip_address("192.0.2.1"))) for n in range(1000)]
        await asyncio.sleep(0)
        for number in range(1000):  # while nobody reads at the worker's end
            post.answer(number, admitted=True)
        desk.open(lambda arrival: None, lambda **what: None)
        admitted = await asyncio.wait_for(asyncio.gather(*questions), 10)
        asyncio.get_running_loop().remove_reader(theirs.fileno())
        theirs.close()
        await asyncio.wait_for(acceptor.gone.wait(), 10)
        post.close()
        return sum(admitted)

    assert asyncio.run(main()) == 1000
