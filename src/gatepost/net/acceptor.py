"""The door: binds, counts connections, reads PROXY headers, lets newcomers wait, and hands sockets to workers.

It is the only place that counts, so limits per client are exact without shared memory, and a client that is
turned away never costs a worker anything but a line of history. Behind a front the client counted is the one it
names. What is said inside a connection is the session's business.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import socket
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from gatepost.mail.client import IpAddress
from gatepost.net.census import Census, Network, Place, networks, within
from gatepost.net.handover import Arrival, Post, Tcp6Socket, TcpSocket
from gatepost.net.limits import ConnectionLimits, Listener
from gatepost.smtp.dialect import Dialect
from gatepost.smtp.proxy import Incomplete, NotProxy, parse_proxy
from gatepost.smtp.reply import Reply

log = logging.getLogger(__name__)

EARLY_TALKER = Reply(554, "5.5.1", "Protocol error: you spoke before the greeting", close=True)
TURNED_AWAY = {
    "too-many-connections": Reply(421, "4.7.0", "Too many connections, try again later", close=True),
    "too-many-from-client": Reply(421, "4.7.0", "Too many connections from your address", close=True),
    "too-fast": Reply(421, "4.7.0", "Too many connections from your address in a minute", close=True),
    "no-worker": Reply(421, "4.3.2", "Not ready, try again in a moment", close=True),
}
_REPORTS_A_SECOND = 20
"""Turned-away connections that workers record for history; beyond this they are only counted."""
_BUSY_RETRY_S = 0.02
_BUSY_GIVE_UP = 250
_NO_DESCRIPTORS_S = 0.5


class CannotListen(Exception):
    """An address cannot be listened on; the text says which and why."""


@dataclass(frozen=True, slots=True)
class Listening:
    """A bound socket and the listener it belongs to."""

    sock: socket.socket
    listener: Listener
    index: int
    fronts: tuple[Network, ...]
    family: int

    @property
    def address(self) -> str:
        """``host:port`` as bound, the port chosen by the system included."""
        host, port = self.sock.getsockname()[:2]
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def bind(listeners: Sequence[Listener], *, backlog: int) -> tuple[Listening, ...]:
    """Listen on every address; raises CannotListen (and then nothing stays bound)."""
    with contextlib.ExitStack() as undo:
        bound: list[Listening] = []
        for index, listener in enumerate(listeners):
            fronts = networks(listener.proxy_protocol_from)
            host, port = host_and_port(listener.address)
            for each in ("0.0.0.0", "::") if host == "*" else (host,):  # noqa: S104 - the operator said so
                try:
                    sock = _listen(each, port, backlog)
                except OSError as failure:
                    if host == "*" and each == "::" and bound:  # no IPv6 on this machine
                        continue
                    raise CannotListen(
                        f"{listener.address}: {failure.strerror or failure}{remedy(failure)}"
                    ) from None
                undo.callback(sock.close)
                port = sock.getsockname()[1]
                bound.append(Listening(sock, listener, index, fronts, int(sock.family)))
        undo.pop_all()
    return tuple(bound)


def remedy(failure: OSError) -> str:
    """What to do about an address that cannot be listened on."""
    if failure.errno == errno.EACCES:
        return (
            ". Ports below 1024 take root or systemd (packaging/gatepost.service); any other is free to all"
        )
    if failure.errno == errno.EADDRINUSE:
        return ". See what listens there: ss -ltnp; stop it, or choose another address"
    return ""


class Acceptor:
    """Accepts on `listening` and shares the connections out among the posts that `join`."""

    def __init__(
        self,
        listening: Sequence[Listening],
        limits: ConnectionLimits,
        *,
        new_ref: Callable[[], str] = lambda: "",
    ) -> None:
        """`new_ref` makes the reference that a client turned away is told, and that finds it in the history."""
        self._new_ref = new_ref
        self.census = Census(limits)
        self.turned_away: dict[str, int] = {}
        """How many were turned away, by reason."""
        self._limits = limits
        self._listening = listening
        self._loop = asyncio.get_running_loop()
        self._posts: list[Post] = []
        self._held: dict[int, tuple[Post, Place]] = {}
        self._waiting: dict[_Visitor, asyncio.TimerHandle] = {}
        self._unplaced: deque[_Visitor] = deque()
        self._number = 0
        self._report_second = self._reports = 0
        self._stopped = False

    def start(self) -> None:
        """Begin to accept."""
        for listening in self._listening:
            listening.sock.setblocking(False)
            self._loop.add_reader(listening.sock.fileno(), self._ready, listening)

    def stop(self) -> None:
        """Accept no more, and let go of those who still wait for their greeting."""
        self._stopped = True
        for listening in self._listening:
            self._loop.remove_reader(listening.sock.fileno())
            listening.sock.close()
        for visitor in [*self._waiting, *self._unplaced]:
            self._forget(visitor)
            self._turn_away(visitor, "no-worker", TURNED_AWAY["no-worker"])
        self._unplaced.clear()

    def join(self, post: Post) -> None:
        """A worker is ready for connections."""
        self._posts.append(post)

    # What workers say (handover.Back)

    def ended(self, post: Post, number: int) -> None:
        """A connection is over."""
        held = self._held.pop(number, None)
        if held is not None:
            post.open -= 1
            self.census.leave(held[1])

    def renamed(self, post: Post, number: int, ip: IpAddress) -> None:
        """Behind a front (XCLIENT), count the connection for the client it names, if that one may have it."""
        admitted = False
        held = self._held.get(number)
        if held is not None:
            place = self.census.place(str(ip))
            self.census.leave(held[1])
            why = self.census.arrive(place, self._loop.time())
            admitted = why is None
            if why is None:
                self._held[number] = (post, place)
            else:
                self.turned_away[why] = self.turned_away.get(why, 0) + 1
                self.census.put_back(held[1])
        post.answer(number, admitted=admitted)

    def lost(self, post: Post) -> None:
        """A worker is gone: its connections no longer count."""
        if post in self._posts:
            self._posts.remove(post)
        for number in [number for number, (owner, _) in self._held.items() if owner is post]:
            self.census.leave(self._held.pop(number)[1])

    # A visitor's way from the listening socket to a worker

    def _ready(self, listening: Listening) -> None:
        """One connection a turn: the loop comes back while there are more, and asking in vain is dear."""
        try:
            sock, address = listening.sock.accept()
        except (BlockingIOError, ConnectionError):
            return
        except OSError as failure:  # out of descriptors or memory: trying on at once would spin the loop
            log.error("cannot accept connections just now: %s", failure)
            self._loop.remove_reader(listening.sock.fileno())
            self._loop.call_later(_NO_DESCRIPTORS_S, self._resume, listening)
            return
        place = self.census.place(address[0])
        visitor = _Visitor(listening, sock, place, address[1])
        if listening.fronts and within(place.ip, listening.fronts):
            self._await_header(visitor)
        else:
            self._arrived(visitor)

    def _resume(self, listening: Listening) -> None:
        if not self._stopped:
            self._loop.add_reader(listening.sock.fileno(), self._ready, listening)

    def _await_header(self, visitor: _Visitor) -> None:
        """Fronts are trusted, but still bounded in number and time."""
        if len(self._waiting) >= self._limits.connections:
            self._turn_away(visitor, "too-many-connections", TURNED_AWAY["too-many-connections"])
            return
        self._waiting[visitor] = self._loop.call_later(self._limits.proxy_header_s, self._no_header, visitor)
        self._loop.add_reader(visitor.sock.fileno(), self._header_octets, visitor)

    def _header_octets(self, visitor: _Visitor) -> None:
        # Peeked first, so that no octet behind the header is taken from the session (or its TLS handshake).
        try:
            seen = visitor.sock.recv(16_384, socket.MSG_PEEK | socket.MSG_DONTWAIT)
        except BlockingIOError:
            return
        except OSError:
            seen = b""
        before = len(visitor.header)
        found = parse_proxy(visitor.header + seen)
        if not seen or isinstance(found, NotProxy):
            self._no_header(visitor)
            return
        if isinstance(found, Incomplete):
            visitor.header += visitor.sock.recv(len(seen), socket.MSG_DONTWAIT)
            return
        visitor.sock.recv(found.length - before, socket.MSG_DONTWAIT)
        self._forget(visitor)
        if found.ip is not None:
            visitor.place, visitor.port = self.census.place(str(found.ip)), found.port
        self._arrived(visitor)

    def _no_header(self, visitor: _Visitor) -> None:
        self._forget(visitor)
        reply = Reply(421, "4.7.0", "A PROXY header is expected from your address", close=True)
        self._turn_away(visitor, "no-proxy-header", reply)

    def _arrived(self, visitor: _Visitor) -> None:
        now = self._loop.time()
        why = self.census.arrive(visitor.place, now)
        if why is not None:
            self._turn_away(visitor, why, TURNED_AWAY[why])
            return
        if visitor.listening.listener.role is Dialect.MX:
            delay_s = self.census.greeting_delay_s(visitor.place, now)
            if delay_s > 0:
                self._waiting[visitor] = self._loop.call_later(delay_s, self._waited, visitor)
                return
        self._hand_over(visitor)

    def _waited(self, visitor: _Visitor) -> None:
        self._forget(visitor)
        try:
            early: bytes | None = visitor.sock.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
        except BlockingIOError:
            early = None
        except OSError:
            early = b""
        if early is None:
            self.census.was_polite(visitor.place, self._loop.time())
            self._hand_over(visitor)
            return
        self.census.leave(visitor.place)
        if early:
            self._turn_away(visitor, "early-talker", EARLY_TALKER)
        else:
            visitor.sock.close()  # it left while it waited

    def _hand_over(self, visitor: _Visitor) -> None:
        self._number += 1
        arrival = Arrival(
            number=self._number,
            listener=visitor.listening.index,
            sock=visitor.sock,
            family=visitor.listening.family,
            peer=visitor.peer.ip,
            ip=visitor.place.ip,
            port=visitor.port,
        )
        for post in _least_busy_first(self._posts):
            post.open += 1
            self._held[self._number] = (post, visitor.place)
            if post.give(arrival):
                return
            post.open -= 1
            del self._held[self._number]
        if not self._unplaced:
            self._loop.call_later(_BUSY_RETRY_S, self._place_the_unplaced)
        self._unplaced.append(visitor)

    def _place_the_unplaced(self) -> None:
        visitors, self._unplaced = self._unplaced, deque()
        for visitor in visitors:
            visitor.tries += 1
            if visitor.tries < _BUSY_GIVE_UP:
                self._hand_over(visitor)
            else:
                self.census.leave(visitor.place)
                self._turn_away(visitor, "no-worker", TURNED_AWAY["no-worker"])

    def _forget(self, visitor: _Visitor) -> None:
        timer = self._waiting.pop(visitor, None)
        if timer is not None:
            timer.cancel()
        self._loop.remove_reader(visitor.sock.fileno())

    def _turn_away(self, visitor: _Visitor, what: str, reply: Reply) -> None:
        """Say so and close; never waits. Unread octets would turn our close into a reset that eats the reply."""
        self.turned_away[what] = self.turned_away.get(what, 0) + 1
        recorded = self._is_recorded()
        ref = self._new_ref() if recorded else ""
        with contextlib.suppress(OSError):
            if visitor.listening.listener.role is not Dialect.SUBMISSIONS:
                visitor.sock.send(reply.referring(ref).render(), socket.MSG_DONTWAIT)
            visitor.sock.shutdown(socket.SHUT_WR)
            visitor.sock.recv(65_536, socket.MSG_DONTWAIT)
        visitor.sock.close()
        if recorded:
            min(self._posts, key=_busyness).turned_away(
                listener=visitor.listening.index,
                ip=visitor.place.ip,
                port=visitor.port,
                reply=reply,
                what=what,
                ref=ref,
            )

    def _is_recorded(self) -> bool:
        """A flood of these must not become a flood of rows: beyond the budget they only count, and bear no reference."""
        second = int(self._loop.time())
        if second != self._report_second:
            self._report_second, self._reports = second, 0
        self._reports += 1
        return bool(self._posts) and self._reports <= _REPORTS_A_SECOND


class _Visitor:
    """A connection that has not reached a worker yet."""

    __slots__ = ("header", "listening", "peer", "place", "port", "sock", "tries")

    def __init__(self, listening: Listening, sock: socket.socket, place: Place, port: int) -> None:
        self.listening = listening
        self.sock = sock
        self.peer = place
        self.place = place
        self.port = port
        self.header = b""
        self.tries = 0


def _least_busy_first(posts: Sequence[Post]) -> Iterator[Post]:
    if posts:
        first = min(posts, key=_busyness)
        yield first
        yield from (post for post in sorted(posts, key=_busyness) if post is not first)


def _busyness(post: Post) -> int:
    return post.open


def host_and_port(address: str) -> tuple[str, int]:
    """A listener's address in its two halves, ``*`` for every host; raises CannotListen."""
    host, colon, port = address.rpartition(":")
    if not colon or not port.isdecimal() or int(port) > 65535:
        raise CannotListen(f"{address}: an address is host:port, [v6]:port or *:port")
    return host.strip("[]") or "*", int(port)


def _listen(host: str, port: int, backlog: int) -> socket.socket:
    family, _, _, _, where = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[
        0
    ]
    sock = (Tcp6Socket if family == socket.AF_INET6 else TcpSocket)(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # connections inherit it
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind(where)
        sock.listen(backlog)
    except OSError:
        sock.close()
        raise
    return sock
