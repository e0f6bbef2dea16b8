"""How a connection gets from the acceptor to a worker, and word of its end back.

Two ends, `Post` at the acceptor and `Desk` at the worker, over a SOCK_SEQPACKET pair (socket and a small header
by SCM_RIGHTS), or joined in memory when everything is one process. Each packet begins with its kind:
``C`` connection, ``A`` answer to a renaming, ``T`` turned away (for history); ``E`` ended, ``N`` renamed.
"""

from __future__ import annotations

import array
import asyncio
import socket
import struct
import sys
from collections import deque
from collections.abc import Callable
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address
from typing import NamedTuple, Protocol

from gatepost.mail.client import IpAddress
from gatepost.smtp.reply import Reply


class TcpSocket(socket.socket):
    """One that knows what it is: `socket.socket` makes an enum of a number each time it is asked, and it is asked often."""

    __slots__ = ()
    family = socket.AF_INET
    type = socket.SOCK_STREAM


class Tcp6Socket(TcpSocket):
    """The same for IPv6."""

    __slots__ = ()
    family = socket.AF_INET6


_CONNECTION = struct.Struct("!cQHHH16s16s")
_NAMED = struct.Struct("!cQ16s")
_ANSWER = struct.Struct("!cQ?")
_TURNED = struct.Struct("!cHHH16s")
_MAPPED = b"\0" * 10 + b"\xff\xff"
_FD_SPACE = socket.CMSG_SPACE(4)
_PACKET = 4096
_UNSENT_AT_MOST = 20_000
"""Words that wait for a worker that does not read; more than it can have sessions."""
_KINDS: dict[int, type[TcpSocket]] = {socket.AF_INET: TcpSocket, socket.AF_INET6: Tcp6Socket}
_AT_ONCE = 32
"""Connections taken in one turn of the loop, so that a flood of them does not starve open sessions."""


class Arrival(NamedTuple):
    """An accepted connection on its way to a session."""

    number: int
    """Names the connection between acceptor and worker."""
    listener: int
    """Index among the listeners."""
    sock: socket.socket
    family: int
    """Its address family."""
    peer: IpAddress
    """Who is really connected; the front, behind one."""
    ip: IpAddress
    """The client: the peer, or whom the PROXY header named."""
    port: int


class Turned(Protocol):
    """Told of clients turned away at the door."""

    def __call__(self, *, listener: int, ip: IpAddress, port: int, reply: Reply, what: str, ref: str) -> None:
        """`what` is a stable short name, such as ``too-fast`` or ``early-talker``; `ref` is what the client was told."""
        ...


class Post(Protocol):
    """The acceptor's end towards one worker."""

    open: int
    """Connections it has."""

    def give(self, arrival: Arrival) -> bool:
        """Hand a connection over (and close our copy); False when the worker cannot take one just now."""
        ...

    def answer(self, number: int, *, admitted: bool) -> None:
        """Answer a renaming."""
        ...

    def turned_away(
        self, *, listener: int, ip: IpAddress, port: int, reply: Reply, what: str, ref: str
    ) -> None:
        """Let the worker record it; dropped when the worker is busy."""
        ...


class Back(Protocol):
    """What the acceptor hears from a worker."""

    def ended(self, post: Post, number: int) -> None:
        """This connection is over."""
        ...

    def renamed(self, post: Post, number: int, ip: IpAddress) -> None:
        """A front says (XCLIENT) that this connection is another client's; wants `post.answer`."""
        ...

    def lost(self, post: Post) -> None:
        """The worker is gone, and its connections with it."""
        ...


class Desk(Protocol):
    """The worker's end."""

    def open(self, arrive: Callable[[Arrival], None], turned: Turned) -> None:
        """Begin to take connections."""
        ...

    def ended(self, number: int) -> None:
        """This connection is over."""
        ...

    async def renamed(self, number: int, ip: IpAddress) -> bool:
        """Count this connection for another client; False when that client has too many."""
        ...


class LocalDesk:
    """Both ends in one process."""

    def __init__(self) -> None:
        self._back: Back | None = None
        self._post: LocalPost | None = None
        self._arrive: Callable[[Arrival], None] | None = None
        self.turned: Turned | None = None
        self._answers: dict[int, bool] = {}

    def post(self, back: Back) -> LocalPost:
        """The other end, for the acceptor."""
        self._back = back
        self._post = LocalPost(self)
        return self._post

    def open(self, arrive: Callable[[Arrival], None], turned: Turned) -> None:
        self._arrive, self.turned = arrive, turned

    def take(self, arrival: Arrival) -> bool:
        """From the post."""
        if self._arrive is None:
            return False
        self._arrive(arrival)
        return True

    def ended(self, number: int) -> None:
        assert self._back is not None
        assert self._post is not None
        self._back.ended(self._post, number)

    async def renamed(self, number: int, ip: IpAddress) -> bool:
        assert self._back is not None
        assert self._post is not None
        self._back.renamed(self._post, number, ip)
        return self._answers.pop(number, False)

    def answered(self, number: int, *, admitted: bool) -> None:
        """From the post."""
        self._answers[number] = admitted


class LocalPost:
    """The acceptor's end in the same process."""

    def __init__(self, desk: LocalDesk) -> None:
        self.open = 0
        self._desk = desk

    def give(self, arrival: Arrival) -> bool:
        return self._desk.take(arrival)

    def answer(self, number: int, *, admitted: bool) -> None:
        self._desk.answered(number, admitted=admitted)

    def turned_away(
        self, *, listener: int, ip: IpAddress, port: int, reply: Reply, what: str, ref: str
    ) -> None:
        if self._desk.turned is not None:
            self._desk.turned(listener=listener, ip=ip, port=port, reply=reply, what=what, ref=ref)


class RemotePost:
    """The acceptor's end of a socket pair; reads on the running loop until the worker is gone."""

    def __init__(self, channel: socket.socket, back: Back) -> None:
        self.open = 0
        self._channel = channel
        self._back = back
        self._unsent: deque[bytes] = deque()
        self._loop = asyncio.get_running_loop()
        channel.setblocking(False)
        self._loop.add_reader(channel.fileno(), self._readable)

    def give(self, arrival: Arrival) -> bool:
        sock = arrival.sock
        header = _CONNECTION.pack(
            b"C",
            arrival.number,
            arrival.listener,
            arrival.port,
            arrival.family,
            _packed(arrival.peer),
            _packed(arrival.ip),
        )
        descriptor = array.array("i", [sock.fileno()])
        try:
            self._channel.sendmsg([header], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, descriptor)])
        except OSError:  # full, or the worker is dying: `lost` follows
            return False
        sock.close()
        return True

    def answer(self, number: int, *, admitted: bool) -> None:
        self._send(_ANSWER.pack(b"A", number, admitted))

    def turned_away(
        self, *, listener: int, ip: IpAddress, port: int, reply: Reply, what: str, ref: str
    ) -> None:
        text = "\0".join((what, ref, reply.enhanced, reply.text)).encode()[:1024]
        self._send(_TURNED.pack(b"T", listener, port, reply.code, _packed(ip)) + text)

    def close(self) -> None:
        """No more for this worker."""
        if self._channel.fileno() >= 0:
            self._loop.remove_reader(self._channel.fileno())
            self._loop.remove_writer(self._channel.fileno())
            self._channel.close()

    def _send(self, packet: bytes) -> None:
        """Now, or when the worker has read what fills the channel: a session waits for each answer."""
        if self._channel.fileno() < 0 or len(self._unsent) >= _UNSENT_AT_MOST:
            return
        if not self._unsent:
            try:
                self._channel.send(packet)
            except BlockingIOError:
                self._loop.add_writer(self._channel.fileno(), self._writable)
            except OSError:
                return  # the worker is dying: `lost` follows
            else:
                return
        self._unsent.append(packet)

    def _writable(self) -> None:
        while self._unsent:
            try:
                self._channel.send(self._unsent[0])
            except BlockingIOError:
                return
            except OSError:
                self._unsent.clear()
                break
            self._unsent.popleft()
        self._loop.remove_writer(self._channel.fileno())

    def _readable(self) -> None:
        """One packet a turn: the loop comes back while there is more, and asking in vain is dear."""
        try:
            packet = self._channel.recv(_PACKET)
        except BlockingIOError:
            return
        except OSError:
            packet = b""
        if not packet:
            self.close()
            self._back.lost(self)
        elif packet[:1] == b"E":
            for (number,) in struct.iter_unpack("!Q", packet[1:]):
                self._back.ended(self, number)
        elif packet[:1] == b"N":
            _, number, ip = _NAMED.unpack(packet)
            self._back.renamed(self, number, _unpacked(ip))


class RemoteDesk:
    """The worker's end of a socket pair, on the running loop."""

    def __init__(self, channel: socket.socket, *, on_lost: Callable[[], None]) -> None:
        self._channel = channel
        self._on_lost = on_lost
        self._loop = asyncio.get_running_loop()
        self._arrive: Callable[[Arrival], None] | None = None
        self._turned: Turned | None = None
        self._ended: list[int] = []
        self._unsent: deque[bytes] = deque()
        self._questions: dict[int, asyncio.Future[bool]] = {}
        channel.setblocking(False)

    def open(self, arrive: Callable[[Arrival], None], turned: Turned) -> None:
        self._arrive, self._turned = arrive, turned
        self._loop.add_reader(self._channel.fileno(), self._readable)

    def ended(self, number: int) -> None:
        if not self._ended:
            self._loop.call_soon(self._tell_ended)
        self._ended.append(number)

    async def renamed(self, number: int, ip: IpAddress) -> bool:
        answer = self._questions[number] = self._loop.create_future()
        self._send(_NAMED.pack(b"N", number, _packed(ip)))
        admitted: bool = await answer
        return admitted

    def _tell_ended(self) -> None:
        numbers, self._ended = self._ended, []
        for start in range(0, len(numbers), 500):
            part = numbers[start : start + 500]
            self._send(struct.pack(f"!c{len(part)}Q", b"E", *part))

    def _send(self, packet: bytes) -> None:
        if self._channel.fileno() < 0:
            return
        if self._unsent:
            self._unsent.append(packet)
            return
        try:
            self._channel.send(packet)
        except BlockingIOError:
            self._unsent.append(packet)
            self._loop.add_writer(self._channel.fileno(), self._writable)
        except OSError:
            return  # the acceptor is gone; reading will tell

    def _writable(self) -> None:
        while self._unsent:
            try:
                self._channel.send(self._unsent[0])
            except BlockingIOError:
                return
            except OSError:
                self._unsent.clear()
                break
            self._unsent.popleft()
        self._loop.remove_writer(self._channel.fileno())

    def _readable(self) -> None:
        for _ in range(_AT_ONCE):
            try:
                packet, ancillary, _, _ = self._channel.recvmsg(_PACKET, _FD_SPACE, socket.MSG_CMSG_CLOEXEC)
            except BlockingIOError:
                return
            except OSError:
                packet, ancillary = b"", []
            if not packet:
                self._acceptor_gone()
                return
            if packet[:1] == b"C":
                self._connection(packet, ancillary)
            else:
                self._word(packet)

    def _word(self, packet: bytes) -> None:
        if packet[:1] == b"A":
            _, number, admitted = _ANSWER.unpack(packet)
            answer = self._questions.pop(number, None)
            if answer is not None and not answer.done():
                answer.set_result(admitted)
        elif packet[:1] == b"T" and self._turned is not None:
            _, listener, port, code, ip = _TURNED.unpack_from(packet)
            what, ref, enhanced, text = packet[_TURNED.size :].decode(errors="replace").split("\0", 3)
            reply = Reply(code, enhanced, text, close=True)
            self._turned(listener=listener, ip=_unpacked(ip), port=port, reply=reply, what=what, ref=ref)

    def _connection(self, packet: bytes, ancillary: list[tuple[int, int, bytes]]) -> None:
        _, number, listener, port, family, peer, ip = _CONNECTION.unpack(packet)
        if not ancillary:  # out of descriptors: the kernel dropped it
            self.ended(number)
            return
        descriptor = int.from_bytes(ancillary[0][2][:4], sys.byteorder)
        sock = _KINDS[family](family, socket.SOCK_STREAM, socket.IPPROTO_TCP, fileno=descriptor)
        assert self._arrive is not None
        self._arrive(
            Arrival(
                number=number,
                listener=listener,
                sock=sock,
                family=family,
                peer=_unpacked(peer),
                ip=_unpacked(ip),
                port=port,
            )
        )

    def _acceptor_gone(self) -> None:
        self._loop.remove_reader(self._channel.fileno())
        if self._unsent:
            self._loop.remove_writer(self._channel.fileno())
        self._channel.close()
        for answer in self._questions.values():
            if not answer.done():
                answer.set_result(True)
        self._on_lost()


def _packed(ip: IpAddress) -> bytes:
    return _MAPPED + ip.packed if isinstance(ip, IPv4Address) else ip.packed


@lru_cache(maxsize=4096)
def _unpacked(octets: bytes) -> IpAddress:
    return IPv4Address(octets[12:]) if octets[:12] == _MAPPED else IPv6Address(octets)
