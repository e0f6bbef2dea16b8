"""All sessions of one process: makes one for each arrival, tells the acceptor when it is over, stops them in peace."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import Sequence
from dataclasses import replace

from gatepost.mail.client import Client, IpAddress
from gatepost.net.census import Network, networks, within
from gatepost.net.handover import Arrival, Desk
from gatepost.net.limits import Listener
from gatepost.net.service import Service
from gatepost.net.session import Session
from gatepost.smtp.dialect import Dialect, Offers
from gatepost.smtp.reply import Reply
from gatepost.smtp.server import SmtpServer

log = logging.getLogger(__name__)


class Reception:
    """Takes connections from `desk` until `stop`. `service` may be changed in place: new sessions see it."""

    def __init__(self, service: Service, listeners: Sequence[Listener], desk: Desk) -> None:
        self.service = service
        self._rules = [_Rules(listener) for listener in listeners]
        self._desk = desk
        self._loop = asyncio.get_running_loop()
        self._sessions: dict[Session, int] = {}
        self._connecting: dict[asyncio.Task[object], tuple[Session, socket.socket]] = {}
        self._empty = asyncio.Event()
        self._next_check: asyncio.TimerHandle | None = None
        self._stopping = False
        self.arrived = 0
        """Connections so far."""

    def open(self) -> None:
        """Begin to take connections."""
        self._desk.open(self._arrived, self._turned_away)

    @property
    def sessions(self) -> int:
        """How many are open."""
        return len(self._sessions)

    async def stop(self) -> None:
        """421 to idle sessions; messages in hand may finish for `stop_grace_s`; then everything ends."""
        self._stopping = True
        for session in list(self._sessions):
            session.stop()
        if self._sessions:
            self._empty.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._empty.wait(), self.service.limits.stop_grace_s)
        for session in list(self._sessions):
            session.abort()
        for task in list(self._connecting):
            task.cancel()
        await asyncio.gather(*self._connecting, return_exceptions=True)

    def _arrived(self, arrival: Arrival) -> None:
        self.arrived += 1
        rules = self._rules[arrival.listener]
        client = rules.excusing(Client(ip=arrival.ip, port=arrival.port, role=rules.role_name))
        number = arrival.number

        async def renamed(named: Client) -> Offers | None:
            if named.ip is not None and not await self._desk.renamed(number, named.ip):
                return None
            return rules.offers(named, arrival.peer, self.service)

        machine = SmtpServer(
            rules.role,
            self.service.smtp_limits,
            hostname=self.service.hostname,
            offers=rules.offers(client, arrival.peer, self.service),
        )
        session = Session(self.service, machine, client, ended=self._ended, renamed=renamed)
        if self._next_check is None:
            self._next_check = self._loop.call_later(self.service.check_every_s, self._check)
        self._sessions[session] = number
        self._connect(session, arrival.sock, implicit_tls=rules.role is Dialect.SUBMISSIONS)

    def _connect(self, session: Session, sock: socket.socket, *, implicit_tls: bool) -> None:
        """The loop makes the socket non-blocking, and TCP_NODELAY is inherited from the one that listens."""
        tls = self.service.tls
        if implicit_tls and tls is None:
            log.error("a submissions listener needs tls.certificate and tls.key")
            sock.close()
            self._ended(session)
            return
        task = self._loop.create_task(
            self._loop.connect_accepted_socket(
                lambda: session,
                sock,
                ssl=tls.context_for("submissions") if implicit_tls and tls is not None else None,
                ssl_handshake_timeout=self.service.smtp_limits.handshake_s if implicit_tls else None,
            )
        )
        self._connecting[task] = session, sock
        task.add_done_callback(self._connected)

    def _connected(self, task: asyncio.Task[object]) -> None:
        session, sock = self._connecting.pop(task)
        failure = None if task.cancelled() else task.exception()
        if failure is None and not task.cancelled():
            if self._stopping:
                session.stop()
            return
        sock.close()
        if isinstance(failure, OSError):  # SSLError is one; only a handshake fails for a reason worth telling
            if session.client.role == Dialect.SUBMISSIONS.value:
                reply = Reply(421, "4.7.0", f"TLS handshake failed: {failure}")
                self.service.handler.refused(session.client, None, reply, "tls-handshake")
        elif failure is not None:
            log.error("a connection of %s could not be taken", session.client.ip, exc_info=failure)
        self._ended(session)

    def _check(self) -> None:
        now = self._loop.time()
        for session in list(self._sessions):
            session.check(now)
        self._next_check = None
        if self._sessions:
            self._next_check = self._loop.call_later(self.service.check_every_s, self._check)

    def _ended(self, session: Session) -> None:
        number = self._sessions.pop(session, None)
        if number is not None:
            self._desk.ended(number)
        if not self._sessions:
            self._empty.set()

    def _turned_away(
        self, *, listener: int, ip: IpAddress, port: int, reply: Reply, what: str, ref: str
    ) -> None:
        client = Client(ip=ip, port=port, role=self._rules[listener].role_name)
        self.service.handler.refused(client, None, reply, what, ref)


_SENDING = frozenset({Dialect.SUBMISSION, Dialect.SUBMISSIONS})


class _Rules:
    """A listener's networks, read once."""

    def __init__(self, listener: Listener) -> None:
        self.role = listener.role
        self.role_name = listener.role.value
        self._xclient = networks(listener.xclient_from)
        self._relay = networks(listener.relay_for)
        self._bare_lf = networks(listener.bare_lf_from)
        self._cache: dict[tuple[bool, ...], Offers] = {}

    def excusing(self, client: Client) -> Client:
        """The client, marked when it is one that may send out without signing in."""
        excused = self.role in _SENDING and _has(client.ip, self._relay)
        return client if client.excused is excused else replace(client, excused=excused)

    def offers(self, client: Client, peer: IpAddress, service: Service) -> Offers:
        """What this client is offered here. A trusted front's word (XCLIENT LOGIN) is as good as AUTH."""
        relay = client.user is not None or self.excusing(client).excused
        xclient = _has(peer, self._xclient)
        bare_lf = _has(client.ip, self._bare_lf)
        key = (relay, xclient, bare_lf, service.tls is not None, service.authenticator is not None)
        offers = self._cache.get(key)
        if offers is None:
            mechanisms = service.authenticator.mechanisms if service.authenticator is not None else ()
            offers = self._cache[key] = Offers(
                tls=self.role is Dialect.SUBMISSIONS,
                starttls=service.tls is not None and self.role is not Dialect.SUBMISSIONS,
                auth=mechanisms if self.role in _SENDING else (),
                auth_excused=relay,
                xclient=xclient,
                requiretls=relay and service.tls is not None,
                allow_bare_lf=bare_lf,
            )
        return offers


def _has(ip: IpAddress | None, among: Sequence[Network]) -> bool:
    return bool(among) and ip is not None and within(ip, among)
