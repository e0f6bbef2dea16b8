"""A gate on loopback for tests: the real acceptor, reception and sessions around a handler that records."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field

import trustme

from gatepost.mail.client import Attempt, Client, Envelope
from gatepost.net.acceptor import Acceptor, bind
from gatepost.net.handover import LocalDesk
from gatepost.net.limits import ConnectionLimits, Listener, SessionLimits
from gatepost.net.reception import Reception
from gatepost.net.service import Service
from gatepost.net.tls import ServerTls, TlsSettings
from gatepost.smtp.handler import Screened
from gatepost.smtp.limits import SmtpLimits
from gatepost.smtp.reply import Reply

MAIL = b"From: a@example.org\r\nSubject: hello\r\n\r\n.\r\nbody\r\n"


class Recorder:
    """Accepts everything except recipients that begin with ``no``; remembers what it was asked and told."""

    def __init__(self) -> None:
        self.attempts: list[Attempt] = []
        self.mails: list[tuple[Client, Envelope, bytes, Sequence[Screened]]] = []
        self.reference = ""
        """What the session is told to put into a reply."""
        self.refs: list[str] = []
        self.refusals: list[tuple[Client, Envelope | None, Reply, str]] = []
        self.before_receive: Callable[[], object] = lambda: None

    async def screen(self, attempt: Attempt) -> Screened:
        self.attempts.append(attempt)
        await asyncio.sleep(0)
        if attempt.recipient.address.local.startswith("no"):
            return Screened(Reply(550, "5.1.1", "No such user"))
        if attempt.recipient.address.local == "bug":
            raise KeyError("a bug")
        return Screened(Reply(250, "2.1.5", "Recipient OK"))

    async def receive(
        self, client: Client, envelope: Envelope, octets: bytes, screened: Sequence[Screened]
    ) -> Sequence[Reply]:
        waiting = self.before_receive()
        if asyncio.iscoroutine(waiting):
            await waiting
        self.mails.append((client, envelope, octets, screened))
        return [Reply(250, "2.0.0", f"Stored for {r.address.local}") for r in envelope.recipients]

    def refused(
        self, client: Client, envelope: Envelope | None, reply: Reply, what: str, ref: str = ""
    ) -> str:
        self.refusals.append((client, envelope, reply, what))
        self.refs.append(ref or self.reference)
        return self.refs[-1]

    @property
    def reasons(self) -> list[str]:
        return [what for _, _, _, what in self.refusals]


@dataclass
class Peer:
    """A client that says lines and reads whole replies."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def reply(self) -> str:
        """The next reply, its lines joined; empty when the connection ended."""
        lines = []
        while True:
            try:
                line = (await asyncio.wait_for(self.reader.readline(), 10)).decode()
            except ConnectionError:
                line = ""
            lines.append(line.rstrip("\r\n"))
            if line[3:4] != "-":
                return "\n".join(lines)

    async def say(self, line: str | bytes) -> str:
        octets = line.encode() + b"\r\n" if isinstance(line, str) else line
        self.writer.write(octets)
        return await self.reply()

    async def send_mail(self, octets: bytes = MAIL, *recipients: str) -> str:
        assert (await self.say("MAIL FROM:<a@example.org>")).startswith("250")
        for recipient in recipients or ("ana@example.net",):
            await self.say(f"RCPT TO:<{recipient}>")
        assert (await self.say("DATA")).startswith("354")
        stuffed = octets.replace(b"\r\n.", b"\r\n..")
        return await self.say(stuffed + b".\r\n")

    async def ended(self) -> bool:
        """The other side closed, with nothing more to say."""
        try:
            return await asyncio.wait_for(self.reader.read(1), 10) == b""
        except ConnectionError:
            return True

    def close(self) -> None:
        self.writer.close()


@dataclass
class Gate:
    handler: Recorder
    reception: Reception
    acceptor: Acceptor
    ports: list[int]
    peers: list[Peer] = field(default_factory=list)

    async def connect(self, octets: bytes = b"", *, source: str = "127.0.0.1", listener: int = 0, tls: ssl.SSLContext | None = None) -> Peer:  # fmt: skip
        reader, writer = await asyncio.open_connection(
            "127.0.0.1",
            self.ports[listener],
            local_addr=(source, 0),
            ssl=tls,
            server_hostname="mx.example.net" if tls else None,
        )
        peer = Peer(reader, writer)
        self.peers.append(peer)
        if octets:
            writer.write(octets)
        return peer

    async def hello(self, **how: object) -> Peer:
        peer = await self.connect(**how)  # type: ignore[arg-type]
        assert (await peer.reply()).startswith("220 ")
        assert (await peer.say("EHLO client.example.org")).startswith("250")
        return peer


@contextlib.asynccontextmanager
async def gate(
    *listeners: Listener,
    limits: ConnectionLimits | None = None,
    smtp_limits: SmtpLimits | None = None,
    session_limits: SessionLimits | None = None,
    tls: ServerTls | None = None,
    handler: Recorder | None = None,
) -> AsyncIterator[Gate]:
    """Everything in this process and loop, on ports the system chooses."""
    limits = limits or ConnectionLimits()
    listeners = listeners or (Listener(address="127.0.0.1:0"),)
    listening = bind(listeners, backlog=limits.backlog)
    handler = handler or Recorder()
    service = Service(
        hostname="mx.example.net",
        handler=handler,
        smtp_limits=smtp_limits or SmtpLimits(),
        limits=session_limits or SessionLimits(stop_grace_s=0.2),
        tls=tls,
    )
    desk = LocalDesk()
    acceptor = Acceptor(listening, limits, new_ref=lambda: "TOLD")
    acceptor.join(desk.post(acceptor))
    reception = Reception(service, listeners, desk)
    reception.open()
    acceptor.start()
    gate = Gate(handler, reception, acceptor, [each.sock.getsockname()[1] for each in listening])
    try:
        yield gate
    finally:
        acceptor.stop()
        await reception.stop()
        for peer in gate.peers:
            peer.close()
            with contextlib.suppress(Exception):
                await peer.writer.wait_closed()
        assert acceptor.census.total == 0, "every connection that was counted has been given back"


def certificate(
    folder: object, name: str = "mx.example.net", ca: trustme.CA | None = None
) -> tuple[TlsSettings, ssl.SSLContext]:
    """A certificate in files, and a client's context that trusts it."""
    ca = ca or trustme.CA()
    issued = ca.issue_cert(name)
    issued.private_key_pem.write_to_path(str(folder / "key.pem"))  # type: ignore[operator]
    (folder / "chain.pem").write_bytes(b"".join(blob.bytes() for blob in issued.cert_chain_pems))  # type: ignore[operator]
    context = ssl.create_default_context()
    ca.configure_trust(context)
    return TlsSettings(certificate=str(folder / "chain.pem"), key=str(folder / "key.pem")), context  # type: ignore[operator]
