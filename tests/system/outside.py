"""A whole gate that sends, and the mail host of the world outside where what leaves is looked at."""

from __future__ import annotations

import contextlib
import smtplib
import socket
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from test_system_next_hops import scripted
from whole import Gate, running, tls_for, until

from scripted_peer import Peer

MX = "127.77.0.25"
"""Where the mail host of the world outside listens, on its right port."""
ZONE = f"""
elsewhere.example.        MX  10 mx.elsewhere.example.
mx.elsewhere.example.     A   {MX}
"""
LISTENERS = """
[[listeners]]
address = "127.0.0.1:0"
role = "submission"
relay_for = ["127.0.0.1"]

[[listeners]]
address = "127.0.0.1:0"
role = "submissions"
relay_for = ["127.0.0.1"]

[[listeners]]
address = "127.0.0.1:0"
role = "submission"

[[listeners]]
address = "127.0.0.1:0"
role = "submissions"

[[listeners]]
address = "127.0.0.1:0"
role = "mx"
relay_for = ["127.0.0.1"]
"""
SOON = """
[outbound]
retry_first = "200ms"
private_addresses = true
[delivery]
poll = "100ms"
postmaster = "ben@example.net"
"""


@dataclass
class Outside:
    """A gate that sends, and the mail host of the others."""

    gate: Gate
    peer: Peer

    def arrived(self, word: bytes) -> bytes:
        """The message with that word in it, once it is there."""
        until(lambda: any(word in one for one in self.peer.messages), self.gate.log)
        return next(one for one in self.peer.messages if word in one)

    @property
    def trusting(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=str(self.gate.folder / "ca.pem"))

    def signing_in(self, listener: str = "submission") -> int:
        """The port of the listener that wants AUTH."""
        return [port for name, port in self.gate.ports.items() if name.rstrip("0123456789") == listener][1]

    def app_password(self, login: str = "ana@example.net", name: str = "laptop") -> str:
        """Of an account that is made for it."""
        if login not in self.gate.run("user", "list"):
            self.gate.run("user", "add", login, "--no-link")
        return str(self.gate.rows("user", "app-password", "add", login, "--name", name)[0]["password"])

    def session(self) -> smtplib.SMTP:
        """On the submission listener, under TLS."""
        session = smtplib.SMTP("127.0.0.1", self.gate.ports["submission"], "laptop.lan", timeout=20)
        session.starttls(context=self.trusting)
        session.ehlo()
        return session


@contextlib.contextmanager
def sending(folder: Path, *, mx: str = MX, more: str = "", **how: str) -> Iterator[Outside]:
    """A gate with every way in for our own people; others' mail goes to `mx`, port 25. `more` settings; `how` is as for `running`."""
    try:
        socket.create_server((mx, 25)).close()
    except OSError:
        pytest.skip(f"may not listen on {mx}:25")
    peer = Peer(address=mx, port=25)
    zone, settings = ZONE.replace(MX, mx), tls_for(folder) + SOON + more
    with scripted(peer), running(folder, zone=zone, listeners=LISTENERS, more=settings, **how) as gate:
        yield Outside(gate, peer)


def letter(word: str, *more: str, author: str = "ana@example.net") -> bytes:
    lines = [
        f"From: Ana <{author}>",
        "To: bo@elsewhere.example",
        f"Subject: {word}",
        *more,
        "",
        "naïve text",
        "",
    ]
    return "\r\n".join(lines).encode()
