"""What handing sockets to workers costs, against SO_REUSEPORT: CPU milliseconds a connection.

usage: benchmarks/handover.py [CONNECTIONS] [WORKERS]

The connections do nothing but greet and quit, so that the difference is the hand-over. CPU is that of the
server's processes (rusage at their end, user and system); the client's is not counted.
"""

from __future__ import annotations

import asyncio
import os
import selectors
import signal
import socket
import statistics
import sys
from collections.abc import Awaitable, Callable

import uvloop

from gatepost.net.acceptor import Acceptor, bind
from gatepost.net.handover import Arrival, RemoteDesk, RemotePost
from gatepost.net.limits import ConnectionLimits, Listener

LIMITS = ConnectionLimits()
CLIENTS = 20
ROUNDS = 9


class Greeter(asyncio.Protocol):
    """220, and 221 to whatever comes."""

    def __init__(self, ended: Callable[[], None]) -> None:
        self.ended = ended

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        transport.write(b"220 mx.example.net ESMTP\r\n")  # type: ignore[attr-defined]

    def data_received(self, _data: bytes) -> None:
        self.transport.write(b"221 2.0.0 bye\r\n")  # type: ignore[attr-defined]
        self.transport.close()

    def connection_lost(self, _exc: Exception | None) -> None:
        self.ended()


def child(main: Callable[[], Awaitable[None]]) -> int:
    """Run `main` in a process of its own until SIGTERM; its id."""
    pid = os.fork()
    if pid == 0:

        async def live() -> None:
            stop = asyncio.Event()
            asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
            await main()
            await stop.wait()

        try:
            uvloop.run(live())
        finally:
            os._exit(0)
    return pid


def hand_over(workers: int) -> tuple[int, list[int]]:
    """The port, and the processes: the acceptor first."""
    listening = bind([Listener(address="127.0.0.1:0")], backlog=1024)
    pairs = [socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET) for _ in range(workers)]

    async def accept() -> None:
        acceptor = Acceptor(listening, LIMITS)
        for post, _ in pairs:
            acceptor.join(RemotePost(post, acceptor))
        acceptor.start()

    def worker(channel: socket.socket) -> Callable[[], Awaitable[None]]:
        async def work() -> None:
            loop = asyncio.get_running_loop()
            desk = RemoteDesk(channel, on_lost=lambda: None)
            tasks: set[asyncio.Task[object]] = set()

            def arrive(arrival: Arrival) -> None:
                arrival.sock.setblocking(False)
                greeter = Greeter(lambda: desk.ended(arrival.number))
                task = loop.create_task(loop.connect_accepted_socket(lambda: greeter, arrival.sock))
                tasks.add(task)
                task.add_done_callback(tasks.discard)

            desk.open(arrive, lambda **_: None)

        return work

    pids = [child(accept), *(child(worker(channel)) for _, channel in pairs)]
    port = listening[0].sock.getsockname()[1]
    listening[0].sock.close()
    for pair in pairs:
        for end in pair:
            end.close()
    return port, pids


def reuse_port(workers: int) -> tuple[int, list[int]]:
    reserved = socket.socket()
    reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    reserved.bind(("127.0.0.1", 0))
    port = reserved.getsockname()[1]

    async def work() -> None:
        loop = asyncio.get_running_loop()
        await loop.create_server(
            lambda: Greeter(lambda: None), "127.0.0.1", port, reuse_port=True, backlog=1024
        )

    return port, [child(work) for _ in range(workers)]


def load(port: int, connections: int) -> int:
    """So many connections, `CLIENTS` at once; how many were answered in full."""
    selector = selectors.DefaultSelector()
    answered = begun = 0

    def begin() -> None:
        nonlocal begun
        begun += 1
        sock = socket.create_connection(("127.0.0.1", port), timeout=10)
        sock.setblocking(False)
        selector.register(sock, selectors.EVENT_READ)

    for _ in range(min(CLIENTS, connections)):
        begin()
    while selector.get_map():
        for key, _ in selector.select(10) or sys.exit("no answer within 10 s"):
            sock: socket.socket = key.fileobj  # type: ignore[assignment]
            octets = sock.recv(100)
            if octets.startswith(b"220"):
                sock.send(b"QUIT\r\n")
                continue
            answered += octets.startswith(b"221")
            selector.unregister(sock)
            sock.close()
            if begun < connections:
                begin()
    return answered


def measure(start: Callable[[int], tuple[int, list[int]]], workers: int, connections: int) -> list[float]:
    """CPU milliseconds a connection of each process."""
    port, pids = start(workers)
    while True:
        try:
            load(port, 200)
            break
        except ConnectionRefusedError:
            continue
    before = [cpu_ms(pid) for pid in pids]
    assert load(port, connections) == connections, "a connection was lost"
    used = [(cpu_ms(pid) - was) / connections for pid, was in zip(pids, before, strict=True)]
    for pid in pids:
        os.kill(pid, signal.SIGTERM)
        os.waitpid(pid, 0)
    return used


def cpu_ms(pid: int) -> float:
    """User and system time of a living process, from the scheduler's own clock (nanoseconds)."""
    with open(f"/proc/{pid}/schedstat") as file:
        return int(file.read().split()[0]) / 1e6


def main() -> None:
    connections = int(sys.argv[1]) if len(sys.argv) > 1 else 4000
    workers = int(sys.argv[2]) if len(sys.argv) > 2 else 1
    handed, shared = [], []
    for _ in range(ROUNDS):  # interleaved, so that a busy moment of the machine meets both
        handed.append(measure(hand_over, workers, connections))
        shared.append(measure(reuse_port, workers, connections))
    print(
        f"CPU ms a connection, {ROUNDS} rounds of {connections} connections, {workers} workers (median, least)"
    )
    acceptor = [one[0] for one in handed]
    for name, figures in (
        ("hand-over, all processes", [sum(one) for one in handed]),
        ("  of that the acceptor", acceptor),
        ("SO_REUSEPORT", [sum(one) for one in shared]),
        ("difference", [sum(one) - sum(other) for one, other in zip(handed, shared, strict=True)]),
    ):
        print(f"{name:26} {statistics.median(figures):.4f}  {min(figures):.4f}")


if __name__ == "__main__":
    main()
