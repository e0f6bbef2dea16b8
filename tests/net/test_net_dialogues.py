"""The dialogues that the machine is tried with in memory, over a real socket."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Sequence
from pathlib import Path

import pytest
import trustme
import uvloop
from gate import Recorder, certificate, gate

from gatepost.mail.client import Attempt, Client, Envelope, SignedIn
from gatepost.net import reception
from gatepost.net.limits import Listener
from gatepost.net.tls import ServerTls
from gatepost.smtp.dialect import Dialect, Offers
from gatepost.smtp.events import AuthRequest, BodyEnd, RcptTo
from gatepost.smtp.handler import Screened
from gatepost.smtp.limits import SmtpLimits
from gatepost.smtp.reply import OK, Reply
from gatepost.smtp.sasl import MECHANISMS, Credentials, ScramKeys
from talk import CASES, Talk, answer_by_name, play, read_talk, scram_keys

TALKS = sorted(
    path for path in CASES.glob("*.talk") if b"forged@" not in path.read_bytes()
)  # that one is not ours to refuse


class ByName(Recorder):
    """Answers as the talks expect."""

    async def screen(self, attempt: Attempt) -> Screened:
        return Screened(answer_by_name(RcptTo(attempt.recipient)))

    async def receive(
        self, client: Client, envelope: Envelope, octets: bytes, screened: Sequence[Screened]
    ) -> Sequence[Reply]:
        full = Reply(452, "4.2.2", "Mailbox full")
        if client.role == "lmtp":
            replies = [full if to.address.local == "full" else OK for to in envelope.recipients]
        else:
            replies = [answer_by_name(BodyEnd(octets))]
        if any(reply.positive for reply in replies):
            self.mails.append((client, envelope, octets, screened))
        return replies


class SignIn:
    mechanisms = tuple(MECHANISMS)

    async def sign_in(self, client: Client, mechanism: str, credentials: Credentials) -> SignedIn | Reply:
        reply = answer_by_name(AuthRequest(mechanism, credentials))
        return SignedIn(user="ana") if reply.positive else reply

    async def keys(self, client: Client, mechanism: str, user: str) -> ScramKeys:
        return scram_keys(user)


class SocketPeer:
    """Plays the client, in a thread."""

    def __init__(self, port: int, handler: Recorder, context: ssl.SSLContext, *, implicit_tls: bool) -> None:
        self._sock: socket.socket = socket.create_connection(("127.0.0.1", port), timeout=10)
        self._sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._handler = handler
        self._context = context
        self._octets = b""
        if implicit_tls:
            self.start_tls()

    @property
    def messages(self) -> int:
        return len(self._handler.mails)

    def send(self, octets: bytes) -> None:
        try:
            self._sock.sendall(octets)
        except ConnectionError:
            return

    def read_line(self) -> bytes:
        while b"\r\n" not in self._octets:
            try:
                octets = self._sock.recv(4096)
            except ConnectionError:
                octets = b""
            if not octets:
                return b"(closed)"
            self._octets += octets
        line, _, self._octets = self._octets.partition(b"\r\n")
        return line

    def start_tls(self) -> None:
        self._sock = self._context.wrap_socket(self._sock, server_hostname="mx.example.net")

    def close(self) -> None:
        self._sock.close()


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> tuple[ServerTls, ssl.SSLContext]:
    settings, context = certificate(tmp_path_factory.mktemp("tls"), ca=trustme.CA())
    return ServerTls(settings), context


def test_there_are_dialogues():
    assert len(TALKS) > 20


@pytest.mark.parametrize("path", TALKS, ids=lambda path: path.stem)
def test_dialogue_over_a_socket(path: Path, tls, monkeypatch):
    talk: Talk = read_talk(path)
    offers = Offers(**talk.offers)  # type: ignore[arg-type]
    monkeypatch.setattr(reception._Rules, "offers", lambda *_: offers)
    server_tls, context = tls

    async def story():
        listener = Listener(address="127.0.0.1:0", role=Dialect.SUBMISSIONS if offers.tls else talk.dialect)
        async with gate(
            listener, handler=ByName(), tls=server_tls, smtp_limits=SmtpLimits(**talk.limits)
        ) as g:
            g.reception.service.authenticator = SignIn()
            peer = await asyncio.to_thread(
                SocketPeer, g.ports[0], g.handler, context, implicit_tls=offers.tls
            )
            try:
                await asyncio.to_thread(play, talk, peer)
            finally:
                peer.close()

    uvloop.run(story())
